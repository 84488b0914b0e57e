package dragonboat_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/lni/dragonboat/v4/logger"

	"github.com/trimarandb/trimaran/adapter/dragonboat"
)

func TestLogger(t *testing.T) {
	var b bytes.Buffer
	l := dragonboat.NewLoggerFactory(slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}})))("raft")
	l.SetLevel(logger.DEBUG) // the handler's counts
	l.Debugf("%v", panics{t})
	l.Infof("one %d", 1)
	l.Warningf("two")
	l.Errorf("%s", "three")
	func() {
		defer func() {
			if r := recover(); r != "four 4" {
				t.Errorf("panicked with %v", r)
			}
		}()
		l.Panicf("four %d", 4)
	}()
	want := []string{`level=INFO msg="one 1" pkg=raft`, `level=WARN msg=two pkg=raft`, `level=ERROR msg=three pkg=raft`, `level=ERROR msg="four 4" pkg=raft`, ""}
	if got := strings.Split(b.String(), "\n"); strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("wrote %q, want %q", got, want)
	}
}

// panics must not be formatted.
type panics struct{ t *testing.T }

func (p panics) String() string {
	p.t.Error("formatted what is not written")
	return ""
}

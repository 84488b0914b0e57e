package crashtest

import (
	"errors"
	"testing"
)

// Test runs a campaign, or replays a failure if the options name one, and
// reports to t.
func Test(t testing.TB, o *Options, workloads ...Workload) {
	t.Helper()
	if o != nil && o.Replay != "" {
		err := Replay(t.Context(), o, o.Replay, workloads...)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: the image is the same, and nothing is wrong with it", o.Replay)
		return
	}
	report, err := Run(t.Context(), o, workloads...)
	t.Log(report)
	if err == nil {
		return
	}
	var f *Failure
	if !errors.As(err, &f) {
		t.Fatal(err)
	}
	if f.Saved == "" && f.disk != nil {
		t.Logf("where a replay is not the same each time, run with -crash.save DIR and replay the file")
	}
	t.Fatal(err)
}

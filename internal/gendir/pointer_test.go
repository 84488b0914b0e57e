package gendir

import (
	"errors"
	"testing"

	"github.com/trimarandb/trimaran/fault"
)

// The lines are frozen. A generation of more than eight digits was written and
// not read again.
func TestPointerIsWhatItWas(t *testing.T) {
	for line, want := range map[string]pointer{
		"trimaran-kv 1 pebble live 00000001 f19d8e39\n":   {"pebble", stateLive, 1},
		"trimaran-kv 1 pebble new 00000001 703e9bce\n":    {"pebble", stateNew, 1},
		"trimaran-kv 1 rocksdb live 123456789 a5d999b4\n": {"rocksdb", stateLive, 123456789},
	} {
		got, err := decodePointer([]byte(line), want.engine)
		if err != nil || got != want || string(want.encode()) != line {
			t.Errorf("%q is %+v, %v, want %+v, which is %q", line, got, err, want, want.encode())
		}
		if !isName(Name(want.gen)) {
			t.Errorf("%s is no name of a generation", Name(want.gen))
		}
	}
}

func FuzzPointer(f *testing.F) {
	f.Add(pointer{"pebble", stateLive, 1}.encode())
	f.Add(pointer{"rocksdb", stateNew, 1 << 40}.encode())
	f.Add([]byte("trimaran-kv 2 something else\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePointer(b, "pebble")
		switch {
		case err == nil:
			if again := p.encode(); string(again) != string(b) {
				t.Errorf("pointer %q encodes to %q", b, again)
			}
		case !errors.Is(err, fault.ErrCorrupt) && !errors.Is(err, fault.ErrUnsupported) && !errors.Is(err, fault.ErrInvalid):
			t.Errorf("error = %v, want corrupt, unsupported or invalid", err)
		}
	})
}

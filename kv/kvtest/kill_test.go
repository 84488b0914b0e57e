package kvtest_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
)

const (
	killDir    = "KVTEST_KILL_DIR"
	killEngine = "KVTEST_KILL_ENGINE"
	killRows   = 300
)

// A process dies with a step under way, of which every other is an import:
// what it acknowledged is there, the step in the middle is there in whole or
// not at all, and nothing is left of the state that lost.
func TestKill9(t *testing.T) {
	if dir := os.Getenv(killDir); dir != "" {
		dies(t, disks()[os.Getenv(killEngine)], dir)
		return
	}
	for name, open := range disks() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			rng := rand.New(rand.NewPCG(*seed, 9))
			last := 0
			for range 2 * *seeds {
				acked := kill(t, name, dir, 1+rng.IntN(8))
				s, err := openStore(open(dir))
				if err != nil {
					t.Fatal(err)
				}
				found := killedAt(t, s)
				if found != acked && found != acked+1 || found < last {
					t.Errorf("seed %d: after step %d was acknowledged the state is that of step %d", *seed, acked, found)
				}
				last = found
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if left, err := filepath.Glob(filepath.Join(dir, "gen-*")); len(left) != 1 || err != nil {
					t.Errorf("generations %q, %v, want one", left, err)
				}
			}
		})
	}
}

// kill runs a process on dir until it has acknowledged so many steps, kills it
// in the next one, and returns the last that it acknowledged.
func kill(t *testing.T, engine, dir string, steps int) (acked int) {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKill9$")
	cmd.Env = append(os.Environ(), killDir+"="+dir, killEngine+"="+engine)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); {
		if step, found := strings.CutPrefix(lines.Text(), "step "); found {
			if acked, err = strconv.Atoi(step); err != nil {
				t.Error(err)
			}
			n++
		} else {
			t.Error(lines.Text())
		}
		if n == steps {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	_ = cmd.Wait() // it was killed
	return acked
}

// dies takes steps until it is killed, and says when each is durable.
func dies(t *testing.T, open func(dir string) (kv.Driver, error), dir string) {
	s, err := openStore(open(dir))
	if err != nil {
		t.Fatal(err)
	}
	for step := killedAt(t, s) + 1; ; step++ {
		if step%2 == 0 {
			_, err = s.Import(t.Context(), killStream(t, step), nil)
		} else {
			err = s.Update(t.Context(), killRound(step))
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("step", step)
	}
}

func openStore(d kv.Driver, err error) (*kv.Store, error) {
	if err != nil {
		return nil, err
	}
	return kv.New(d, nil)
}

// killRound writes the state of a step.
func killRound(step int) func(*kv.WriteTx) error {
	return func(tx *kv.WriteTx) error {
		for i := range killRows {
			if err := tx.Put(fmt.Append(nil, "row", i), fmt.Append(nil, step)); err != nil {
				return err
			}
		}
		return tx.SetMark(kv.Mark{Index: uint64(step), Term: 1})
	}
}

func killStream(t *testing.T, step int) *bytes.Buffer {
	db, err := memkv.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := openStore(db, err)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	err = s.Update(t.Context(), killRound(step))
	if err == nil {
		_, err = s.Export(t.Context(), &b)
	}
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	return &b
}

// killedAt returns the step whose state the store is in, and fails if it is
// none's.
func killedAt(t *testing.T, s *kv.Store) int {
	m, err := s.Mark(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for p, err := range s.Scan(t.Context(), kv.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		if string(p.Value) != strconv.FormatUint(m.Index, 10) {
			t.Errorf("at step %d, %s is of step %s", m.Index, p.Key, p.Value)
		}
		n++
	}
	if n != killRows && m.Index > 0 {
		t.Errorf("at step %d there are %d rows, want %d", m.Index, n, killRows)
	}
	return int(m.Index)
}

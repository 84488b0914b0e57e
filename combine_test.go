package trimaran_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/race"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/pebblekv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
)

// condition is how a layer is found: how far it reaches, of a history that is
// committed up to 20, or that it is damaged.
type condition struct {
	name    string
	to      uint64
	damaged bool
}

var conditions = []condition{{"empty", 0, false}, {"behind", 10, false}, {"equal", 20, false}, {"ahead", 30, false}, {"damaged", 20, true}}

const compacted = 5 // base of a log that is not empty

// Every combination of {empty, behind, equal, ahead, damaged} for log, snapshots
// and data, as real files: the open does what the recovery table says, and a
// log or data that is damaged refuses by itself. What opened opens again, with
// nothing left to do.
func TestEveryCombination(t *testing.T) {
	logs, snaps, data := map[string]vfs.FS{}, map[string]vfs.FS{}, map[string]vfs.FS{}
	for _, c := range conditions {
		logs[c.name], snaps[c.name], data[c.name] = logLayer(t, c), snapshotLayer(t, c), dataLayer(t, c)
	}
	for _, owner := range []trimaran.Owner{trimaran.OwnerComposite, trimaran.OwnerLibrary}[:race.Either(2, 1)] {
		opened := 0
		for _, log := range conditions {
			for _, snap := range conditions {
				for _, datum := range conditions {
					n := &node{t: t, fs: vfs.NewMem(), o: trimaran.Options{Owner: owner}}
					copyTree(t, n.fs, logs[log.name], ".")
					copyTree(t, n.fs, snaps[snap.name], ".")
					copyTree(t, n.fs, data[datum.name], ".")
					what := fmt.Sprintf("owner %v, log %s, snapshots %s, data %s", owner, log.name, snap.name, datum.name)
					if n.combined(what, log, snap, datum) {
						opened++
					}
				}
			}
		}
		t.Logf("owner %v: %d of 125 opened", owner, opened)
	}
}

// combined opens a node and compares with the table. It reports whether it
// opened.
func (n *node) combined(what string, log, snap, datum condition) bool {
	n.t.Helper()
	base := uint64(compacted)
	if log.to == 0 {
		base = 0
	}
	newest := snap.to
	if snap.damaged {
		newest = 0
	}
	rule, opens, mark := trimaran.Verdict(n.o.Owner, base, log.to, datum.to, newest)
	err := n.openParts()
	switch {
	case log.damaged || datum.damaged:
		if err == nil || !errors.Is(err, fault.ErrCorrupt) || n.Storage != nil {
			n.t.Errorf("%s: open = %v, want that the layer refuses", what, err)
		}
		return false
	case !opens:
		if c := new(fault.Corruption); !errors.As(err, &c) || !strings.Contains(err.Error(), rule) {
			n.t.Errorf("%s: open = %v, want a refusal as %q", what, err, rule)
		}
		return false
	case err != nil:
		n.t.Errorf("%s: open = %v, want that it opens", what, err)
		return false
	}
	if n.mark().Index != mark {
		n.t.Errorf("%s: mark %d, want %d", what, n.mark().Index, mark)
	}
	if snap.damaged && len(n.Recovered().Damaged) != 1 {
		n.t.Errorf("%s: report %+v, want the damaged snapshot", what, n.Recovered())
	}
	n.goesOn(int(mark))
	return true
}

// openParts opens log, snapshots, data and the node, as far as they open.
func (n *node) openParts() error {
	n.Storage = nil
	engine, err := pebblekv.Open("data", &pebblekv.Options{FS: n.fs, CacheSize: 1 << 10, WriteBufferSize: 64 << 10})
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	store, err := openLog(n.fs)
	if err != nil {
		return errors.Join(fmt.Errorf("log: %w", err), engine.Close())
	}
	n.check(store.Close())
	n.engine = engine
	return n.tryOpen()
}

// history writes entries [1, to] into the data, without a node.
func history(t *testing.T, k *kv.Store, to uint64) {
	t.Helper()
	for i := uint64(1); i <= to; i++ {
		err := k.Update(t.Context(), func(tx *kv.WriteTx) error {
			return errors.Join(tx.SetMark(kv.Mark{Index: i, Term: 1}), put(tx, command(i, 1)))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func logLayer(t *testing.T, c condition) vfs.FS {
	t.Helper()
	n := &node{t: t, fs: vfs.NewMem()}
	store, err := openLog(n.fs)
	n.check(err)
	l, err := store.Log(raftlog.Group{})
	n.check(err)
	if c.to > 0 {
		n.check(errors.Join(l.Append(entriesOf(1, c.to+1, 1)...), l.CompactTo(compacted)))
	}
	n.check(errors.Join(l.Close(), store.Close()))
	if c.damaged {
		infos, err := n.fs.List("log")
		n.check(err)
		for _, info := range infos {
			if strings.HasSuffix(info.Name, ".seg") {
				n.harm("log/"+info.Name, 10)
			}
		}
	}
	return n.fs
}

func snapshotLayer(t *testing.T, c condition) vfs.FS {
	t.Helper()
	n := &node{t: t, fs: vfs.NewMem()}
	n.emptyData()
	log, snaps, data, closer := n.parts()
	if c.to > 0 {
		history(t, data, c.to)
		w, err := snaps.Create(t.Context(), snapshot.Info{Index: c.to, Term: 1}, nil)
		n.check(err)
		_, err = data.Export(t.Context(), w)
		n.check(err)
		meta, err := w.Commit()
		n.check(err)
		if c.damaged {
			n.harm("snapshots/"+meta.ID.String()+".snap", 30)
		}
	}
	n.check(errors.Join(log.Close(), snaps.Close(), data.Close(), closer.Close()))
	n.check(vfs.RemoveAll(n.fs, "log"))
	return n.fs
}

func dataLayer(t *testing.T, c condition) vfs.FS {
	t.Helper()
	n := &node{t: t, fs: vfs.NewMem()}
	engine, err := pebblekv.Open("data", &pebblekv.Options{FS: n.fs})
	n.check(err)
	data, err := kv.New(engine, nil)
	n.check(err)
	history(t, data, c.to)
	n.check(data.Close())
	if c.damaged {
		n.harm("data/GENERATION", 20)
	}
	return n.fs
}

// harm changes a byte of a file.
func (n *node) harm(name string, off int64) {
	n.t.Helper()
	f, err := n.fs.OpenWrite(name)
	n.check(err)
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, off); !errors.Is(err, io.EOF) {
		n.check(err)
	}
	b[0] ^= 0x55
	_, err = f.WriteAt(b, off)
	n.check(errors.Join(err, f.Close()))
}

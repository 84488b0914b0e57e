package trimaran_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
)

// identities are what log, snapshots and data carry.
func (n *node) identities() (log, snaps, data raftlog.Identity) {
	n.t.Helper()
	store, ok := n.KV().(*kv.Store)
	if !ok {
		n.t.Fatal("KV is no *kv.Store")
	}
	return n.Log().Identity(), n.Snapshots().Identity(), store.Identity()
}

func TestEveryOpenRaisesTheEpochOfAllParts(t *testing.T) {
	n := newNode(t, trimaran.Options{Rand: strings.NewReader("sixteen bytes of a node")})
	for epoch := uint64(1); epoch < 4; epoch++ {
		log, snaps, data := n.identities()
		if want := (raftlog.Identity{Node: [16]byte([]byte("sixteen bytes of")), Epoch: epoch}); log != want || snaps != want || data != want || n.Recovered().Identity != want {
			t.Errorf("open %d: log %v, snapshots %v, data %v, want %v", epoch, log, snaps, data, want)
		}
		n.run(epoch, epoch+1, 1)
		n.snapshot()
		n.reopen()
	}
}

// A part of another node, or of another age, is refused and not changed, and
// adopted when the caller says so.
func TestForeignParts(t *testing.T) {
	stranger := raftlog.Identity{Node: [16]byte{9}, Epoch: 4}
	older := func(id raftlog.Identity) raftlog.Identity { id.Epoch--; return id }
	for name, tc := range map[string]struct {
		change  func(l *raftlog.Log, s *snapshot.Store, k *kv.Store) error
		refused string
	}{
		"data of another node":      {func(_ *raftlog.Log, _ *snapshot.Store, k *kv.Store) error { return k.SetIdentity(stranger) }, "the data belong to node 09000000"},
		"snapshots of another node": {func(_ *raftlog.Log, s *snapshot.Store, _ *kv.Store) error { return s.SetIdentity(stranger) }, "the snapshots belong to node 09000000"},
		"log of another node":       {func(l *raftlog.Log, _ *snapshot.Store, _ *kv.Store) error { return l.SetIdentity(stranger) }, "the log to node 09000000"},
		"older data":                {func(_ *raftlog.Log, _ *snapshot.Store, k *kv.Store) error { return k.SetIdentity(older(k.Identity())) }, "the data are of epoch 1, the log of 2"},
		"older snapshots":           {func(_ *raftlog.Log, s *snapshot.Store, _ *kv.Store) error { return s.SetIdentity(older(s.Identity())) }, "the snapshots are of epoch 1, the log of 2"},
		"older log":                 {func(l *raftlog.Log, _ *snapshot.Store, _ *kv.Store) error { return l.SetIdentity(older(l.Identity())) }, ""},
		"much older log": {func(l *raftlog.Log, _ *snapshot.Store, _ *kv.Store) error {
			value, err := older(l.Identity()).AppendBinary(nil)
			return errors.Join(err, l.SetIdentity(older(l.Identity())), l.Write(raftlog.Batch{Stable: []raftlog.StableKV{{Key: "trimaran/opening", Value: value}}}))
		}, "the log is of epoch 1, the data of 2"},
		"data without identity": {func(_ *raftlog.Log, _ *snapshot.Store, k *kv.Store) error { return k.SetIdentity(kv.Identity{}) }, "the data carry no identity"},
		"new log":               {func(l *raftlog.Log, _ *snapshot.Store, _ *kv.Store) error { return l.SetIdentity(raftlog.Identity{}) }, "the log to none"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, trimaran.Options{})
			n.run(1, 11, 1)
			n.snapshot()
			n.reopen()
			n.check(n.Close())
			n.edit(func(l *raftlog.Log, s *snapshot.Store, k *kv.Store) { n.check(tc.change(l, s, k)) })
			if tc.refused != "" {
				for range 2 {
					err := n.tryOpen()
					var c *fault.Corruption
					if !errors.As(err, &c) || c.Class != fault.Foreign && !strings.Contains(c.Reason, "to none") || !strings.Contains(err.Error(), tc.refused) {
						t.Fatalf("open = %v, want a refusal that says %q", err, tc.refused)
					}
				}
				n.o.Adopt = true
			}
			n.open()
			n.o.Adopt = false
			n.reopen() // adopted once is enough
			log, snaps, data := n.identities()
			if log.IsZero() || log != snaps || log != data {
				t.Errorf("log %v, snapshots %v, data %v, want one identity", log, snaps, data)
			}
			if n.mark().Index != 10 {
				t.Errorf("mark = %+v", n.mark())
			}
		})
	}
}

// An open that was cut short after any of its writes, and the next one too,
// leaves parts that the one after takes for one another's.
func TestOpenCutShort(t *testing.T) {
	for first, done := 0, false; !done; first++ {
		for second := range first + 1 {
			n := newNode(t, trimaran.Options{})
			n.run(1, 3, 1)
			n.snapshot()
			n.check(n.Close())
			done = n.openCut(first)
			n.openCut(second)
			n.open()
			if n.mark().Index != 2 {
				t.Errorf("cut at %d and %d: mark = %+v", first, second, n.mark())
			}
		}
	}
}

// openCut opens the node on parts of which one refuses change number at and all
// that follow, and closes it again. It reports whether so many were not made.
func (n *node) openCut(at int) bool {
	n.t.Helper()
	whole, armed, changes := n.fs, false, 0
	n.fs = vfs.Hook(whole, func(op vfs.Op) error {
		switch op.Kind {
		case "open", "list", "stat", "lock", "read", "openwrite":
			return nil
		}
		if armed {
			if changes++; changes > at {
				return errCut
			}
		}
		return nil
	})
	defer func() { n.fs = whole }()
	log, snaps, data, store := n.parts()
	armed = true
	s, err := trimaran.New(log, snaps, data, &trimaran.Options{Closers: []io.Closer{store}})
	if err == nil {
		armed = false
		n.check(s.Close())
	}
	return err == nil
}

// On a full disk a node opens, and its parts go on to carry what they did.
func TestOpenOnAFullDisk(t *testing.T) {
	engine, err := memkv.New(&memkv.Options{MaxSize: 400})
	if err != nil {
		t.Fatal(err)
	}
	n := &node{t: t, fs: vfs.NewMem(), engine: lasting{engine}}
	n.open()
	n.check(n.Close())
	n.edit(func(_ *raftlog.Log, _ *snapshot.Store, k *kv.Store) {
		for i := 0; ; i++ {
			if err := k.Put(t.Context(), []byte{byte(i)}, nil); err != nil {
				wantErr(t, "Put", err, fault.ErrFull)
				return
			}
		}
	})
	for range 3 {
		n.open()
		n.check(n.Close())
	}
}

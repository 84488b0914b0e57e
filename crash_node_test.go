package trimaran_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/pebblekv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/dirbucket"
	"github.com/trimarandb/trimaran/vfs"
)

// crashNode is a node whose layers share one disk.
type crashNode struct {
	fs vfs.FS
	*trimaran.Storage
}

// openCrashNode opens what is on the disk. Nothing that it writes depends on
// the clock or on chance; salt tells the names of this run's snapshots from
// those of another.
func openCrashNode(fsys vfs.FS, p *crashProfile, salt byte) (_ *crashNode, err error) {
	var opened []io.Closer
	defer func() {
		for i := len(opened) - 1; err != nil && i >= 0; i-- {
			err = errors.Join(err, opened[i].Close())
		}
	}()
	driver, err := seglog.Open("log", &seglog.Options{FS: fsys, SegmentSize: 2000, Rand: rand.NewChaCha8([32]byte{1}), Background: func(work func()) { work() }})
	if err != nil {
		return nil, err
	}
	opened = append(opened, driver)
	log, err := driver.Log(raftlog.Group{})
	if err != nil {
		return nil, err
	}
	bucket, err := dirbucket.Open("snapshots", &dirbucket.Options{FS: fsys})
	if err != nil {
		return nil, err
	}
	snaps, err := snapshot.New(bucket, crashSnapshots(rand.NewChaCha8([32]byte{2, salt})))
	if err != nil {
		return nil, err
	}
	opened = append(opened, snaps)
	engine, err := pebblekv.Open("data", &pebblekv.Options{FS: fsys, CacheSize: 1 << 10, WriteBufferSize: 64 << 10})
	if err != nil {
		return nil, err
	}
	opened = append(opened, engine)
	data, err := kv.New(engine, &kv.Options{Sync: kv.SyncNever})
	if err != nil {
		return nil, err
	}
	opened = nil
	s, err := trimaran.New(log, snaps, data, &trimaran.Options{
		Owner: p.owner, SkipsNonCommands: p.owner == trimaran.OwnerLibrary, TrailingEntries: crashTrailing, KeepFallback: p.fallback,
		Rand: rand.NewChaCha8([32]byte{3}), Closers: []io.Closer{driver},
	})
	if err != nil {
		return nil, err
	}
	return &crashNode{fsys, s}, nil
}

func crashVote(n int) []byte { return fmt.Appendf(nil, "vote %d", n) }

// librarySnapshot is what a Raft library does: it labels the snapshot itself,
// and deletes log entries afterwards.
func (n *crashNode) librarySnapshot(label, base uint64) error {
	ctx := context.Background()
	p, err := n.BeginSnapshot(ctx)
	if err != nil {
		return err
	}
	defer p.Release()
	info := p.Info()
	info.Index, info.Term = label, committedTerm(label)
	w, err := n.Snapshots().Create(ctx, info, nil)
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := p.WriteTo(w); err != nil {
		return err
	}
	if _, err := w.Commit(); err != nil {
		return err
	}
	if err := p.Commit(ctx); err != nil {
		return err
	}
	return n.Log().CompactTo(base)
}

// libraryInstall is what a Raft library does with a snapshot that it was sent.
func (n *crashNode) libraryInstall(container []byte) (err error) {
	ctx := context.Background()
	meta, err := n.Snapshots().Install(ctx, bytes.NewReader(container), nil)
	if err != nil {
		return err
	}
	r, err := n.Snapshots().Open(ctx, meta.ID)
	if err != nil {
		return err
	}
	defer r.Close()
	p, err := n.BeginRestore(ctx, meta.Info, &trimaran.RestoreOptions{Force: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Abort()) }()
	if err := p.Load(ctx, r); err != nil {
		return err
	}
	if err := p.Switch(ctx); err != nil {
		return err
	}
	return p.FinishLog(ctx)
}

// back restores the oldest snapshot.
func (n *crashNode) back() error {
	ctx := context.Background()
	var oldest snapshot.ID
	for m, err := range n.Snapshots().All(ctx) {
		if err != nil {
			return err
		}
		oldest = m.ID
	}
	return n.Restore(ctx, oldest, &trimaran.RestoreOptions{Force: true})
}

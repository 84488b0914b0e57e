// Layers is one small replicated map without the replication: it shows what
// each layer is for, and how they fit together in a Raft node.
//
// Commands are appended to a log, applied to a key-value store together with
// the mark of the last one, and captured in a snapshot; the log forgets what
// the snapshot holds; and a second store is built from the snapshot and the
// rest of the log.
//
//	layers [-dir DIR]   keeps the log in DIR, by default in a new directory
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/membucket"
)

func main() {
	dir := flag.String("dir", "", "directory of the log; by default a new one, removed at the end")
	flag.Parse()
	if err := start(*dir, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "layers:", err)
		os.Exit(1)
	}
}

func start(dir string, out io.Writer) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp("", "trimaran-layers-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	}
	return run(context.Background(), dir, out)
}

const commands = 1000

func run(ctx context.Context, dir string, out io.Writer) (err error) {
	// The log: segment files that many groups share.
	store, err := seglog.Open(dir, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	log, err := store.Log(raftlog.Group{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if err := log.Reset(raftlog.Position{}); err != nil { // what an earlier run left
		return err
	}

	// The data, and where snapshots are kept.
	data, err := newData()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, data.Close()) }()
	snapshots, err := snapshot.New(membucket.New(nil), nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snapshots.Close()) }()

	if err := propose(log); err != nil {
		return err
	}
	fmt.Fprintf(out, "log:      %d entries and the vote are durable\n", commands)
	if err := apply(ctx, data, log, commands*9/10); err != nil {
		return err
	}
	meta, err := takeSnapshot(ctx, data, snapshots)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "snapshot: contains the log up to index %d of term %d, %d rows, %s\n", meta.Index, meta.Term, meta.Entries, meta.Codec)
	if err := log.CompactTo(meta.Index); err != nil {
		return err
	}
	first, err := log.FirstIndex()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "log:      compacted, begins at %d\n", first)
	if err := apply(ctx, data, log, commands); err != nil {
		return err
	}
	return rebuild(ctx, data, snapshots, meta.ID, log, out)
}

func newData() (*kv.Store, error) {
	engine, err := memkv.New(nil)
	if err != nil {
		return nil, err
	}
	return kv.New(engine, nil)
}

// propose appends the commands, and the vote of the term they are from, in
// batches: each is one write and one sync.
func propose(log *raftlog.Log) error {
	const each = 100
	for lo := uint64(1); lo <= commands; lo += each {
		b := raftlog.Batch{Stable: []raftlog.StableKV{{Key: "vote", Value: []byte("node-a in term 1")}}}
		for i := lo; i < lo+each; i++ {
			b.Entries = append(b.Entries, raftlog.Entry{Index: i, Term: 1, Data: fmt.Appendf(nil, "key-%03d=value %d", i%300, i)})
		}
		if err := log.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// apply brings data up to index. The mark moves in the same transaction as the
// data, so that no entry is ever applied twice.
func apply(ctx context.Context, data *kv.Store, log *raftlog.Log, index uint64) error {
	return data.Update(ctx, func(tx *kv.WriteTx) error {
		mark, err := tx.Mark()
		if err != nil {
			return err
		}
		for e, err := range log.Entries(mark.Index+1, index+1) {
			if err != nil {
				return err
			}
			key, value, _ := bytes.Cut(e.Data, []byte("="))
			if err := tx.Put(key, value); err != nil {
				return err
			}
			mark.Index, mark.Term = e.Index, e.Term
		}
		return tx.SetMark(mark)
	})
}

// takeSnapshot captures the data, which costs nothing, and writes the capture
// while applies could go on. The mark inside the capture says what it holds.
func takeSnapshot(ctx context.Context, data *kv.Store, snapshots *snapshot.Store) (meta snapshot.Meta, err error) {
	capture, err := data.Capture(ctx)
	if err != nil {
		return meta, err
	}
	defer func() { err = errors.Join(err, capture.Release()) }()
	mark := capture.Mark()
	w, err := snapshots.Create(ctx, snapshot.Info{Index: mark.Index, Term: mark.Term, Membership: []byte("node-a")}, nil)
	if err != nil {
		return meta, err
	}
	defer w.Close() // discards unless committed
	if _, err := capture.WriteTo(w); err != nil {
		return meta, err
	}
	sum, err := capture.Summary()
	if err != nil {
		return meta, err
	}
	w.SetEntries(sum.Rows)
	return w.Commit()
}

// rebuild makes a second store from the snapshot and the rest of the log, as a
// node does that starts anew, and compares it with the first.
func rebuild(ctx context.Context, data *kv.Store, snapshots *snapshot.Store, id snapshot.ID, log *raftlog.Log, out io.Writer) (err error) {
	second, err := newData()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, second.Close()) }()
	r, err := snapshots.Open(ctx, id)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := second.Import(ctx, r, nil); err != nil {
		return err
	}
	if err := apply(ctx, second, log, commands); err != nil {
		return err
	}
	value, err := second.Get(ctx, []byte("key-042"))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "data:     key-042 = %s, from snapshot and log\n", value)
	a, err := data.Digest(ctx, kv.Range{})
	if err != nil {
		return err
	}
	b, err := second.Digest(ctx, kv.Range{})
	if err != nil {
		return err
	}
	if where, differ := a.FirstDifference(b); differ {
		return fmt.Errorf("the two stores differ from key %q on", where.Lo)
	}
	fmt.Fprintln(out, "digest:   both stores hold the same")
	return nil
}

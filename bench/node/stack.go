package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	wal "github.com/hashicorp/raft-wal"
	"go.etcd.io/bbolt"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/adapter/hashiraft"
	"github.com/trimarandb/trimaran/bench/log/peer"
	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/kv"
)

const (
	subject = "trimaran"
	ceiling = "ceiling"
	keySize = 16 // of the command: the rest is the value
)

// stack is all that a node keeps, as hashicorp/raft wants it.
type stack struct {
	logs   raft.LogStore
	stable raft.StableStore
	snaps  raft.SnapshotStore
	fsm    raft.FSM
	setup  func(*raft.Config)
	close  func() error
}

// kind is one way to keep it.
type kind struct {
	name, what string
	open       func(dir string) (*stack, error)
}

var kinds = []kind{
	{subject, "seglog, dirbucket, Pebble, one composite", openTrimaran},
	{"raft-boltdb", "raft-boltdb v2.3.1, FileSnapshotStore, bbolt", openBolt},
	{"raft-wal", "raft-wal v0.4.0, FileSnapshotStore, Pebble", openWAL},
	{ceiling, "pwrite + fdatasync of the commands' bytes into written blocks, a state machine that does nothing", openCeiling},
	{"memory", "raft's InmemStore, of which the newest entries are kept, a state machine that does nothing", openMemory},
}

func openTrimaran(dir string) (*stack, error) {
	s, err := config.OpenDir(dir, &config.Options{Storage: trimaran.Options{Owner: trimaran.OwnerLibrary, SkipsNonCommands: true}})
	if err != nil {
		return nil, err
	}
	a, err := hashiraft.New(context.Background(), s, func(tx *kv.WriteTx, l *raft.Log) (any, error) {
		return nil, tx.Put(l.Data[:keySize], l.Data[keySize:])
	}, nil)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &stack{
		logs: a.Logs(), stable: a.Logs(), snaps: a.Snapshots(), fsm: a.FSM(), setup: a.Configure,
		close: func() error { return errors.Join(a.Close(), s.Close()) },
	}, nil
}

// files is a directory of snapshots as hashicorp/raft brings it.
func files(dir string) (raft.SnapshotStore, error) {
	return raft.NewFileSnapshotStoreWithLogger(dir, 1, hclog.NewNullLogger())
}

func openBolt(dir string) (*stack, error) {
	snaps, err := files(dir)
	if err != nil {
		return nil, err
	}
	log, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(dir, "raft.db")})
	if err != nil {
		return nil, err
	}
	db, err := bbolt.Open(filepath.Join(dir, "data.db"), 0o600, nil)
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	name := []byte("data")
	apply := func(logs []*raft.Log) error {
		return db.Update(func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(name)
			for _, l := range logs {
				if err == nil && l.Type == raft.LogCommand {
					err = b.Put(l.Data[:keySize], l.Data[keySize:])
				}
			}
			return err
		})
	}
	return &stack{logs: log, stable: log, snaps: snaps, fsm: machine(apply), close: func() error { return errors.Join(log.Close(), db.Close()) }}, nil
}

func openWAL(dir string) (*stack, error) {
	snaps, err := files(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "wal"), 0o755); err != nil {
		return nil, err
	}
	log, err := wal.Open(filepath.Join(dir, "wal"))
	if err != nil {
		return nil, err
	}
	db, err := pebble.Open(filepath.Join(dir, "data"), &pebble.Options{MemTableSize: 64 << 20, Logger: quiet{}})
	if err != nil {
		return nil, errors.Join(err, log.Close())
	}
	apply := func(logs []*raft.Log) error {
		b := db.NewBatch()
		for _, l := range logs {
			if l.Type != raft.LogCommand {
				continue
			}
			if err := b.Set(l.Data[:keySize], l.Data[keySize:], nil); err != nil {
				return err
			}
		}
		return b.Commit(pebble.NoSync)
	}
	return &stack{logs: log, stable: log, snaps: snaps, fsm: machine(apply), close: func() error { return errors.Join(log.Close(), db.Close()) }}, nil
}

// recent is a log in memory that forgets all but the newest entries, so that
// what it holds does not slow the collector down for everybody.
type recent struct {
	*raft.InmemStore
	stored int
}

func (r *recent) StoreLog(l *raft.Log) error { return r.StoreLogs([]*raft.Log{l}) }

func (r *recent) StoreLogs(logs []*raft.Log) error {
	const many = 10_000
	if r.stored += len(logs); r.stored > many {
		r.stored = 0
		first, err := r.FirstIndex()
		if err != nil {
			return err
		}
		if last := logs[0].Index; last > first+many {
			if err := r.DeleteRange(first, last-many); err != nil {
				return err
			}
		}
	}
	return r.InmemStore.StoreLogs(logs)
}

// device writes what a log has to write at least; what raft reads back is in
// memory.
type device struct {
	*recent
	log peer.Log
}

func (d *device) StoreLog(l *raft.Log) error { return d.StoreLogs([]*raft.Log{l}) }

func (d *device) StoreLogs(logs []*raft.Log) error {
	payloads := make([][]byte, 0, len(logs))
	for _, l := range logs {
		if len(l.Data) > 0 {
			payloads = append(payloads, l.Data)
		}
	}
	if len(payloads) > 0 {
		if err := d.log.Append(logs[0].Index, payloads); err != nil {
			return err
		}
	}
	return d.recent.StoreLogs(logs)
}

func openCeiling(dir string) (*stack, error) {
	l, err := peer.Raw().Open(filepath.Join(dir, "raw"), peer.Options{})
	if err != nil {
		return nil, err
	}
	m := &recent{InmemStore: raft.NewInmemStore()}
	return &stack{logs: &device{m, l}, stable: m, snaps: raft.NewInmemSnapshotStore(), fsm: idle, close: l.Close}, nil
}

func openMemory(string) (*stack, error) {
	m := &recent{InmemStore: raft.NewInmemStore()}
	return &stack{logs: m, stable: m, snaps: raft.NewInmemSnapshotStore(), fsm: idle, close: func() error { return nil }}, nil
}

// machine is a state machine that applies what raft delivers at a time. It is
// asked for no snapshot here.
type machine func(logs []*raft.Log) error

var idle = machine(func([]*raft.Log) error { return nil })

var _ raft.BatchingFSM = machine(nil)

func (m machine) Apply(l *raft.Log) any { return m.ApplyBatch([]*raft.Log{l})[0] }

func (m machine) ApplyBatch(logs []*raft.Log) []any {
	all := make([]any, len(logs))
	if err := m(logs); err != nil {
		for i := range all {
			all[i] = err
		}
	}
	return all
}

func (m machine) Snapshot() (raft.FSMSnapshot, error) { return nil, errNone }
func (m machine) Restore(io.ReadCloser) error         { return errNone }

var errNone = fmt.Errorf("no snapshots in this comparison")

// quiet is a logger of Pebble.
type quiet struct{}

func (quiet) Infof(string, ...any)         {}
func (quiet) Errorf(string, ...any)        {}
func (quiet) Fatalf(f string, args ...any) { panic(fmt.Sprintf(f, args...)) }

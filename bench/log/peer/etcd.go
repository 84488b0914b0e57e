package peer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// Etcd is the WAL of the etcd server. It is read as a whole and has no single
// reads: etcd keeps all entries in memory.
func Etcd() Kind {
	return Kind{Name: "etcd", Version: "server v3.7.3", Verifies: true, Open: openEtcd}
}

type etcdLog struct {
	dir     string // holds the log, and the file that says where it begins
	wal     *wal.WAL
	entries []*raftpb.Entry
	last    uint64
}

func (e *etcdLog) walDir() string    { return filepath.Join(e.dir, "wal") }
func (e *etcdLog) startFile() string { return filepath.Join(e.dir, "start") }

func openEtcd(dir string, o Options) (Log, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	e := &etcdLog{dir: dir}
	var err error
	if !wal.Exist(e.walDir()) {
		e.wal, err = wal.Create(zap.NewNop(), e.walDir(), nil)
	} else {
		err = e.reopen()
	}
	if err != nil {
		return nil, err
	}
	if o.Relaxed {
		e.wal.SetUnsafeNoFsync()
	}
	return e, nil
}

// reopen reads all entries: without that, etcd does not append.
func (e *etcdLog) reopen() error {
	start, err := e.start()
	if err != nil {
		return err
	}
	if e.wal, err = wal.Open(zap.NewNop(), e.walDir(), start); err != nil {
		return err
	}
	if _, _, _, err := e.wal.ReadAll(); err != nil {
		return errors.Join(err, e.wal.Close())
	}
	return nil
}

func (e *etcdLog) start() (*walpb.Snapshot, error) {
	b, err := os.ReadFile(e.startFile())
	if errors.Is(err, fs.ErrNotExist) {
		return &walpb.Snapshot{}, nil
	} else if err != nil {
		return nil, err
	}
	return snapshotAt(binary.LittleEndian.Uint64(b)), nil
}

func snapshotAt(index uint64) *walpb.Snapshot {
	return &walpb.Snapshot{Index: new(index), Term: new(uint64(1)), ConfState: &raftpb.ConfState{}}
}

func (e *etcdLog) Append(first uint64, payloads [][]byte) error {
	for len(e.entries) < len(payloads) {
		e.entries = append(e.entries, &raftpb.Entry{Term: new(uint64(1)), Index: new(uint64(0))})
	}
	entries := e.entries[:len(payloads)]
	for i, p := range payloads {
		*entries[i].Index, entries[i].Data = first+uint64(i), p
	}
	e.last = first + uint64(len(payloads)) - 1
	return e.wal.Save(nil, entries)
}

func (e *etcdLog) Read(lo, hi uint64, visit func(uint64, []byte) error) error {
	start, err := e.start()
	if err != nil {
		return err
	}
	r, err := wal.OpenForRead(zap.NewNop(), e.walDir(), start)
	if err != nil {
		return err
	}
	defer r.Close()
	_, _, entries, err := r.ReadAll()
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if i := entry.GetIndex(); i >= lo && i < hi {
			if err := visit(i, entry.Data); err != nil {
				return err
			}
			lo = i + 1
		}
	}
	if lo < hi {
		return errMissing(lo)
	}
	return nil
}

func (e *etcdLog) Get(uint64) ([]byte, error) { return nil, ErrUnsupported }

// DropFront does what etcd does after a snapshot: it notes it, lets go of the
// files before it and removes them.
func (e *etcdLog) DropFront(index uint64) error {
	if err := e.wal.SaveSnapshot(snapshotAt(index - 1)); err != nil {
		return err
	}
	if err := e.wal.ReleaseLockTo(index - 1); err != nil {
		return err
	}
	start := binary.LittleEndian.AppendUint64(nil, index-1)
	if err := os.WriteFile(e.startFile(), start, 0o644); err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(e.walDir(), "*.wal"))
	if err != nil {
		return err
	}
	for i := 0; i+1 < len(names); i++ {
		var seq, next uint64
		if _, err := fmt.Sscanf(filepath.Base(names[i+1]), "%016x-%016x.wal", &seq, &next); err != nil {
			return err
		}
		if next >= index {
			return nil
		}
		if err := os.Remove(names[i]); err != nil {
			return err
		}
	}
	return nil
}

// DropBack writes an empty entry at index: the only way that etcd has.
func (e *etcdLog) DropBack(index uint64) error { return e.Append(index, [][]byte{nil}) }
func (e *etcdLog) Close() error                { return e.wal.Close() }

package hashiraft_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/adapter/hashiraft"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
	"github.com/trimarandb/trimaran/kv/pebblekv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/dirbucket"
	"github.com/trimarandb/trimaran/snapshot/membucket"
	"github.com/trimarandb/trimaran/vfs"
)

var library = trimaran.Options{Owner: trimaran.OwnerLibrary, SkipsNonCommands: true}

// memory is a storage whose log is a segment log in memory.
func memory(t *testing.T) *trimaran.Storage {
	t.Helper()
	engine, err := memkv.New(nil)
	check(t, err)
	s := assemble(t, vfs.NewMem(), membucket.New(nil), engine)
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

// durable opens the storage in fsys, which survives it; the caller closes it.
func durable(t *testing.T, fsys vfs.FS) *trimaran.Storage {
	t.Helper()
	bucket, err := dirbucket.Open("snapshots", &dirbucket.Options{FS: fsys})
	check(t, err)
	engine, err := pebblekv.Open("data", &pebblekv.Options{FS: fsys})
	check(t, err)
	return assemble(t, fsys, bucket, engine)
}

func assemble(t *testing.T, fsys vfs.FS, bucket snapshot.Bucket, engine kv.Driver) *trimaran.Storage {
	t.Helper()
	driver, err := seglog.Open("log", &seglog.Options{FS: fsys})
	check(t, err)
	l, err := driver.Log(raftlog.Group{})
	check(t, err)
	snaps, err := snapshot.New(bucket, nil)
	check(t, err)
	data, err := kv.New(engine, nil)
	check(t, err)
	o := library
	o.Closers = append(o.Closers, driver)
	s, err := trimaran.New(l, snaps, data, &o)
	check(t, err)
	return s
}

// put applies "key=value" and answers how often it was called; "fail" fails.
func put(tx *kv.WriteTx, l *raft.Log) (any, error) {
	key, value, ok := bytes.Cut(l.Data, []byte("="))
	if !ok {
		return nil, errors.New("no command of this state machine")
	}
	if err := tx.Put(key, value); err != nil {
		return nil, err
	}
	return tx.Increment([]byte("applied"), 1)
}

func adapt(t *testing.T, s *trimaran.Storage) *hashiraft.Adapter {
	t.Helper()
	a, err := hashiraft.New(t.Context(), s, put, nil)
	check(t, err)
	t.Cleanup(func() { check(t, a.Close()) })
	return a
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func command(index, term uint64) *raft.Log {
	return &raft.Log{Index: index, Term: term, Type: raft.LogCommand, Data: fmt.Appendf(nil, "k%d=v", index)}
}

func commands(lo, hi, term uint64) (logs []*raft.Log) {
	for i := lo; i <= hi; i++ {
		logs = append(logs, command(i, term))
	}
	return logs
}

var voters = raft.Configuration{Servers: []raft.Server{{Suffrage: raft.Voter, ID: "a", Address: "a"}}}

func export(t *testing.T, s *trimaran.Storage) []byte {
	t.Helper()
	var b bytes.Buffer
	_, err := s.KV().Export(t.Context(), &b)
	check(t, err)
	return b.Bytes()
}

// eventually polls until ok, longer than any machine stalls.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

var all kv.Range

// damage flips a bit in the middle of a file.
func damage(t *testing.T, fsys vfs.FS, name string) {
	t.Helper()
	f, err := fsys.OpenWrite(name)
	check(t, err)
	size, err := f.Size()
	check(t, err)
	b := make([]byte, 1)
	_, err = f.ReadAt(b, size-1)
	check(t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b, size-1)
	check(t, err)
	check(t, f.Close())
}

package etcdraft_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/raft/v3/raftpb"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/adapter/etcdraft"
	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/vfs"
)

// table is a state that does not survive the process, with snapshots of all of
// it.
type table struct {
	mu   sync.Mutex
	Data map[string]string
	Hash [32]byte // of all entries, in order
	Last uint64

	Voters []uint64
}

func (m *table) Applied() (uint64, *raftpb.ConfState, error) { return 0, nil, nil }

func (m *table) Apply(_ context.Context, entries []etcdraft.Committed) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range entries {
		if e.GetIndex() != m.Last+1 {
			return fmt.Errorf("entry %d after %d", e.GetIndex(), m.Last)
		}
		m.Last = e.GetIndex()
		m.Hash = sha256.Sum256(fmt.Appendf(m.Hash[:], "%d %d %v %q", e.GetIndex(), e.GetTerm(), e.GetType(), e.GetData()))
		if e.ConfState != nil {
			m.Voters = e.ConfState.GetVoters()
		}
		if key, value, ok := strings.Cut(string(e.GetData()), "="); ok && e.ConfState == nil {
			m.Data[key] = value
			m.Data[applied(value)] = "yes"
		}
	}
	return nil
}

func (m *table) Restore(_ context.Context, snap *raftpb.Snapshot) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if index := snap.GetMetadata().GetIndex(); index <= m.Last {
		return fmt.Errorf("snapshot of index %d after entry %d", index, m.Last)
	}
	m.Data = nil
	return json.Unmarshal(snap.GetData(), m)
}

func (m *table) Snapshot(context.Context) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return json.Marshal(m)
}

func (m *table) get(key string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.Data[key], nil
}

// applied is a key that is there once a value was stored under any.
func applied(value string) string { return "applied " + value }

func (m *table) digest() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprintf("%x %v", m.Hash, m.Voters)
}

func inMemory(t *testing.T, fsys vfs.FS) state {
	t.Helper()
	s, err := etcdraft.Open("node", &etcdraft.Options{FS: fsys})
	check(t, err)
	m := &table{Data: map[string]string{}}
	return state{machine: m, storage: s, get: m.get, digest: m.digest, close: s.Close}
}

func put(tx *kv.WriteTx, e *raftpb.Entry) error {
	key, value, _ := bytes.Cut(e.GetData(), []byte("="))
	return errors.Join(tx.Put(key, value), tx.Put([]byte(applied(string(value))), []byte("yes")))
}

// composite is a trimaran.Storage with Pebble.
func composite(t *testing.T, fsys vfs.FS) state {
	t.Helper()
	s, err := config.OpenDir("node", &config.Options{FS: fsys, Storage: trimaran.Options{TrailingEntries: -1}})
	check(t, err)
	m, err := etcdraft.NewKV(t.Context(), s, put, nil)
	check(t, err)
	return state{
		machine: m, storage: m.Storage(),
		get: func(key string) (string, error) {
			value, err := s.KV().Get(context.Background(), []byte(key))
			if errors.Is(err, fault.ErrNotFound) {
				return "", nil
			}
			return string(value), err
		},
		digest: func() string {
			var b bytes.Buffer
			_, err := s.KV().Export(context.Background(), &b)
			return fmt.Sprintf("%x %v", sha256.Sum256(b.Bytes()), err)
		},
		compact: func() error {
			_, err := s.Snapshot(context.Background(), 0)
			if errors.Is(err, fault.ErrNothingNew) {
				return nil
			}
			return err
		},
		close: func() error { return errors.Join(m.Storage().Close(), s.Close()) },
	}
}

func TestMaintainedKV(t *testing.T) {
	c := newCluster(t, composite, 1)
	c.propose(3)
	c.snapshot()
	s := c.node(1).storage
	if first, err := s.FirstIndex(); err != nil || first < 4 {
		t.Errorf("log begins at %d, %v, after a snapshot that leaves nothing", first, err)
	}
	snap, err := s.Snapshot()
	check(t, err)
	if got := snap.GetMetadata(); len(got.GetConfState().GetVoters()) != 1 || got.GetIndex() < 3 {
		t.Errorf("snapshot is %v", snap)
	}
	if _, err := s.CreateSnapshot(4, nil, nil); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("a snapshot beside those of the data: %v, want ErrUnsupported", err)
	}
	c.stop(1, true)
	c.start(1)
	c.propose(3)
	c.read(1)
}

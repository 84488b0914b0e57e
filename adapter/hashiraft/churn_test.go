package hashiraft_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran/adapter/hashiraft"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/churn"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

// parts is what one node of a churned cluster is made of.
type parts struct {
	fsm    raft.FSM
	logs   *hashiraft.LogStore
	snaps  raft.SnapshotStore
	digest func() string // of all that was applied
	close  func() error
}

// Commands of churned clusters are "key=value", and "?key" for a read that goes
// through the log.

// registers is a state machine of one's own.
type registers struct {
	mu   sync.Mutex
	Data map[string]string
}

func (m *registers) Apply(l *raft.Log) any {
	m.mu.Lock()
	defer m.mu.Unlock()
	if key, read := bytes.CutPrefix(l.Data, []byte("?")); read {
		return m.Data[string(key)]
	}
	key, value, _ := strings.Cut(string(l.Data), "=")
	m.Data[key] = value
	return value
}

func (m *registers) Snapshot() (raft.FSMSnapshot, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := json.Marshal(m.Data)
	return counted(b), err
}

func (m *registers) Restore(r io.ReadCloser) error {
	data := map[string]string{}
	err := json.NewDecoder(r).Decode(&data)
	if err = errors.Join(err, r.Close()); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Data = data
	return nil
}

func (m *registers) digest() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := json.Marshal(m.Data)
	return fmt.Sprintf("%x %v", sha256.Sum256(b), err)
}

// ownMachine is a node of OpenLog and OpenSnapshots.
func ownMachine(t *testing.T, fsys vfs.FS, _ *raft.Config) parts {
	logs, snaps := stores(t, fsys, 2)
	m := &registers{Data: map[string]string{}}
	return parts{m, logs, snaps, m.digest, func() error { return errors.Join(logs.Close(), snaps.Close()) }}
}

// wholeStorage is a node of New.
func wholeStorage(t *testing.T, fsys vfs.FS, conf *raft.Config) parts {
	s := durable(t, fsys)
	a, err := hashiraft.New(t.Context(), s, readOrWrite, nil)
	check(t, err)
	a.Configure(conf)
	digest := func() string {
		var b bytes.Buffer
		trailer, err := s.KV().Export(t.Context(), &b)
		return fmt.Sprintf("%x %v", trailer.Digest, err)
	}
	return parts{a.FSM(), a.Logs(), a.Snapshots(), digest, func() error { return errors.Join(a.Close(), s.Close()) }}
}

func readOrWrite(tx *kv.WriteTx, l *raft.Log) (any, error) {
	if key, read := bytes.CutPrefix(l.Data, []byte("?")); read {
		value, err := tx.Get(key)
		if errors.Is(err, fault.ErrNotFound) {
			return "", nil
		}
		return string(value), err
	}
	key, value, _ := bytes.Cut(l.Data, []byte("="))
	return string(value), tx.Put(key, value)
}

// churned is a cluster that churn.Run churns.
type churned struct {
	t     *testing.T
	make  func(t *testing.T, fsys vfs.FS, conf *raft.Config) parts
	disks [churn.Nodes]vfs.FS
	ids   [churn.Nodes]raft.ServerID
	cut   int // the node that is cut off, or -1
	count int // of all nodes there ever were

	mu    sync.Mutex
	nodes [churn.Nodes]*churnedNode // nil: it does not run
}

type churnedNode struct {
	parts
	r      *raft.Raft
	trans  *raft.InmemTransport
	kill   *killable
	freeze func()
}

func newChurned(t *testing.T, make func(*testing.T, vfs.FS, *raft.Config) parts) *churned {
	c := &churned{t: t, make: make, cut: -1}
	for i := range churn.Nodes {
		c.renew(i)
	}
	for i := range churn.Nodes {
		c.Start(i)
	}
	t.Cleanup(func() {
		for i := range churn.Nodes {
			if c.node(i) != nil {
				c.Stop(i, false)
			}
		}
	})
	return c
}

func (c *churned) renew(node int) {
	c.count++
	c.ids[node], c.disks[node] = raft.ServerID(fmt.Sprintf("n%d", c.count)), vfs.NewMem()
}

func (c *churned) node(i int) *churnedNode {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[i]
}

func (c *churned) config(node int) *raft.Config {
	conf := raft.DefaultConfig()
	conf.LocalID, conf.LogOutput = c.ids[node], io.Discard
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = 100*time.Millisecond, 100*time.Millisecond, 60*time.Millisecond
	conf.CommitTimeout = 5 * time.Millisecond
	conf.SnapshotInterval, conf.TrailingLogs = time.Hour, 5
	return conf
}

func (c *churned) Start(node int) {
	conf, n := c.config(node), &churnedNode{}
	fsys, freeze := crashtest.Freezable(c.disks[node])
	n.freeze, n.parts = freeze, c.make(c.t, fsys, conf)
	_, n.trans = raft.NewInmemTransportWithTimeout(raft.ServerAddress(c.ids[node]), time.Second)
	if c.count == churn.Nodes { // nobody was replaced yet
		has, err := raft.HasExistingState(n.logs, n.logs, n.snaps)
		check(c.t, err)
		if !has {
			check(c.t, raft.BootstrapCluster(conf, n.logs, n.logs, n.snaps, n.trans, c.founders()))
		}
	}
	c.mu.Lock()
	c.nodes[node] = n
	c.mu.Unlock()
	c.connect()
	n.kill = &killable{LogStore: n.logs}
	r, err := raft.NewRaft(conf, n.fsm, n.kill, n.kill, n.snaps, n.trans)
	check(c.t, err)
	c.mu.Lock()
	n.r = r
	c.mu.Unlock()
}

func (c *churned) founders() (all raft.Configuration) {
	for _, id := range c.ids {
		all.Servers = append(all.Servers, raft.Server{ID: id, Address: raft.ServerAddress(id)})
	}
	return all
}

// connect has all nodes that run see each other, but for the one that is cut
// off.
func (c *churned) connect() {
	for i, n := range c.nodes {
		for j, m := range c.nodes {
			switch {
			case n == nil || i == j:
			case m == nil || i == c.cut || j == c.cut:
				n.trans.Disconnect(raft.ServerAddress(c.ids[j]))
			default:
				n.trans.Connect(raft.ServerAddress(c.ids[j]), m.trans)
			}
		}
	}
}

func (c *churned) Stop(node int, kill bool) {
	c.mu.Lock()
	n := c.nodes[node]
	c.nodes[node] = nil
	c.mu.Unlock()
	if kill {
		n.kill.done.Store(true)
		n.freeze()
	}
	c.connect()
	n.trans.DisconnectAll()
	down := n.r.Shutdown()
	if kill { // parts of it may wait for a disk that answers no more
		_, _ = n.close(), n.trans.Close()
		return
	}
	check(c.t, down.Error())
	check(c.t, errors.Join(n.close(), n.trans.Close()))
}

func (c *churned) Cut(node int, cut bool) {
	c.cut = -1
	if cut {
		c.cut = node
	}
	c.connect()
}

func (c *churned) Lead(node int) {
	n := c.node(node)
	for i := range churn.Nodes {
		_ = c.node(i).r.LeadershipTransferToServer(c.ids[node], n.trans.LocalAddr()) // only a leader can
	}
}

func (c *churned) Snapshot(node int) {
	err := c.node(node).r.Snapshot().Error()
	if err != nil && !errors.Is(err, raft.ErrNothingNewToSnapshot) && !strings.Contains(err.Error(), "snapshot") {
		c.t.Fatal(err)
	}
}

func (c *churned) Replace(node int) {
	old := c.ids[node]
	c.change("remove "+string(old), func(r *raft.Raft) error { return r.RemoveServer(old, 0, time.Second).Error() })
	c.renew(node)
	c.Start(node)
	id := c.ids[node]
	c.change("add "+string(id), func(r *raft.Raft) error {
		return r.AddVoter(id, raft.ServerAddress(id), 0, time.Second).Error()
	})
	r := c.node(node).r
	eventually(c.t, string(id)+" knows that it is a member", func() bool { // before, it votes for nobody who is newer than its snapshot
		f := r.GetConfiguration()
		return f.Error() == nil && slices.ContainsFunc(f.Configuration().Servers, func(s raft.Server) bool { return s.ID == id })
	})
}

// change has a leader do something that may be done twice.
func (c *churned) change(what string, do func(r *raft.Raft) error) {
	eventually(c.t, what, func() bool {
		for i := range churn.Nodes {
			if n := c.node(i); n != nil && n.r.State() == raft.Leader && do(n.r) == nil {
				return true
			}
		}
		return false
	})
}

func (c *churned) Digest(node int) string { return c.node(node).digest() }

func (c *churned) Put(ctx context.Context, node int, key, value string) error {
	_, err := c.apply(ctx, node, key+"="+value)
	return err
}

func (c *churned) Get(ctx context.Context, node int, key string) (string, error) {
	return c.apply(ctx, node, "?"+key)
}

func (c *churned) apply(ctx context.Context, node int, command string) (string, error) {
	c.mu.Lock()
	n := c.nodes[node]
	if n == nil || n.r == nil {
		c.mu.Unlock()
		return "", churn.ErrRefused
	}
	r := n.r
	c.mu.Unlock()
	f, answer := r.Apply([]byte(command), 0), make(chan error, 1)
	go func() { answer <- f.Error() }() // a node that is killed may never answer
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case err := <-answer:
		switch {
		case errors.Is(err, raft.ErrNotLeader) || errors.Is(err, raft.ErrLeadershipTransferInProgress):
			return "", churn.ErrRefused
		case err != nil:
			return "", err
		}
	}
	switch response := f.Response().(type) {
	case string:
		return response, nil
	case error:
		return "", response
	default:
		return "", fmt.Errorf("%s is answered by %v", command, response)
	}
}

// killable keeps a raft whose node was killed from noticing, for ever, that the
// disk answers no more: it panics over what a killed process does not see.
type killable struct {
	*hashiraft.LogStore
	done atomic.Bool
}

func (k *killable) unlessKilled(err error) error {
	if err != nil && k.done.Load() {
		select {}
	}
	return err
}

func (k *killable) Set(key, value []byte) error { return k.unlessKilled(k.LogStore.Set(key, value)) }

func (k *killable) SetUint64(key []byte, value uint64) error {
	return k.unlessKilled(k.LogStore.SetUint64(key, value))
}

func (k *killable) GetLog(index uint64, l *raft.Log) error {
	return k.unlessKilled(k.LogStore.GetLog(index, l))
}

func TestChurn(t *testing.T) {
	t.Parallel() // it waits most of the time
	churn.Run(t, newChurned(t, ownMachine))
}

func TestChurnStorage(t *testing.T) {
	t.Parallel()
	churn.Run(t, newChurned(t, wholeStorage))
}

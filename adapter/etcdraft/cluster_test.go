package etcdraft_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/trimarandb/trimaran/adapter/etcdraft"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

// cluster is some nodes in one process, each with a disk of its own. Time is
// what the test says it is: nothing ticks while it does not wait.
type cluster struct {
	t     *testing.T
	make  func(t *testing.T, fsys vfs.FS) state
	peers []raft.Peer
	disks map[uint64]vfs.FS

	mu    sync.Mutex
	nodes map[uint64]*node
	cut   map[uint64]bool // from all others
	acked []string        // commands that the node which they were given to has applied
	count int
}

// state is a machine and the storage below it.
type state struct {
	machine etcdraft.Machine
	storage *etcdraft.Storage
	get     func(key string) (string, error) // "" if it is not there
	digest  func() string                    // of all that was applied
	compact func() error                     // takes a snapshot and leaves nothing of the log; nil: by itself
	close   func() error
}

// has says whether a command was applied.
func (s state) has(command string) bool {
	key, want, _ := strings.Cut(command, "=")
	value, err := s.get(key)
	return err == nil && value == want
}

type node struct {
	c      *cluster
	id     uint64
	fsys   vfs.FS
	freeze func()
	state
	*etcdraft.Runner
	inbox chan *raftpb.Message
	gone  chan struct{} // closed when it stops
	done  sync.WaitGroup
}

func newCluster(t *testing.T, make func(t *testing.T, fsys vfs.FS) state, ids ...uint64) *cluster {
	c := &cluster{t: t, make: make, disks: map[uint64]vfs.FS{}, nodes: map[uint64]*node{}, cut: map[uint64]bool{}}
	for _, id := range ids {
		c.peers = append(c.peers, raft.Peer{ID: id})
	}
	for _, id := range ids {
		c.start(id)
	}
	t.Cleanup(func() {
		for _, id := range c.running() {
			c.stop(id, false)
		}
	})
	return c
}

// start opens a node on its disk; a disk that is new makes it one of peers, if
// it is one.
func (c *cluster) start(id uint64) *node {
	c.t.Helper()
	if c.disks[id] == nil {
		c.disks[id] = vfs.NewMem()
	}
	n := &node{c: c, id: id, inbox: make(chan *raftpb.Message, 1024), gone: make(chan struct{})}
	n.fsys, n.freeze = crashtest.Freezable(c.disks[id])
	n.state = c.make(c.t, n.fsys)
	o := &etcdraft.RunnerOptions{TickInterval: -1, SnapshotEntries: 20, TrailingEntries: 5}
	if slices.ContainsFunc(c.peers, func(p raft.Peer) bool { return p.ID == id }) {
		o.Peers = c.peers
	}
	var err error
	n.Runner, err = etcdraft.Start(&raft.Config{
		ID: id, ElectionTick: 50, HeartbeatTick: 3, MaxSizePerMsg: 4096, MaxInflightMsgs: 64, PreVote: true, CheckQuorum: true,
	}, n.storage, n.machine, n, o)
	check(c.t, err)
	n.done.Go(n.receive)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[id] = n
	return n
}

// stop closes a node, or kills it: then nothing that closing does reaches its
// disk.
func (c *cluster) stop(id uint64, kill bool) {
	c.t.Helper()
	c.mu.Lock()
	n := c.nodes[id]
	delete(c.nodes, id)
	c.mu.Unlock()
	if kill {
		n.freeze()
	}
	close(n.gone)
	err := n.Close()
	if n.Err() != nil && !kill {
		err = errors.Join(err, n.Err())
	}
	n.done.Wait()
	err = errors.Join(err, n.close())
	if err != nil && !kill {
		c.t.Fatalf("node %d: %v", id, err)
	}
}

func (c *cluster) running() (ids []uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.nodes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func (c *cluster) node(id uint64) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[id]
}

// Send implements etcdraft.Transport.
func (n *node) Send(messages []*raftpb.Message) {
	for _, m := range messages {
		to := n.reach(m.GetTo())
		if to == nil {
			if m.GetType() == raftpb.MsgSnap {
				n.done.Go(func() { n.report(m, raft.SnapshotFailure) })
			}
			continue
		}
		m = proto.Clone(m).(*raftpb.Message)
		if m.GetType() == raftpb.MsgSnap {
			n.done.Go(func() { n.ship(to, m) })
			continue
		}
		to.take(m)
	}
}

// reach is the node at the other end, nil if there is none now.
func (n *node) reach(id uint64) *node {
	n.c.mu.Lock()
	defer n.c.mu.Unlock()
	if n.c.cut[n.id] || n.c.cut[id] {
		return nil
	}
	return n.c.nodes[id]
}

// take is a network that loses what does not fit.
func (n *node) take(m *raftpb.Message) {
	select {
	case n.inbox <- m:
	default:
	}
}

func (n *node) receive() {
	for {
		select {
		case <-n.gone:
			return
		case m := <-n.inbox:
			_ = n.Step(m) // raft says what it does not want
		}
	}
}

// ship sends a snapshot, and its stream if it has one.
func (n *node) ship(to *node, m *raftpb.Message) {
	status := raft.SnapshotFailure
	if snap, err := n.transfer(to, m.GetSnapshot()); err == nil {
		m.Snapshot = snap
		if to.Step(m) == nil {
			status = raft.SnapshotFinish
		}
	}
	n.report(m, status)
}

func (n *node) transfer(to *node, snap *raftpb.Snapshot) (*raftpb.Snapshot, error) {
	if _, ok := n.machine.(*etcdraft.KV); !ok {
		return snap, nil
	}
	r, err := n.storage.OpenSnapshot(context.Background(), snap)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return to.storage.ReceiveSnapshot(context.Background(), snap, r)
}

func (n *node) report(m *raftpb.Message, status raft.SnapshotStatus) {
	_ = n.With(func(node *raft.RawNode) error { // fails once it is closed
		node.ReportSnapshot(m.GetTo(), status)
		return nil
	})
}

// eventually lets time pass until ok, longer than any machine stalls.
func (c *cluster) eventually(what string, ok func() bool) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 3*time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			for _, id := range c.running() {
				c.t.Log(c.node(id).describe())
			}
			c.t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
		for _, id := range c.running() {
			n := c.node(id)
			n.Tick()
			if err := n.Err(); err != nil {
				c.t.Fatalf("node %d: %v", id, err)
			}
		}
	}
}

func (n *node) describe() string {
	var s raft.Status
	err := n.With(func(node *raft.RawNode) error {
		s = node.Status()
		return nil
	})
	return fmt.Sprintf("node %d: %v, applied %d, state %s, %v", n.id, s, n.Applied(), n.digest(), err)
}

// propose has commands applied by whichever node takes them. One that is not
// answered is given to another node: it may be applied twice, which states do
// not mind.
func (c *cluster) propose(n int) {
	c.t.Helper()
	for range n {
		c.count++
		command := fmt.Sprintf("key-%04d=%d", c.count, c.count)
		at, asked, waited := c.running(), -1, 0
		c.eventually("apply "+command, func() bool {
			if waited--; waited <= 0 {
				asked, waited = asked+1, 200
				_ = c.node(at[asked%len(at)]).Propose([]byte(command)) // without a leader it is dropped
			}
			return c.node(at[asked%len(at)]).has(command)
		})
		c.acked = append(c.acked, command)
	}
}

// leader waits for one that all reachable nodes follow.
func (c *cluster) leader() (leader *node) {
	c.t.Helper()
	c.eventually("a leader", func() bool {
		for _, id := range c.running() {
			if n := c.node(id); n.leads() {
				leader = n
				return true
			}
		}
		return false
	})
	return leader
}

func (n *node) leads() (yes bool) {
	err := n.With(func(node *raft.RawNode) error {
		yes = node.BasicStatus().RaftState == raft.StateLeader
		return nil
	})
	return yes && err == nil
}

// change has the members changed: the change is proposed until it is in force.
func (c *cluster) change(kind raftpb.ConfChangeType, id uint64, want bool) {
	c.t.Helper()
	waited := 0
	c.eventually(fmt.Sprintf("%v of %d", kind, id), func() bool {
		waited++
		for _, at := range c.running() {
			n, member := c.node(at), false
			if !n.leads() {
				continue
			}
			_ = n.With(func(node *raft.RawNode) error {
				_, member = node.Status().Config.Voters.IDs()[id]
				return nil
			})
			if member == want {
				return true
			}
			if waited%50 == 1 { // refused while one is under way
				_ = n.ProposeConfChange(&raftpb.ConfChange{Type: kind.Enum(), NodeId: &id})
			}
		}
		return false
	})
}

// snapshot has every node that takes none by itself take one.
func (c *cluster) snapshot() {
	c.t.Helper()
	for _, id := range c.running() {
		if n := c.node(id); n.compact != nil {
			check(c.t, n.compact())
		}
	}
}

// read checks that a linearizable read of a node sees all that was
// acknowledged.
func (c *cluster) read(id uint64) {
	c.t.Helper()
	if len(c.acked) == 0 {
		return
	}
	n, answer := c.node(id), make(chan error, 1)
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	go func() { answer <- n.ReadIndex(ctx) }()
	var err error
	c.eventually("a read", func() bool {
		select {
		case err = <-answer:
			return true
		default:
			return false
		}
	})
	check(c.t, err)
	if last := c.acked[len(c.acked)-1]; !n.has(last) {
		c.t.Errorf("a linearizable read of node %d does not see %s", id, last)
	}
}

func (c *cluster) isolate(id uint64, cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut[id] = cut
}

package hashiraft_test

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/adapter/hashiraft"
	"github.com/trimarandb/trimaran/vfs"
)

// cluster is some nodes in one process, each with a disk of its own.
type cluster struct {
	t        *testing.T
	disks    map[raft.ServerID]vfs.FS
	nodes    map[raft.ServerID]*member
	servers  []raft.Server
	trailing uint64
}

type member struct {
	s     *trimaran.Storage
	a     *hashiraft.Adapter
	r     *raft.Raft
	trans *raft.InmemTransport
}

func newCluster(t *testing.T, ids ...raft.ServerID) *cluster {
	c := &cluster{t: t, disks: map[raft.ServerID]vfs.FS{}, nodes: map[raft.ServerID]*member{}, trailing: 5}
	for _, id := range ids {
		c.disks[id] = vfs.NewMem()
		c.servers = append(c.servers, raft.Server{ID: id, Address: raft.ServerAddress(id)})
	}
	t.Cleanup(func() {
		for id := range c.nodes {
			c.stop(id)
		}
	})
	return c
}

// start opens a node on its disk; the first time it is told of all servers.
func (c *cluster) start(id raft.ServerID) *member {
	c.t.Helper()
	n := &member{s: durable(c.t, c.disks[id])}
	a, err := hashiraft.New(c.t.Context(), n.s, put, nil)
	check(c.t, err)
	_, trans := raft.NewInmemTransportWithTimeout(raft.ServerAddress(id), time.Second)
	n.a, n.trans = a, trans
	conf := raft.DefaultConfig()
	conf.LocalID = id
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = 150*time.Millisecond, 150*time.Millisecond, 100*time.Millisecond
	conf.CommitTimeout = 5 * time.Millisecond
	conf.SnapshotInterval, conf.TrailingLogs = time.Hour, c.trailing
	a.Configure(conf)
	has, err := raft.HasExistingState(a.Logs(), a.Stable(), a.Snapshots())
	check(c.t, err)
	if !has {
		check(c.t, raft.BootstrapCluster(conf, a.Logs(), a.Stable(), a.Snapshots(), trans, raft.Configuration{Servers: c.servers}))
	}
	for other, m := range c.nodes {
		m.trans.Connect(raft.ServerAddress(id), trans)
		trans.Connect(raft.ServerAddress(other), m.trans)
	}
	n.r, err = a.NewRaft(conf, trans)
	check(c.t, err)
	c.nodes[id] = n
	return n
}

func (c *cluster) stop(id raft.ServerID) {
	c.t.Helper()
	n := c.nodes[id]
	delete(c.nodes, id)
	for _, m := range c.nodes {
		m.trans.Disconnect(raft.ServerAddress(id))
	}
	check(c.t, n.a.Close())
	check(c.t, n.r.Shutdown().Error())
	check(c.t, n.s.Close())
}

func (c *cluster) leader() *member {
	c.t.Helper()
	var leader *member
	eventually(c.t, "a leader", func() bool {
		for _, n := range c.nodes {
			if n.r.State() == raft.Leader && n.r.VerifyLeader().Error() == nil {
				leader = n
				return true
			}
		}
		return false
	})
	return leader
}

// propose has the cluster apply n commands whose keys begin with prefix.
func (c *cluster) propose(prefix string, n int) (last any) {
	c.t.Helper()
	leader := c.leader()
	for i := range n {
		f := leader.r.Apply(fmt.Appendf(nil, "%s%04d=%d", prefix, i, i), time.Second)
		check(c.t, f.Error())
		last = f.Response()
	}
	return last
}

// agree waits until all nodes have applied the same, and compares all bytes.
func (c *cluster) agree() {
	c.t.Helper()
	index := c.leader().r.LastIndex()
	for id, n := range c.nodes {
		eventually(c.t, fmt.Sprintf("node %s applies %d", id, index), func() bool {
			mark, err := n.s.KV().Mark(c.t.Context())
			check(c.t, n.a.Err())
			return err == nil && mark.Index >= index
		})
	}
	var first []byte
	for id, n := range c.nodes {
		if got := export(c.t, n.s); first == nil {
			first = got
		} else if !bytes.Equal(got, first) {
			c.t.Errorf("node %s exports %d bytes, another one %d different ones", id, len(got), len(first))
		}
	}
}

func TestOneNodeRestarts(t *testing.T) {
	c := newCluster(t, "a")
	n := c.start("a")
	c.propose("x", 40)
	check(t, n.r.Snapshot().Error())
	if first, err := n.a.Logs().FirstIndex(); err != nil || first < 30 {
		t.Errorf("log begins at %d, %v, after a snapshot that leaves %d", first, err, c.trailing)
	}
	c.propose("y", 10)
	for round := range 3 {
		c.stop("a")
		c.start("a")
		if got, want := c.propose("z", 1), int64(51+round); got != want {
			t.Fatalf("command counted as %v, want %d: each is applied once", got, want)
		}
	}
	check(t, c.leader().r.Snapshot().Error())
	c.agree()
}

func TestFollowerIsBroughtUpBySnapshot(t *testing.T) {
	c := newCluster(t, "a", "b", "c")
	c.start("a")
	c.start("b")
	c.propose("x", 100)
	check(t, c.leader().r.Snapshot().Error())
	c.propose("y", 5)
	last := c.start("c")
	c.propose("z", 1)
	c.agree()
	if got := last.s.Metrics().SnapshotsRestored; got != 1 {
		t.Errorf("the late node restored %d snapshots, want 1", got)
	}
	c.stop("c") // its log begins behind the snapshot now
	c.start("c")
	if got := c.propose("z", 2); got != int64(108) {
		t.Errorf("command counted as %v, want 108", got)
	}
	c.agree()
}

// TestCrashAfterInstall stops the follower as soon as the snapshot is in, when
// its log is empty and was reset.
func TestCrashAfterInstall(t *testing.T) {
	c := newCluster(t, "a", "b", "c")
	c.trailing = 0
	c.start("a")
	c.start("b")
	c.propose("x", 50)
	check(t, c.leader().r.Snapshot().Error())
	late := c.start("c")
	eventually(t, "the snapshot is installed", func() bool { return late.s.Metrics().SnapshotsRestored == 1 })
	c.stop("c")
	late = c.start("c")
	c.propose("y", 3)
	c.agree()
	if first, err := late.a.Logs().FirstIndex(); err != nil || first < 50 {
		t.Errorf("log of the late node begins at %d, %v", first, err)
	}
}

func TestUserRestore(t *testing.T) {
	c := newCluster(t, "a", "b", "c")
	for _, s := range c.servers {
		c.start(s.ID)
	}
	c.propose("x", 20)
	leader := c.leader()
	f := leader.r.Snapshot()
	check(t, f.Error())
	meta, r, err := f.Open()
	check(t, err)
	defer func() { check(t, r.Close()) }()
	c.propose("y", 20)
	check(t, c.leader().r.Restore(meta, r, 10*time.Second))
	if got := c.propose("z", 1); got != int64(21) {
		t.Errorf("command counted as %v, want 21: the state went back", got)
	}
	c.agree()
	for _, s := range c.servers {
		c.stop(s.ID)
	}
	for _, s := range c.servers {
		c.start(s.ID)
	}
	if got := c.propose("z", 1); got != int64(22) {
		t.Errorf("command counted as %v after the restart, want 22", got)
	}
	c.agree()
}

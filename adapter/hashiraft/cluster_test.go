package hashiraft_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/adapter/hashiraft"
	"github.com/trimarandb/trimaran/vfs"
)

// cluster is some nodes in one process, each with a disk of its own. Elections
// are short, so that a stalled machine may depose a leader at any moment: what is
// asked of one is asked again of the next.
type cluster struct {
	t        *testing.T
	disks    map[raft.ServerID]vfs.FS
	nodes    map[raft.ServerID]*member
	servers  []raft.Server
	trailing uint64
	election time.Duration
	index    uint64 // of the last command
	unsure   int64  // commands that may have been applied twice
}

type member struct {
	s     *trimaran.Storage
	a     *hashiraft.Adapter
	r     *raft.Raft
	trans *raft.InmemTransport
}

func newCluster(t *testing.T, ids ...raft.ServerID) *cluster {
	c := &cluster{t: t, disks: map[raft.ServerID]vfs.FS{}, nodes: map[raft.ServerID]*member{}, trailing: 5, election: 150 * time.Millisecond}
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
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = c.election, c.election, c.election*2/3
	conf.CommitTimeout = 5 * time.Millisecond
	conf.SnapshotInterval, conf.TrailingLogs = time.Hour, c.trailing
	a.Configure(conf)
	has, err := raft.HasExistingState(a.Logs(), a.Logs(), a.Snapshots())
	check(c.t, err)
	if !has {
		check(c.t, raft.BootstrapCluster(conf, a.Logs(), a.Logs(), a.Snapshots(), trans, raft.Configuration{Servers: c.servers}))
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

// lead has a leader do something that a leader does for as long as it is one.
func (c *cluster) lead(what string, do func(r *raft.Raft) error) {
	c.t.Helper()
	eventually(c.t, what, func() bool {
		for _, n := range c.nodes {
			if n.r.State() != raft.Leader {
				continue
			}
			err := do(n.r)
			switch {
			case err == nil:
				return true
			case errors.Is(err, raft.ErrLeadershipLost):
				c.unsure++
			case !errors.Is(err, raft.ErrNotLeader) && !errors.Is(err, raft.ErrAbortedByRestore):
				c.t.Fatalf("%s: %v", what, err)
			}
		}
		return false
	})
}

// propose has the cluster apply n commands whose keys begin with prefix, and
// returns how many the last one counted before it, and itself.
func (c *cluster) propose(prefix string, n int) (count int64) {
	c.t.Helper()
	for i := range n {
		data := fmt.Appendf(nil, "%s%04d=%d", prefix, i, i)
		c.lead("propose", func(r *raft.Raft) error {
			f := r.Apply(data, 0)
			if err := f.Error(); err != nil {
				return err
			}
			c.index = f.Index()
			var ok bool
			if count, ok = f.Response().(int64); !ok {
				c.t.Fatalf("command %s answers %v", data, f.Response())
			}
			return nil
		})
	}
	return count
}

// counted checks that each command was applied once.
func (c *cluster) counted(got, want int64) {
	c.t.Helper()
	if got < want || got > want+c.unsure {
		c.t.Fatalf("command counted as %d, want %d, or up to %d more", got, want, c.unsure)
	}
}

// snapshot has each node take one: any of them may lead when another one comes.
func (c *cluster) snapshot() {
	c.t.Helper()
	c.agree()
	for _, n := range c.nodes {
		check(c.t, n.r.Snapshot().Error())
	}
}

// agree waits until all nodes have applied the last command, and compares all
// bytes.
func (c *cluster) agree() {
	c.t.Helper()
	for id, n := range c.nodes {
		eventually(c.t, fmt.Sprintf("node %s applies %d", id, c.index), func() bool {
			mark, err := n.s.KV().Mark(c.t.Context())
			check(c.t, n.a.Err())
			return err == nil && mark.Index >= c.index
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
	c.snapshot()
	if first, err := n.a.Logs().FirstIndex(); err != nil || first < 30 {
		t.Errorf("log begins at %d, %v, after a snapshot that leaves %d", first, err, c.trailing)
	}
	c.propose("y", 10)
	for round := range 3 {
		c.stop("a")
		c.start("a")
		c.counted(c.propose("z", 1), int64(51+round))
	}
	c.snapshot()
}

func TestFollowerIsBroughtUpBySnapshot(t *testing.T) {
	c := newCluster(t, "a", "b", "c")
	c.start("a")
	c.start("b")
	c.propose("x", 100)
	c.snapshot()
	c.propose("y", 5)
	last := c.start("c")
	c.propose("z", 1)
	c.agree()
	if got := last.s.Metrics().SnapshotsRestored; got == 0 {
		t.Error("the late node restored no snapshot")
	}
	c.stop("c") // its log begins behind the snapshot now
	c.start("c")
	c.counted(c.propose("z", 2), 108)
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
	c.snapshot()
	late := c.start("c")
	eventually(t, "the snapshot is installed", func() bool { return late.s.Metrics().SnapshotsRestored > 0 })
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
	c.election = time.Second // a leader that is deposed before others have it leaves them apart
	for _, s := range c.servers {
		c.start(s.ID)
	}
	c.propose("x", 20)
	c.agree()
	f := c.nodes["a"].r.Snapshot()
	check(t, f.Error())
	before := c.unsure
	c.propose("y", 20)
	c.unsure = before // what is restored does not have them
	c.lead("restore", func(leader *raft.Raft) error {
		meta, r, err := f.Open()
		check(t, err)
		return errors.Join(leader.Restore(meta, r, 0), r.Close())
	})
	c.counted(c.propose("z", 1), 21) // the state went back
	c.agree()
	for _, s := range c.servers {
		c.stop(s.ID)
	}
	for _, s := range c.servers {
		c.start(s.ID)
	}
	c.counted(c.propose("z", 1), 22)
	c.agree()
}

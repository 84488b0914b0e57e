package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/freeport"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/server"
	"github.com/trimarandb/trimaran/server/command"
	"github.com/trimarandb/trimaran/vfs"
)

func TestOneNode(t *testing.T) {
	disk := vfs.NewMem()
	for round := range 3 {
		n := start(t, disk, server.Options{})
		leads(t, n)
		if round > 0 {
			if got := get(t, n, "k"); got != fmt.Sprint(round-1) {
				t.Fatalf("k is %s after restart %d", got, round)
			}
		}
		_, err := propose(t.Context(), n, set(time.Now(), "k", fmt.Sprint(round), 0))
		check(t, err)
		r, err := propose(t.Context(), n, incr(time.Now(), "n"))
		check(t, err)
		if r.Int != int64(round+1) {
			t.Fatalf("n is %d in round %d: each command is applied once", r.Int, round)
		}
		check(t, n.Close())
		if _, err := n.Propose(t.Context(), nil); !errors.Is(err, fault.ErrClosed) {
			t.Errorf("propose after close: %v, want ErrClosed", err)
		}
		if err := n.Linearizable(t.Context()); !errors.Is(err, fault.ErrClosed) {
			t.Errorf("read after close: %v, want ErrClosed", err)
		}
	}
}

func TestConcurrentCommandsShareLogWrites(t *testing.T) {
	n := start(t, vfs.NewMem(), server.Options{})
	leads(t, n)
	before := n.Storage().Metrics().Log.Writes
	const clients, each = 50, 20
	var work sync.WaitGroup
	for range clients {
		work.Go(func() {
			for range each {
				if _, err := propose(t.Context(), n, incr(time.Now(), "n")); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	if got := get(t, n, "n"); got != fmt.Sprint(clients*each) {
		t.Errorf("n is %q, want %d", got, clients*each)
	}
	if writes := n.Storage().Metrics().Log.Writes - before; writes >= clients*each {
		t.Errorf("%d log writes for %d commands: none was shared", writes, clients*each)
	}
}

func TestIdleNodeExpires(t *testing.T) {
	c := &clock{}
	n := start(t, vfs.NewMem(), server.Options{Now: c.now})
	leads(t, n)
	_, err := propose(t.Context(), n, set(c.now(), "short", "v", time.Minute))
	check(t, err)
	_, err = propose(t.Context(), n, set(c.now(), "long", "v", 50*time.Hour))
	check(t, err)
	last := n.Status(t.Context()).LogLast
	if get(t, n, "short") != "v" || n.Status(t.Context()).LogLast != last {
		t.Error("a read wrote to the log, or found nothing")
	}
	c.advance(2 * time.Minute)
	if got := get(t, n, "short"); got != "(nil)" {
		t.Errorf("short is %q a minute after its deadline", got)
	}
	if got := n.Status(t.Context()).LogLast; got != last+1 {
		t.Errorf("%d entries for one tick", got-last)
	}
	if get(t, n, "long") != "v" {
		t.Error("long is gone before its time")
	}
}

// TestClockCatchesUp: the data's clock moves by an hour at most in one command,
// so a node that slept must be brought near the present before it serves.
func TestClockCatchesUp(t *testing.T) {
	disk, c := vfs.NewMem(), &clock{}
	n := start(t, disk, server.Options{Now: c.now})
	leads(t, n)
	_, err := propose(t.Context(), n, set(c.now(), "old", "v", 48*time.Hour))
	check(t, err)
	check(t, n.Close())
	c.advance(72 * time.Hour)
	n = start(t, disk, server.Options{Now: c.now})
	leads(t, n)
	if got := get(t, n, "old"); got != "(nil)" {
		t.Errorf("old is %q a day after its deadline", got)
	}
	_, err = propose(t.Context(), n, set(c.now(), "new", "v", time.Second))
	check(t, err)
	c.advance(2 * time.Second)
	if got := get(t, n, "new"); got != "(nil)" {
		t.Errorf("new is %q a second after its deadline", got)
	}
}

func TestSnapshotThreshold(t *testing.T) {
	disk := vfs.NewMem()
	n := start(t, disk, server.Options{SnapshotEntries: 200, TrailingEntries: 10})
	leads(t, n)
	for i := range 300 {
		_, err := propose(t.Context(), n, set(time.Now(), fmt.Sprint("k", i), "v", 0))
		check(t, err)
	}
	eventually(t, "a snapshot is taken and the log compacted", func() error {
		if st := n.Status(t.Context()); len(st.Snapshots) == 0 || st.LogLast-st.LogFirst > 150 {
			return fmt.Errorf("log [%d, %d], %d snapshots", st.LogFirst, st.LogLast, len(st.Snapshots))
		}
		return nil
	})
	want, err := n.KV().Digest(t.Context(), kv.Range{})
	check(t, err)
	check(t, n.Close())
	n = start(t, disk, server.Options{})
	leads(t, n)
	got, err := n.KV().Digest(t.Context(), kv.Range{})
	check(t, err)
	if got.Root != want.Root {
		t.Error("the state differs after the restart")
	}
}

// Elections are short here, so that a stalled machine may depose a leader at any
// moment: what is asked of one is asked again of the next.
func TestThreeNodes(t *testing.T) {
	peers := []server.Peer{{ID: "a"}, {ID: "b"}, {ID: "c"}}
	for i := range peers {
		peers[i].Address = freeport.Reserve(t)
	}
	disks, nodes := map[string]vfs.FS{}, map[string]*server.Node{}
	run := func(p server.Peer) {
		if disks[p.ID] == nil {
			disks[p.ID] = vfs.NewMem()
		}
		nodes[p.ID] = start(t, disks[p.ID], server.Options{ID: p.ID, RaftAddress: p.Address, Peers: peers, Election: 300 * time.Millisecond, TrailingEntries: 1})
	}
	run(peers[0])
	run(peers[1])
	for i := range 50 {
		write(t, nodes, fmt.Sprint("k", i))
	}
	agree(t, nodes)
	for _, n := range nodes { // any of them may lead when the third one comes
		_, err := n.Snapshot(t.Context())
		check(t, err)
	}
	run(peers[2]) // it missed everything
	write(t, nodes, "last")
	agree(t, nodes)
	if got := nodes["c"].Storage().Metrics().SnapshotsRestored; got == 0 {
		t.Error("the late node restored no snapshot")
	}
	leader := write(t, nodes, "again")
	check(t, nodes[leader].Close())
	delete(nodes, leader)
	write(t, nodes, "after")
	agree(t, nodes)
	eventually(t, "a follower names the leader", func() error {
		for _, n := range nodes {
			var notLeader *server.NotLeaderError
			if _, err := n.Propose(t.Context(), tick(t)); errors.As(err, &notLeader) && notLeader.ID != "" {
				return nil
			}
		}
		return errors.New("none does")
	})
}

// tick is a command that changes nothing.
func tick(t *testing.T) []byte {
	t.Helper()
	data, err := command.Tick(time.Now())
	check(t, err)
	return data
}

// write has key set by whichever node leads and answers reads, and says which
// one that was.
func write(t *testing.T, nodes map[string]*server.Node, key string) (leader string) {
	t.Helper()
	eventually(t, "a leader sets "+key, func() error {
		var refusal error
		for id, n := range nodes {
			var notLeader *server.NotLeaderError
			err := n.Linearizable(t.Context())
			if err == nil {
				_, err = propose(t.Context(), n, set(time.Now(), key, "v", 0))
			}
			switch {
			case err == nil:
				leader = id
				return nil
			case !errors.As(err, &notLeader) && !errors.Is(err, server.ErrUncertain):
				t.Fatal(err)
			}
			refusal = errors.Join(refusal, err)
		}
		return refusal
	})
	return leader
}

// agree waits until all nodes applied the same, and compares their bytes.
func agree(t *testing.T, nodes map[string]*server.Node) {
	t.Helper()
	eventually(t, "all nodes hold the same bytes", func() error {
		var first []byte
		for id, n := range nodes {
			switch got := export(t, n); {
			case first == nil:
				first = got
			case !bytes.Equal(first, got):
				return fmt.Errorf("node %s differs", id)
			}
		}
		return nil
	})
}

func TestHaltedNodeStops(t *testing.T) {
	disk := vfs.NewMem()
	n := start(t, disk, server.Options{})
	leads(t, n)
	_, err := n.Propose(t.Context(), []byte("\xff no command"))
	if !errors.Is(err, server.ErrUncertain) || !errors.Is(err, fault.ErrPoisoned) {
		t.Errorf("propose of what cannot be applied: %v, want ErrUncertain and ErrPoisoned", err)
	}
	if err := n.Linearizable(t.Context()); err == nil {
		t.Error("a halted node answers reads")
	}
	if err := n.Ready(t.Context()); !errors.Is(err, fault.ErrPoisoned) {
		t.Errorf("readiness: %v, want ErrPoisoned", err)
	}
}

func TestRefusals(t *testing.T) {
	taken, err := net.Listen("tcp", loopback)
	check(t, err)
	defer func() { check(t, taken.Close()) }()
	for name, c := range map[string]struct {
		o    server.Options
		want error
	}{
		"raft port is taken":  {server.Options{RaftAddress: taken.Addr().String(), HTTPAddress: "-"}, syscall.EADDRINUSE},
		"http port is taken":  {server.Options{RaftAddress: loopback, HTTPAddress: taken.Addr().String()}, syscall.EADDRINUSE},
		"all interfaces":      {server.Options{RaftAddress: "0.0.0.0:0"}, fault.ErrInvalid},
		"every interface":     {server.Options{RaftAddress: ":0"}, fault.ErrInvalid},
		"http to the world":   {server.Options{RaftAddress: loopback, HTTPAddress: "192.0.2.1:80"}, fault.ErrInvalid},
		"no address":          {server.Options{RaftAddress: "here"}, fault.ErrInvalid},
		"command too large":   {server.Options{MaxCommand: 1 << 30}, fault.ErrInvalid},
		"not among its peers": {server.Options{ID: "x", Peers: []server.Peer{{ID: "a", Address: "b"}}}, fault.ErrInvalid},
		"election in no time": {server.Options{Election: time.Millisecond}, fault.ErrInvalid},
		"the same peer twice": {server.Options{ID: "a", Peers: []server.Peer{{ID: "a", Address: "b"}, {ID: "a", Address: "c"}}}, fault.ErrInvalid},
		"advertises nonsense": {server.Options{RaftAddress: loopback, HTTPAddress: "-", Advertise: "nowhere"}, fault.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			disk := vfs.NewMem()
			if _, err := server.Start(t.Context(), open(t, disk), &c.o); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			check(t, open(t, disk).Close()) // it was let go of
		})
	}
}

func TestLargeCommandIsRefused(t *testing.T) {
	n := start(t, vfs.NewMem(), server.Options{MaxCommand: 2 << 20})
	leads(t, n)
	if _, err := n.Propose(t.Context(), make([]byte, 2<<20+1)); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("a command over the limit: %v, want ErrInvalid", err)
	}
	_, err := propose(t.Context(), n, set(time.Now(), "k", string(make([]byte, 3<<19)), 0))
	check(t, err)
}

func TestCallerStopsWaiting(t *testing.T) {
	n := start(t, vfs.NewMem(), server.Options{})
	leads(t, n)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := propose(ctx, n, set(time.Now(), "k", "v", 0))
	if err != nil && (!errors.Is(err, server.ErrUncertain) || !errors.Is(err, context.Canceled)) {
		t.Errorf("got %v, want ErrUncertain and Canceled, or an answer", err)
	}
}

func memory(t *testing.T) *config.Config {
	t.Helper()
	c, err := config.Load("../examples/memory-optimized.yaml")
	check(t, err)
	c.Options.FS, c.Options.Storage = vfs.NewMem(), library
	return c
}

func TestVolatile(t *testing.T) {
	peers := []server.Peer{{ID: "node", Address: "127.0.0.1:1"}, {ID: "b", Address: "127.0.0.1:2"}}
	s, err := memory(t).Open(t.Context(), "node")
	check(t, err)
	if _, err := server.Start(t.Context(), s, &server.Options{RaftAddress: loopback, HTTPAddress: "-", Peers: peers}); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("a log in memory beside other voters: %v, want ErrInvalid", err)
	}
	c := memory(t)
	for range 2 {
		s, err := c.Open(t.Context(), "node")
		check(t, err)
		n, err := server.Start(t.Context(), s, &server.Options{RaftAddress: loopback, HTTPAddress: "-"})
		check(t, err)
		leads(t, n)
		if got := get(t, n, "k"); !n.Volatile() || got != "(nil)" {
			t.Errorf("k is %q in a node that starts empty (volatile: %v)", got, n.Volatile())
		}
		_, err = propose(t.Context(), n, set(time.Now(), "k", "v", 0))
		check(t, err)
		check(t, n.Close())
	}
}

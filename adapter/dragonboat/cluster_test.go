package dragonboat_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	lni "github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/logger"
	"github.com/lni/dragonboat/v4/statemachine"
	lnivfs "github.com/lni/vfs"

	"github.com/trimarandb/trimaran/adapter/dragonboat"
	"github.com/trimarandb/trimaran/internal/race"
	"github.com/trimarandb/trimaran/vfs"
)

var (
	churnSeed = flag.Uint64("churn.seed", 0, "seed of the churn; 0: another one each time")
	churnTime = flag.Duration("churn.time", 0, "how long the cluster churns; 0: each thing that can happen, some times")
	churnLog  = flag.Bool("churn.log", false, "show what dragonboat says")
)

func TestMain(m *testing.M) {
	flag.Parse()
	handler := slog.DiscardHandler
	if *churnLog {
		handler = slog.NewTextHandler(os.Stderr, nil)
	}
	logger.SetLoggerFactory(dragonboat.NewLoggerFactory(slog.New(handler)))
	if *killDir != "" { // TestKill9 started it
		fmt.Fprintln(os.Stderr, live(*killDir, *killFrom))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

var ctx = context.Background()

// shards are what each host has a replica of.
var shards = []uint64{1, 2}

// host is one place of a cluster: an address and a disk, and whoever lives there.
type host struct {
	c       *cluster
	addr    string
	fs      vfs.FS    // of log and data
	theirs  lnivfs.FS // of dragonboat's own files
	replica uint64    // of each shard

	// Held by requests: dragonboat may panic when it is closed under one. TestKill9
	// ends a process in the middle of some.
	asked sync.RWMutex

	mu sync.Mutex
	nh *lni.NodeHost // nil while it is down
}

// cluster is three hosts in one process.
type cluster struct {
	t         *testing.T
	rng       *rand.Rand
	net       *network
	hosts     []*host
	next      uint64 // replica
	recovered atomic.Int64

	mu      sync.Mutex
	count   int
	acked   map[uint64][]string // keys, by shard
	history []porcupine.Operation
	began   time.Time
}

func newCluster(t *testing.T, rng *rand.Rand) *cluster {
	c := &cluster{t: t, rng: rng, net: newNetwork(), acked: map[uint64][]string{}, began: time.Now()}
	members := map[uint64]lni.Target{}
	for i := range 3 {
		c.next++
		h := &host{c: c, addr: fmt.Sprintf("host%d:1", i+1), fs: vfs.NewMem(), theirs: lnivfs.NewMem(), replica: c.next}
		c.hosts = append(c.hosts, h)
		members[h.replica] = h.addr
	}
	t.Cleanup(func() {
		for _, h := range c.hosts {
			h.stop()
		}
	})
	for _, h := range c.hosts {
		h.open()
		for _, s := range shards {
			check(t, h.start(s, members, false))
		}
	}
	return c
}

// open makes the NodeHost.
func (h *host) open() {
	h.c.t.Helper()
	nh, err := lni.NewNodeHost(config.NodeHostConfig{
		NodeHostDir: "/node", RTTMillisecond: 10, RaftAddress: h.addr,
		Expert: config.ExpertConfig{
			LogDBFactory:     dragonboat.NewFactory(&dragonboat.Options{FS: h.fs}),
			TransportFactory: h.c.net, FS: h.theirs, LogDB: config.GetTinyMemLogDBConfig(),
			Engine: config.EngineConfig{ExecShards: 2, CommitShards: 2, ApplyShards: 2, SnapshotShards: 2, CloseShards: 2},
		},
	})
	check(h.c.t, err)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.nh = nh
}

// start starts the host's replica of a shard.
func (h *host) start(shardID uint64, members map[uint64]lni.Target, join bool) error {
	return h.host().StartOnDiskReplica(members, join, h.create, config.Config{
		ShardID: shardID, ReplicaID: h.replica, ElectionRTT: 20, HeartbeatRTT: 2, CheckQuorum: true, PreVote: true,
		SnapshotEntries: 60, CompactionOverhead: 10,
	})
}

func (h *host) create(shardID, replicaID uint64) statemachine.IOnDiskStateMachine {
	open := dragonboat.OpenMachines("data", apply, lookup, &dragonboat.Options{FS: h.fs})
	return &counted{open(shardID, replicaID), &h.c.recovered}
}

// counted counts what was brought up by snapshot.
type counted struct {
	statemachine.IOnDiskStateMachine
	recovered *atomic.Int64
}

func (c *counted) RecoverFromSnapshot(r io.Reader, stop <-chan struct{}) error {
	err := c.IOnDiskStateMachine.RecoverFromSnapshot(r, stop)
	if err == nil {
		c.recovered.Add(1)
	}
	return err
}

func (h *host) host() *lni.NodeHost {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.nh
}

func (h *host) stop() {
	h.mu.Lock()
	nh := h.nh
	h.nh = nil
	h.mu.Unlock()
	if nh != nil {
		h.asked.Lock()
		defer h.asked.Unlock()
		nh.Close()
	}
}

func (h *host) restart() {
	h.stop()
	h.again()
}

// again starts what was stopped.
func (h *host) again() {
	h.open()
	for _, s := range shards {
		check(h.c.t, h.start(s, nil, false))
	}
}

// until tries again until it works; a test that waits in vain is ended by its
// time limit.
func until(t *testing.T, what string, try func(ctx context.Context) error) {
	t.Helper()
	pause := time.NewTicker(5 * time.Millisecond)
	defer pause.Stop()
	for n := 1; ; n++ {
		once, cancel := context.WithTimeout(t.Context(), time.Second)
		err := try(once)
		cancel()
		if err == nil {
			return
		}
		if n%2000 == 0 {
			t.Logf("%s: still %v", what, err)
		}
		select {
		case <-t.Context().Done():
			t.Fatalf("%s: %v", what, err)
		case <-pause.C:
		}
	}
}

// put proposes one write, and reports whether it was acknowledged.
func (h *host) put(ctx context.Context, shardID uint64, key, value string) error {
	h.asked.RLock()
	defer h.asked.RUnlock()
	nh := h.host()
	if nh == nil {
		return lni.ErrClosed
	}
	_, err := nh.SyncPropose(ctx, nh.GetNoOPSession(shardID), []byte(key+"="+value))
	return err
}

func (h *host) get(ctx context.Context, shardID uint64, query any) (any, error) {
	h.asked.RLock()
	defer h.asked.RUnlock()
	nh := h.host()
	if nh == nil {
		return nil, lni.ErrClosed
	}
	return nh.SyncRead(ctx, shardID, query)
}

// register is what porcupine compares: reads and writes of one key.
type register struct {
	place, value string
	put          bool
}

var registers = porcupine.Model{
	Partition: func(history []porcupine.Operation) (parts [][]porcupine.Operation) {
		at := map[string]int{}
		for _, op := range history {
			place := op.Input.(register).place
			if _, ok := at[place]; !ok {
				at[place] = len(parts)
				parts = append(parts, nil)
			}
			parts[at[place]] = append(parts[at[place]], op)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		if in := input.(register); in.put {
			return true, in.value
		}
		return output == state, state
	},
}

// client makes some requests, each to some host, while things happen.
func (c *cluster) client(id, step int, shardID, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, uint64(id)))
	for n := range 6 {
		h := c.hosts[rng.IntN(len(c.hosts))]
		key := fmt.Sprintf("%d-%d", step, rng.IntN(2))
		in := register{place: fmt.Sprintf("%d/%s", shardID, key), put: rng.IntN(2) == 0, value: fmt.Sprintf("%d.%d", id, n)}
		op := porcupine.Operation{ClientId: id, Input: in, Call: int64(time.Since(c.began))}
		once, cancel := context.WithTimeout(ctx, 400*time.Millisecond)
		var err error
		if in.put {
			err = h.put(once, shardID, key, in.value)
		} else {
			op.Output, err = h.get(once, shardID, get(key))
		}
		cancel()
		op.Return = int64(time.Since(c.began))
		if err != nil && !in.put {
			continue
		}
		if err != nil {
			op.Return = math.MaxInt64 // it may still be done, or never
		}
		c.mu.Lock()
		c.history = append(c.history, op)
		c.mu.Unlock()
	}
	c.fill(shardID, 3)
}

// fill makes writes that must not be lost, by way of whoever answers.
func (c *cluster) fill(shardID uint64, n int) {
	for range n {
		c.mu.Lock()
		c.count++
		key := fmt.Sprintf("kept%d", c.count)
		h := c.hosts[c.count%len(c.hosts)]
		c.mu.Unlock()
		once, cancel := context.WithTimeout(ctx, 400*time.Millisecond)
		err := h.put(once, shardID, key, "x")
		cancel()
		if err == nil {
			c.mu.Lock()
			c.acked[shardID] = append(c.acked[shardID], key)
			c.mu.Unlock()
		}
	}
}

// step lets something happen to a cluster that works, while clients go on.
func (c *cluster) step(n int, happens func(h *host)) {
	c.t.Helper()
	for _, s := range shards {
		for _, h := range c.hosts {
			until(c.t, "a read of each host", func(ctx context.Context) error {
				_, err := h.get(ctx, s, get("any"))
				return err
			})
		}
	}
	var clients sync.WaitGroup
	for _, s := range shards {
		for i := range 3 {
			seed, id := c.rng.Uint64(), n*100+int(s)*10+i
			clients.Go(func() { c.client(id, n, s, seed) })
		}
	}
	happens(c.hosts[c.rng.IntN(len(c.hosts))])
	clients.Wait()
	c.net.heal()
}

// agree waits until all replicas hold the same.
func (c *cluster) agree() {
	c.t.Helper()
	for _, s := range shards {
		until(c.t, "agreement", func(ctx context.Context) error {
			var all []content
			for _, h := range c.hosts {
				got, err := h.get(ctx, s, digest{})
				if err != nil {
					return err
				}
				if all = append(all, got.(content)); all[0] != got {
					return fmt.Errorf("shard %d: %v", s, all)
				}
			}
			return nil
		})
		for _, h := range c.hosts {
			for _, key := range c.acked[s] {
				if got, err := h.host().StaleRead(s, get(key)); err != nil || got != "x" {
					c.t.Fatalf("%s, shard %d: %s was acknowledged, and is %v, %v", h.addr, s, key, got, err)
				}
			}
		}
	}
}

// others are all hosts but one.
func (c *cluster) others(h *host) (rest []*host) {
	for _, o := range c.hosts {
		if o != h {
			rest = append(rest, o)
		}
	}
	return rest
}

// transfer has the leadership go to a host.
func (c *cluster) transfer(h *host) {
	for _, s := range shards {
		for _, o := range c.hosts {
			_ = o.host().RequestLeaderTransfer(s, h.replica) // only the leader does it
		}
	}
}

// snapshot has a replica take one and drop what it holds of the log.
func (c *cluster) snapshot(h *host, shardID uint64) {
	until(c.t, "snapshot", func(ctx context.Context) error {
		_, err := h.host().SyncRequestSnapshot(ctx, shardID, lni.SnapshotOption{OverrideCompactionOverhead: true, CompactionOverhead: 1})
		if errors.Is(err, lni.ErrRejected) {
			return nil // there is nothing new, or one is under way
		}
		return err
	})
}

// lag keeps a host down until the others have dropped what it misses: it can
// only be brought up by snapshot.
func (c *cluster) lag(h *host) {
	readers := map[uint64]lni.ReadonlyLogReader{}
	for _, s := range shards {
		var err error
		readers[s], err = h.host().GetLogReader(s)
		check(c.t, err)
	}
	h.stop()
	for _, s := range shards {
		_, last := readers[s].GetRange() // it stays as it was
		for _, o := range c.others(h) {
			until(c.t, "compaction", func(context.Context) error {
				reader, err := o.host().GetLogReader(s)
				if err != nil {
					return err
				}
				if first, _ := reader.GetRange(); first > last+1 {
					return nil
				}
				c.fill(s, 10)
				c.snapshot(o, s)
				return errors.New("not far enough")
			})
		}
	}
	h.again()
}

// replace has a host's replicas removed, and others join in their place.
func (c *cluster) replace(h *host) {
	old := h.replica
	c.next++
	for _, s := range shards {
		other := c.others(h)[0].host()
		until(c.t, "removal", func(ctx context.Context) error {
			m, err := other.SyncGetShardMembership(ctx, s)
			if err != nil {
				return err
			}
			if _, ok := m.Nodes[old]; !ok {
				return nil
			}
			if err := other.SyncRequestDeleteReplica(ctx, s, old, 0); err != nil {
				return err
			}
			return errors.New("not seen yet")
		})
		if err := h.host().StopReplica(s, old); err != nil && !errors.Is(err, lni.ErrShardNotFound) { // it may have heard of it
			c.t.Fatal(err)
		}
		until(c.t, "removal of data", func(ctx context.Context) error { return h.host().SyncRemoveData(ctx, s, old) })
		if h.host().HasNodeInfo(s, old) {
			c.t.Errorf("%s: replica %d of shard %d was removed, and is there", h.addr, old, s)
		}
		until(c.t, "addition", func(ctx context.Context) error {
			m, err := other.SyncGetShardMembership(ctx, s)
			if err != nil {
				return err
			}
			if _, ok := m.Nodes[c.next]; ok {
				return nil
			}
			if err := other.SyncRequestAddReplica(ctx, s, c.next, h.addr, 0); err != nil {
				return err
			}
			return errors.New("not seen yet")
		})
	}
	h.replica = c.next
	for _, s := range shards {
		check(c.t, h.start(s, nil, true))
	}
}

// TestChurn does to a cluster of three what can happen to one, while clients
// write and read, and then looks whether all replicas hold the same, all that
// was acknowledged is there, and what clients saw can have happened.
func TestChurn(t *testing.T) {
	seed := *churnSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-churn.seed %d", seed)
	c := newCluster(t, rand.New(rand.NewPCG(seed, 0xd4a9)))
	happenings := []func(h *host){
		c.transfer,
		func(h *host) { c.net.isolate(h.addr) },
		func(h *host) { h.restart() },
		func(*host) { // all of them, at once
			for _, h := range c.hosts {
				h.stop()
			}
			for _, h := range c.hosts {
				h.again()
			}
		},
		c.lag,
		c.replace,
		func(h *host) {
			for _, s := range shards {
				c.snapshot(h, s)
			}
		},
	}
	began, step := time.Now(), 0
	for round := 0; round < race.Either(5, 2) || time.Since(began) < *churnTime; round++ {
		for _, i := range c.rng.Perm(len(happenings)) {
			step++
			c.step(step, happenings[i])
		}
		c.agree()
		if !porcupine.CheckOperations(registers, c.history) {
			t.Fatalf("round %d: what clients saw cannot have happened: %v", round, c.history)
		}
		c.history = nil
	}
	if c.recovered.Load() == 0 {
		t.Error("nobody was brought up by snapshot")
	}
	t.Logf("%d steps, %d and %d writes kept, %d brought up by snapshot, %v", step, len(c.acked[1]), len(c.acked[2]), c.recovered.Load(), time.Since(began).Round(time.Millisecond))
}

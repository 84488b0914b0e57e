package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	lni "github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/config"
	transport "github.com/lni/dragonboat/v4/plugin/chan"
	"github.com/lni/dragonboat/v4/plugin/tan"
	"github.com/lni/dragonboat/v4/statemachine"

	"github.com/trimarandb/trimaran/adapter/dragonboat"
)

const (
	subject     = "trimaran"
	ceiling     = "ceiling"
	commandSize = 256
	shardID     = 1
	replicas    = 3
)

// kind is one LogDB.
type kind struct {
	name, what string
	factory    config.LogDBFactory // nil: dragonboat's default
}

var kinds = []kind{
	{subject, "adapter/dragonboat on seglog", dragonboat.NewFactory(nil)},
	{"tan", "tan of dragonboat v4.0.0-20250723143628", tan.Factory},
	{"pebble", "dragonboat's default, on Pebble", nil},
	{ceiling, "pwrite + fdatasync of the same bytes into written blocks; entries in memory", keptFactory{sync: true}},
	{"memory", "entries in memory, and nothing else", keptFactory{}},
}

// cluster is three hosts in this process, with a state machine that does
// nothing.
type cluster struct {
	hosts  []*lni.NodeHost
	leader *lni.NodeHost
}

func (c *cluster) close() {
	if c == nil {
		return // it did not start
	}
	for _, h := range c.hosts {
		h.Close()
	}
}

// start starts a cluster and returns when somebody leads.
func start(k kind, dir string) (_ *cluster, err error) {
	c := &cluster{}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	members := map[uint64]lni.Target{}
	for i := range uint64(replicas) {
		members[i+1] = fmt.Sprintf("%s%d:1", k.name, i+1)
	}
	for i := range uint64(replicas) {
		nc := config.NodeHostConfig{NodeHostDir: filepath.Join(dir, fmt.Sprint(i)), RTTMillisecond: 20, RaftAddress: members[i+1]}
		nc.Expert.LogDBFactory = k.factory
		nc.Expert.TransportFactory = &inProcess{}
		nc.Expert.LogDB = config.GetTinyMemLogDBConfig() // the default takes gigabytes of memory
		h, err := lni.NewNodeHost(nc)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.name, err)
		}
		c.hosts = append(c.hosts, h)
		err = h.StartReplica(members, false, func(uint64, uint64) statemachine.IStateMachine { return nothing{} },
			config.Config{ShardID: shardID, ReplicaID: i + 1, ElectionRTT: 50, HeartbeatRTT: 5, CheckQuorum: true})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k.name, err)
		}
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if id, _, ok, err := c.hosts[0].GetLeaderID(shardID); err == nil && ok {
			c.leader = c.hosts[id-1]
			return c, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%s: nobody leads after a minute", k.name)
		}
	}
}

// round has clients commit commands, one at a time each, for a while, and says
// how many a second.
func (c *cluster) round(clients int, cell time.Duration) (float64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), cell+time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	done, errs := make([]int, clients), make([]error, clients)
	began := time.Now()
	for i := range clients {
		wg.Go(func() {
			session, command := c.leader.GetNoOPSession(shardID), make([]byte, commandSize)
			for time.Since(began) < cell && errs[i] == nil {
				_, errs[i] = c.leader.SyncPropose(ctx, session, command)
				done[i]++
			}
		})
	}
	wg.Wait()
	took, sum := time.Since(began), 0
	for _, n := range done {
		sum += n
	}
	return float64(sum) / took.Seconds(), errors.Join(errs...)
}

// inProcess is dragonboat's transport within a process.
type inProcess struct{ transport.ChanTransportFactory }

func (inProcess) Validate(string) bool { return true }

// nothing is a state machine.
type nothing struct{}

func (nothing) Update(statemachine.Entry) (r statemachine.Result, err error) { return r, nil }
func (nothing) Lookup(any) (any, error)                                      { return nil, nil }
func (nothing) Close() error                                                 { return nil }

func (nothing) SaveSnapshot(io.Writer, statemachine.ISnapshotFileCollection, <-chan struct{}) error {
	return statemachine.ErrSnapshotAborted
}

func (nothing) RecoverFromSnapshot(io.Reader, []statemachine.SnapshotFile, <-chan struct{}) error {
	return statemachine.ErrSnapshotStopped
}

package etcdraft_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/trimarandb/trimaran/internal/churn"
	"github.com/trimarandb/trimaran/vfs"
)

// churned is a cluster that churn.Run churns. Its time goes on by itself.
type churned struct {
	*cluster
	ids [churn.Nodes]uint64 // mu held while they change
}

func newChurned(t *testing.T, make func(t *testing.T, fsys vfs.FS) state) *churned {
	c := &churned{cluster: newCluster(t, make, 1, 2, 3), ids: [churn.Nodes]uint64{1, 2, 3}}
	tick, stop := time.NewTicker(time.Millisecond), t.Context().Done()
	go func() {
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			for _, id := range c.running() {
				if n := c.node(id); n != nil {
					n.Tick()
				}
			}
		}
	}()
	return c
}

func (c *churned) at(node int) *node { return c.node(c.ids[node]) }

func (c *churned) Stop(node int, kill bool) { c.stop(c.ids[node], kill) }

func (c *churned) Start(node int) { c.start(c.ids[node]) }

func (c *churned) Replace(node int) {
	c.change(raftpb.ConfChangeRemoveNode, c.ids[node], false)
	next := slices.Max(c.ids[:]) + 1
	c.change(raftpb.ConfChangeAddNode, next, true)
	c.mu.Lock()
	c.ids[node] = next
	c.mu.Unlock()
	c.start(next)
}

func (c *churned) Cut(node int, cut bool) { c.isolate(c.ids[node], cut) }

func (c *churned) Lead(node int) {
	check(c.t, c.leader().With(func(n *raft.RawNode) error {
		n.TransferLeader(c.ids[node])
		return nil
	}))
}

func (c *churned) Snapshot(node int) {
	if n := c.at(node); n.compact != nil {
		check(c.t, n.compact())
	}
}

func (c *churned) Digest(node int) string { return c.at(node).digest() }

func (c *churned) Put(ctx context.Context, node int, key, value string) error {
	n := c.serving(node)
	if n == nil {
		return churn.ErrRefused
	}
	err := n.Propose([]byte(key + "=" + value))
	if errors.Is(err, raft.ErrProposalDropped) {
		return churn.ErrRefused
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for err == nil && !n.has(applied(value)+"=yes") {
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-n.gone:
			err = errors.New("the node stopped")
		case <-tick.C:
		}
	}
	return err
}

func (c *churned) Get(ctx context.Context, node int, key string) (string, error) {
	n := c.serving(node)
	if n == nil {
		return "", churn.ErrRefused
	}
	if err := n.ReadIndex(ctx); err != nil {
		return "", err
	}
	return n.get(key)
}

// serving is a node that runs now.
func (c *churned) serving(node int) *node {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[c.ids[node]]
}

func TestChurn(t *testing.T) {
	t.Parallel() // it waits most of the time
	churn.Run(t, newChurned(t, inMemory))
}

func TestChurnKV(t *testing.T) {
	t.Parallel()
	churn.Run(t, newChurned(t, composite))
}

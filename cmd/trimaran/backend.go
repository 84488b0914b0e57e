package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/server"
	"github.com/trimarandb/trimaran/server/command"
	"github.com/trimarandb/trimaran/server/resp"
)

// backend puts the Redis front on a node.
type backend struct{ node *server.Node }

var _ resp.Backend = backend{}

func (b backend) Propose(ctx context.Context, cmd []byte) (command.Result, error) {
	response, err := b.node.Propose(ctx, cmd)
	if err != nil {
		return command.Result{}, translate(err)
	}
	result, ok := response.(command.Result)
	if !ok {
		return command.Result{}, fmt.Errorf("propose: the state machine answered with a %T", response)
	}
	return result, nil
}

func (b backend) Linearizable(ctx context.Context) error { return translate(b.node.Linearizable(ctx)) }
func (b backend) KV() kv.Reader                          { return b.node.KV() }
func (b backend) Now() time.Time                         { return time.Now() }

// translate says not leader in the front's words. Where the leader's Redis
// clients connect is not known here.
func translate(err error) error {
	if _, ok := errors.AsType[*server.NotLeaderError](err); ok {
		return &resp.NotLeaderError{}
	}
	return err
}

func (b backend) Info() []resp.InfoSection {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	st := b.node.Status(ctx)
	m := b.node.Storage().Metrics()
	number := func(n uint64) string { return strconv.FormatUint(n, 10) }
	return []resp.InfoSection{
		{Name: "Replication", Fields: []resp.InfoField{
			{Name: "node_id", Value: st.ID},
			{Name: "role", Value: st.Role}, {Name: "term", Value: number(st.Term)},
			{Name: "commit_index", Value: number(st.Commit)}, {Name: "applied_index", Value: number(m.AppliedIndex)},
		}},
		{Name: "Persistence", Fields: []resp.InfoField{
			{Name: "log_first_index", Value: number(m.Log.First())}, {Name: "log_last_index", Value: number(m.Log.Last)},
			{Name: "log_bytes", Value: number(m.Log.Bytes)}, {Name: "log_syncs", Value: number(m.Log.Syncs)},
			{Name: "snapshots_created", Value: number(m.SnapshotsCreated)}, {Name: "health", Value: st.Health.Overall.String()},
		}},
		{Name: "Stats", Fields: []resp.InfoField{{Name: "total_operations", Value: number(m.TotalOperations)}}},
	}
}

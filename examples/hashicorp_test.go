package examples

import (
	"context"
	"errors"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/adapter/hashiraft"
	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/kv"
)

// The pieces of the README that run below hashicorp/raft, whose package has the
// name of etcd's.

func belowHashicorp(ctx context.Context, dir string) error {
	apply := func(tx *kv.WriteTx, l *raft.Log) (any, error) { return nil, tx.Put(l.Data, nil) }
	raftConfig := raft.DefaultConfig()
	raftConfig.LocalID = "a"
	_, transport := raft.NewInmemTransport("a")
	storage, err := config.OpenDir(dir, &config.Options{
		Storage: trimaran.Options{Owner: trimaran.OwnerLibrary, SkipsNonCommands: true},
	})
	if err != nil {
		return err
	}
	defer storage.Close()
	adapter, err := hashiraft.New(ctx, storage, apply, nil)
	if err != nil {
		return err
	}
	node, err := adapter.NewRaft(raftConfig, transport)
	if err != nil {
		return err
	}
	return errors.Join(adapter.Close(), node.Shutdown().Error())
}

func belowOwnMachine(dir string) error {
	fsm := &raft.MockFSM{}
	raftConfig := raft.DefaultConfig()
	raftConfig.LocalID = "a"
	_, transport := raft.NewInmemTransport("a")
	snaps, err := hashiraft.OpenSnapshots(dir, 2, nil)
	if err != nil {
		return err
	}
	defer snaps.Close()
	logs, err := hashiraft.OpenLog(dir, &hashiraft.Options{Snapshots: snaps})
	if err != nil {
		return err
	}
	defer logs.Close()
	node, err := raft.NewRaft(raftConfig, fsm, logs, logs, snaps, transport)
	if err != nil {
		return err
	}
	return node.Shutdown().Error()
}

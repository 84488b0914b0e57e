package hashiraft_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/adapter/hashiraft"
	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/kv"
)

// counter is a state machine that a program brings along: how often each word
// was proposed.
type counter struct {
	mu    sync.Mutex
	words map[string]int
}

func (c *counter) Apply(l *raft.Log) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.words[string(l.Data)]++
	return c.words[string(l.Data)]
}

func (c *counter) Snapshot() (raft.FSMSnapshot, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b, err := json.Marshal(c.words)
	return counted(b), err
}

func (c *counter) Restore(r io.ReadCloser) error {
	words := map[string]int{}
	if err := json.NewDecoder(bufio.NewReader(r)).Decode(&words); err != nil {
		return errors.Join(err, r.Close())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.words = words
	return r.Close()
}

type counted []byte

func (c counted) Persist(sink raft.SnapshotSink) error {
	if _, err := sink.Write(c); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

func (counted) Release() {}

// A program with a state machine of its own: log, stable store and snapshots
// are files, and nothing else changes.
func Example() {
	dir, err := os.MkdirTemp("", "hashiraft-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for range 2 { // the second time it starts from what is on disk
		if err := runCounter(dir); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// hello: 1
	// hello: 2
}

func runCounter(dir string) (err error) {
	snaps, err := hashiraft.OpenSnapshots(dir, 2, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snaps.Close()) }()
	logs, err := hashiraft.OpenLog(dir, &hashiraft.Options{Snapshots: snaps})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, logs.Close()) }()

	conf := alone()
	conf.LogOutput = io.Discard
	_, transport := raft.NewInmemTransport("a")
	if err := found(conf, logs, logs, snaps, transport); err != nil {
		return err
	}
	node, err := raft.NewRaft(conf, &counter{words: map[string]int{}}, logs, logs, snaps, transport)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(node.Shutdown().Error(), err) }()
	<-node.LeaderCh()
	applied := node.Apply([]byte("hello"), 0)
	if err := applied.Error(); err != nil {
		return err
	}
	fmt.Println("hello:", applied.Response())
	return node.Snapshot().Error()
}

// alone is for a cluster of one, which need not wait for others.
func alone() *raft.Config {
	conf := raft.DefaultConfig()
	conf.LocalID = "a"
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = 50*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	return conf
}

// found makes a new node a cluster of one.
func found(conf *raft.Config, logs raft.LogStore, stable raft.StableStore, snaps raft.SnapshotStore, transport raft.Transport) error {
	has, err := raft.HasExistingState(logs, stable, snaps)
	if err != nil || has {
		return err
	}
	return raft.BootstrapCluster(conf, logs, stable, snaps, transport, raft.Configuration{
		Servers: []raft.Server{{ID: conf.LocalID, Address: transport.LocalAddr()}},
	})
}

// The data is a transactional store that knows what it contains: nothing is
// applied twice, and a start replays nothing that is there.
func ExampleNew() {
	dir, err := os.MkdirTemp("", "hashiraft-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for range 2 {
		if err := runStorage(dir); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// visits: 1
	// visits: 2
}

func runStorage(dir string) (err error) {
	ctx := context.Background()
	storage, err := config.OpenDir(dir, &config.Options{
		Storage: trimaran.Options{Owner: trimaran.OwnerLibrary, SkipsNonCommands: true},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, storage.Close()) }()
	adapter, err := hashiraft.New(ctx, storage, func(tx *kv.WriteTx, l *raft.Log) (any, error) {
		return tx.Increment(l.Data, 1)
	}, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(adapter.Close(), err) }()

	conf := alone()
	_, transport := raft.NewInmemTransport("a")
	adapter.Configure(conf)
	if err := found(conf, adapter.Logs(), adapter.Logs(), adapter.Snapshots(), transport); err != nil {
		return err
	}
	node, err := adapter.NewRaft(conf, transport)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(node.Shutdown().Error(), err) }()
	<-node.LeaderCh()
	applied := node.Apply([]byte("visits"), 0)
	if err := applied.Error(); err != nil {
		return err
	}
	fmt.Println("visits:", applied.Response())
	return nil
}

// Another store's log, terms and votes move over.
func ExampleLogStore_CopyFrom() {
	old := raft.NewInmemStore()
	for i := range uint64(1000) {
		_ = old.StoreLog(&raft.Log{Index: 41 + i, Term: 3, Data: []byte("command")}) // it is memory
	}
	_ = old.Set([]byte("LastVoteCand"), []byte("b"))
	_ = old.SetUint64([]byte("LastVoteTerm"), 3)
	_ = old.SetUint64([]byte("CurrentTerm"), 3)

	dir, err := os.MkdirTemp("", "hashiraft-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	logs, err := hashiraft.OpenLog(dir, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = logs.Close() }()
	if err := logs.CopyFrom(context.Background(), old, old); err != nil {
		fmt.Println(err)
		return
	}
	first, _ := logs.FirstIndex()
	last, _ := logs.LastIndex()
	term, _ := logs.GetUint64([]byte("CurrentTerm"))
	fmt.Println(first, last, term)
	// Output: 41 1040 3
}

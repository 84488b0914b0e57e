package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/server"
	"github.com/trimarandb/trimaran/server/command"
	"github.com/trimarandb/trimaran/vfs"
)

const loopback = "127.0.0.1:0"

var library = trimaran.Options{Owner: trimaran.OwnerLibrary, SkipsNonCommands: true}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open opens the default storage on a disk in memory.
func open(t *testing.T, disk vfs.FS) *trimaran.Storage {
	t.Helper()
	s, err := config.OpenDir("node", &config.Options{FS: disk, Storage: library})
	check(t, err)
	return s
}

// start starts a node on disk; Cleanup closes it, and so may the test.
func start(t *testing.T, disk vfs.FS, o server.Options) *server.Node {
	t.Helper()
	if o.RaftAddress == "" {
		o.RaftAddress = loopback
	}
	if o.HTTPAddress == "" {
		o.HTTPAddress = loopback
	}
	n, err := server.Start(t.Context(), open(t, disk), &o)
	check(t, err)
	t.Cleanup(func() { check(t, n.Close()) })
	return n
}

// clock is a wall clock that a test can move on.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time           { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) advance(by time.Duration) { c.ahead.Add(int64(by)) }

func set(now time.Time, key, value string, ttl time.Duration) command.Command {
	op := command.Op{Code: command.Set, Args: [][]byte{[]byte(key), []byte(value)}}
	if ttl > 0 {
		op.Flags, op.N = command.Until, now.Add(ttl).UnixNano()
	}
	return command.Command{Clock: now, Ops: []command.Op{op}}
}

func incr(now time.Time, key string) command.Command {
	return command.Command{Clock: now, Ops: []command.Op{{Code: command.IncrBy, N: 1, Args: [][]byte{[]byte(key)}}}}
}

// propose returns the only reply to a command.
func propose(ctx context.Context, n *server.Node, c command.Command) (command.Reply, error) {
	data, err := c.AppendTo(nil)
	if err != nil {
		return command.Reply{}, err
	}
	response, err := n.Propose(ctx, data)
	if err != nil {
		return command.Reply{}, err
	}
	result, ok := response.(command.Result)
	if !ok || len(result.Replies) != 1 {
		return command.Reply{}, fmt.Errorf("response %v", response)
	}
	return result.Replies[0], nil
}

// eventually tries until try succeeds, longer than any machine stalls.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not in time: %s: %v", what, err)
		case <-tick.C:
		}
	}
}

// leads waits until the node answers reads.
func leads(t *testing.T, n *server.Node) {
	t.Helper()
	eventually(t, "the node leads", func() error { return n.Linearizable(t.Context()) })
}

func get(t *testing.T, n *server.Node, key string) string {
	t.Helper()
	check(t, n.Linearizable(t.Context()))
	v, err := n.KV().Get(t.Context(), []byte(key))
	if errors.Is(err, fault.ErrNotFound) {
		return "(nil)"
	}
	check(t, err)
	return string(v)
}

func export(t *testing.T, n *server.Node) []byte {
	t.Helper()
	var b bytes.Buffer
	_, err := n.KV().Export(t.Context(), &b)
	check(t, err)
	return b.Bytes()
}

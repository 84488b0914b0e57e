package dragonboat_test

import (
	"context"
	"errors"
	"sync"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"
	"github.com/lni/dragonboat/v4/raftpb"
)

var errUnreachable = errors.New("unreachable")

// network carries messages between the hosts of one process, but for those that
// are cut off.
type network struct {
	mu    sync.RWMutex
	ends  map[string]*endpoint
	apart map[string]bool
}

func newNetwork() *network {
	return &network{ends: map[string]*endpoint{}, apart: map[string]bool{}}
}

func (n *network) isolate(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.apart[addr] = true
}

func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.apart)
}

// reach finds the other end, nil if there is none or no way to it.
func (n *network) reach(from, to string) *endpoint {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.apart[from] || n.apart[to] {
		return nil
	}
	return n.ends[to]
}

// Create implements config.TransportFactory.
func (n *network) Create(c config.NodeHostConfig, messages raftio.MessageHandler, chunks raftio.ChunkHandler) raftio.ITransport {
	return &endpoint{n: n, addr: c.RaftAddress, messages: messages, chunks: chunks}
}

// Validate implements config.TransportFactory.
func (n *network) Validate(string) bool { return true }

// endpoint is the transport of one host.
type endpoint struct {
	n        *network
	addr     string
	messages raftio.MessageHandler
	chunks   raftio.ChunkHandler

	mu     sync.RWMutex // held while something is delivered
	closed bool
}

func (e *endpoint) Name() string { return "test" }

func (e *endpoint) Start() error {
	e.n.mu.Lock()
	defer e.n.mu.Unlock()
	e.n.ends[e.addr] = e
	return nil
}

func (e *endpoint) Close() error {
	e.n.mu.Lock()
	if e.n.ends[e.addr] == e {
		delete(e.n.ends, e.addr)
	}
	e.n.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	return nil
}

func (e *endpoint) GetConnection(_ context.Context, target string) (raftio.IConnection, error) {
	return &connection{e, target}, nil
}

func (e *endpoint) GetSnapshotConnection(_ context.Context, target string) (raftio.ISnapshotConnection, error) {
	if e.n.reach(e.addr, target) == nil {
		return nil, errUnreachable
	}
	return &connection{e, target}, nil
}

// connection leads from one host to another, as long as there is one.
type connection struct {
	from *endpoint
	to   string
}

func (c *connection) Close() {}

// SendMessageBatch loses what cannot be delivered.
func (c *connection) SendMessageBatch(batch raftpb.MessageBatch) error {
	to := c.from.n.reach(c.from.addr, c.to)
	if to == nil {
		return nil
	}
	var copied raftpb.MessageBatch
	raftpb.MustUnmarshal(&copied, raftpb.MustMarshal(&batch))
	to.mu.RLock()
	defer to.mu.RUnlock()
	if !to.closed {
		to.messages(copied)
	}
	return nil
}

// SendChunk fails when it cannot be delivered.
func (c *connection) SendChunk(chunk raftpb.Chunk) error {
	to := c.from.n.reach(c.from.addr, c.to)
	if to == nil {
		return errUnreachable
	}
	var copied raftpb.Chunk
	raftpb.MustUnmarshal(&copied, raftpb.MustMarshal(&chunk))
	to.mu.RLock()
	defer to.mu.RUnlock()
	if to.closed || !to.chunks(copied) {
		return errUnreachable
	}
	return nil
}

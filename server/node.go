package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/adapter/hashiraft"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/gate"
	"github.com/trimarandb/trimaran/kv"
)

// drain is how long Close waits for proposals under way.
const drain = 2 * time.Second

// Node is a running node. All methods may be called by several goroutines.
type Node struct {
	o        Options
	s        *trimaran.Storage
	adapter  *hashiraft.Adapter
	raft     *raft.Raft
	trans    *raft.NetworkTransport
	http     *http.Server
	listener net.Listener // nil without HTTP
	started  time.Time

	large    chan struct{} // a slot for each large proposal under way
	leading  sync.Mutex    // held by whoever makes a new term ready
	ready    atomic.Uint64 // the term in which this node may answer reads
	ticking  sync.Mutex    // held by whoever moves the clock
	verifier verifier

	gate    gate.Gate
	closing chan struct{}
	cancel  context.CancelFunc
	work    sync.WaitGroup
	close   func() error
	coming  atomic.Int64 // bytes that proposals under way may add to the data
	room    sync.Mutex   // held while a snapshot makes room in a bounded log
}

// Start starts a node on s, which belongs to it from here on, also when Start
// fails. s must have Owner OwnerLibrary and SkipsNonCommands. A storage that
// holds nothing becomes a new cluster of Options.Peers, or of this node alone.
// ctx governs the start only.
//
// fault.ErrInvalid: options that make no sense, or a storage in memory that
// should vote beside others: it would forget its votes. A port that is taken is
// the error of net.Listen.
func Start(ctx context.Context, s *trimaran.Storage, o *Options) (_ *Node, err error) {
	n := &Node{s: s, started: time.Now(), closing: make(chan struct{}), cancel: func() {}}
	n.close = sync.OnceValue(n.shutdown)
	defer func() {
		if err != nil {
			err = fmt.Errorf("start node: %w", errors.Join(err, n.Close()))
		}
	}()
	if n.o, err = o.withDefaults(); err != nil {
		return nil, err
	}
	if err := n.checkVolatile(); err != nil {
		return nil, err
	}
	n.large = make(chan struct{}, largeSlots)
	n.verifier.verify = func() error { return n.raft.VerifyLeader().Error() }
	if err := n.listen(); err != nil {
		return nil, err
	}
	if n.adapter, err = hashiraft.New(ctx, s, n.apply, &hashiraft.Options{Logger: n.o.Logger}); err != nil {
		return nil, err
	}
	if err := n.startRaft(); err != nil {
		return nil, err
	}
	n.background()
	return n, nil
}

// Volatile reports that nothing of this node survives it.
func (n *Node) Volatile() bool { return n.s.Log().Volatile() }

func (n *Node) checkVolatile() error {
	if !n.Volatile() {
		return nil
	}
	if len(n.o.Peers) > 1 {
		return fmt.Errorf("the log is in memory and forgets its votes: it may not vote with %d others: %w", len(n.o.Peers)-1, fault.ErrInvalid)
	}
	n.o.Logger.Warn("everything is in memory: nothing survives the end of this process")
	return nil
}

// listen takes both ports before anything is written.
func (n *Node) listen() error {
	if n.o.HTTPAddress != "-" {
		l, err := net.Listen("tcp", n.o.HTTPAddress)
		if err != nil {
			return fmt.Errorf("http: %w", err)
		}
		n.listener = l
	}
	var advertise net.Addr
	if n.o.Advertise != "" {
		a, err := net.ResolveTCPAddr("tcp", n.o.Advertise)
		if err != nil {
			return fmt.Errorf("advertise %q: %w: %w", n.o.Advertise, err, fault.ErrInvalid)
		}
		advertise = a
	}
	trans, err := raft.NewTCPTransportWithConfig(n.o.RaftAddress, advertise, &raft.NetworkTransportConfig{
		MaxPool: 3, Timeout: 10 * time.Second, MsgpackUseNewTimeFormat: true,
		Logger: hashiraft.NewLogger(n.o.Logger),
	})
	if err != nil {
		return fmt.Errorf("raft: %w", err)
	}
	n.trans = trans
	return nil
}

func (n *Node) startRaft() error {
	c := n.raftConfig()
	n.adapter.Configure(c)
	logs, snaps := n.adapter.Logs(), n.adapter.Snapshots()
	has, err := raft.HasExistingState(logs, logs, snaps)
	if err != nil {
		return err
	}
	if !has {
		if err := raft.BootstrapCluster(c, logs, logs, snaps, n.trans, n.founders()); err != nil {
			return fmt.Errorf("begin a cluster: %w", err)
		}
	}
	n.raft, err = n.adapter.NewRaft(c, n.trans)
	return err
}

func (n *Node) founders() (c raft.Configuration) {
	if len(n.o.Peers) == 0 {
		return raft.Configuration{Servers: []raft.Server{{ID: raft.ServerID(n.o.ID), Address: n.trans.LocalAddr()}}}
	}
	for _, p := range n.o.Peers {
		c.Servers = append(c.Servers, raft.Server{ID: raft.ServerID(p.ID), Address: raft.ServerAddress(p.Address)})
	}
	return c
}

func (n *Node) raftConfig() *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(n.o.ID)
	c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout = n.o.Election, n.o.Election, n.o.Election/2
	c.CommitTimeout = min(c.CommitTimeout, n.o.Election/4)
	c.BatchApplyCh, c.MaxAppendEntries = true, 256 // commands that share a log write
	c.SnapshotThreshold, c.TrailingLogs = n.o.SnapshotEntries, n.o.TrailingEntries
	c.SnapshotInterval = time.Second // between looks at the threshold
	c.NoLegacyTelemetry = true
	return c
}

// apply is the state machine as the adapter wants it.
func (n *Node) apply(tx *kv.WriteTx, l *raft.Log) (any, error) {
	return n.o.Apply(tx, l.Index, l.Data)
}

// background starts what runs until Close.
func (n *Node) background() {
	ctx, cancel := context.WithCancel(context.Background())
	n.cancel = cancel
	n.work.Go(func() { _ = n.s.Maintain(ctx) }) // ends with ctx; failures show in Health
	n.work.Go(func() { n.keepClock(ctx) })
	n.work.Go(func() {
		select {
		case <-ctx.Done():
		case <-n.adapter.Done(): // others can serve; this node has to be opened again
			n.raft.Shutdown()
		}
	})
	if n.listener == nil {
		return
	}
	n.http = n.newHTTP()
	n.work.Go(func() {
		if err := n.http.Serve(n.listener); !errors.Is(err, http.ErrServerClosed) {
			n.o.Logger.Error("http server ended", "error", err)
		}
	})
}

// Storage is the node's storage. It belongs to the node.
func (n *Node) Storage() *trimaran.Storage { return n.s }

// KV reads the node's data, as far as it was applied here: see Linearizable.
func (n *Node) KV() kv.Reader { return n.s.KV() }

// RaftAddress is where this node is reached by others.
func (n *Node) RaftAddress() string { return string(n.trans.LocalAddr()) }

// HTTPAddress is where operators reach it, empty without HTTP.
func (n *Node) HTTPAddress() string {
	if n.listener == nil {
		return ""
	}
	return n.listener.Addr().String()
}

// Close waits a moment for proposals under way, and stops the node: HTTP,
// Raft, then the storage. It may be called twice.
func (n *Node) Close() error { return n.close() }

func (n *Node) shutdown() error {
	n.stopProposals()
	n.cancel()
	var errs []error
	if n.http != nil {
		ctx, cancel := context.WithTimeout(context.Background(), drain)
		defer cancel()
		if n.http.Shutdown(ctx) != nil { // somebody is slow
			errs = append(errs, n.http.Close())
		}
	} else if n.listener != nil {
		errs = append(errs, n.listener.Close())
	}
	if n.adapter != nil {
		errs = append(errs, n.adapter.Close())
	}
	if n.raft != nil {
		errs = append(errs, n.raft.Shutdown().Error())
	}
	if n.trans != nil {
		errs = append(errs, ignoreClosed(n.trans.Close()))
	}
	n.work.Wait()
	return errors.Join(append(errs, n.s.Close())...)
}

// stopProposals turns new calls away, and after a while also those under way.
func (n *Node) stopProposals() {
	idle := make(chan struct{})
	go func() { n.gate.Close(); close(idle) }()
	t := time.NewTimer(drain)
	defer t.Stop()
	select {
	case <-idle:
	case <-t.C:
	}
	close(n.closing)
	<-idle
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

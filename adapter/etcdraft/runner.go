package etcdraft

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"

	"github.com/trimarandb/trimaran/fault"
)

// Committed is an entry that a Machine applies.
type Committed struct {
	*raftpb.Entry
	// ConfState is the membership from this entry on, if it changes that; nil for
	// commands, and for the empty entry with which a leader begins.
	ConfState *raftpb.ConfState
}

// Machine is what committed entries are applied to. A Runner calls it from one
// goroutine, and never again after an error. ctx ends when the Runner closes.
type Machine interface {
	// Applied is the last entry that the state contains, and the members as of
	// it, whom the state has to keep; 0 and nil for a state that does not survive
	// the process. It is asked once, at the start.
	Applied() (uint64, *raftpb.ConfState, error)
	// Apply applies entries in order; all of them follow what is applied. Empty
	// Data is no command. They must not be changed.
	Apply(ctx context.Context, entries []Committed) error
	// Restore replaces the state by a snapshot, which is durable already. It is
	// called again at the next start if a crash comes first.
	Restore(ctx context.Context, snap *raftpb.Snapshot) error
}

// Snapshotter is a Machine whose state fits into memory. The Runner asks it for
// all of it now and then, as RunnerOptions say, has the Storage keep that as a
// snapshot, and compacts the log behind it.
type Snapshotter interface {
	Machine
	Snapshot(ctx context.Context) ([]byte, error)
}

// Transport sends messages to the nodes that they are addressed to, whose
// transports give them to Step. Send must not wait for a network and may drop
// what it likes. Several goroutines call it. Messages must not be changed, also
// not by the receiver: within one process they are to be copied.
//
// A MsgSnap that was sent, or could not be, must be told to Runner.With by
// raft.RawNode.ReportSnapshot; of a KV the stream goes with it, see
// Storage.OpenSnapshot.
type Transport interface {
	Send(messages []*raftpb.Message)
}

// RunnerOptions tune a Runner. Nil and zero fields mean the defaults.
type RunnerOptions struct {
	// Peers are the members of a new group, the same on each of them. Whoever
	// joins later has none. Ignored unless the storage is empty.
	Peers []raft.Peer
	// TickInterval is the time between ticks, the unit of raft.Config. Default
	// 100 ms; negative: whoever holds the Runner calls Tick.
	TickInterval time.Duration
	// SnapshotEntries is how many entries a Snapshotter applies between two
	// snapshots, TrailingEntries how many stay in the log behind one for
	// followers that lag. Defaults 10,000 and 5,000; negative trailing: none.
	SnapshotEntries uint64
	TrailingEntries int64
	// Logger hears of the runner, and of raft unless its Config has a Logger.
	// Default: nobody.
	Logger *slog.Logger
}

func (o *RunnerOptions) withDefaults() RunnerOptions {
	var out RunnerOptions
	if o != nil {
		out = *o
	}
	if out.TickInterval == 0 {
		out.TickInterval = 100 * time.Millisecond
	}
	if out.SnapshotEntries == 0 {
		out.SnapshotEntries = 10_000
	}
	if out.TrailingEntries == 0 {
		out.TrailingEntries = 5_000
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	return out
}

// defaultMaxUncommitted bounds what a leader holds in memory, in bytes.
const defaultMaxUncommitted = 64 << 20

// Runner runs one raft node with AsyncStorageWrites: one goroutine appends, and
// answers when that is durable, another applies, and neither waits for the
// other. All methods may be called by several goroutines.
type Runner struct {
	o         RunnerOptions
	storage   *Storage
	machine   Machine
	transport Transport
	election  int // ticks

	ctx     context.Context // ends with Close, and with the first failure
	cancel  context.CancelFunc
	threads sync.WaitGroup
	ready   chan struct{} // holds a token when node may have something
	ticked  chan struct{} // holds a token when a tick was since
	appends *queue[*raftpb.Message]
	applies *queue[task]

	applied    atomic.Uint64
	members    atomic.Pointer[raftpb.ConfState] // as of applied
	renewing   atomic.Bool                      // a snapshot is asked for
	snapshotAt uint64                           // of the newest snapshot; the apply thread's

	mu   sync.Mutex
	node *raft.RawNode
	err  error // why the runner halted
	reads
}

// Start runs a node on a storage and a machine, which stay the caller's: they
// are closed after the Runner. Of conf, which is copied, it sets Storage,
// Applied and AsyncStorageWrites, and MaxUncommittedEntriesSize to 64 MiB if it
// is zero. A state that is behind the newest snapshot is restored first.
func Start(conf *raft.Config, s *Storage, m Machine, t Transport, o *RunnerOptions) (_ *Runner, err error) {
	if conf == nil || s == nil || m == nil || t == nil {
		return nil, fmt.Errorf("start raft: config, storage, machine or transport is missing: %w", fault.ErrInvalid)
	}
	r := &Runner{
		o: o.withDefaults(), storage: s, machine: m, transport: t, election: conf.ElectionTick,
		ready: make(chan struct{}, 1), ticked: make(chan struct{}, 1),
		appends: newQueue[*raftpb.Message](), applies: newQueue[task](),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			r.cancel()
			err = fmt.Errorf("start raft: %w", err)
		}
	}()
	if err := r.begin(); err != nil {
		return nil, err
	}
	if err := r.boot(*conf); err != nil {
		return nil, err
	}
	r.threads.Go(r.loop)
	r.threads.Go(r.appendThread)
	r.threads.Go(r.applyThread)
	signal(r.ready)
	return r, nil
}

// begin finds out what the machine contains, and has it catch up.
func (r *Runner) begin() error {
	newest, members, err := r.storage.newest()
	if err != nil {
		return err
	}
	index, cs, err := r.machine.Applied()
	switch {
	case err != nil:
		return err
	case index < newest.Index:
		snap, err := r.storage.Snapshot()
		if err != nil {
			return err
		}
		if err := r.machine.Restore(r.ctx, snap); err != nil {
			return fmt.Errorf("restore snapshot of index %d: %w", snap.GetMetadata().GetIndex(), err)
		}
		index, cs = snap.GetMetadata().GetIndex(), snap.GetMetadata().GetConfState()
	case index == newest.Index && cs == nil:
		cs = members
	case cs == nil:
		return fmt.Errorf("the machine contains entries up to %d, the newest snapshot up to %d: without the members as of the former: %w", index, newest.Index, fault.ErrInvalid)
	}
	r.applied.Store(index)
	r.members.Store(cs)
	r.snapshotAt = newest.Index
	return nil
}

// boot makes the node. Raft panics where it is not content.
func (r *Runner) boot(conf raft.Config) (err error) {
	defer func() { err = errors.Join(err, asError(recover())) }()
	hs, err := r.storage.hardState(r.applied.Load())
	if err != nil {
		return err
	}
	conf.Storage = started{r.storage, r, hs.message(), r.members.Load()}
	conf.Applied, conf.AsyncStorageWrites = r.applied.Load(), true
	if conf.MaxUncommittedEntriesSize == 0 {
		conf.MaxUncommittedEntriesSize = defaultMaxUncommitted
	}
	if conf.Logger == nil {
		conf.Logger = NewLogger(r.o.Logger)
	}
	if err := r.seed(conf.ID); err != nil {
		return err
	}
	if r.node, err = raft.NewRawNode(&conf); err != nil {
		return err
	}
	last, err := r.storage.LastIndex()
	if err == nil && last == 0 && hs == (hardState{}) && len(r.members.Load().GetVoters()) == 0 && len(r.o.Peers) > 0 {
		err = r.node.Bootstrap(r.o.Peers)
	}
	return err
}

// asError turns what raft panicked with into an error.
func asError(p any) error {
	switch p := p.(type) {
	case nil:
		return nil
	case error:
		return fmt.Errorf("raft panicked: %w", p)
	}
	return fmt.Errorf("raft panicked: %v", p)
}

// With calls f with the node, which no other goroutine uses meanwhile: f must not
// keep it, nor call Ready or Advance. It returns what f does; a panic of raft
// halts the Runner. After Close or a halt it is fault.ErrClosed, or Err.
func (r *Runner) With(f func(n *raft.RawNode) error) error {
	defer signal(r.ready)
	return r.with(f)
}

// with is With for what leaves nothing ready.
func (r *Runner) with(f func(n *raft.RawNode) error) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	if r.ctx.Err() != nil {
		return fmt.Errorf("raft node: %w", fault.ErrClosed)
	}
	defer func() {
		if p := asError(recover()); p != nil {
			r.halt(p)
			err = r.err
		}
	}()
	return f(r.node)
}

// Step takes in a message of another node. Errors are raft's, and harmless.
func (r *Runner) Step(m *raftpb.Message) error {
	return r.With(func(n *raft.RawNode) error { return n.Step(m) })
}

// Propose hands a command to the leader, if there is one; raft.ErrProposalDropped
// otherwise. That it returns nil does not mean that it will be applied: the
// Machine knows when it is.
func (r *Runner) Propose(data []byte) error {
	return r.With(func(n *raft.RawNode) error { return n.Propose(data) })
}

// ProposeConfChange is Propose of a change of members.
func (r *Runner) ProposeConfChange(cc raftpb.ConfChangeI) error {
	return r.With(func(n *raft.RawNode) error { return n.ProposeConfChange(cc) })
}

// Tick is one unit of raft's time. After a halt it does nothing.
func (r *Runner) Tick() {
	_ = r.With(func(n *raft.RawNode) error {
		n.Tick()
		r.askAgain(n)
		return nil
	})
	signal(r.ticked)
}

// Applied is the last entry that the machine has applied.
func (r *Runner) Applied() uint64 { return r.applied.Load() }

// Done is closed when the Runner halts or is closed.
func (r *Runner) Done() <-chan struct{} { return r.ctx.Done() }

// Err says why the Runner halted; nil while it runs, and after Close. It is
// fault.ErrPoisoned and its cause. Close it, and whatever it used, and start
// anew.
func (r *Runner) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// halt stops everything for good; r.mu is held. What ctx interrupts is no
// failure.
func (r *Runner) halt(err error) {
	if r.err == nil && r.ctx.Err() == nil {
		r.err = fmt.Errorf("raft node halted: %w: %w", fault.ErrPoisoned, err)
		r.o.Logger.Error("raft node halted", "error", err)
	}
	r.cancel()
}

func (r *Runner) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.halt(err)
}

// Close stops the node and waits for what it does. It leaves storage and machine
// open, and may be called twice.
func (r *Runner) Close() error {
	r.cancel()
	r.threads.Wait()
	return nil
}

// seed makes contexts of reads that no other start of any node has.
func (r *Runner) seed(id uint64) error {
	var random [8]byte
	_, err := rand.Read(random[:])
	r.reads = newReads(id, random)
	return err
}

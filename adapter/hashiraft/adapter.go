package hashiraft

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/snapshot"
)

// ApplyFunc applies one committed command inside the transaction that also
// moves the mark, and returns the response for whoever proposed it. It must do
// the same on every replica. A command that fails is a response; an error
// means that this replica cannot go on, and halts it (see [Halted]); but after
// fault.ErrFull the batch is tried again until there is room. The
// transaction's SetMark, Commit and Rollback are fault.ErrInvalid.
type ApplyFunc func(tx *kv.WriteTx, l *raft.Log) (response any, err error)

// Adapter is one raft node's view of a Storage. Its parts may be used by
// several goroutines, as raft does.
type Adapter struct {
	s      *trimaran.Storage
	apply  ApplyFunc
	logger *slog.Logger
	base   context.Context // raft's interfaces have no place for one
	ctx    context.Context // of what Close interrupts
	cancel context.CancelFunc

	logs  *LogStore
	snaps *SnapshotStore
	fsm   FSM

	mu       sync.Mutex
	newest   raftlog.Position // of the newest valid snapshot
	received snapshot.ID      // the last one that came from elsewhere
	halted   *Halted
	halt     chan struct{} // closed with halted
}

// New makes an Adapter over s, which stays the caller's. It must be the only
// one, and s must have Owner OwnerLibrary and SkipsNonCommands. A log that lost
// its term, and with it votes, is a *fault.Corruption. If the log
// begins behind the newest valid snapshot, because that was damaged, New takes
// a new one of the data: raft would not start without.
func New(ctx context.Context, s *trimaran.Storage, apply ApplyFunc, o *Options) (*Adapter, error) {
	if s == nil || apply == nil {
		return nil, fmt.Errorf("adapt storage to raft: no storage, or nothing that applies: %w", fault.ErrInvalid)
	}
	a := &Adapter{s: s, apply: apply, logger: o.logger(), halt: make(chan struct{})}
	a.base = context.WithoutCancel(ctx)
	a.ctx, a.cancel = context.WithCancel(a.base)
	a.logs = &LogStore{log: s.Log(), newest: func() (raftlog.Position, error) { return a.continuation(), nil }}
	a.snaps = &SnapshotStore{snaps: s.Snapshots(), ctx: a.ctx, logger: a.logger, told: a.published}
	a.fsm.a = a
	if err := errors.Join(a.logs.copied(), a.logs.votesHold(), a.cover(ctx)); err != nil {
		a.cancel()
		return nil, fmt.Errorf("adapt storage to raft: %w", err)
	}
	return a, nil
}

// Logs is the log and the stable store for raft.NewRaft.
func (a *Adapter) Logs() *LogStore { return a.logs }

// Snapshots is the snapshot store for raft.NewRaft.
func (a *Adapter) Snapshots() *SnapshotStore { return a.snaps }

// FSM is the state machine for raft.NewRaft.
func (a *Adapter) FSM() *FSM { return &a.fsm }

// Configure sets what raft must know of this storage: it does not load a
// snapshot at start, since the data is never behind one. Without a Logger
// or LogOutput of its own, raft writes to the adapter's logger.
func (a *Adapter) Configure(conf *raft.Config) {
	conf.NoSnapshotRestoreOnStart = true
	if conf.Logger == nil && conf.LogOutput == nil {
		conf.Logger = NewLogger(a.logger)
	}
}

// NewRaft configures a copy of conf and starts raft on this storage.
func (a *Adapter) NewRaft(conf *raft.Config, trans raft.Transport) (*raft.Raft, error) {
	c := *conf
	a.Configure(&c)
	return raft.NewRaft(&c, &a.fsm, a.logs, a.logs, a.snaps, trans)
}

// Close interrupts snapshots and restores under way, so that raft's Shutdown
// need not wait for them. It leaves the storage open and may be called twice.
func (a *Adapter) Close() error {
	a.cancel()
	return nil
}

// Halted says why the state machine stopped. Raft goes on to count entries as
// applied, so from then on every response is this error, no snapshot is taken,
// and the data must not be read as if it were current. Stop the node; when the
// storage is opened again, it continues with the entry that failed. It is a
// fault.ErrPoisoned.
type Halted struct {
	Index uint64 // the first entry of the batch that failed
	Err   error
}

func (h *Halted) Error() string {
	return fmt.Sprintf("state machine halted before entry %d: %v", h.Index, h.Err)
}

// Unwrap makes it a fault.ErrPoisoned as well as its cause.
func (h *Halted) Unwrap() []error { return []error{fault.ErrPoisoned, h.Err} }

// Err is nil, or the *Halted that stopped the state machine.
func (a *Adapter) Err() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.halted == nil {
		return nil
	}
	return a.halted
}

// Done is closed when the state machine halts.
func (a *Adapter) Done() <-chan struct{} { return a.halt }

func (a *Adapter) stop(index uint64, err error) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.halted == nil {
		a.halted = &Halted{Index: index, Err: err}
		close(a.halt)
		a.logger.Error("state machine halted", "index", index, "error", err)
	}
	return a.halted
}

package raftlog

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/gate"
)

// Log is one group's log. All methods may be called by several goroutines;
// writes take effect in the order in which the calls are made. Methods return
// fault.ErrClosed after Close.
type Log struct {
	// What each write touches comes first, for those who have thousands of logs.
	gate   gate.Gate
	writes atomic.Uint64 // batches acknowledged
	d      Driver
	g      Group
	rate   rate

	o       Options
	pending *budget

	idMu sync.Mutex // serialises SetIdentity
	id   Identity
}

// singles are submissions of one batch: memory that Write needs for a moment.
var singles = sync.Pool{New: func() any { return new([1]GroupBatch) }}

// New returns the log of one group of a driver. Several logs may share a
// driver, also of the same group; each is closed on its own.
func New(d Driver, g Group, o *Options) (*Log, error) {
	l := &Log{d: d, g: g, o: o.withDefaults()}
	l.pending = newBudget(l.o.MaxPending)
	l.rate.begin(l.o.Now)
	if err := l.loadIdentity(); err != nil {
		return nil, fmt.Errorf("open log of group %v: %w", g, err)
	}
	return l, nil
}

// Group returns the group whose log this is.
func (l *Log) Group() Group { return l.g }

// enter begins a call; the caller owes a l.gate.Leave when it returns nil.
func (l *Log) enter(op string) error {
	if !l.gate.Enter() {
		return fmt.Errorf("%s: log: %w", op, fault.ErrClosed)
	}
	return nil
}

// Append adds entries after the last one, all or none. They are durable on
// return, as the driver's sync policy says. Entries that leave a gap, overlap,
// let the term fall or are too large are fault.ErrInvalid; a full driver is
// fault.ErrFull. In both cases nothing changed.
func (l *Log) Append(entries ...Entry) error { return l.Write(Batch{Entries: entries}) }

// Write makes one batch durable, all or nothing. The batch's memory is free
// again on return. Errors as for Append; a truncation that reaches the base is
// fault.ErrCompacted. A write after a failed sync is fault.ErrPoisoned.
func (l *Log) Write(b Batch) error {
	if err := l.enter("write"); err != nil {
		return err
	}
	defer l.gate.Leave()
	if err := l.check(&b); err != nil {
		return err
	}
	if b.IsZero() {
		return nil
	}
	one := singles.Get().(*[1]GroupBatch)
	one[0] = GroupBatch{l.g, b}
	err := l.d.Submit(one[:], nil)
	one[0].Batch = Batch{}
	singles.Put(one)
	if err != nil {
		return err
	}
	l.acknowledged(&b)
	return nil
}

func (l *Log) acknowledged(b *Batch) {
	l.writes.Add(1)
	l.rate.add(len(b.Entries))
}

// WriteAsync queues one batch and returns; done is called once with what Write
// would have returned. Batches take effect, and their done functions are
// called, in the order of the calls. Until then the batch's memory belongs to
// the log. A batch that fails takes those queued behind it along; a caller that
// writes on must first have looked at what done said. WriteAsync blocks only while Options.MaxPending bytes are under
// way. After an error from WriteAsync itself done is not called. done must not
// wait on the log: it may read, and may not write or close.
func (l *Log) WriteAsync(b Batch, done func(error)) error {
	if done == nil {
		return fmt.Errorf("write async: no function to call when done: %w", fault.ErrInvalid)
	}
	if err := l.enter("write async"); err != nil {
		return err
	}
	if err := l.check(&b); err != nil {
		l.gate.Leave()
		return err
	}
	size := b.Size()
	l.pending.take(size)
	err := l.d.Submit([]GroupBatch{{l.g, b}}, func(err error) {
		defer l.gate.Leave()
		l.pending.give(size)
		if err == nil {
			l.acknowledged(&b)
		}
		done(err)
	})
	if err != nil {
		l.pending.give(size)
		l.gate.Leave()
	}
	return err
}

func (l *Log) check(b *Batch) error {
	if err := b.CheckKeys(); err != nil {
		return err
	}
	return b.Validate(l.o.MaxEntrySize)
}

// TruncateFrom durably drops index and everything after it: log repair by a
// new leader. Beyond the last entry it does nothing. It refuses to reach the
// base with fault.ErrCompacted.
func (l *Log) TruncateFrom(index uint64) error {
	if index == 0 {
		return fmt.Errorf("truncate from 0: indexes start at 1 (reset empties a log): %w", fault.ErrInvalid)
	}
	return l.Write(Batch{TruncateFrom: index})
}

// CompactTo durably drops index and everything before it, and keeps its term
// as the base's. At or below the base it does nothing; beyond the last entry
// it is fault.ErrInvalid. Space may be freed later; the entries are gone at
// once, also after a crash.
func (l *Log) CompactTo(index uint64) error { return l.Write(Batch{CompactTo: index}) }

// Reset durably empties the log, which then continues at p.Index+1: what
// follows the install of a snapshot that the log does not contain. Stable keys
// stay. Term 0 says that the term at p.Index is not known.
func (l *Log) Reset(p Position) error { return l.Write(Batch{Reset: &p}) }

// Sync makes durable everything acknowledged before it. It matters only under
// the sync policies interval and never.
func (l *Log) Sync() error {
	if err := l.enter("sync"); err != nil {
		return err
	}
	defer l.gate.Leave()
	return l.d.Sync()
}

// Stable returns a copy of the value of a stable key, or fault.ErrNotFound.
func (l *Log) Stable(key string) ([]byte, error) {
	if err := l.enter("stable"); err != nil {
		return nil, err
	}
	defer l.gate.Leave()
	return l.d.Stable(l.g, key)
}

// Release tells a bounded driver that entries up to index may be dropped when
// it runs out of room, because a snapshot holds what they did. It does nothing
// where the driver does not drop.
func (l *Log) Release(index uint64) error {
	if err := l.enter("release"); err != nil {
		return err
	}
	defer l.gate.Leave()
	if r, ok := As[Releaser](l.d); ok {
		return r.Release(l.g, index)
	}
	return nil
}

// Volatile reports that the log does not survive the process, and that votes
// must not be entrusted to it.
func (l *Log) Volatile() bool {
	v, ok := As[Volatile](l.d)
	return ok && v.Volatile()
}

// Close waits for the calls under way, WriteAsync's done functions included,
// and closes the log. The driver stays open: it may carry other groups.
func (l *Log) Close() error {
	l.gate.Close()
	return nil
}

// budget blocks while too many bytes are under way. Who waits is let through
// in the order of arrival, so that a large batch is not overtaken for ever.
type budget struct {
	mu   sync.Mutex
	free sync.Cond
	used int64
	max  int64
	next uint64 // ticket of the next to arrive
	turn uint64 // ticket of the next to be let through
}

func newBudget(limit int64) *budget {
	b := &budget{max: limit}
	b.free.L = &b.mu
	return b
}

// take waits for its turn, and until n more bytes fit, or nothing is under way.
func (b *budget) take(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	ticket := b.next
	b.next++
	for ticket != b.turn || b.used > 0 && b.used+n > b.max {
		b.free.Wait()
	}
	b.turn++
	b.used += n
	if b.turn != b.next {
		b.free.Broadcast()
	}
}

func (b *budget) give(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	b.free.Broadcast()
}

package trimaran

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/snapshot"
)

// RestoreOptions tune a restore. Nil and zero fields mean the defaults.
type RestoreOptions struct {
	// Force restores a snapshot at or below the mark: the state goes back. The
	// log keeps its entries if it holds the snapshot's last one. Otherwise they
	// are given up, and with Owner Composite the snapshots above it too.
	Force bool
	// Progress is told the bytes that were read, and of how many if that is
	// known, else of -1.
	Progress func(done, total int64)
}

// PendingRestore is a state being loaded beside the live one, which goes on
// serving until Switch. One goroutine uses it.
type PendingRestore struct {
	s     *Storage
	info  snapshot.Info
	o     RestoreOptions
	next  *kv.PendingImport
	steps intent // what is replaced by what
	held  bool   // applying and based are locked, from Switch to FinishLog
	told  bool   // the intent is declared, and for this restore to clear
	live  bool   // switched, and the log does not follow yet
}

// BeginRestore begins to replace the data by the state at info.Index. It is
// fault.ErrConflict if the data is there already or further, unless forced.
// Abort it in any case; after FinishLog that does nothing.
func (s *Storage) BeginRestore(ctx context.Context, info snapshot.Info, o *RestoreOptions) (*PendingRestore, error) {
	if err := s.enter("begin restore"); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	p := &PendingRestore{s: s, info: info, steps: intent{to: raftlog.Position{Index: info.Index, Term: info.Term}}}
	if o != nil {
		p.o = *o
	}
	if info.Index == 0 || info.Term == 0 {
		return nil, fmt.Errorf("begin restore: snapshot at index %d term %d: %w", info.Index, info.Term, fault.ErrInvalid)
	}
	mark, err := s.data.Mark(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin restore: %w", err)
	}
	if info.Index <= mark.Index && !p.o.Force {
		return nil, fmt.Errorf("begin restore of index %d: applied is %d already (force goes back): %w", info.Index, mark.Index, fault.ErrConflict)
	}
	if p.next, err = s.applier.BeginImport(ctx); err != nil {
		return nil, fmt.Errorf("begin restore: %w", err)
	}
	return p, nil
}

// Load reads an export to its end, verifies all of it and makes it durable,
// still unseen. Everything that can fail on bad input fails here, and leaves
// the old state serving.
func (p *PendingRestore) Load(ctx context.Context, r io.Reader) error {
	if p.o.Progress != nil {
		r = &countingReader{r: r, progress: p.o.Progress}
	}
	mark := kv.Mark{Index: p.info.Index, Term: p.info.Term, Membership: p.info.Membership, MembershipIndex: p.info.MembershipIndex, Clock: p.info.Clock}
	if _, err := p.next.Load(ctx, r, &kv.ImportOptions{Mark: &mark}); err != nil {
		return fmt.Errorf("restore index %d: %w", p.info.Index, err)
	}
	return nil
}

// Switch makes the loaded state the live one, in one durable step. Applies wait
// from here until FinishLog or Abort. The log does not follow yet: where it has
// to, it holds an intent by then, and after a crash New finishes what that says,
// or undoes it if the data was not switched.
func (p *PendingRestore) Switch(ctx context.Context) error {
	if err := p.s.enter("switch"); err != nil {
		return err
	}
	defer p.s.gate.Leave()
	p.lock()
	if err := p.declare(ctx); err != nil {
		return fmt.Errorf("restore index %d: %w", p.info.Index, err)
	}
	if err := p.next.Switch(ctx); err != nil {
		if !errors.Is(err, fault.ErrFull) && (ctx.Err() == nil || !errors.Is(err, ctx.Err())) {
			p.told = false // the data may be the new one: the intent stays, for New to decide
		}
		return fmt.Errorf("restore index %d: %w", p.info.Index, err)
	}
	p.live = true
	p.s.metrics.snapshotsRestored.Add(1)
	p.s.announce()
	return nil
}

// declare makes the intent durable, unless the log holds the new state's last
// entry: then it stays as it is, and there is nothing to finish.
func (p *PendingRestore) declare(ctx context.Context) error {
	mark, err := p.s.data.Mark(ctx)
	if err != nil {
		return err
	}
	p.steps.from = raftlog.Position{Index: mark.Index, Term: mark.Term}
	at, err := p.s.placeOf(p.steps.to)
	if err != nil || at == held {
		return err
	}
	p.told = true // also when it fails: it may be there then
	return p.s.declare(p.steps)
}

// FinishLog makes the log follow the restored state: it keeps its entries if it
// holds the snapshot's last one, and is emptied to continue after it otherwise
// (Raft, figure 13, rule 7). When it fails it may be called again; until it
// succeeds, here or in the next New, nothing is applied.
func (p *PendingRestore) FinishLog(ctx context.Context) error {
	if err := p.s.enter("finish log"); err != nil {
		return err
	}
	defer p.s.gate.Leave()
	if !p.live {
		return fmt.Errorf("restore index %d: finish log: not switched yet, or finished: %w", p.info.Index, fault.ErrInvalid)
	}
	p.lock() // an Abort may have let go
	if _, err := p.s.followLog(ctx, p.steps, p.told); err != nil {
		return fmt.Errorf("restore index %d: %w", p.info.Index, err)
	}
	p.live, p.told = false, false
	p.s.behind.Store(nil)
	p.unlock()
	return nil
}

// Abort drops a state that was not switched to. It may be called at any time.
// After a Switch whose FinishLog failed, Apply is fault.ErrPoisoned from here on.
func (p *PendingRestore) Abort() error {
	if p.live {
		err := fmt.Errorf("the log does not follow the state restored at index %d, reopen to finish that: %w", p.info.Index, fault.ErrPoisoned)
		p.s.behind.Store(&err)
	}
	err := p.next.Abort()
	if p.told && !p.live {
		p.told = false
		err = errors.Join(err, p.s.retract())
	}
	p.unlock()
	return err
}

func (p *PendingRestore) lock() {
	if !p.held {
		p.s.applying.Lock()
		p.s.based.Lock()
		p.held = true
	}
}

func (p *PendingRestore) unlock() {
	if p.held {
		p.held = false
		p.s.based.Unlock()
		p.s.applying.Unlock()
	}
}

// followLog makes the log continue after i.to, or leaves it alone if it holds
// that, and clears the intent in the same write.
func (s *Storage) followLog(ctx context.Context, i intent, told bool) (reset bool, err error) {
	at, err := s.placeOf(i.to)
	if err != nil {
		return false, err
	}
	if at == held {
		if told {
			err = s.retract()
		}
		return false, err
	}
	if err := s.forsake(ctx, i); err != nil {
		return false, err
	}
	batch := raftlog.Batch{Reset: &i.to}
	if told {
		batch.Stable = []raftlog.StableKV{{Key: intentKey}}
	}
	if err := s.log.Write(batch); err != nil {
		return false, fmt.Errorf("reset log to %v: %w", i.to, err)
	}
	s.o.Logger.Info("log reset to follow the data", "index", i.to.Index, "term", i.to.Term)
	return true, nil
}

// Restore replaces the data by a snapshot of the store, durably and in one
// step, and makes the log follow. A failure before that step leaves the old
// state serving.
func (s *Storage) Restore(ctx context.Context, id snapshot.ID, o *RestoreOptions) (err error) {
	if err := s.enter("restore"); err != nil {
		return err
	}
	defer s.gate.Leave()
	r, err := s.snaps.Open(ctx, id)
	if err != nil {
		return fmt.Errorf("restore %s: %w", id, err)
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	p, err := s.BeginRestore(ctx, r.Meta().Info, o)
	if err != nil {
		return fmt.Errorf("restore %s: %w", id, err)
	}
	defer func() { err = errors.Join(err, p.Abort()) }()
	if c := p.o.Progress; c != nil {
		size := r.Meta().Size
		p.o.Progress = func(done, _ int64) { c(done, size) }
	}
	if err := p.Load(ctx, r); err != nil {
		return err
	}
	if err := p.Switch(ctx); err != nil {
		return err
	}
	s.o.Logger.Info("snapshot restored", "id", id.String(), "index", p.info.Index, "term", p.info.Term)
	return p.FinishLog(ctx)
}

// Install takes in a whole container, publishes it among the snapshots, and
// restores it. A snapshot at or below the mark is not restored unless forced:
// fault.ErrConflict, and what was read stays published.
func (s *Storage) Install(ctx context.Context, r io.Reader, o *RestoreOptions) (snapshot.Meta, error) {
	if err := s.enter("install"); err != nil {
		return snapshot.Meta{}, err
	}
	defer s.gate.Leave()
	var io snapshot.InstallOptions
	if o != nil && o.Progress != nil {
		io.Progress = o.Progress
	}
	meta, err := s.snaps.Install(ctx, r, &io)
	if err != nil {
		return meta, fmt.Errorf("install: %w", err)
	}
	return meta, s.Restore(ctx, meta.ID, o)
}

type countingReader struct {
	r        io.Reader
	n        int64
	progress func(done, total int64)
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	c.progress(c.n, -1)
	return n, err
}

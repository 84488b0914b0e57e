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
	// Force restores a snapshot at or below the mark: the state goes back.
	Force bool
	// Progress is told the bytes that were read, and of how many if that is
	// known, else of -1.
	Progress func(done, total int64)
}

// PendingRestore is a state being loaded beside the live one, which goes on
// serving until Switch. One goroutine uses it.
type PendingRestore struct {
	s    *Storage
	info snapshot.Info
	o    RestoreOptions
	next *kv.PendingImport
	held bool // applying is locked, from Switch to FinishLog
}

// BeginRestore begins to replace the data by the state at info.Index. It is
// fault.ErrConflict if the data is there already or further, unless forced.
// Abort it in any case; after FinishLog that does nothing.
func (s *Storage) BeginRestore(ctx context.Context, info snapshot.Info, o *RestoreOptions) (*PendingRestore, error) {
	if err := s.enter("begin restore"); err != nil {
		return nil, err
	}
	defer s.gate.Leave()
	p := &PendingRestore{s: s, info: info}
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
// from here until FinishLog or Abort. The log does not follow yet: after a
// crash, Recover finishes that.
func (p *PendingRestore) Switch(ctx context.Context) error {
	p.s.applying.Lock()
	p.held = true
	if err := p.next.Switch(ctx); err != nil {
		return fmt.Errorf("restore index %d: %w", p.info.Index, err)
	}
	p.s.metrics.snapshotsRestored.Add(1)
	p.s.announce()
	return nil
}

// FinishLog makes the log follow the restored state: it keeps its entries if it
// holds the snapshot's last one, and is emptied to continue after it otherwise
// (Raft, figure 13, rule 7).
func (p *PendingRestore) FinishLog(context.Context) error {
	defer p.unlock()
	if err := p.s.followLog(p.info.Index, p.info.Term); err != nil {
		return fmt.Errorf("restore index %d: %w", p.info.Index, err)
	}
	return nil
}

// Abort drops a state that was not switched to. It may be called at any time.
func (p *PendingRestore) Abort() error {
	p.unlock()
	return p.next.Abort()
}

func (p *PendingRestore) unlock() {
	if p.held {
		p.held = false
		p.s.applying.Unlock()
	}
}

// followLog makes the log continue after (index, term), or leaves it alone if
// it contains that.
func (s *Storage) followLog(index, term uint64) error {
	has, err := s.logHas(index, term)
	if err != nil || has {
		return err
	}
	if err := s.log.Reset(raftlog.Position{Index: index, Term: term}); err != nil {
		return err
	}
	s.o.Logger.Info("log reset to follow a snapshot", "index", index, "term", term)
	return nil
}

// logHas reports whether the log holds, or begins after, the entry (index,
// term). A base whose term is not known is taken for it.
func (s *Storage) logHas(index, term uint64) (bool, error) {
	got, err := s.log.Term(index)
	switch {
	case errors.Is(err, fault.ErrNotFound):
		return false, nil
	case errors.Is(err, fault.ErrCompacted):
		return true, nil // compacted behind a snapshot at or above index
	case err != nil:
		return false, err
	}
	return got == term || got == 0, nil
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

package doctor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
)

// Stable keys of the composite, which docs/format/recovery.md describes.
const (
	intentKey  = "trimaran/intent"
	openingKey = "trimaran/opening"
)

// findings are what was read of a node.
type findings struct {
	log   logFound
	snaps snapsFound
	data  dataFound
}

type logFound struct {
	err     error // why it cannot be opened
	id      raftlog.Identity
	opening raftlog.Identity // what an open that was cut short began to give to all parts
	intent  bool             // a restore was cut short
	bounds  raftlog.Bounds
	term    uint64              // the stored one, 0 without
	falls   uint64              // the first entry of a term lower than the one before, 0 without
	places  []*fault.Corruption // damaged ones, also where nothing lives any more
	bad     []span              // entries that cannot be read
	active  string              // the file that recovery after a crash reads frame by frame
}

// span is the entries from lo to hi.
type span struct{ lo, hi uint64 }

func (s span) String() string {
	if s.lo == s.hi {
		return fmt.Sprintf("entry %d", s.lo)
	}
	return fmt.Sprintf("entries %d to %d", s.lo, s.hi)
}

type snapsFound struct {
	err error
	id  snapshot.Identity
	all []snapFound // newest first
}

type snapFound struct {
	snapshot.Meta
	damage error
	at     place
}

type dataFound struct {
	err   error
	id    kv.Identity
	mark  raftlog.Position
	rows  uint64
	at    place
	torn  error  // why it cannot be read to its end
	after []byte // the last key that can be read then
}

// place is how a position stands to the log.
type place uint8

const (
	unknown place = iota
	held
	below
	beyond
	differs
)

// newest is the newest snapshot that is whole; zero without one.
func (s *snapsFound) newest() (none snapFound) {
	for _, one := range s.all {
		if one.damage == nil {
			return one
		}
	}
	return none
}

// look opens each part on fsys, which it may change, and reads all of it. Its
// error says that it could not finish; what is wrong with the node is in the
// findings.
func look(ctx context.Context, o *Options, fsys vfs.FS) (f *findings, err error) {
	f = &findings{}
	node := o.On(fsys)
	defer func() {
		if err == nil && len(f.log.places) > 0 {
			err = f.log.findActive(o, fsys)
		}
	}()
	log, closer, err := node.OpenLog(ctx, ".")
	if f.log.err = err; err == nil {
		defer func() { err = errors.Join(err, log.Close(), closer.Close()) }()
		if err := f.log.look(ctx, o, log); err != nil {
			return nil, err
		}
	}
	snaps, closer, err := node.OpenSnapshots(ctx, ".")
	if f.snaps.err = err; err == nil {
		err = f.snaps.look(ctx, o, snaps, log)
		if err := errors.Join(err, snaps.Close(), closer.Close()); err != nil {
			return nil, err
		}
	}
	data, err := node.OpenData(ctx, ".")
	if f.data.err = err; err == nil {
		err = f.data.look(ctx, o, data, log)
		if err := errors.Join(err, data.Close()); err != nil {
			return nil, err
		}
	}
	return f, notDamage(ctx, f.log.err, f.snaps.err, f.data.err)
}

// notDamage returns the first error that says nothing about the node.
func notDamage(ctx context.Context, errs ...error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, err := range errs {
		if errors.Is(err, fault.ErrUnsupported) || errors.Is(err, fault.ErrLocked) || errors.Is(err, fault.ErrInvalid) || vfs.IsFull(err) || errors.Is(err, fault.ErrFull) {
			return err
		}
	}
	return nil
}

func (f *logFound) look(ctx context.Context, o *Options, l *raftlog.Log) (err error) {
	f.id = l.Identity()
	if f.bounds, err = l.Bounds(); err != nil {
		return err
	}
	if b, err := stable(l, openingKey); err != nil {
		return err
	} else if b != nil && f.opening.UnmarshalBinary(b) != nil {
		f.opening = raftlog.Identity{} // the rehearsal says so
	}
	b, err := stable(l, intentKey)
	if err != nil {
		return err
	}
	f.intent = b != nil
	if o.TermKey != "" {
		if b, err = stable(l, o.TermKey); err != nil {
			return err
		} else if len(b) == 8 {
			f.term = binary.BigEndian.Uint64(b)
		}
	}
	before := f.bounds.Base.Term
	for i := f.bounds.First(); i <= f.bounds.Last && f.falls == 0; i++ {
		term, err := l.Term(i)
		switch {
		case errors.Is(err, fault.ErrCorrupt):
			continue // what cannot be read is listed below
		case err != nil:
			return err
		case term < before:
			f.falls = i
		}
		before = term
	}
	r, err := l.Verify(ctx, &raftlog.VerifyOptions{Progress: func(done, total int64) { o.Progress("log", done, total) }})
	if f.places = r.Damage; err != nil || len(f.places) == 0 {
		return err
	}
	return f.lookCloser(ctx, l)
}

// lookCloser finds the entries that damage makes unreadable.
func (f *logFound) lookCloser(ctx context.Context, l *raftlog.Log) error {
	for i := f.bounds.First(); i <= f.bounds.Last; i++ {
		_, err := l.Entry(i)
		switch n := len(f.bad); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
		case !errors.Is(err, fault.ErrCorrupt):
			return err
		case n > 0 && f.bad[n-1].hi == i-1:
			f.bad[n-1].hi = i
		default:
			f.bad = append(f.bad, span{i, i})
		}
	}
	return nil
}

// findActive looks which segment is written to, in a log that is closed.
func (f *logFound) findActive(o *Options, fsys vfs.FS) error {
	i, err := seglog.Inspect(o.Log, &seglog.Options{FS: fsys})
	if err != nil {
		return err
	}
	for _, s := range i.Info().Segments {
		if s.State == seglog.Active {
			f.active = s.Name
		}
	}
	return i.Close()
}

// fragile is damage that lets the log be opened after a close in order alone:
// what was closed says what it holds, after a crash the frames do. Nil without.
func (f *logFound) fragile() *fault.Corruption {
	for _, c := range f.places {
		if path.Base(c.Path) == f.active {
			return c
		}
	}
	return nil
}

// stable returns a stable key, nil if there is none.
func stable(l *raftlog.Log, key string) ([]byte, error) {
	b, err := l.Stable(key)
	if errors.Is(err, fault.ErrNotFound) {
		return nil, nil
	}
	return b, err
}

func (f *snapsFound) look(ctx context.Context, o *Options, s *snapshot.Store, l *raftlog.Log) error {
	f.id = s.Identity()
	for meta, err := range s.All(ctx) {
		if err != nil {
			return err
		}
		one := snapFound{Meta: meta, damage: meta.Damaged, at: placeOf(l, raftlog.Position{Index: meta.Index, Term: meta.Term})}
		if one.damage == nil {
			r, err := s.Verify(ctx, meta.ID, func(done, total int64) { o.Progress("snapshot "+meta.ID.String(), done, total) })
			switch {
			case errors.Is(err, fault.ErrCorrupt):
				one.damage = err
			case err != nil:
				return err
			case r.Faults > 0:
				one.damage = fmt.Errorf("damaged places: %d, the first: %w", r.Faults, r.Damaged[0])
			}
		}
		f.all = append(f.all, one)
	}
	return nil
}

func (f *dataFound) look(ctx context.Context, o *Options, s *kv.Store, l *raftlog.Log) error {
	f.id = s.Identity()
	mark, err := s.Mark(ctx)
	if err != nil {
		f.err = err
		return ctx.Err()
	}
	f.mark = raftlog.Position{Index: mark.Index, Term: mark.Term}
	f.at = placeOf(l, f.mark)
	o.Progress("data", 0, -1)
	digest, err := s.Digest(ctx, kv.Range{})
	if f.rows = digest.Rows; err == nil {
		return nil
	}
	f.torn = err
	for pair, err := range s.Scan(ctx, kv.Range{}) {
		if err != nil {
			break
		}
		f.rows, f.after = f.rows+1, append(f.after[:0], pair.Key...)
	}
	return ctx.Err()
}

func placeOf(l *raftlog.Log, p raftlog.Position) place {
	if l == nil {
		return unknown
	}
	term, err := l.Term(p.Index)
	switch {
	case errors.Is(err, fault.ErrCompacted):
		return below
	case errors.Is(err, fault.ErrNotFound):
		return beyond
	case err != nil:
		return unknown
	case term != p.Term && term != 0:
		return differs
	}
	return held
}

package kv

import (
	"fmt"
	"time"

	"github.com/trimarandb/trimaran/fault"
)

// Advance moves the store's clock to clock: rows whose deadline it reaches
// are gone. It never goes back. Once it is set it moves by at most
// [MaxAdvance] in one call, so that one bad clock cannot end everything;
// [Stats] says when it was held.
func (t *WriteTx) Advance(clock time.Time) error {
	if err := t.begin("advance"); err != nil {
		return err
	}
	defer t.leave()
	n, err := nanos(clock)
	if err == nil && n == 0 {
		err = fmt.Errorf("no time: %w", fault.ErrInvalid)
	}
	if err != nil {
		return wrap("advance", err)
	}
	t.advance(n)
	return nil
}

func (t *WriteTx) advance(n uint64) {
	t.moved = true
	limit := t.m.clock + uint64(MaxAdvance)
	t.behind = t.m.clock != 0 && n > limit
	if t.behind {
		t.tally.clamps++
		n = limit
	}
	t.m.clock = max(t.m.clock, n)
}

// SetMembership records the membership as of the mark's index: call SetMark
// first where both change.
func (t *WriteTx) SetMembership(data []byte) error {
	if err := t.begin("set membership"); err != nil {
		return err
	}
	defer t.leave()
	m, err := Mark{Index: t.m.index, Membership: data, MembershipIndex: t.m.index}.private()
	if err != nil {
		return wrap("set membership", err)
	}
	t.m.membership, t.m.membershipIndex = m.membership, m.membershipIndex
	return nil
}

// SetMark records that the state contains the log up to m.Index. Neither index
// nor term may go back, nor the term change at an index. The membership is
// replaced if m.MembershipIndex is not 0, and the clock advances to m.Clock if
// that is set; so Mark{Index: i, Term: t} moves the position alone.
func (t *WriteTx) SetMark(m Mark) error {
	if t.scope >= scopeApply {
		return fmt.Errorf("set mark: the mark moves with the log here: %w", fault.ErrInvalid)
	}
	if err := t.begin("set mark"); err != nil {
		return err
	}
	defer t.leave()
	n, err := m.private()
	switch {
	case err != nil:
	case n.index < t.m.index || n.term < t.m.term || n.index == t.m.index && n.term != t.m.term:
		err = fmt.Errorf("mark at %d in term %d after %d in term %d: %w", n.index, n.term, t.m.index, t.m.term, fault.ErrInvalid)
	case n.membershipIndex != 0 && n.membershipIndex < t.m.membershipIndex:
		err = fmt.Errorf("membership of index %d after %d: %w", n.membershipIndex, t.m.membershipIndex, fault.ErrInvalid)
	}
	if err != nil {
		return wrap("set mark", err)
	}
	t.m.index, t.m.term = n.index, n.term
	if n.membershipIndex != 0 {
		t.m.membership, t.m.membershipIndex = n.membership, n.membershipIndex
	}
	if n.clock != 0 {
		t.advance(n.clock)
	}
	return nil
}

// Restrict returns the same transaction in a form on which SetMark, Commit and
// Rollback fail, for handing it to code that applies one command.
func (t *WriteTx) Restrict() *WriteTx { return &WriteTx{writer: t.writer, scope: scopeApply} }

// Commit makes the writes visible at once, and durable as Options.Sync says.
// The next writer may begin before the sync. A second Commit, or one after
// Rollback, is fault.ErrClosed; one inside a walk of the transaction is
// fault.ErrInvalid and changes nothing. After fault.ErrFull nothing was kept.
// After any other failure of the engine the store is poisoned, and whether the
// writes survive is known when it is opened again.
func (t *WriteTx) Commit() error {
	if t.scope != scopeOwner {
		return fmt.Errorf("commit: the transaction belongs to the caller of this function: %w", fault.ErrInvalid)
	}
	return t.commit()
}

func (t *WriteTx) commit() error {
	if !t.gate.seize() {
		if t.gate.closed() {
			return fmt.Errorf("commit: transaction: %w", fault.ErrClosed)
		}
		return fmt.Errorf("commit: a walk of the transaction is not finished: %w", fault.ErrInvalid)
	}
	n, err := t.publish()
	if err2 := t.end(); err == nil {
		err = err2
	}
	if err == nil && n > 0 {
		err = t.s.settle(n)
	}
	if err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// publish commits to the engine and returns the commit's number, 0 if there
// was nothing to commit. The writer lock is held.
func (t *WriteTx) publish() (uint64, error) {
	if t.err != nil {
		return 0, t.err
	}
	if err := t.s.sync.poisoned(); err != nil {
		return 0, err
	}
	if t.dirty && t.wall > t.m.clock {
		t.m.clock = t.wall // or reads after the next open could go back in time
	}
	if err := writeMark(t.put, t.m, t.was); err != nil {
		return 0, err
	}
	if !t.dirty {
		t.s.adopt(t.writer)
		return 0, nil
	}
	if t.s.unmarked {
		if err := t.put([]byte(keyFormat), []byte{formatVersion}); err != nil {
			return 0, err
		}
	}
	if err := t.d.Commit(); err != nil {
		return 0, t.s.sync.guard(err)
	}
	t.s.adopt(t.writer)
	t.s.unmarked = false
	return t.s.sync.committed(), nil
}

// Rollback ends the transaction and forgets its writes. It does nothing after
// Commit or Rollback, so it can be deferred.
func (t *WriteTx) Rollback() error {
	if t.scope != scopeOwner {
		return fmt.Errorf("roll back: the transaction belongs to the caller of this function: %w", fault.ErrInvalid)
	}
	return wrap("roll back", t.close())
}

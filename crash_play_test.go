package trimaran_test

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

// Run implements crashtest.Script.
func (s *crashScript) Run(fsys vfs.FS, r *crashtest.Recorder) error {
	salt := byte(0)
	n, err := openCrashNode(fsys, &s.p, salt)
	if err != nil {
		return s.gaveUp(fsys, r, crashtest.Expect{States: []int{0}}, nil, err)
	}
	for _, step := range s.steps {
		for state := step.at + 1; state <= step.to; state++ {
			r.Begin(state)
		}
		if step.reopen {
			salt++
			if err = n.Close(); err == nil {
				n, err = openCrashNode(fsys, &s.p, salt)
			}
		} else {
			err = step.do(n)
		}
		if err != nil {
			var may []int
			for state := step.at; state <= step.to; state++ {
				may = append(may, state)
			}
			return s.gaveUp(fsys, r, crashtest.Expect{States: may}, n, fmt.Errorf("%s from state %d: %w", step.name, step.at, err))
		}
		r.Ack(step.to)
	}
	return ignoreDisk(n.Close())
}

// gaveUp ends a script whose disk failed a call: the node is closed, and opens
// in one of the states that were possible then, unless the disk fails on.
func (s *crashScript) gaveUp(fsys vfs.FS, r *crashtest.Recorder, may crashtest.Expect, n *crashNode, why error) error {
	if !ofDisk(why) {
		return why
	}
	if n != nil && n.Storage != nil {
		if err := n.Close(); ignoreDisk(err) != nil {
			return fmt.Errorf("close after %w: %w", why, err)
		}
	}
	found, err := s.Check(fsys, may)
	if ofDisk(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open after %w: %w", why, err)
	}
	r.Refuse(found)
	return nil
}

// ofDisk reports that a call failed because the disk did.
func ofDisk(err error) bool {
	return errors.Is(err, syscall.EIO) || errors.Is(err, syscall.ENOSPC)
}

func ignoreDisk(err error) error {
	if ofDisk(err) {
		return nil
	}
	return err
}

// Extend implements crashtest.Script: a leader is known again, and what it
// committed is appended, applied, and sometimes put into a snapshot. Then the
// power goes.
func (s *crashScript) Extend(fsys vfs.FS, found int) error {
	ctx := context.Background()
	fsys, freeze := crashtest.Freezable(fsys)
	n, err := openCrashNode(fsys, &s.p, 99)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	st := s.states[found]
	next := s.extended(found)
	b := raftlog.Batch{TruncateFrom: st.lost}
	for i := st.known() + 1; i <= next.last; i++ {
		b.Entries = append(b.Entries, committed(i))
	}
	err = n.Log().Write(b)
	if err == nil {
		err = n.replay(ctx, next.last)
	}
	if err == nil {
		err = n.Sync(ctx)
	}
	if err == nil && s.takes(found) {
		_, err = n.Snapshot(ctx, 0)
	}
	freeze()
	_ = n.Close() // fails, for the disk is gone
	return err
}

// takes reports that a snapshot is taken on the way from a state.
func (s *crashScript) takes(found int) bool {
	return s.p.owner == trimaran.OwnerComposite && found%2 == 0
}

// extended is the state that Extend leads to.
func (s *crashScript) extended(found int) crashState {
	st := s.states[found].clone()
	st.last, st.lost = st.known()+2, 0
	st.settle(st.last)
	if s.takes(found) {
		st.addSnapshot(st.last)
		covered := st.last
		if s.p.fallback {
			covered = st.snaps[0]
		}
		st.base = max(st.base, min(st.last-min(st.last, crashTrailing), covered))
	}
	return st
}

// replay applies what the log holds after the mark.
func (n *crashNode) replay(ctx context.Context, last uint64) error {
	mark, err := n.KV().Mark(ctx)
	if err != nil {
		return err
	}
	es, err := n.Log().ReadRange(nil, mark.Index+1, last+1, 1<<30)
	if err != nil {
		return err
	}
	return n.Apply(ctx, es, execute)
}

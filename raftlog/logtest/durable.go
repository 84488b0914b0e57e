package logtest

import (
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

var durableCases = []Case{
	{Name: "reopen", Durable: true, Rule: "entries, base, stable keys, identity and groups are there again after a reopen", run: reopen},
	{Name: "reopen unchanged", Durable: true, Rule: "opening twice gives what opening once gave", run: reopenUnchanged},
	{Name: "trims last", Durable: true, Rule: "what truncation, compaction or reset dropped stays dropped after a reopen (D-17)", run: trimsLast},
	{Name: "removal lasts", Durable: true, Rule: "a removed group stays removed after a reopen", run: removalLasts},
	{Name: "locked", Durable: true, Rule: "a second open of one place is refused while the first is open (D-32)", run: locked},
	{Name: "many reopens", Durable: true, Rule: "a log that is reopened between writes holds all of them", run: manyReopens},
}

func reopen(s *subject) error {
	id := raftlog.Identity{Node: [16]byte{9}, Epoch: 1}
	o, err := s.other()
	if err != nil {
		return err
	}
	return all(
		func() error { return s.l.Append(concat(entries(1, 50, 1), entries(50, 100, 2))...) },
		func() error { return s.l.CompactTo(60) },
		func() error { return s.stable("vote", []byte("3")) },
		func() error { return s.stable("empty", []byte{}) },
		func() error { return s.l.SetIdentity(id) },
		func() error { return o.l.Append(entries(1, 3, 7)...) },
		s.reopen,
		func() error { return s.holds(raftlog.Position{Index: 60, Term: 2}, entries(61, 100, 2)...) },
		func() error { return s.stableIs("vote", []byte("3")) },
		func() error { return s.stableIs("empty", []byte{}) },
		func() error { return s.groupsAre(group1, group2) },
		func() error {
			if got := s.l.Identity(); got != id {
				return fmt.Errorf("Identity = %v, want %v", got, id)
			}
			return nil
		},
		func() error { return s.l.Append(entry(100, 2)) },
		func() (err error) {
			if o, err = s.other(); err != nil {
				return err
			}
			return o.holds(raftlog.Position{}, entries(1, 3, 7)...)
		},
	)
}

func reopenUnchanged(s *subject) error {
	if err := s.l.Append(entries(1, 20, 1)...); err != nil {
		return err
	}
	for range 3 {
		if err := s.reopen(); err != nil {
			return err
		}
		if err := s.holds(raftlog.Position{}, entries(1, 20, 1)...); err != nil {
			return err
		}
	}
	return nil
}

func trimsLast(s *subject) error {
	far := raftlog.Position{Index: 500, Term: 8}
	return all(
		func() error { return s.l.Append(entries(1, 20, 5)...) },
		func() error { return s.l.TruncateFrom(10) },
		s.reopen,
		func() error { return s.holds(raftlog.Position{}, entries(1, 10, 5)...) },
		func() error { return s.l.Append(entries(10, 12, 6)...) },
		func() error { return s.l.CompactTo(10) },
		s.reopen,
		func() error { return s.holds(raftlog.Position{Index: 10, Term: 6}, entry(11, 6)) },
		func() error { return s.l.CompactTo(11) },
		s.reopen,
		func() error { return s.holds(raftlog.Position{Index: 11, Term: 6}) },
		func() error { return s.l.Reset(far) },
		s.reopen,
		func() error { return s.holds(far) },
		func() error { return s.l.Append(entry(501, 8)) },
		s.reopen,
		func() error { return s.holds(far, entry(501, 8)) },
	)
}

func removalLasts(s *subject) error {
	o, err := s.other()
	if err != nil {
		return err
	}
	return all(
		func() error { return s.l.Append(entries(1, 20, 5)...) },
		func() error { return s.stable("k", []byte("v")) },
		func() error { return o.l.Append(entries(1, 3, 1)...) },
		func() error { return s.d.Remove(group1) },
		s.reopen,
		func() error { return s.groupsAre(group2) },
		func() error { return s.holds(raftlog.Position{}) },
		func() error { return s.stableIs("k", nil) },
		func() error { return s.l.Append(entries(1, 4, 1)...) },
		s.reopen,
		func() error { return s.holds(raftlog.Position{}, entries(1, 4, 1)...) },
	)
}

func locked(s *subject) error {
	d, err := s.open()
	if err == nil {
		err = d.Close()
		return fmt.Errorf("a second open succeeded (its Close: %v)", err)
	}
	return is("a second open", err, fault.ErrLocked)
}

func manyReopens(s *subject) error {
	for i := range uint64(20) {
		if err := s.l.Append(entries(i*10+1, i*10+11, i+1)...); err != nil {
			return err
		}
		if i%5 == 4 {
			if err := s.l.CompactTo(i * 10); err != nil {
				return err
			}
		}
		if err := s.reopen(); err != nil {
			return err
		}
	}
	return s.holds(raftlog.Position{Index: 190, Term: 19}, entries(191, 201, 20)...)
}

package logtest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

var groupCases = []Case{
	{Name: "groups are apart", Rule: "groups of one driver do not see one another's entries or stable keys", run: groupsAreApart},
	{Name: "groups are listed", Rule: "Groups lists, in order, the groups that hold anything", run: groupsAreListed},
	{Name: "group removed", Rule: "a removed group is forgotten with its stable keys and may begin anew", run: groupRemoved},
	{Name: "all groups or none", Rule: "a write to several groups happens in all or in none", run: allGroupsOrNone},
}

func (s *subject) other() (*subject, error) {
	l, err := raftlog.New(s.d, group2, nil)
	return &subject{d: s.d, l: l}, err
}

func groupsAreApart(s *subject) error {
	o, err := s.other()
	if err != nil {
		return err
	}
	return all(
		func() error { return s.l.Append(entries(1, 5, 1)...) },
		func() error { return o.l.Append(entries(1, 3, 7)...) },
		func() error { return s.stable("k", []byte("one")) },
		func() error { return o.stableIs("k", nil) },
		func() error { return o.stable("k", []byte("two")) },
		func() error { return s.l.CompactTo(2) },
		func() error { return s.holds(raftlog.Position{Index: 2, Term: 1}, entries(3, 5, 1)...) },
		func() error { return o.holds(raftlog.Position{}, entries(1, 3, 7)...) },
		func() error { return s.stableIs("k", []byte("one")) },
		func() error { return o.stableIs("k", []byte("two")) },
	)
}

func (s *subject) groupsAre(want ...raftlog.Group) error {
	got, err := s.d.Groups()
	if err != nil || !slices.Equal(got, want) {
		return fmt.Errorf("Groups() = %v, %v, want %v", got, err, want)
	}
	return nil
}

func groupsAreListed(s *subject) error {
	if err := s.groupsAre(); err != nil {
		return err
	}
	var want []raftlog.Group
	for _, g := range []raftlog.Group{{Shard: 2, Replica: 1}, {Shard: 1, Replica: 9}, {Shard: 1, Replica: 1}, {Shard: 300}, {}} {
		l, err := raftlog.New(s.d, g, nil)
		if err != nil {
			return err
		}
		if _, err := l.Bounds(); err != nil { // looking does not make it exist
			return err
		}
		if err := s.groupsAre(want...); err != nil {
			return err
		}
		if err := l.Append(entry(1, 1)); err != nil {
			return err
		}
		want = append(want, g)
		slices.SortFunc(want, raftlog.Group.Compare)
	}
	return s.groupsAre(want...)
}

func groupRemoved(s *subject) error {
	o, err := s.other()
	if err != nil {
		return err
	}
	return all(
		func() error { return s.l.Append(entries(1, 5, 3)...) },
		func() error { return s.stable("k", []byte("one")) },
		func() error { return o.l.Append(entries(1, 3, 7)...) },
		func() error { return s.d.Remove(group1) },
		func() error { return s.d.Remove(raftlog.Group{Shard: 404}) },
		func() error { return s.groupsAre(group2) },
		func() error { return s.holds(raftlog.Position{}) },
		func() error { return s.stableIs("k", nil) },
		func() error { return s.l.Append(entries(1, 3, 1)...) },
		func() error { return s.holds(raftlog.Position{}, entries(1, 3, 1)...) },
		func() error { return o.holds(raftlog.Position{}, entries(1, 3, 7)...) },
	)
}

func allGroupsOrNone(s *subject) error {
	o, err := s.other()
	if err != nil {
		return err
	}
	submit := func(b1, b2 raftlog.Batch) error {
		return s.d.Submit([]raftlog.GroupBatch{{Group: group1, Batch: b1}, {Group: group2, Batch: b2}}, nil)
	}
	good, bad := raftlog.Batch{Entries: entries(1, 3, 1)}, raftlog.Batch{Entries: entries(2, 3, 1)}
	return all(
		func() error { return is("one bad batch of two", submit(good, bad), fault.ErrInvalid) },
		func() error { return is("one bad batch of two", submit(bad, good), fault.ErrInvalid) },
		func() error { return errors.Join(s.holds(raftlog.Position{}), o.holds(raftlog.Position{})) },
		func() error { return submit(good, good) },
		func() error { return s.holds(raftlog.Position{}, entries(1, 3, 1)...) },
		func() error { return o.holds(raftlog.Position{}, entries(1, 3, 1)...) },
		func() error {
			more := raftlog.GroupBatch{Group: group1, Batch: raftlog.Batch{Entries: entries(3, 4, 1)}}
			return is("one group twice", s.d.Submit([]raftlog.GroupBatch{more, more}, nil), fault.ErrInvalid)
		},
		func() error { return s.holds(raftlog.Position{}, entries(1, 3, 1)...) },
	)
}

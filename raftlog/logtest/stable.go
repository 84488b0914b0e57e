package logtest

import (
	"fmt"
	"strings"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

var stableCases = []Case{
	{Name: "stable keys", Rule: "a stable key holds its last value; nil deletes, empty is a value, a missing one is not found (D-14)", run: stableKeys},
	{Name: "stable limits", Rule: "stable keys and values over the limits are refused", run: stableLimits},
	{Name: "identity", Rule: "the identity is what was set last, and only SetIdentity sets it (D-32)", run: identity},
}

// stable sets one key to a value; nil deletes it.
func (s *subject) stable(key string, value []byte) error {
	return s.l.Write(raftlog.Batch{Stable: []raftlog.StableKV{{Key: key, Value: value}}})
}

// stableIs checks one key; nil means that it must not be there.
func (s *subject) stableIs(key string, want []byte) error {
	got, err := s.l.Stable(key)
	if want == nil {
		return is(fmt.Sprintf("Stable(%s)", key), err, fault.ErrNotFound)
	}
	if err != nil || got == nil || string(got) != string(want) {
		return fmt.Errorf("Stable(%s) = %q, %v, want %q", key, got, err, want)
	}
	return nil
}

func stableKeys(s *subject) error {
	several := raftlog.Batch{Stable: []raftlog.StableKV{
		{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte{}}, {Key: "a", Value: []byte("2")}, {Key: "c", Value: []byte("3")}, {Key: "c"},
	}}
	return all(
		func() error { return s.stableIs("a", nil) },
		func() error { return s.l.Write(several) },
		func() error { return s.stableIs("a", []byte("2")) },
		func() error { return s.stableIs("b", []byte{}) },
		func() error { return s.stableIs("c", nil) },
		func() error { return s.stable("a", nil) },
		func() error { return s.stable("never set", nil) },
		func() error { return s.stableIs("a", nil) },
		func() error { return s.holds(raftlog.Position{}) },
	)
}

func stableLimits(s *subject) error {
	longest, largest := strings.Repeat("k", raftlog.MaxStableKey), make([]byte, raftlog.MaxStableValue)
	for _, kv := range []raftlog.StableKV{{Value: []byte("x")}, {Key: longest + "k", Value: []byte("x")}, {Key: "x", Value: append(largest, 0)}} {
		if err := s.refused(raftlog.Batch{Stable: []raftlog.StableKV{kv}}, fault.ErrInvalid); err != nil {
			return err
		}
	}
	return all(
		func() error { return s.stable(longest, largest) },
		func() error { return s.stableIs(longest, largest) },
	)
}

func identity(s *subject) error {
	if id := s.l.Identity(); !id.IsZero() {
		return fmt.Errorf("Identity of a new log = %v, want none", id)
	}
	want := raftlog.Identity{Node: [16]byte{1, 2, 3}, Epoch: 4}
	if err := s.l.SetIdentity(want); err != nil {
		return err
	}
	l, err := raftlog.New(s.d, group1, nil)
	if err != nil {
		return err
	}
	s.l = l
	if s.l.Identity() != want {
		return fmt.Errorf("Identity = %v, want %v", s.l.Identity(), want)
	}
	return s.refused(raftlog.Batch{Stable: []raftlog.StableKV{{Key: "trimaran/identity", Value: []byte("x")}}}, fault.ErrInvalid)
}

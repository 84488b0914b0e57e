package raftlog

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/trimarandb/trimaran/fault"
)

// Kind says what an entry is for. Values beyond the four named ones are kept
// as they are; a Raft library's own types travel in Entry.Ext.
type Kind uint8

// The kinds of the Raft papers.
const (
	Normal        Kind = iota // a command of the application
	Configuration             // a change of membership
	Snapshot                  // a marker; no library writes it, it round-trips
	NoOp                      // a new leader's first entry
)

func (k Kind) String() string {
	switch k {
	case Normal:
		return "normal"
	case Configuration:
		return "configuration"
	case Snapshot:
		return "snapshot"
	case NoOp:
		return "noop"
	}
	return "kind(" + strconv.Itoa(int(k)) + ")"
}

// Entry is one entry of a log. Nil and empty Data and Ext stay what they were.
type Entry struct {
	Index, Term uint64
	Kind        Kind
	Time        time.Time // the leader's, informational; kept to the nanosecond, in UTC; zero stays zero
	Data, Ext   []byte
}

// Clone returns a copy that shares no memory with e.
func (e Entry) Clone() Entry {
	e.Data, e.Ext = bytes.Clone(e.Data), bytes.Clone(e.Ext)
	return e
}

// Equal reports whether both entries say the same; nil and empty payloads
// differ, times are compared as instants.
func (e Entry) Equal(f Entry) bool {
	return e.Index == f.Index && e.Term == f.Term && e.Kind == f.Kind && e.Time.Equal(f.Time) &&
		sameBytes(e.Data, f.Data) && sameBytes(e.Ext, f.Ext)
}

func sameBytes(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

// PayloadSize is the number of bytes in Data and Ext.
func (e Entry) PayloadSize() int { return len(e.Data) + len(e.Ext) }

// Position is a place in a log. Term 0 means that the term is not known.
type Position struct{ Index, Term uint64 }

func (p Position) String() string { return fmt.Sprintf("index %d term %d", p.Index, p.Term) }

// Group names one log of many. The zero Group is the only one of a simple
// program.
type Group struct{ Shard, Replica uint64 }

// String is "shard/replica"; ParseGroup reads it.
func (g Group) String() string { return fmt.Sprintf("%d/%d", g.Shard, g.Replica) }

// ParseGroup reads "shard/replica".
func ParseGroup(s string) (Group, error) {
	var g Group
	if n, err := fmt.Sscanf(s, "%d/%d", &g.Shard, &g.Replica); err != nil || n != 2 || g.String() != s {
		return Group{}, fmt.Errorf("parse group %q: want shard/replica: %w", s, fault.ErrInvalid)
	}
	return g, nil
}

// Compare orders groups by shard, then replica.
func (g Group) Compare(h Group) int {
	switch {
	case g.Shard < h.Shard || g.Shard == h.Shard && g.Replica < h.Replica:
		return -1
	case g == h:
		return 0
	}
	return 1
}

// Bounds is how far a log reaches. LastTerm is the base's term when the log is
// empty.
type Bounds struct {
	Base     Position // the last compacted entry
	Last     uint64
	LastTerm uint64
}

// First is the index of the oldest entry that is there, or would be.
func (b Bounds) First() uint64 { return b.Base.Index + 1 }

// Count is the number of entries.
func (b Bounds) Count() uint64 { return b.Last - b.Base.Index }

// Empty reports that no entry is there.
func (b Bounds) Empty() bool { return b.Last == b.Base.Index }

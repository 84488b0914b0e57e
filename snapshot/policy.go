package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/trimarandb/trimaran/fault"
)

// Strategy says which snapshots a Policy keeps.
type Strategy uint8

const (
	// KeepLatest keeps the KeepCount newest.
	KeepLatest Strategy = iota + 1
	// KeepByAge keeps those that are not older than MaxAge. One that was
	// created in the future, because a clock went back, is kept.
	KeepByAge
	// Combined keeps what either of the two would keep.
	Combined
	// SizeBasedLRU removes the least recently opened until all together take
	// no more than MaxTotalSize.
	SizeBasedLRU
)

var strategyNames = [...]string{"none", "keep_latest", "keep_by_age", "combined", "size_based_lru"}

// String is the name in configuration files.
func (s Strategy) String() string {
	if int(s) < len(strategyNames) {
		return strategyNames[s]
	}
	return "strategy(" + strconv.Itoa(int(s)) + ")"
}

// ParseStrategy reads keep_latest, keep_by_age, combined or size_based_lru;
// anything else is fault.ErrInvalid.
func ParseStrategy(s string) (Strategy, error) {
	for v := KeepLatest; v <= SizeBasedLRU; v++ {
		if strategyNames[v] == s {
			return v, nil
		}
	}
	return 0, invalid("parse retention strategy %q: want keep_latest, keep_by_age, combined or size_based_lru", s)
}

// Policy says which snapshots may go. Under every policy the newest valid
// snapshot stays, and so does what is pinned or being read. Damaged snapshots
// count for nothing and go as soon as a newer valid one is there; those that a
// newer version wrote stay. Age is by the clock that wrote the snapshot;
// everything else is by term and index.
type Policy struct {
	Strategy     Strategy
	KeepCount    int           // keep_latest and combined: at least 1
	MaxAge       time.Duration // keep_by_age and combined: above 0
	MaxTotalSize int64         // size_based_lru: bytes of containers, above 0
}

// Validate refuses a policy that lacks what its strategy needs. Fields of
// other strategies are ignored.
func (p Policy) Validate() error {
	count := p.Strategy == KeepLatest || p.Strategy == Combined
	age := p.Strategy == KeepByAge || p.Strategy == Combined
	switch {
	case p.Strategy < KeepLatest || p.Strategy > SizeBasedLRU:
		return invalid("retention strategy %v", p.Strategy)
	case count && p.KeepCount < 1:
		return invalid("retention %v keeps %d snapshots, want 1 at least", p.Strategy, p.KeepCount)
	case age && p.MaxAge <= 0:
		return invalid("retention %v with a max age of %v", p.Strategy, p.MaxAge)
	case p.Strategy == SizeBasedLRU && p.MaxTotalSize <= 0:
		return invalid("retention %v with a max total size of %d", p.Strategy, p.MaxTotalSize)
	}
	return nil
}

// String is the strategy with what it uses, such as keep_latest(5).
func (p Policy) String() string {
	switch p.Strategy {
	case KeepLatest:
		return fmt.Sprintf("%v(%d)", p.Strategy, p.KeepCount)
	case KeepByAge:
		return fmt.Sprintf("%v(%v)", p.Strategy, p.MaxAge)
	case Combined:
		return fmt.Sprintf("%v(%d, %v)", p.Strategy, p.KeepCount, p.MaxAge)
	case SizeBasedLRU:
		return fmt.Sprintf("%v(%d)", p.Strategy, p.MaxTotalSize)
	}
	return p.Strategy.String()
}

// candidate is a snapshot as retention sees it.
type candidate struct {
	meta   Meta
	held   bool   // pinned or being read
	opened uint64 // higher is more recent
}

func (c candidate) readable() bool { return c.meta.Damaged == nil }

// newestValid is the position of the snapshot that no policy removes, -1 if
// there is none. The candidates are newest first.
func newestValid(list []candidate) int { return slices.IndexFunc(list, candidate.readable) }

// victims returns what the policy removes of the candidates, which are newest
// first, oldest first.
func (p Policy) victims(now time.Time, list []candidate) []candidate {
	newest := newestValid(list)
	var out, rest []candidate
	rank := 0
	for i, c := range list {
		switch {
		case !c.readable():
			if newest >= 0 && i > newest && !c.held && errors.Is(c.meta.Damaged, fault.ErrCorrupt) {
				out = append(out, c)
			}
			continue
		case i != newest && !c.held && !p.keeps(now, rank, c):
			out = append(out, c)
		case i != newest && !c.held:
			rest = append(rest, c)
		}
		rank++
	}
	if p.Strategy == SizeBasedLRU {
		out = append(out, p.leastRecent(list, out, rest)...)
	}
	slices.SortStableFunc(out, func(a, b candidate) int { return a.meta.ID.Compare(b.meta.ID) })
	return out
}

func (p Policy) keeps(now time.Time, rank int, c candidate) bool {
	byCount := rank < p.KeepCount
	byAge := now.Sub(c.meta.Created) <= p.MaxAge
	switch p.Strategy {
	case KeepLatest:
		return byCount
	case KeepByAge:
		return byAge
	case Combined:
		return byCount || byAge
	}
	return true
}

// leastRecent picks from rest until what stays of list, without gone, fits.
func (p Policy) leastRecent(list, gone, rest []candidate) (out []candidate) {
	var total int64
	for _, c := range list {
		total += c.meta.StoredSize
	}
	for _, c := range gone {
		total -= c.meta.StoredSize
	}
	slices.SortStableFunc(rest, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.opened, b.opened), a.meta.ID.Compare(b.meta.ID))
	})
	for _, c := range rest {
		if total <= p.MaxTotalSize {
			break
		}
		total -= c.meta.StoredSize
		out = append(out, c)
	}
	return out
}

// surplus returns the oldest candidates beyond count that may go, oldest
// first.
func surplus(list []candidate, count int) (out []candidate) {
	newest := newestValid(list)
	for i := len(list) - 1; i >= 0 && len(list)-len(out) > count; i-- {
		c := list[i]
		unknown := c.meta.Damaged != nil && !errors.Is(c.meta.Damaged, fault.ErrCorrupt)
		if i != newest && !c.held && !unknown && newest >= 0 {
			out = append(out, c)
		}
	}
	return out
}

package kv

import (
	"fmt"
	"time"

	"github.com/trimarandb/trimaran/fault"
)

// SyncPolicy says when a commit is durable.
type SyncPolicy uint8

const (
	// SyncBatch: a commit returns when it is durable; commits that wait at the
	// same time share a sync, and nobody waits on a timer.
	SyncBatch SyncPolicy = iota
	// SyncAlways: as SyncBatch, but each commit has a sync of its own.
	SyncAlways
	// SyncInterval: a commit returns when it is visible, and is durable one
	// FlushInterval later. A crash loses the commits since. Unsafe by itself.
	SyncInterval
	// SyncNever: a commit is durable after [Store.Sync] or [Store.Close].
	// Right below a log that is replayed from the durable mark on, unsafe by
	// itself.
	SyncNever
)

var policyNames = [...]string{"batch", "always", "interval", "never"}

func (p SyncPolicy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return fmt.Sprintf("policy(%d)", uint8(p))
}

// ParseSyncPolicy reads what String writes.
func ParseSyncPolicy(s string) (SyncPolicy, error) {
	for i, name := range policyNames {
		if s == name {
			return SyncPolicy(i), nil
		}
	}
	return 0, fmt.Errorf("parse sync policy %q: want always, batch, interval or never: %w", s, fault.ErrInvalid)
}

const (
	// MaxKey is the length of the longest key that any store takes.
	MaxKey = 64 << 10
	// MaxIndexValue is the length of the longest value that an index holds; a
	// row whose extracted value is longer is not in the index.
	MaxIndexValue = 4 << 10
	// MaxAdvance is the furthest that one [WriteTx.Advance] moves the clock.
	MaxAdvance = time.Hour

	maxValue       = 1 << 30
	maxMembership  = 16 << 20
	defaultValue   = 64 << 20
	defaultLimit   = 1000
	defaultBytes   = 1 << 20
	defaultFlush   = 100 * time.Millisecond
	buildStep      = 1000 // rows that CreateIndex indexes in one transaction
	maxIndexNames  = 64   // bytes in the name of an index or extractor
	maxPathSteps   = 32
	maxDefinitions = 1 << 10
)

// Options configure [New]. The zero value is ready for use below a Raft node.
type Options struct {
	// Sync says when a commit is durable.
	Sync SyncPolicy
	// FlushInterval is the period of SyncInterval, 100 ms if zero.
	FlushInterval time.Duration
	// MaxKey is the longest key that may be written, kv.MaxKey if zero.
	MaxKey int
	// MaxValue is the longest value, 64 MiB if zero, at most 1 GiB.
	MaxValue int
	// Clock is the wall clock of a store that has no replicas. If it is nil,
	// time moves with [WriteTx.Advance] only.
	Clock func() time.Time
	// Extractors are the functions that indexes may name. All versions that
	// an index of the store still uses must be here.
	Extractors []Extractor
	// Reindex lets New drop, with their entries, the indexes whose extractor
	// is not in Extractors, and start those over whose extractor is there in
	// another version only, instead of failing.
	Reindex bool
}

func (o *Options) withDefaults() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	setDefault(&c.FlushInterval, defaultFlush)
	setDefault(&c.MaxKey, MaxKey)
	setDefault(&c.MaxValue, defaultValue)
	switch {
	case int(c.Sync) >= len(policyNames):
		return c, fmt.Errorf("unknown sync %v: %w", c.Sync, fault.ErrInvalid)
	case c.FlushInterval < 0:
		return c, fmt.Errorf("flush interval %v is negative: %w", c.FlushInterval, fault.ErrInvalid)
	case c.MaxKey < 0 || c.MaxKey > MaxKey:
		return c, fmt.Errorf("longest key of %d bytes, want 1 to %d: %w", c.MaxKey, MaxKey, fault.ErrInvalid)
	case c.MaxValue < 0 || c.MaxValue > maxValue:
		return c, fmt.Errorf("longest value of %d bytes, want 1 to %d: %w", c.MaxValue, maxValue, fault.ErrInvalid)
	}
	return c, checkExtractors(c.Extractors)
}

func setDefault[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

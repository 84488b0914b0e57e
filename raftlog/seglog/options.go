package seglog

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/vfs"
)

// SyncPolicy says when an acknowledged write is durable. Stable keys are
// durable when acknowledged under every policy.
type SyncPolicy uint8

const (
	// SyncBatch is group commit, the default: callers that write at the same time
	// share a sync, each returns after it, nobody waits for a timer.
	SyncBatch SyncPolicy = iota
	// SyncAlways gives each call a sync of its own.
	SyncAlways
	// SyncInterval acknowledges entries when they are in memory, and writes and
	// syncs them every FlushInterval. It is unsafe: a power cut, or the death of
	// the process, takes what was acknowledged since.
	SyncInterval
	// SyncNever acknowledges entries when they are in memory, writes them every
	// FlushInterval and leaves syncing to the operating system. It is unsafe.
	SyncNever
)

var policyNames = [...]string{"batch", "always", "interval", "never"}

func (p SyncPolicy) String() string {
	if int(p) < len(policyNames) {
		return policyNames[p]
	}
	return "policy(" + strconv.Itoa(int(p)) + ")"
}

// ParseSyncPolicy reads what String writes.
func ParseSyncPolicy(s string) (SyncPolicy, error) {
	for i, name := range policyNames {
		if s == name {
			return SyncPolicy(i), nil
		}
	}
	return 0, fmt.Errorf("sync policy %q: want always, batch, interval or never: %w", s, fault.ErrInvalid)
}

// Options tune a Store. Nil and zero fields mean the defaults.
type Options struct {
	// FS is where dir is. Default: the real disk.
	FS vfs.FS
	// SegmentSize is the size in bytes at which a segment is sealed and the
	// next one begun; one commit may exceed it. Files start small and grow to it.
	// Default 64 MiB, at most 8 GiB.
	SegmentSize int64
	// Sync says when an acknowledged write is durable. Default SyncBatch.
	Sync SyncPolicy
	// FlushInterval is how often SyncInterval syncs and SyncNever writes.
	// Default 100 ms.
	FlushInterval time.Duration
	// BufferSize bounds the entries that one commit takes from the queue; one
	// write may exceed it. Default 10,000.
	BufferSize int
	// TailCache is how many bytes of what was written last stay in memory, and
	// IndexCache how many of the indexes of sealed segments; all groups share
	// them. A commit of more than an eighth of TailCache is not kept. Negative is
	// none, or as few as possible. Default 256 KiB and 4 MiB.
	TailCache  int
	IndexCache int64
	// TrustMemory skips the checksum of entries that are read from the tail
	// cache, where this process put them. What comes from a file is always
	// verified.
	TrustMemory bool
	// AlignCommits begins each commit in a block of 4 KiB of its own, so that no
	// acknowledged byte is ever part of a write again. It costs 2 KiB a commit on
	// average. Without, the log assumes that a sector which is written again with
	// the same bytes keeps them.
	AlignCommits bool
	// Background runs the work that nobody waits for: sealing, recycling, moving
	// what lives in nearly dead segments, filling spares. Default: a goroutine,
	// with pauses. A test may run it at once, in the calling goroutine, which
	// makes the file operations of one synchronous writer repeatable.
	Background func(work func())
	// Logger hears of recovery and of what went wrong behind a caller's back.
	// Default: nobody.
	Logger *slog.Logger
	// Rand is where the identity of a new log comes from, 16 bytes, and before it
	// a salt of 8 bytes at each open. Default crypto/rand.
	Rand io.Reader
	// Now is the clock behind sync latencies. Default time.Now.
	Now func() time.Time
}

const (
	defaultSegmentSize   = 64 << 20
	defaultFlushInterval = 100 * time.Millisecond
	defaultBufferSize    = 10_000
	defaultTailCache     = 256 << 10
	defaultIndexCache    = 4 << 20
	maxSegmentSize       = 8 << 30
)

func (o *Options) withDefaults() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	if out.SegmentSize > maxSegmentSize || out.SegmentSize < 0 || out.FlushInterval < 0 || out.BufferSize < 0 || int(out.Sync) >= len(policyNames) {
		return out, fmt.Errorf("options: segment size %d, flush interval %v, buffer size %d, %v: none may be negative, too large or unknown: %w",
			out.SegmentSize, out.FlushInterval, out.BufferSize, out.Sync, fault.ErrInvalid)
	}
	if out.SegmentSize == 0 {
		out.SegmentSize = defaultSegmentSize
	}
	if out.FlushInterval == 0 {
		out.FlushInterval = defaultFlushInterval
	}
	if out.BufferSize == 0 {
		out.BufferSize = defaultBufferSize
	}
	if out.TailCache == 0 {
		out.TailCache = defaultTailCache
	}
	if out.IndexCache == 0 {
		out.IndexCache = defaultIndexCache
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	if out.Rand == nil {
		out.Rand = rand.Reader
	}
	if out.Now == nil {
		out.Now = time.Now
	}
	return out, nil
}

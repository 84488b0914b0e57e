package seglog

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
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
	// SyncInterval acknowledges before the sync and syncs every FlushInterval. It
	// is unsafe: a power cut takes what was acknowledged since.
	SyncInterval
	// SyncNever leaves syncing to the operating system. It is unsafe.
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
	// next one begun; one commit may exceed it. Default 64 MiB.
	SegmentSize int64
	// Sync says when an acknowledged write is durable. Default SyncBatch.
	Sync SyncPolicy
	// FlushInterval is the time between syncs under SyncInterval. Default 100 ms.
	FlushInterval time.Duration
	// BufferSize bounds the entries that one commit takes from the queue; one
	// write may exceed it. Default 10,000.
	BufferSize int
	// Logger hears of recovery and of what went wrong behind a caller's back.
	// Default: nobody.
	Logger *slog.Logger
	// Rand is where the identity of a new log comes from. Default crypto/rand.
	Rand io.Reader
	// Now is the clock behind sync latencies. Default time.Now.
	Now func() time.Time
}

const (
	defaultSegmentSize   = 64 << 20
	defaultFlushInterval = 100 * time.Millisecond
	defaultBufferSize    = 10_000
)

func (o *Options) withDefaults() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	if out.SegmentSize < 0 || out.FlushInterval < 0 || out.BufferSize < 0 || int(out.Sync) >= len(policyNames) {
		return out, fmt.Errorf("options: segment size %d, flush interval %v, buffer size %d, %v: none may be negative or unknown: %w",
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

// maxFrame bounds a frame's payload, maxSubmission what is let into one: the
// bytes of its entries and keys, without the few that encoding adds.
const (
	maxFrame      = raftlog.MaxBatchBytes + raftlog.MaxBatchBytes/2
	maxSubmission = raftlog.MaxBatchBytes + raftlog.MaxBatchBytes/4
)

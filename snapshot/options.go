package snapshot

import (
	"crypto/rand"
	"io"
	"log/slog"
	"math/bits"
	"runtime"
	"time"

	"github.com/trimarandb/trimaran/vfs"
)

// Options tell how a Store works. The zero value of each field is its default.
type Options struct {
	// Codec and Level are used where CreateOptions name no codec. The default
	// is zstd with its default level. Existing snapshots keep theirs.
	Codec Codec
	Level int

	// ChunkSize is the length around which chunks are cut, a power of two from
	// 4 KiB to 1 MiB, which is the default. Smaller chunks resume and share
	// more finely and compress less. Snapshots share chunks, and have
	// comparable digests, only if written with the same value.
	ChunkSize int

	// NoMembership states that snapshots of this store need no membership. By
	// default Create, Install and Receive refuse an empty one.
	NoMembership bool

	// Retention is applied after each snapshot that was published. The zero
	// Policy removes nothing.
	Retention Policy

	// MaxSnapshots, if positive, is how many snapshots are kept: once one more
	// has been published, the oldest that nobody reads or pins go, whatever
	// Retention says, but never the newest valid one.
	MaxSnapshots int

	// MaxSize, if positive, is the largest payload in bytes that is written,
	// installed or received. More is fault.ErrFull.
	MaxSize int64

	// Workers is how many chunks are compressed, expanded or hashed at the same
	// time by one call or handle; by default GOMAXPROCS, but not more than 4.
	// Each takes about twelve times ChunkSize where the content makes long chunks
	// too, and less where it does not; those of zstd above level 5 take more.
	Workers int

	// Staging is where Receive keeps chunks until all are there. It belongs to
	// the caller, who closes it after the store. By default it is in memory,
	// and a transfer does not survive the store.
	Staging vfs.FS

	// Now is the clock behind Meta.Created and the ages of a Policy; by
	// default time.Now. Order never depends on it.
	Now func() time.Time

	// Rand is where nonces and id suffixes come from; by default crypto/rand.
	// The store reads it from one goroutine at a time.
	Rand io.Reader

	// Logger is told what no caller is: retention after a publish, hints that
	// could not be kept. By default nothing is logged.
	Logger *slog.Logger
}

const (
	minTarget = 4 << 10
	maxTarget = defaultTarget

	defaultWorkers = 4
)

// withDefaults fills in what is not set and refuses what makes no sense.
func (o *Options) withDefaults() (Options, error) {
	var r Options
	if o != nil {
		r = *o
	}
	var err error
	if r.Codec, r.Level, err = resolve(r.Codec, r.Level, CodecZstd, 0); err != nil {
		return r, err
	}
	if r.ChunkSize == 0 {
		r.ChunkSize = defaultTarget
	}
	switch {
	case r.ChunkSize < minTarget || r.ChunkSize > maxTarget || bits.OnesCount(uint(r.ChunkSize)) != 1:
		return r, invalid("chunk size %d is no power of two from %d to %d", r.ChunkSize, minTarget, maxTarget)
	case r.MaxSnapshots < 0:
		return r, invalid("max snapshots is %d", r.MaxSnapshots)
	case r.MaxSize < 0:
		return r, invalid("max size is %d", r.MaxSize)
	case r.Workers < 0:
		return r, invalid("workers are %d", r.Workers)
	}
	if r.Retention != (Policy{}) {
		if err := r.Retention.Validate(); err != nil {
			return r, err
		}
	}
	if r.Workers == 0 {
		r.Workers = min(runtime.GOMAXPROCS(0), defaultWorkers)
	}
	if r.Staging == nil {
		r.Staging = vfs.NewMem()
	}
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.Rand == nil {
		r.Rand = rand.Reader
	}
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	return r, nil
}

// CreateOptions tell how one snapshot is written.
type CreateOptions struct {
	Codec        Codec // zero: that of the store
	Level        int   // zero: the default of Codec, or that of the store where Codec is zero too
	NoMembership bool  // states that there is no membership
	Workers      int   // zero: Options.Workers; fewer leave processors to what goes on beside
	Verify       bool  // Commit reads all of it back, expands it and compares it with its digests
	Size         int64 // expected payload, 0 if not known; used for Progress only
	Progress     Progress
}

// InstallOptions tell how a container is taken in.
type InstallOptions struct {
	Size     int64 // expected container, 0 if not known; used for Progress only
	Progress Progress
}

// RemoveOptions tell what Remove may do.
type RemoveOptions struct {
	Force bool // remove also the newest valid snapshot
}

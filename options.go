package trimaran

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

// Owner says who takes snapshots and compacts the log.
type Owner uint8

const (
	// OwnerComposite: Maintain does, or the program through Snapshot.
	OwnerComposite Owner = iota
	// OwnerLibrary: the Raft library does, through the steps. A snapshot above
	// the mark counts as applied for it, so Recover restores one at open.
	OwnerLibrary
)

func (o Owner) String() string {
	switch o {
	case OwnerComposite:
		return "composite"
	case OwnerLibrary:
		return "library"
	}
	return fmt.Sprintf("owner(%d)", uint8(o))
}

// Options tune a Storage. Nil and zero fields mean the defaults.
type Options struct {
	// Owner says who takes snapshots and compacts the log.
	Owner Owner
	// SkipsNonCommands states that entries which are not given to Apply carry no
	// command: hashicorp/raft never shows no-ops and barriers to a state machine.
	// Without it a gap in what is applied is refused.
	SkipsNonCommands bool
	// TrailingEntries stay in the log behind a snapshot, for followers that lag.
	// Default 10,000; negative for none.
	TrailingEntries int64
	// KeepFallback keeps the log from the oldest valid snapshot on, so that an
	// older snapshot can take the place of a damaged newest one.
	KeepFallback bool
	// Adopt accepts parts that another node has written, or that are older than
	// the rest, and makes them parts of this node. Whoever says so answers for
	// the votes: a copy of a voter must not vote beside it.
	Adopt bool

	// LeaseEntries and LeaseBytes bound what one lease may keep of the log that
	// would be compacted without it, beyond the trailing entries; bytes are
	// reckoned by the average size of an entry. Defaults 1,000,000 and 1 GiB.
	LeaseEntries uint64
	LeaseBytes   int64

	// Maintain takes a snapshot when so many entries were applied since the last
	// one, or so many bytes of them, reckoned by the average size of an entry in
	// the log, or so much time passed and anything was. Defaults 100,000, never
	// and never.
	SnapshotEntries  uint64
	SnapshotBytes    int64
	SnapshotInterval time.Duration
	// DiskSoft and DiskHard bound the bytes that the three layers occupy on disk.
	// Above the soft limit Maintain sheds, in this order, all snapshots but the
	// newest and, with Owner Composite, the trailing entries of the log. Above the
	// hard limit it ends all leases, and where that is not enough Admit is
	// fault.ErrFull. Default: no bound.
	DiskSoft, DiskHard int64
	// Space tells how much room the disk has, for Health. Default: nobody asks.
	Space func() (free int64, err error)
	// Retention is what Maintain prunes snapshots by. The zero Policy keeps all.
	Retention snapshot.Policy
	// ExpireBatch bounds the dead rows that one round of Maintain removes.
	// Default 10,000.
	ExpireBatch int
	// MaintainInterval is the time between rounds. Default 1 s.
	MaintainInterval time.Duration
	// ProbeTimeout bounds what Health waits for each layer. Default 2 s.
	ProbeTimeout time.Duration

	// Closers are closed by Close after the three layers, in this order.
	Closers []io.Closer
	// Logger hears of recovery and maintenance. Default: nobody.
	Logger *slog.Logger
	// Now is the clock behind intervals and ages. Default time.Now.
	Now func() time.Time
	// Rand is where the identity of a new node comes from. Default crypto/rand.
	Rand io.Reader
}

func (o *Options) withDefaults() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	if out.Owner > OwnerLibrary || out.SnapshotInterval < 0 || out.MaintainInterval < 0 || out.ProbeTimeout < 0 || out.ExpireBatch < 0 || out.SnapshotBytes < 0 || out.LeaseBytes < 0 || out.DiskSoft < 0 || out.DiskHard < 0 || out.DiskHard > 0 && out.DiskSoft > out.DiskHard {
		return out, fmt.Errorf("options: %v, snapshot interval %v, snapshot bytes %d, maintain interval %v, probe timeout %v, expire batch %d, lease bytes %d, disk limits %d and %d: none may be negative or unknown, nor the soft limit above the hard one: %w",
			out.Owner, out.SnapshotInterval, out.SnapshotBytes, out.MaintainInterval, out.ProbeTimeout, out.ExpireBatch, out.LeaseBytes, out.DiskSoft, out.DiskHard, fault.ErrInvalid)
	}
	if out.Retention != (snapshot.Policy{}) {
		if err := out.Retention.Validate(); err != nil {
			return out, fmt.Errorf("options: retention: %w", err)
		}
	}
	setDefault(&out.TrailingEntries, 10_000)
	setDefault(&out.LeaseEntries, 1_000_000)
	setDefault(&out.LeaseBytes, 1<<30)
	setDefault(&out.SnapshotEntries, 100_000)
	setDefault(&out.ExpireBatch, 10_000)
	setDefault(&out.MaintainInterval, time.Second)
	setDefault(&out.ProbeTimeout, 2*time.Second)
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	if out.Now == nil {
		out.Now = time.Now
	}
	if out.Rand == nil {
		out.Rand = rand.Reader
	}
	return out, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

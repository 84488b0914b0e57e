package config

import (
	"context"
	"math"
	"time"

	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/memlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
)

// Log is what log_storage says.
type Log struct {
	Layer

	// Of append_log.
	BufferSize         int // entries
	Sync               seglog.SyncPolicy
	FlushInterval      time.Duration
	ChecksumValidation bool

	// Of memory_log.
	MaxEntries     int // 0: no bound
	CircularBuffer bool
}

func defaultLog() Log {
	return Log{
		Layer:      Layer{Backend: "append_log", Path: "log"},
		BufferSize: 10_000, FlushInterval: defaultFlush, ChecksumValidation: true,
	}
}

const defaultFlush = 100 * time.Millisecond

// logs are the backends of log_storage.
var logs = table[Log, raftlog.Driver]{
	{
		name: "append_log",
		keys: []string{"buffer_size", "sync_policy", "flush_interval_ms", "checksum_validation"},
		read: readAppendLog, show: showAppendLog, open: openAppendLog,
	},
	{
		name: "memory_log", volatile: true,
		keys: []string{"max_entries", "circular_buffer"},
		read: readMemoryLog, show: showMemoryLog, open: openMemoryLog,
	},
}

func readAppendLog(s *Section, l *Log) {
	l.BufferSize = int(s.Int("buffer_size", int64(l.BufferSize), 1, 1_000_000))
	l.Sync, _ = seglog.ParseSyncPolicy(readSync(s, l.Sync.String(), &l.FlushInterval))
	switch l.Sync {
	case seglog.SyncInterval:
		s.Note("sync_policy", "unsafe: a power failure takes what was acknowledged in the last %v, a killed process up to 256 KiB of it, and data that is then ahead of the log is refused; votes are durable all the same", l.FlushInterval)
	case seglog.SyncNever:
		s.Note("sync_policy", "unsafe: a power failure takes what the system had not written by itself, a killed process up to 256 KiB of it, and data that is then ahead of the log is refused; votes are durable all the same")
	}
	if l.ChecksumValidation = s.Bool("checksum_validation", true); !l.ChecksumValidation {
		s.Note("checksum_validation", "entries that are still in the memory of the process that wrote them are not verified again; those read from files always are")
	}
}

// policies are the values of sync_policy, the same in log and data.
var policies = []string{"always", "batch", "interval", "never"}

// readSync reads the two keys about syncing.
func readSync(s *Section, policy string, interval *time.Duration) string {
	policy = s.Choice("sync_policy", policy, policies...)
	ms := s.Int("flush_interval_ms", interval.Milliseconds(), 1, 3_600_000)
	*interval = time.Duration(ms) * time.Millisecond
	if s.Has("flush_interval_ms") && policy != "interval" && policy != "" {
		s.Note("flush_interval_ms", "not used: sync_policy is %s", policy)
	}
	return policy
}

func showAppendLog(w *writer, l *Log) {
	w.value("buffer_size", l.BufferSize)
	w.value("sync_policy", l.Sync)
	w.value("flush_interval_ms", l.FlushInterval.Milliseconds())
	w.value("checksum_validation", l.ChecksumValidation)
}

func openAppendLog(_ context.Context, at place, l *Log) (raftlog.Driver, error) {
	s, err := seglog.Open(at.dir, &seglog.Options{
		FS: at.fs, Sync: l.Sync, FlushInterval: l.FlushInterval, BufferSize: l.BufferSize,
		TrustMemory: !l.ChecksumValidation, Logger: at.o.Logger,
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

func readMemoryLog(s *Section, l *Log) {
	l.MaxEntries = int(s.Int("max_entries", 0, 1, math.MaxInt32))
	l.CircularBuffer = s.Bool("circular_buffer", false)
	if l.CircularBuffer && !s.Has("max_entries") {
		s.Fail("circular_buffer", "needs max_entries, the size of the buffer")
	}
}

func showMemoryLog(w *writer, l *Log) {
	if l.MaxEntries > 0 {
		w.value("max_entries", l.MaxEntries)
	}
	w.value("circular_buffer", l.CircularBuffer)
}

func openMemoryLog(_ context.Context, _ place, l *Log) (raftlog.Driver, error) {
	s, err := memlog.New(&memlog.Options{MaxEntries: l.MaxEntries, CircularBuffer: l.CircularBuffer})
	if err != nil {
		return nil, err
	}
	return s, nil
}

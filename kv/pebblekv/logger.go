package pebblekv

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/trimarandb/trimaran/vfs"
)

// logger passes on what Pebble says. What it calls fatal decides the fate
// instead of ending the process: Pebble goes on after the call, in a state it
// does not expect, but can no longer change anything on disk.
type logger struct{ fate *fate }

var _ pebble.Logger = logger{}

func (l logger) Infof(format string, args ...any) { l.log(slog.LevelDebug, format, args) }

func (l logger) Errorf(format string, args ...any) { l.log(slog.LevelError, format, args) }

func (l logger) Fatalf(format string, args ...any) {
	if l.fate.err() != nil {
		return // the cause is known
	}
	l.fate.fail(fmt.Errorf("pebble gave up: %s", fmt.Sprintf(format, args...)))
}

func (l logger) log(level slog.Level, format string, args []any) {
	ctx := context.Background()
	if l.fate.log.Enabled(ctx, level) {
		l.fate.log.Log(ctx, level, "pebble: "+fmt.Sprintf(format, args...))
	}
}

// events listens to an engine. Pebble holds locks while it calls, so nothing
// here may wait for it.
func (g *generation) events() *pebble.EventListener {
	var chatty pebble.EventListener
	if g.fate.log.Enabled(context.Background(), slog.LevelDebug) {
		chatty = pebble.MakeLoggingEventListener(logger{g.fate})
	}
	return pebbleTee(chatty, pebble.EventListener{
		BackgroundError: g.backgroundError,
		DataCorruption: func(info pebble.DataCorruptionInfo) {
			g.fate.log.Error("pebble found damage", "path", info.Path, "error", info.Details)
		},
		WriteStallBegin: func(info pebble.WriteStallBeginInfo) {
			g.fate.log.Warn("pebble: writes wait", "reason", info.Reason)
		},
		WALCreated:    func(pebble.WALCreateInfo) { g.change() },
		FlushEnd:      func(pebble.FlushInfo) { g.change() },
		CompactionEnd: func(pebble.CompactionInfo) { g.change() },
		TableIngested: func(pebble.TableIngestInfo) { g.change() },
	})
}

// pebbleTee is a listener that passes everything to both.
func pebbleTee(a, b pebble.EventListener) *pebble.EventListener {
	a.EnsureDefaults(nil)
	b.EnsureDefaults(nil)
	both := pebble.TeeEventListener(a, b)
	return &both
}

// backgroundError hears of flushes and compactions that failed. The disk may
// have had no room: then Pebble tries again. All else is for good.
func (g *generation) backgroundError(err error) {
	switch {
	case g.fate.err() != nil:
		// Pebble will try again, for ever and perhaps without touching a file, so
		// there is no better place. Only what needs the store's lock waits too.
		g.fate.pause()
	case vfs.IsFull(err):
		// The table's file has set the fate already. This comes later, perhaps
		// when there is room again.
		g.fate.log.Warn("pebble: the disk is full", "error", err)
	case errors.Is(err, context.Canceled):
	default:
		g.fate.fail(fmt.Errorf("background work: %w", g.damaged(err)))
	}
}

package dragonboat

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/lni/dragonboat/v4/logger"
)

// NewLoggerFactory lets dragonboat write to a slog.Logger, with the name of its
// part as "pkg":
//
//	logger.SetLoggerFactory(dragonboat.NewLoggerFactory(slog.Default()))
//
// Dragonboat has one factory for the whole process, and panics when it is set a
// second time: only a program's main should do so. What is below the level of
// the handler is not even formatted; SetLevel does nothing. Panicf logs an error
// and panics.
func NewLoggerFactory(l *slog.Logger) logger.Factory {
	return func(pkg string) logger.ILogger { return &slogger{l.With("pkg", pkg)} }
}

type slogger struct{ to *slog.Logger }

func (l *slogger) printf(at slog.Level, format string, args []any) {
	if ctx := context.Background(); l.to.Enabled(ctx, at) {
		l.to.Log(ctx, at, fmt.Sprintf(format, args...))
	}
}

func (l *slogger) SetLevel(logger.LogLevel)            {}
func (l *slogger) Debugf(format string, args ...any)   { l.printf(slog.LevelDebug, format, args) }
func (l *slogger) Infof(format string, args ...any)    { l.printf(slog.LevelInfo, format, args) }
func (l *slogger) Warningf(format string, args ...any) { l.printf(slog.LevelWarn, format, args) }
func (l *slogger) Errorf(format string, args ...any)   { l.printf(slog.LevelError, format, args) }

func (l *slogger) Panicf(format string, args ...any) {
	l.printf(slog.LevelError, format, args)
	panic(fmt.Sprintf(format, args...))
}

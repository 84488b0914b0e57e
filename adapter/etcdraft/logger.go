package etcdraft

import (
	"context"
	"fmt"
	"log/slog"

	"go.etcd.io/raft/v3"
)

// NewLogger lets raft write to a slog.Logger. What is below the level of that
// logger's handler is not even formatted. Fatal and Panic are logged as errors
// and panic: a library does not end the process.
func NewLogger(l *slog.Logger) raft.Logger { return logger{l} }

type logger struct{ to *slog.Logger }

func (l logger) print(at slog.Level, v []any) {
	if ctx := context.Background(); l.to.Enabled(ctx, at) {
		l.to.Log(ctx, at, fmt.Sprint(v...))
	}
}

func (l logger) printf(at slog.Level, format string, v []any) {
	if ctx := context.Background(); l.to.Enabled(ctx, at) {
		l.to.Log(ctx, at, fmt.Sprintf(format, v...))
	}
}

func (l logger) Debug(v ...any)                   { l.print(slog.LevelDebug, v) }
func (l logger) Debugf(format string, v ...any)   { l.printf(slog.LevelDebug, format, v) }
func (l logger) Info(v ...any)                    { l.print(slog.LevelInfo, v) }
func (l logger) Infof(format string, v ...any)    { l.printf(slog.LevelInfo, format, v) }
func (l logger) Warning(v ...any)                 { l.print(slog.LevelWarn, v) }
func (l logger) Warningf(format string, v ...any) { l.printf(slog.LevelWarn, format, v) }
func (l logger) Error(v ...any)                   { l.print(slog.LevelError, v) }
func (l logger) Errorf(format string, v ...any)   { l.printf(slog.LevelError, format, v) }
func (l logger) Fatal(v ...any)                   { l.Panic(v...) }
func (l logger) Fatalf(format string, v ...any)   { l.Panicf(format, v...) }

func (l logger) Panic(v ...any) {
	l.print(slog.LevelError, v)
	panic(fmt.Sprint(v...))
}

func (l logger) Panicf(format string, v ...any) {
	l.printf(slog.LevelError, format, v)
	panic(fmt.Sprintf(format, v...))
}

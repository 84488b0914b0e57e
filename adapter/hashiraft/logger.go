package hashiraft

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"slices"

	"github.com/hashicorp/go-hclog"
)

// levelTrace is below slog's lowest, as hclog's is.
const levelTrace = slog.LevelDebug - 4

// NewLogger lets raft write to a slog.Logger. What is below the level of that
// logger's handler costs nothing; SetLevel does nothing.
func NewLogger(l *slog.Logger) hclog.Logger { return &logger{to: l} }

type logger struct {
	to   *slog.Logger
	name string
	args []any
}

func level(l hclog.Level) slog.Level {
	switch l {
	case hclog.Trace:
		return levelTrace
	case hclog.Debug:
		return slog.LevelDebug
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Error:
		return slog.LevelError
	}
	return slog.LevelInfo
}

// Log writes one record.
func (l *logger) Log(at hclog.Level, msg string, args ...any) {
	ctx, to := context.Background(), level(at)
	if at == hclog.Off || !l.to.Enabled(ctx, to) {
		return
	}
	for i, arg := range args {
		if f, ok := arg.(hclog.Format); ok && len(f) > 0 {
			args = slices.Clone(args)
			args[i] = fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
		}
	}
	l.to.Log(ctx, to, msg, args...)
}

func (l *logger) Trace(msg string, args ...any) { l.Log(hclog.Trace, msg, args...) }
func (l *logger) Debug(msg string, args ...any) { l.Log(hclog.Debug, msg, args...) }
func (l *logger) Info(msg string, args ...any)  { l.Log(hclog.Info, msg, args...) }
func (l *logger) Warn(msg string, args ...any)  { l.Log(hclog.Warn, msg, args...) }
func (l *logger) Error(msg string, args ...any) { l.Log(hclog.Error, msg, args...) }

func (l *logger) enabled(at slog.Level) bool { return l.to.Enabled(context.Background(), at) }

func (l *logger) IsTrace() bool { return l.enabled(levelTrace) }
func (l *logger) IsDebug() bool { return l.enabled(slog.LevelDebug) }
func (l *logger) IsInfo() bool  { return l.enabled(slog.LevelInfo) }
func (l *logger) IsWarn() bool  { return l.enabled(slog.LevelWarn) }
func (l *logger) IsError() bool { return l.enabled(slog.LevelError) }

func (l *logger) ImpliedArgs() []any { return l.args }
func (l *logger) Name() string       { return l.name }

func (l *logger) With(args ...any) hclog.Logger {
	return &logger{to: l.to.With(args...), name: l.name, args: slices.Concat(l.args, args)}
}

func (l *logger) Named(name string) hclog.Logger {
	if l.name != "" {
		name = l.name + "." + name
	}
	return l.ResetNamed(name)
}

func (l *logger) ResetNamed(name string) hclog.Logger {
	return &logger{to: l.to, name: name, args: l.args}
}

func (l *logger) SetLevel(hclog.Level) {}

// GetLevel is the lowest level that is written.
func (l *logger) GetLevel() hclog.Level {
	for _, at := range []hclog.Level{hclog.Trace, hclog.Debug, hclog.Info, hclog.Warn, hclog.Error} {
		if l.enabled(level(at)) {
			return at
		}
	}
	return hclog.Off
}

func (l *logger) StandardLogger(o *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(l.StandardWriter(o), "", 0)
}

func (l *logger) StandardWriter(o *hclog.StandardLoggerOptions) io.Writer {
	at := hclog.Info
	if o != nil && o.ForceLevel != hclog.NoLevel {
		at = o.ForceLevel
	}
	return lines{l, at}
}

// lines writes each call as one record.
type lines struct {
	l  *logger
	at hclog.Level
}

func (w lines) Write(p []byte) (int, error) {
	w.l.Log(w.at, string(bytes.TrimRight(p, "\n")))
	return len(p), nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/raftlog/seglog"
)

func newLog() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Look into the log of a node, also of one that runs",
		Long: `Reads the log in a directory: the log's own, or the data directory of a node. Nothing is
locked, changed or made, and nothing is repaired: of a log that a crash left behind it
tells what the next open will find. Beside a node that runs it tells what the log was
at a moment; the last write may not be acknowledged yet.`,
	}
	cmd.AddCommand(newLogStats(), newLogDump(), newLogVerify())
	return cmd
}

// oneLog takes the directory of a log.
func oneLog(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{fmt.Errorf("log %s: want one directory, got %d\nTry: %s --help", cmd.Name(), len(args), cmd.CommandPath())}
	}
	return nil
}

// withLog looks at a log for fn.
func withLog(cmd *cobra.Command, dir string, fn func(ctx context.Context, dir string, i *seglog.Inspector) error) (err error) {
	if dir, err = logDir(dir); err != nil {
		return err
	}
	i, err := seglog.Inspect(dir, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, i.Close()) }()
	return fn(cmd.Context(), dir, i)
}

// logDir is where the log of a node's data directory is, or else dir itself.
func logDir(dir string) (string, error) {
	if _, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("log directory: %w", err)
	}
	below := filepath.Join(dir, config.Default().Log.Path)
	if info, err := os.Stat(below); err == nil && info.IsDir() {
		return below, nil
	}
	return dir, nil
}

// logState is how a log was found, as it is printed.
type logState struct {
	Dir       string    `json:"dir"`
	ID        string    `json:"id"`
	State     string    `json:"state"` // closed, crashed or live
	Holder    int       `json:"holder_pid,omitempty"`
	Rewritten int64     `json:"rewritten_bytes"`
	Torn      *tornTail `json:"torn,omitempty"`
}

// tornTail is a place from which on the next open cuts a log off.
type tornTail struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"`
}

func stateOf(dir string, info seglog.Info) logState {
	s := logState{Dir: dir, ID: info.ID, State: "crashed", Holder: info.Holder, Rewritten: info.Recovery.Rewritten}
	switch {
	case info.Live:
		s.State = "live"
	case info.Recovery.Clean:
		s.State = "closed"
	}
	if info.Recovery.Torn {
		s.Torn = &tornTail{File: info.Recovery.Path, Offset: info.Recovery.Offset}
	}
	return s
}

func (s logState) text(w io.Writer) {
	fmt.Fprintf(w, "log %s, in %s\n", s.ID, s.Dir)
	switch {
	case s.State == "live" && s.Holder != 0:
		fmt.Fprintf(w, "live: process %d holds it\n", s.Holder)
	case s.State == "live":
		fmt.Fprintln(w, "live: a process holds it")
	case s.State == "closed":
		fmt.Fprintln(w, "closed in order")
	default:
		fmt.Fprintf(w, "not closed in order: the next open writes %s again that may not be durable\n", humanBytes(s.Rewritten))
	}
	if s.Torn != nil {
		fmt.Fprintf(w, "torn: the next open cuts %s off at %d, where frames end\n", s.Torn.File, s.Torn.Offset)
	}
}

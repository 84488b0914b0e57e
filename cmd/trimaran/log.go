package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran/raftlog/seglog"
)

func newLog() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Look into the log of a node, also of one that runs",
		Long: `Reads the log in a directory: the log's own, the data directory of a node, or where the
node's configuration file (--config) says, below DIR if both are given. Nothing is
locked, changed or made, and nothing is repaired: of a log that a crash left behind it
tells what the next open will find. Beside a node that runs it tells what the log was
at a moment; the last write may not be acknowledged yet.`,
	}
	cmd.PersistentFlags().String("config", "", "configuration file of the node")
	cmd.AddCommand(newLogStats(), newLogDump(), newLogVerify())
	return cmd
}

// oneLog takes the directory of a log, or none where there is a configuration.
func oneLog(cmd *cobra.Command, args []string) error {
	if len(args) > 1 || len(args) == 0 && !cmd.Flags().Changed("config") {
		return usageError{fmt.Errorf("log %s: want one directory or --config, got %d\nTry: %s --help", cmd.Name(), len(args), cmd.CommandPath())}
	}
	return nil
}

// withLog looks at the log in dir for fn.
func withLog(cmd *cobra.Command, dir string, fn func(ctx context.Context, i *seglog.Inspector) error) (err error) {
	i, err := seglog.Inspect(dir, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, i.Close()) }()
	return fn(cmd.Context(), i)
}

// logDir is where the log of a node's data directory is, or else the directory
// that is given itself.
func logDir(cmd *cobra.Command, args []string) (dir string, err error) {
	n := defaultNode()
	if file, _ := cmd.Flags().GetString("config"); file != "" {
		if n, err = loadNode(file); err != nil {
			return "", err
		}
		if n.storage.Log.Path == "" {
			return "", usageError{fmt.Errorf("log %s: %s keeps the log in memory, where nothing can look at it", cmd.Name(), file)}
		}
	}
	if len(args) > 0 {
		n.data = args[0]
	}
	dir = n.storage.Log.Path
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(n.data, dir)
	}
	if info, err := os.Stat(dir); len(args) == 0 || err == nil && info.IsDir() {
		return dir, nil
	}
	if _, err := os.Stat(n.data); err != nil {
		return "", fmt.Errorf("log directory: %w", err)
	}
	return n.data, nil
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

// Trimaran is durable storage for Raft nodes, as a program: a replicated
// key-value node that any Redis client can talk to, and an operator's tools.
//
//	trimaran serve          run a node; data in ./trimaran-data
//	trimaran doctor         examine a node that does not start, and repair it
//	trimaran snapshot       list, verify, copy and remove snapshots
//	trimaran log            show, print and verify a log
//	trimaran kv             look into data, and copy it
//	trimaran config         check a configuration file, show what it means, print the schema
//	trimaran version        say what this is
//	trimaran help VERB      examples of each
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran/fault"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// Exit codes; trimaran help exit-codes prints them.
const (
	exitOK          = 0
	exitFailure     = 1
	exitUsage       = 2
	exitDamage      = 3
	exitLocked      = 4
	exitNotFound    = 5
	exitInterrupted = 130
)

// run is main without the process.
func run(args []string, out, errout io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // who asks a second time does not wait for an end in order
	cmd := newRoot()
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(errout)
	err := checkVerb(cmd, args)
	if err == nil {
		err = cmd.ExecuteContext(ctx)
	}
	if err != nil && !errors.As(err, new(silent)) {
		fmt.Fprintf(errout, "trimaran: %v\n", err)
	}
	return exitCode(err)
}

// silent is a failure that was printed already.
type silent struct{ error }

func (s silent) Unwrap() error { return s.error }

// usageError marks a mistake on the command line.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

func exitCode(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, new(usageError)), errors.Is(err, fault.ErrInvalid):
		return exitUsage
	case errors.Is(err, fault.ErrCorrupt):
		return exitDamage
	case errors.Is(err, fault.ErrLocked), errors.Is(err, syscall.EADDRINUSE):
		return exitLocked
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fault.ErrNotFound):
		return exitNotFound
	}
	return exitFailure
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "trimaran",
		Short:         "Durable storage for Raft nodes, and a replicated key-value node on it",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w\nTry: %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(newServe(), newDoctor(), newSnapshot(), newLog(), newKV(), newConfig(), newVersion(), exitCodes())
	return root
}

// checkVerb refuses a verb that there is not. Cobra would print the help of the
// verb before it and succeed.
func checkVerb(root *cobra.Command, args []string) error {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd(args...)
	cmd, rest, _ := root.Find(args) // an unknown first verb is the root's
	if !cmd.HasSubCommands() || cmd.Runnable() || len(rest) == 0 || strings.HasPrefix(rest[0], "-") {
		return nil
	}
	cmd.SuggestionsMinimumDistance = 2
	hint := ""
	if like := cmd.SuggestionsFor(rest[0]); len(like) > 0 {
		hint = "; did you mean " + strings.Join(like, " or ") + "?"
	}
	return usageError{fmt.Errorf("unknown verb %q of %s%s\nTry: %s --help", rest[0], cmd.CommandPath(), hint, cmd.CommandPath())}
}

// exitCodes is a page of help, not a verb.
func exitCodes() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit codes mean",
		Long: `0    done
1    it failed
2    the command line or a configuration file is wrong
3    damage was found
4    somebody else holds the directory or the address
5    no such file, or nothing found
130  interrupted`,
	}
}

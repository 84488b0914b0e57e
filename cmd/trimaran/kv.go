package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

func newKV() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "kv",
		Short: "Look into the data of a node that is not running, and copy it",
		Long: `Works on the key-value data of a stopped node, in its data directory (--data) or where
its configuration file (--config) says. The data is opened as the node would open it; a
node that runs holds it. Rows whose deadline has passed by the data's own clock are not
shown. Only import changes anything, and never the data of a node.`,
	}
	cmd.AddCommand(newKVGet(), newKVScan(), newKVStats(), newKVIndex(), newKVExport(), newKVImport())
	return cmd
}

// kvFlags say where data is.
type kvFlags struct{ *snapshotFlags }

func addKVFlags(cmd *cobra.Command) kvFlags { return kvFlags{addSnapshotFlags(cmd)} }

// place returns the configuration of a node and the directory of its data.
func (f kvFlags) place() (n *nodeConfig, dir string, err error) {
	if n, err = f.node(); err != nil {
		return nil, "", err
	}
	dir = n.storage.Data.Path
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(n.data, dir)
	}
	return n, dir, nil
}

// with opens data that is there for fn.
func (f kvFlags) with(fn func(ctx context.Context, s *kv.Store) error) error {
	n, dir, err := f.place()
	if err != nil {
		return err
	}
	if n.storage.Data.Backend == "memory" {
		return fmt.Errorf("a node whose data is in memory leaves none: look at its snapshots: %w", fault.ErrNotFound)
	}
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("no data: %w\nSay with --data or --config where the node is", err)
	}
	return f.open(n, fn)
}

// open opens data, or makes it.
func (f kvFlags) open(n *nodeConfig, fn func(ctx context.Context, s *kv.Store) error) (err error) {
	ctx := f.cmd.Context()
	s, err := n.storage.OpenData(ctx, n.data)
	if errors.Is(err, fault.ErrLocked) {
		return fmt.Errorf("%w\nThe node runs: stop it, or ask it with a Redis client", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return fn(ctx, s)
}

// arguments is a check of how many there are.
func arguments(least, most int, want string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usageError{fmt.Errorf("kv %s: want %s, got %d\nTry: %s --help", cmd.Name(), want, len(args), cmd.CommandPath())}
		}
		return nil
	}
}

// bytesFlags are keys and values on the command line.
type bytesFlags struct{ coded bool }

func addBytesFlags(cmd *cobra.Command, what string) *bytesFlags {
	f := &bytesFlags{}
	cmd.Flags().BoolVar(&f.coded, "base64", false, what+" in base64, as -o json prints what is no text")
	return f
}

// bytes are those that text stands for.
func (f *bytesFlags) bytes(text string) ([]byte, error) {
	if !f.coded {
		return []byte(text), nil
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, usageError{fmt.Errorf("%q is no base64: %w", text, err)}
	}
	return b, nil
}

// rowLine is a row as it is printed. Bytes that are no text are in base64, under
// other names.
type rowLine struct {
	Key         *string `json:"key,omitempty"`
	KeyBase64   *string `json:"key_base64,omitempty"`
	Value       *string `json:"value,omitempty"`
	ValueBase64 *string `json:"value_base64,omitempty"`
}

func lineOf(p kv.Pair, keysOnly bool) rowLine {
	var r rowLine
	r.Key, r.KeyBase64 = textOf(p.Key)
	if !keysOnly {
		r.Value, r.ValueBase64 = textOf(p.Value)
	}
	return r
}

func textOf(b []byte) (text, coded *string) {
	if utf8.Valid(b) {
		s := string(b)
		return &s, nil
	}
	s := base64.StdEncoding.EncodeToString(b)
	return nil, &s
}

// writeRow prints a row for people: quoted, so that each is one line.
func writeRow(w io.Writer, p kv.Pair, keysOnly bool) error {
	line := strconv.Quote(string(p.Key))
	if !keysOnly {
		line += "\t" + strconv.Quote(string(p.Value))
	}
	_, err := fmt.Fprintln(w, line)
	return err
}

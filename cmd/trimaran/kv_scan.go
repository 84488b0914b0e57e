package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran/kv"
)

func newKVScan() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "scan",
		Short: "Print rows in the order of their keys",
		Long: `Prints a row a line, key and value quoted as in Go source and with a tab between them, or
with -o json as an object a line. All rows are of one state.`,
		Example: `  trimaran kv scan --prefix user: --limit 10
  trimaran kv scan --from a --to b --reverse --keys
  trimaran kv scan -o json | jq -r .key`,
		Args: arguments(0, 0, "no argument"),
	}
	f := addKVFlags(cmd)
	in := addBytesFlags(cmd, "--prefix, --from and --to are")
	var prefix, from, to string
	var reverse, keysOnly bool
	var limit uint64
	cmd.Flags().StringVar(&prefix, "prefix", "", "keys that begin so")
	cmd.Flags().StringVar(&from, "from", "", "the first key")
	cmd.Flags().StringVar(&to, "to", "", "the key before which to end")
	cmd.Flags().BoolVar(&reverse, "reverse", false, "from the end")
	cmd.Flags().BoolVar(&keysOnly, "keys", false, "keys alone")
	cmd.Flags().Uint64Var(&limit, "limit", 0, "rows to print, 0 for all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if prefix != "" && from+to != "" {
			return usageError{errors.New("kv scan: want --prefix, or --from and --to\nTry: trimaran kv scan --help")}
		}
		r, err := in.span(prefix, from, to)
		if err != nil {
			return err
		}
		r.Reverse = reverse
		return f.with(func(ctx context.Context, s *kv.Store) error {
			w := newRowWriter(cmd.OutOrStdout(), *f.out == "json", keysOnly)
			n := uint64(0)
			for p, err := range s.Scan(ctx, r) {
				if err == nil {
					err = w.write(p)
				}
				if err != nil {
					return errors.Join(err, w.w.Flush())
				}
				if n++; n == limit {
					break
				}
			}
			return w.w.Flush()
		})
	}
	return cmd
}

// span is the keys that begin so, or those from one to another.
func (f *bytesFlags) span(prefix, from, to string) (kv.Range, error) {
	p, err := f.bytes(prefix)
	lo, err2 := f.bytes(from)
	hi, err3 := f.bytes(to)
	if len(p) > 0 {
		return kv.Prefix(p), err
	}
	return kv.Range{Lo: lo, Hi: hi}, errors.Join(err, err2, err3)
}

// rowWriter prints rows, one a line.
type rowWriter struct {
	w        *bufio.Writer
	json     *json.Encoder // nil: text
	keysOnly bool
}

func newRowWriter(out io.Writer, asJSON, keysOnly bool) *rowWriter {
	w := &rowWriter{w: bufio.NewWriter(out), keysOnly: keysOnly}
	if asJSON {
		w.json = json.NewEncoder(w.w)
		w.json.SetEscapeHTML(false)
	}
	return w
}

func (w *rowWriter) write(p kv.Pair) error {
	if w.json == nil {
		return writeRow(w.w, p, w.keysOnly)
	}
	if err := w.json.Encode(lineOf(p, w.keysOnly)); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

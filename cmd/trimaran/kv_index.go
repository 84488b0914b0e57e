package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran/kv"
)

func newKVIndex() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "index [NAME]",
		Short: "List the indexes, or print rows through one",
		Long: `Without a name, lists the indexes and whether each can be queried. With one, prints the
rows in the order of their index values, as scan prints rows. An index whose values
are computed by a program can be looked at by that program only.`,
		Example: `  trimaran kv index
  trimaran kv index by-status --exact active --limit 10
  trimaran kv index by-name --prefix A --keys`,
		Args: arguments(0, 1, "one index or none"),
	}
	f := addKVFlags(cmd)
	var exact, prefix, from, to string
	var reverse, keysOnly bool
	var limit uint64
	cmd.Flags().StringVar(&exact, "exact", "", "rows with this value")
	cmd.Flags().StringVar(&prefix, "prefix", "", "rows whose value begins so")
	cmd.Flags().StringVar(&from, "from", "", "the first value")
	cmd.Flags().StringVar(&to, "to", "", "the value before which to end")
	cmd.Flags().BoolVar(&reverse, "reverse", false, "from the end")
	cmd.Flags().BoolVar(&keysOnly, "keys", false, "keys alone")
	cmd.Flags().Uint64Var(&limit, "limit", 0, "rows to print, 0 for all")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return f.with(func(ctx context.Context, s *kv.Store) error {
			if len(args) == 0 {
				return listIndexes(ctx, cmd, f, s)
			}
			q := kv.Query{Index: args[0], Lo: []byte(from), Hi: []byte(to), Reverse: reverse}
			if cmd.Flags().Changed("exact") {
				q.Exact = []byte(exact)
			}
			if cmd.Flags().Changed("prefix") {
				q.Prefix = []byte(prefix)
			}
			return queryIndex(ctx, s, q, limit, newRowWriter(cmd.OutOrStdout(), *f.out == "json", keysOnly))
		})
	}
	return cmd
}

// indexLine is an index as it is printed.
type indexLine struct {
	Name   string `json:"name"`
	Of     string `json:"of"`
	Prefix string `json:"key_prefix,omitempty"`
	Built  bool   `json:"built"`
}

func listIndexes(ctx context.Context, cmd *cobra.Command, f kvFlags, s *kv.Store) error {
	list, err := s.Indexes(ctx)
	if err != nil {
		return err
	}
	lines := make([]indexLine, len(list))
	for i, x := range list {
		lines[i] = indexLine{Name: x.Name, Of: subjectOf(x.Index), Prefix: string(x.KeyPrefix), Built: x.Built}
	}
	return f.out.print(cmd.OutOrStdout(), lines, func(w io.Writer) {
		for _, x := range lines {
			state := "built"
			if !x.Built {
				state = "not built"
			}
			fmt.Fprintf(w, "%s: %s, %s\n", x.Name, x.Of, state)
		}
	})
}

// subjectOf says by what an index orders rows.
func subjectOf(x kv.Index) string {
	switch {
	case x.JSONPath != "":
		return fmt.Sprintf("%v at %s", x.JSONType, x.JSONPath)
	case x.Bytes != nil:
		return fmt.Sprintf("%d bytes from %d", x.Bytes.Len, x.Bytes.Off)
	default:
		return fmt.Sprintf("extractor %s version %d", x.Extractor, x.Version)
	}
}

// queryIndex prints all pages of a query, of one state.
func queryIndex(ctx context.Context, s *kv.Store, q kv.Query, limit uint64, w *rowWriter) error {
	n := uint64(0)
	return s.View(ctx, func(t *kv.ReadTx) error {
		for {
			page, err := t.Query(q)
			if err == nil {
				err = ctx.Err()
			}
			for _, p := range page.Rows {
				if limit > 0 && n == limit {
					return w.w.Flush()
				}
				if err == nil {
					err = w.write(p)
				}
				n++
			}
			if err != nil || page.Next == "" {
				return errors.Join(err, w.w.Flush())
			}
			q.Cursor = page.Next
		}
	})
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

func newKVIndex() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "index [NAME]",
		Short: "List the indexes, or print rows through one",
		Long: `Without a name, lists the indexes and whether each can be queried. With one, prints the
rows in the order of their index values, as scan prints rows. Values of an index over
numbers are given as numbers, those of one over booleans as true and false. An index
whose values are computed by a program can be looked at by that program only.`,
		Example: `  trimaran kv index
  trimaran kv index by-age --from 18 --to 65
  trimaran kv index by-status --exact active --limit 10
  trimaran kv index by-name --prefix A --keys`,
		Args: arguments(0, 1, "one index or none"),
	}
	f := addKVFlags(cmd)
	in := addBytesFlags(cmd, "--exact, --prefix, --from and --to are")
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
			x, err := findIndex(ctx, s, args[0])
			if err != nil {
				return err
			}
			q := kv.Query{Index: x.Name, Reverse: reverse}
			for _, v := range []struct {
				flag, text string
				to         *[]byte
			}{{"exact", exact, &q.Exact}, {"prefix", prefix, &q.Prefix}, {"from", from, &q.Lo}, {"to", to, &q.Hi}} {
				if !cmd.Flags().Changed(v.flag) {
					continue
				}
				if *v.to, err = in.value(x, v.text); err != nil {
					return err
				}
			}
			return queryIndex(ctx, s, q, limit, newRowWriter(cmd.OutOrStdout(), *f.out == "json", keysOnly))
		})
	}
	return cmd
}

// findIndex returns an index that can be queried.
func findIndex(ctx context.Context, s *kv.Store, name string) (kv.Index, error) {
	list, err := s.Indexes(ctx)
	if err != nil {
		return kv.Index{}, err
	}
	names := make([]string, len(list))
	for i, x := range list {
		names[i] = strconv.Quote(x.Name)
		switch {
		case x.Name != name:
		case !x.Built:
			return kv.Index{}, fmt.Errorf("index %q is not built yet: the program that made it has to go on: %w", name, fault.ErrInvalid)
		default:
			return x.Index, nil
		}
	}
	there := "there are " + strings.Join(names, ", ")
	if len(names) == 0 {
		there = "there are none"
	}
	return kv.Index{}, fmt.Errorf("index %q: %w: %s", name, fault.ErrNotFound, there)
}

// value is what an index has for the text of a flag.
func (f *bytesFlags) value(x kv.Index, text string) ([]byte, error) {
	switch {
	case x.JSONPath == "" || f.coded:
		return f.bytes(text)
	case x.JSONType == kv.JSONNumber:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return nil, usageError{fmt.Errorf("index %q is over numbers, and %q is none", x.Name, text)}
		}
		return kv.NumberKey(n), nil
	case x.JSONType == kv.JSONBool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return nil, usageError{fmt.Errorf("index %q is over booleans, and %q is none", x.Name, text)}
		}
		if b {
			return []byte{1}, nil
		}
		return []byte{0}, nil
	default:
		return []byte(text), nil
	}
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

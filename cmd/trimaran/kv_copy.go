package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

func newKVExport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Copy all data into a file",
		Long: `Writes every row, the indexes and the mark as one stream with checksums, which import
reads. Equal states give equal files, whichever engine holds them. FILE - is standard
output; a file that exists is not overwritten, and one that could not be finished is
removed.`,
		Example: `  trimaran kv export data.tkv
  trimaran kv export - | zstd > data.tkv.zst`,
		Args: arguments(1, 1, "one file"),
	}
	f := addKVFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return f.with(func(ctx context.Context, s *kv.Store) error {
			sum, err := exportData(ctx, cmd, s, args[0])
			if err != nil || args[0] == "-" {
				return err
			}
			c := copiedOf(args[0], sum)
			return f.out.print(cmd.OutOrStdout(), c, c.text)
		})
	}
	return cmd
}

// copied is what kv export and kv import print.
type copied struct {
	File   string `json:"file"`
	Rows   uint64 `json:"rows"`
	Bytes  uint64 `json:"row_bytes"`
	Digest string `json:"digest"`
	Index  uint64 `json:"index"`
	Term   uint64 `json:"term"`
}

func copiedOf(file string, s kv.Summary) copied {
	return copied{File: file, Rows: s.Rows, Bytes: s.Bytes, Digest: s.Digest.String(), Index: s.Mark.Index, Term: s.Mark.Term}
}

func (c copied) text(w io.Writer) {
	fmt.Fprintf(w, "%s: %d rows of %s, up to entry %d of term %d\ndigest %s\n", c.File, c.Rows, humanBytes(int64(c.Bytes)), c.Index, c.Term, c.Digest)
}

func exportData(ctx context.Context, cmd *cobra.Command, s *kv.Store, file string) (sum kv.Summary, err error) {
	bar := newProgress(cmd.ErrOrStderr(), "export", -1)
	defer bar.end()
	if file == "-" {
		return s.Export(ctx, io.MultiWriter(cmd.OutOrStdout(), bar))
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return sum, fmt.Errorf("%w\nRemove it, or name another", err)
	}
	if err != nil {
		return sum, err
	}
	sum, err = s.Export(ctx, io.MultiWriter(f, bar))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		err = errors.Join(err, os.Remove(file))
	}
	return sum, err
}

func newKVImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Make data from a file that export wrote, outside of any node",
		Long: `Reads an export to its end, verifies every byte, and only then makes it the data below
--data, durably and at once: what was there is replaced. get, scan, stats and index
then show it. A directory with a log is a node's, whose data comes from its log and
its snapshots: it is refused. FILE - is standard input.`,
		Example: `  trimaran kv import data.tkv --data ./copy
  zstd -dc data.tkv.zst | trimaran kv import - --data ./copy`,
		Args: arguments(1, 1, "one file"),
	}
	f := addKVFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, dir, err := f.place()
		if err != nil {
			return err
		}
		if err := refuseNode(n); err != nil {
			return err
		}
		in, size, err := openExport(cmd, args[0])
		if err != nil {
			return err
		}
		defer in.Close()
		made, err := makeDirs(dir)
		if err != nil {
			return err
		}
		err = f.open(n, func(ctx context.Context, s *kv.Store) error {
			bar := newProgress(cmd.ErrOrStderr(), "import "+args[0], size)
			sum, err := s.Import(ctx, io.TeeReader(interruptible(ctx, in), bar), nil)
			bar.end()
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			c := copiedOf(args[0], sum)
			return f.out.print(cmd.OutOrStdout(), c, c.text)
		})
		if err != nil && made != "" {
			err = errors.Join(err, os.RemoveAll(made)) // nothing was there, nothing is
		}
		return err
	}
	return cmd
}

// makeDirs makes dir and what is missing above it, and returns the topmost that
// it made, "" if dir was there.
func makeDirs(dir string) (made string, err error) {
	for d := filepath.Clean(dir); ; d = filepath.Dir(d) {
		if _, err := os.Lstat(d); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		made = d
	}
	return made, os.MkdirAll(dir, 0o700)
}

// refuseNode keeps an import from a node, whose log would not fit it any more.
func refuseNode(n *nodeConfig) error {
	if n.storage.Data.Backend == "memory" {
		return fmt.Errorf("data in memory would be gone at once: %w", fault.ErrInvalid)
	}
	log := n.storage.Log.Path
	if !filepath.IsAbs(log) {
		log = filepath.Join(n.data, log)
	}
	if _, err := os.Stat(log); err == nil {
		return fmt.Errorf("%s is the log of a node, and an import would leave it behind: name another directory with --data: %w", log, fault.ErrInvalid)
	}
	return nil
}

// openExport opens a file, or standard input. The size is -1 if it is not known.
func openExport(cmd *cobra.Command, file string) (in io.ReadCloser, size int64, err error) {
	if file == "-" {
		return io.NopCloser(cmd.InOrStdin()), -1, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, 0, err
	}
	st, err := f.Stat()
	if err == nil && st.IsDir() {
		err = fmt.Errorf("%s is a directory, want a file that export wrote: %w", file, fault.ErrInvalid)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, st.Size(), nil
}

// interruptible reads r until ctx is over, also while r has nothing to give.
func interruptible(ctx context.Context, r io.Reader) io.Reader {
	out, in := io.Pipe()
	context.AfterFunc(ctx, func() { _ = in.CloseWithError(ctx.Err()) })
	go func() {
		_, err := io.Copy(in, r)
		_ = in.CloseWithError(err)
	}()
	return out
}

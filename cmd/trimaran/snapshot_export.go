package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran/snapshot"
)

func newSnapshotExport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export FILE [ID]",
		Short: "Copy a snapshot into a file",
		Long: `Copies one snapshot, the newest valid one by default, into a file that import reads
back: compressed as it is stored, every byte verified on the way. With --payload the
file gets the payload itself, expanded. FILE - is standard output; a file that exists
is not overwritten, and one that could not be finished is removed.`,
		Example: `  trimaran snapshot export backup.tsnap
  trimaran snapshot export - --payload | sha256sum
  trimaran snapshot export backup.tsnap ID --data /var/lib/trimaran`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 && len(args) != 2 {
				return usageError{fmt.Errorf("export: want a file and perhaps an id, got %d arguments\nTry: %s --help", len(args), cmd.CommandPath())}
			}
			return nil
		},
	}
	f := addSnapshotFlags(cmd)
	payload := cmd.Flags().Bool("payload", false, "write the payload, expanded, and not the container")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return f.with(func(ctx context.Context, s *snapshot.Store) error {
			m, err := find(ctx, s, nameOf(args[1:]))
			if err != nil {
				return err
			}
			n, err := exportTo(ctx, cmd, s, m, args[0], *payload)
			if err != nil || args[0] == "-" {
				return err
			}
			e := exported{ID: m.ID.String(), File: args[0], Bytes: n}
			return f.out.print(cmd.OutOrStdout(), e, e.text)
		})
	}
	return cmd
}

// exported is what snapshot export prints.
type exported struct {
	ID    string `json:"id"`
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

func (e exported) text(w io.Writer) {
	fmt.Fprintf(w, "%s: %s of snapshot %s\n", e.File, humanBytes(e.Bytes), e.ID)
}

func exportTo(ctx context.Context, cmd *cobra.Command, s *snapshot.Store, m snapshot.Meta, file string, payload bool) (n int64, err error) {
	src, size, err := openFor(ctx, s, m, payload)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	bar := newProgress(cmd.ErrOrStderr(), "export "+m.ID.String(), size)
	defer bar.end()
	if file == "-" {
		return io.Copy(io.MultiWriter(cmd.OutOrStdout(), bar), src)
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return 0, err
	}
	n, err = io.Copy(io.MultiWriter(f, bar), src)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		err = errors.Join(err, os.Remove(file))
	}
	return n, err
}

func openFor(ctx context.Context, s *snapshot.Store, m snapshot.Meta, payload bool) (io.ReadCloser, int64, error) {
	if payload {
		r, err := s.Open(ctx, m.ID)
		if err != nil {
			return nil, 0, err
		}
		return r, m.Size, nil
	}
	r, err := s.Stream(ctx, m.ID)
	return r, m.StoredSize, err
}

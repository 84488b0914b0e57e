package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran/snapshot"
)

func newSnapshotImport() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Publish a snapshot from a file that export wrote",
		Long: `Reads a container to its end, verifies every byte, and only then publishes it, durably,
under a new id. The data of the node does not change by it. FILE - is standard input.`,
		Example: `  trimaran snapshot import backup.tsnap
  ssh other trimaran snapshot export - | trimaran snapshot import -`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("import: want one file, got %d\nTry: %s --help", len(args), cmd.CommandPath())}
			}
			return nil
		},
	}
	f := addSnapshotFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return f.with(func(ctx context.Context, s *snapshot.Store) error {
			m, err := importFrom(ctx, cmd, s, args[0])
			if err != nil {
				return err
			}
			i := infoOf(m)
			return f.out.print(cmd.OutOrStdout(), i, func(w io.Writer) {
				fmt.Fprintf(w, "snapshot %s: index %d of term %d, %s\n", i.ID, i.Index, i.Term, humanBytes(i.Size))
			})
		})
	}
	return cmd
}

func importFrom(ctx context.Context, cmd *cobra.Command, s *snapshot.Store, file string) (m snapshot.Meta, err error) {
	in, size := cmd.InOrStdin(), int64(0) // not known
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return m, err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		if st, err := f.Stat(); err == nil {
			size = st.Size()
		}
		in = f
	}
	bar := newProgress(cmd.ErrOrStderr(), "import "+file, cmp.Or(size, -1))
	defer bar.end()
	return s.Install(ctx, in, &snapshot.InstallOptions{Size: size, Progress: bar.report})
}

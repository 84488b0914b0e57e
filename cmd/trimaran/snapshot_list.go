package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran/snapshot"
)

func newSnapshotList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the snapshots, newest first",
		Example: `  trimaran snapshot list
  trimaran snapshot list --data /var/lib/trimaran -o json`,
		Args: cobra.NoArgs,
	}
	f := addSnapshotFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return f.with(func(ctx context.Context, s *snapshot.Store) error {
			all := []snapshotInfo{}
			for m, err := range s.All(ctx) {
				if err != nil {
					return err
				}
				all = append(all, infoOf(m))
			}
			return f.out.print(cmd.OutOrStdout(), all, func(w io.Writer) { tableOf(w, all) })
		})
	}
	return cmd
}

func tableOf(w io.Writer, all []snapshotInfo) {
	if len(all) == 0 {
		fmt.Fprintln(w, "no snapshots")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ID\tINDEX\tTERM\tENTRIES\tSIZE\tSTORED\tCODEC\tCREATED\tSTATE")
	for _, i := range all {
		state := "valid"
		if i.Damaged != "" {
			state = "damaged"
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", i.ID, i.Index, i.Term, i.Entries, humanBytes(i.Size), humanBytes(i.StoredSize), i.Codec, i.Created.UTC().Format(time.DateTime), state)
	}
	_ = t.Flush() // to w, whose errors nobody sees here
}

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

func newSnapshotInspect() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inspect [ID]",
		Short: "Show what a snapshot says of itself, and its chunks",
		Long: `Shows header, trailer and chunk table of one snapshot, the newest valid one by default.
The chunks themselves are not read: verify does that.`,
		Example: `  trimaran snapshot inspect
  trimaran snapshot inspect ID -o json`,
		Args: oneSnapshot,
	}
	f := addSnapshotFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return f.with(func(ctx context.Context, s *snapshot.Store) error {
			m, err := find(ctx, s, nameOf(args))
			if err != nil {
				return err
			}
			if m.Damaged != nil {
				return m.Damaged
			}
			manifest, err := s.Manifest(ctx, m.ID)
			if err != nil {
				return err
			}
			i := inspected{snapshotInfo: infoOf(m), Chunks: len(manifest.Chunks)}
			for n, c := range manifest.Chunks {
				if n == 0 || c.Size < i.Smallest {
					i.Smallest = c.Size
				}
				i.Largest = max(i.Largest, c.Size)
			}
			return f.out.print(cmd.OutOrStdout(), i, i.text)
		})
	}
	return cmd
}

// inspected is what snapshot inspect prints.
type inspected struct {
	snapshotInfo
	Chunks   int `json:"chunks"`
	Smallest int `json:"smallest_chunk_bytes"`
	Largest  int `json:"largest_chunk_bytes"`
}

func (i inspected) text(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(name, format string, args ...any) {
		fmt.Fprintf(t, "%s\t"+format+"\n", append([]any{name}, args...)...)
	}
	line("id", "%s", i.ID)
	line("index, term", "%d, %d", i.Index, i.Term)
	line("membership as of", "%d", i.MembershipIndex)
	line("entries", "%d", i.Entries)
	line("size", "%s (%d bytes)", humanBytes(i.Size), i.Size)
	line("stored", "%s with %s level %d (%.1f %%)", humanBytes(i.StoredSize), i.Codec, i.Level, 100*float64(i.StoredSize)/float64(max(1, i.Size)))
	line("chunks", "%d, of %s to %s", i.Chunks, humanBytes(int64(i.Smallest)), humanBytes(int64(i.Largest)))
	line("created", "%s", i.Created.UTC().Format(time.RFC3339))
	line("digest", "%s", i.Digest)
	_ = t.Flush() // to w, whose errors nobody sees here
}

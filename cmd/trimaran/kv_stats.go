package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran/kv"
)

func newKVStats() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Say what state the data is, and what it takes",
		Long: `Prints the mark of the data, which is the last log entry that it contains, its clock, the
next deadline, and what the engine takes on disk. With --digest all rows are
read: how many they are, their bytes, and the digest, which is the same on every
replica at the same mark.`,
		Example: `  trimaran kv stats
  trimaran kv stats --digest -o json | jq -r .digest`,
		Args: arguments(0, 0, "no argument"),
	}
	f := addKVFlags(cmd)
	digest := cmd.Flags().Bool("digest", false, "read all rows, count them and compute their digest")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return f.with(func(ctx context.Context, s *kv.Store) error {
			st, err := dataStatsOf(ctx, s, *digest)
			if err != nil {
				return err
			}
			return f.out.print(cmd.OutOrStdout(), st, st.text)
		})
	}
	return cmd
}

// dataStats is what kv stats prints.
type dataStats struct {
	Engine          string     `json:"engine"`
	Index           uint64     `json:"index"`
	Term            uint64     `json:"term"`
	MembershipIndex uint64     `json:"membership_index"`
	Clock           *time.Time `json:"clock,omitempty"`
	NextDeadline    *time.Time `json:"next_deadline,omitempty"`
	Indexes         int        `json:"indexes"`
	Disk            int64      `json:"disk_bytes"`
	Rows            *uint64    `json:"rows,omitempty"`
	Bytes           *uint64    `json:"row_bytes,omitempty"`
	Digest          string     `json:"digest,omitempty"`
}

func dataStatsOf(ctx context.Context, s *kv.Store, digest bool) (dataStats, error) {
	st, err := s.Stats()
	if err != nil {
		return dataStats{}, err
	}
	m, err := s.Mark(ctx)
	if err != nil {
		return dataStats{}, err
	}
	next, err := s.NextDeadline(ctx)
	if err != nil {
		return dataStats{}, err
	}
	indexes, err := s.Indexes(ctx)
	if err != nil {
		return dataStats{}, err
	}
	out := dataStats{
		Engine: st.Engine, Index: m.Index, Term: m.Term, MembershipIndex: m.MembershipIndex,
		Clock: unlessZero(m.Clock), NextDeadline: unlessZero(next), Indexes: len(indexes), Disk: st.Size.Disk,
	}
	if digest {
		d, err := s.Digest(ctx, kv.Range{})
		if err != nil {
			return dataStats{}, err
		}
		out.Rows, out.Bytes, out.Digest = &d.Rows, &d.Bytes, d.String()
	}
	return out, nil
}

func unlessZero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (d dataStats) text(w io.Writer) {
	fmt.Fprintf(w, "engine         %s, %s on disk\n", d.Engine, humanBytes(d.Disk))
	fmt.Fprintf(w, "applied        entry %d of term %d, membership of entry %d\n", d.Index, d.Term, d.MembershipIndex)
	if d.Clock != nil {
		fmt.Fprintf(w, "clock          %s\n", d.Clock.Format(time.RFC3339Nano))
	}
	if d.NextDeadline != nil {
		fmt.Fprintf(w, "next deadline  %s\n", d.NextDeadline.Format(time.RFC3339Nano))
	}
	fmt.Fprintf(w, "indexes        %d\n", d.Indexes)
	if d.Rows != nil {
		fmt.Fprintf(w, "rows           %d of %s\n", *d.Rows, humanBytes(int64(*d.Bytes)))
		fmt.Fprintf(w, "digest         %s\n", d.Digest)
	}
}

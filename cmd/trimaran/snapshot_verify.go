package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

func newSnapshotVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify [ID]",
		Short: "Read snapshots to their end and check every byte",
		Long: `Reads one snapshot, or all of them, and checks checksums, sizes and digests. Damage is
listed place by place, and makes the exit code 3.`,
		Example: `  trimaran snapshot verify
  trimaran snapshot verify latest
  trimaran snapshot verify ID -o json`,
		Args: oneSnapshot,
	}
	f := addSnapshotFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return f.with(func(ctx context.Context, s *snapshot.Store) error {
			metas, err := selected(ctx, s, args)
			if err != nil {
				return err
			}
			all := []verified{}
			damaged := false
			for _, m := range metas {
				v, err := verifyOne(ctx, s, m, cmd.ErrOrStderr())
				if err != nil {
					return err
				}
				damaged = damaged || !v.Valid
				all = append(all, v)
			}
			err = f.out.print(cmd.OutOrStdout(), all, func(w io.Writer) {
				for _, v := range all {
					v.text(w)
				}
			})
			if err == nil && damaged {
				return silent{fault.ErrCorrupt}
			}
			return err
		})
	}
	return cmd
}

// selected returns the snapshot that was named, or all.
func selected(ctx context.Context, s *snapshot.Store, args []string) (metas []snapshot.Meta, err error) {
	if len(args) > 0 {
		m, err := find(ctx, s, args[0])
		return []snapshot.Meta{m}, err
	}
	for m, err := range s.All(ctx) {
		if err != nil {
			return nil, err
		}
		metas = append(metas, m)
	}
	return metas, nil
}

// verified is what snapshot verify prints of one snapshot.
type verified struct {
	ID      string   `json:"id"`
	Valid   bool     `json:"valid"`
	Chunks  int64    `json:"chunks"`
	Bytes   int64    `json:"bytes"`
	Faults  int64    `json:"faults"`  // damaged places
	Damages []string `json:"damages"` // the first of them
}

func verifyOne(ctx context.Context, s *snapshot.Store, m snapshot.Meta, stderr io.Writer) (verified, error) {
	v := verified{ID: m.ID.String(), Damages: []string{}}
	bar := newProgress(stderr, "verify "+v.ID, m.Size)
	r, err := s.Verify(ctx, m.ID, bar.report)
	bar.end()
	if err != nil && !errors.Is(err, fault.ErrCorrupt) {
		return v, err
	}
	v.Chunks, v.Bytes, v.Faults, v.Valid = r.Chunks, r.Bytes, r.Faults, err == nil
	for _, d := range r.Damaged {
		v.Damages = append(v.Damages, d.Error())
	}
	return v, nil
}

func (v verified) text(w io.Writer) {
	if v.Valid {
		fmt.Fprintf(w, "%s: valid, %s, chunks: %d\n", v.ID, humanBytes(v.Bytes), v.Chunks)
		return
	}
	fmt.Fprintf(w, "%s: DAMAGED in places: %d, intact are %s, chunks: %d\n", v.ID, v.Faults, humanBytes(v.Bytes), v.Chunks)
	for _, d := range v.Damages {
		fmt.Fprintf(w, "  %s\n", d)
	}
	if more := v.Faults - int64(len(v.Damages)); more > 0 {
		fmt.Fprintf(w, "  and more: %d\n", more)
	}
}

package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran/snapshot"
)

func newSnapshotPrune() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "prune",
		Short: "Remove the snapshots that a retention rule does not keep",
		Long: `Removes what the retention of the configuration does not keep, or what the flags do not.
The newest valid snapshot always stays. --dry-run only says what would go.`,
		Example: `  trimaran snapshot prune --dry-run
  trimaran snapshot prune --keep 3
  trimaran snapshot prune --keep 3 --max-age 168h
  trimaran snapshot prune --max-total-size 4096`,
		Args: cobra.NoArgs,
	}
	f := addSnapshotFlags(cmd)
	dry := cmd.Flags().Bool("dry-run", false, "change nothing")
	var p pruneFlags
	cmd.Flags().IntVar(&p.keep, "keep", 0, "keep so many of the newest")
	cmd.Flags().DurationVar(&p.age, "max-age", 0, "keep what is not older")
	cmd.Flags().Int64Var(&p.size, "max-total-size", 0, "remove those not used for longest until all together have so many MiB")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		policy, err := p.policy(f)
		if err != nil {
			return err
		}
		return f.with(func(ctx context.Context, s *snapshot.Store) error {
			remove := s.Prune
			if *dry {
				remove = s.Plan
			}
			gone, err := remove(ctx, policy)
			if err != nil {
				return err
			}
			r := pruned{Policy: policy.String(), DryRun: *dry, Removed: infosOf(gone)}
			return f.out.print(cmd.OutOrStdout(), r, r.text)
		})
	}
	return cmd
}

type pruneFlags struct {
	keep int
	age  time.Duration
	size int64
}

// policy is what the flags say, or else the configuration.
func (p *pruneFlags) policy(f *snapshotFlags) (policy snapshot.Policy, err error) {
	for _, name := range []string{"keep", "max-age", "max-total-size"} {
		if flag := f.cmd.Flags().Lookup(name); flag.Changed && (flag.Value.String() == "0" || flag.Value.String() == "0s") {
			return policy, usageError{fmt.Errorf("prune: --%s 0 says nothing: want a positive value", name)}
		}
	}
	switch {
	case p.size != 0 && (p.keep != 0 || p.age != 0):
		return policy, usageError{fmt.Errorf("prune: --max-total-size goes with neither --keep nor --max-age")}
	case p.size != 0:
		policy = snapshot.Policy{Strategy: snapshot.SizeBasedLRU, MaxTotalSize: p.size << 20}
	case p.keep != 0 && p.age != 0:
		policy = snapshot.Policy{Strategy: snapshot.Combined, KeepCount: p.keep, MaxAge: p.age}
	case p.keep != 0:
		policy = snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: p.keep}
	case p.age != 0:
		policy = snapshot.Policy{Strategy: snapshot.KeepByAge, MaxAge: p.age}
	default:
		n, err := f.node()
		if err != nil {
			return policy, err
		}
		if policy = n.storage.Snapshots.Retention; policy.Strategy == 0 {
			return policy, usageError{fmt.Errorf("prune: the configuration has no retention: say --keep, --max-age or --max-total-size")}
		}
	}
	if err := policy.Validate(); err != nil {
		return policy, usageError{err}
	}
	return policy, nil
}

// pruned is what snapshot prune prints.
type pruned struct {
	Policy  string         `json:"policy"`
	DryRun  bool           `json:"dry_run"`
	Removed []snapshotInfo `json:"removed"`
}

func (p pruned) text(w io.Writer) {
	verb := "removed"
	if p.DryRun {
		verb = "would remove"
	}
	if len(p.Removed) == 0 {
		fmt.Fprintf(w, "nothing to remove: %s\n", p.Policy)
		return
	}
	for _, i := range p.Removed {
		fmt.Fprintf(w, "%s %s, index %d, %s\n", verb, i.ID, i.Index, humanBytes(i.StoredSize))
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

func newSnapshot() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "snapshot",
		Short: "Look after the snapshots of a node that is not running",
		Long: `Works on the snapshots of a stopped node, in its data directory (--data) or where its
configuration file (--config) says. A node that runs holds them; ask it over HTTP.
Nothing is removed but by prune.`,
	}
	cmd.AddCommand(newSnapshotList(), newSnapshotInspect(), newSnapshotVerify(), newSnapshotExport(), newSnapshotImport(), newSnapshotPrune())
	return cmd
}

// snapshotFlags say where snapshots are.
type snapshotFlags struct {
	cmd  *cobra.Command
	out  *output
	data string
	file string
}

func addSnapshotFlags(cmd *cobra.Command) *snapshotFlags {
	f := &snapshotFlags{cmd: cmd, out: outputFlag(cmd)}
	cmd.Flags().StringVar(&f.data, "data", defaultNode().data, "data directory of the node")
	cmd.Flags().StringVar(&f.file, "config", "", "configuration file of the node")
	return f
}

// node is what the flags mean.
func (f *snapshotFlags) node() (*nodeConfig, error) {
	n := defaultNode()
	if f.file != "" {
		var err error
		if n, err = loadNode(f.file); err != nil {
			return nil, err
		}
	}
	if f.file == "" || f.cmd.Flags().Changed("data") {
		n.data = f.data
	}
	return n, nil
}

// with opens the snapshots for fn. Retention is for prune alone.
func (f *snapshotFlags) with(fn func(ctx context.Context, s *snapshot.Store) error) (err error) {
	n, err := f.node()
	if err != nil {
		return err
	}
	if _, err := os.Stat(n.data); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	c := n.storage
	c.Snapshots.Retention, c.Snapshots.MaxSnapshots = snapshot.Policy{}, 0
	c.Options.NoMembership = true
	ctx := f.cmd.Context()
	s, after, err := c.OpenSnapshots(ctx, n.data)
	if errors.Is(err, fault.ErrLocked) {
		return fmt.Errorf("%w\nThe node runs: stop it, or ask it over HTTP", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close(), after.Close()) }()
	return fn(ctx, s)
}

// find returns the snapshot of an id, or the newest valid one of "latest".
func find(ctx context.Context, s *snapshot.Store, name string) (snapshot.Meta, error) {
	if name == "latest" {
		return s.Latest(ctx)
	}
	id, err := snapshot.ParseID(name)
	if err != nil {
		return snapshot.Meta{}, usageError{err}
	}
	return s.Stat(ctx, id)
}

// oneSnapshot takes an id, or "latest" when there is none.
func oneSnapshot(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usageError{fmt.Errorf("%s: want one id or none, got %d\nTry: %s --help", cmd.Name(), len(args), cmd.CommandPath())}
	}
	return nil
}

func nameOf(args []string) string {
	if len(args) == 0 {
		return "latest"
	}
	return args[0]
}

// snapshotInfo is a snapshot as it is printed.
type snapshotInfo struct {
	ID              string    `json:"id"`
	Index           uint64    `json:"index"`
	Term            uint64    `json:"term"`
	MembershipIndex uint64    `json:"membership_index"`
	Entries         uint64    `json:"entries"`
	Size            int64     `json:"size_bytes"`
	StoredSize      int64     `json:"stored_bytes"`
	Codec           string    `json:"codec"`
	Level           int       `json:"level"`
	Created         time.Time `json:"created"`
	Digest          string    `json:"digest"`
	Damaged         string    `json:"damaged,omitempty"`
}

func infoOf(m snapshot.Meta) snapshotInfo {
	i := snapshotInfo{
		ID: m.ID.String(), Index: m.Index, Term: m.Term, MembershipIndex: m.MembershipIndex, Entries: m.Entries,
		Size: m.Size, StoredSize: m.StoredSize, Codec: m.Codec.String(), Level: m.Level, Created: m.Created, Digest: m.Digest,
	}
	if m.Damaged != nil {
		i.Damaged = m.Damaged.Error()
	}
	return i
}

func infosOf(ms []snapshot.Meta) []snapshotInfo {
	all := make([]snapshotInfo, len(ms))
	for i, m := range ms {
		all[i] = infoOf(m)
	}
	return all
}

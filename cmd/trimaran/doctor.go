package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/adapter/hashiraft"
	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/doctor"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
)

func newDoctor() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor [DIR]",
		Short: "Examine a node that does not start: what is broken, what is lost, what to do",
		Long: `Reads log, votes, snapshots and data of a stopped node, together and to the last byte,
and says which invariants hold and where they break, what is lost, what the next open
would do and, if the node is damaged, which repair loses nothing. It changes nothing:
the node is opened, and the repair rehearsed, on a view of its files that keeps changes
in a scratch directory. Of a large node that takes as much room as its data.

--apply does the repair, after it was rehearsed once more. Files that it changes or
removes are copied or moved to DIR/LAYER.doctor-TIME first; remove these when the node
is well. Where no repair is safe it changes nothing.

Exit codes: 0 the node opens, or was repaired; 3 it is damaged; 4 it runs; 5 there is
none. See also: trimaran exit-codes.`,
		Example: `  trimaran doctor trimaran-data
  trimaran doctor trimaran-data --plan
  trimaran doctor trimaran-data --apply
  trimaran doctor --config node.yaml -o json`,
		Args: cobra.MaximumNArgs(1),
	}
	out := outputFlag(cmd)
	f := cmd.Flags()
	file := f.String("config", "", "configuration file of the node")
	scratch := f.String("scratch", os.TempDir(), "directory with room for what is tried out")
	plan := f.Bool("plan", false, "print the steps of the repair alone, and the files that it touches")
	apply := f.Bool("apply", false, "do the repair")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *plan && *apply {
			return usageError{errors.New("doctor: --plan prints what --apply does: only one can be wanted")}
		}
		n := defaultNode()
		if *file != "" {
			var err error
			if n, err = loadNode(*file); err != nil {
				return err
			}
		}
		if len(args) > 0 {
			n.data = args[0]
		} else if *file == "" {
			return usageError{fmt.Errorf("doctor: want the data directory of a node, or --config\nTry: %s --help", cmd.CommandPath())}
		}
		e := examined{Dir: n.data, plan: *plan}
		err := e.run(cmd.Context(), n, *scratch, *apply, cmd.ErrOrStderr())
		if e.Report == nil {
			return err
		}
		if perr := out.print(cmd.OutOrStdout(), e, e.text); perr != nil || err != nil {
			return errors.Join(perr, err)
		}
		if e.State == doctor.Repairable || e.State == doctor.Beyond {
			return silent{fault.ErrCorrupt}
		}
		return nil
	}
	return cmd
}

// examined is what doctor prints.
type examined struct {
	Dir string `json:"dir"`
	*doctor.Report
	Applied *applied `json:"applied,omitempty"`
	plan    bool
}

// applied is what a repair did; the report is then of what came before.
type applied struct {
	State doctor.State `json:"state"` // since then
	Kept  []string     `json:"kept"`  // what was changed or removed
}

func (e *examined) run(ctx context.Context, n *nodeConfig, scratch string, apply bool, stderr io.Writer) (err error) {
	o, root, done, err := doctorOptions(n, scratch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	var bar *progress
	reading := ""
	o.Progress = func(part string, d, total int64) {
		if part != reading {
			bar.end()
			bar, reading = newProgress(stderr, part, total), part
		}
		bar.report(d, total)
	}
	defer func() { bar.end() }()
	if e.Report, err = doctor.Examine(ctx, o); err != nil || !apply || e.State != doctor.Repairable {
		return err
	}
	kept, err := doctor.Apply(ctx, o, e.Report)
	if err != nil {
		return fmt.Errorf("%w\nWhat it changed before is kept in %s/*.doctor-*; run doctor again to see what is left to do", err, n.data)
	}
	after, err := doctor.Examine(ctx, o)
	if err != nil {
		return err
	}
	for i := range kept {
		kept[i] = filepath.Join(root, kept[i])
	}
	e.Applied = &applied{after.State, kept}
	e.State = after.State
	return nil
}

// doctorOptions opens the tree of a node, which is at root, and a directory for
// scratch.
func doctorOptions(n *nodeConfig, scratch string) (o *doctor.Options, root string, done func() error, err error) {
	c := *n.storage
	if err := examinable(&c); err != nil {
		return nil, "", nil, err
	}
	if _, err := os.Stat(n.data); err != nil {
		return nil, "", nil, fmt.Errorf("data directory: %w", err)
	}
	c.Snapshots.Retention, c.Snapshots.MaxSnapshots = snapshot.Policy{}, 0
	c.Options.Storage = trimaran.Options{Owner: trimaran.OwnerLibrary, SkipsNonCommands: true}
	c.Options.NoMembership = true
	root, err = rootOf(n.data, &c.Log.Layer, &c.Snapshots.Layer, &c.Data.Layer)
	if err != nil {
		return nil, "", nil, err
	}
	fsys, err := vfs.Disk(root)
	if err != nil {
		return nil, "", nil, fmt.Errorf("data directory: %w", err)
	}
	dir, err := os.MkdirTemp(scratch, "trimaran-doctor-")
	if err != nil {
		return nil, "", nil, errors.Join(err, fsys.Close())
	}
	temp, err := vfs.Disk(dir)
	if err != nil {
		return nil, "", nil, errors.Join(err, fsys.Close(), os.Remove(dir))
	}
	o = &doctor.Options{
		FS: fsys, Scratch: temp, Log: c.Log.Path, Snapshots: c.Snapshots.Path, Data: c.Data.Path,
		TermKey: hashiraft.TermKey,
		On: func(fsys vfs.FS) doctor.Node {
			on := c
			on.Options.FS = fsys
			return &on
		},
		Now: time.Now,
	}
	for _, at := range []struct{ dir, lock string }{{o.Log, "LOCK"}, {o.Snapshots, ".lock"}, {o.Data, "LOCK"}} {
		if at.dir != "" {
			o.Locks = append(o.Locks, path.Join(at.dir, at.lock))
		}
	}
	return o, root, func() error { return errors.Join(fsys.Close(), temp.Close(), os.RemoveAll(dir)) }, nil
}

// examinable refuses layers that are no files of the tree, or nothing at all,
// and says what to do instead.
func examinable(c *config.Config) error {
	switch {
	case c.Snapshots.Backend == "s3":
		return fmt.Errorf("doctor cannot examine snapshots in S3. Copy the objects of bucket %q below prefix %q to a directory, as with: aws s3 sync s3://%s/%s SNAPSHOTS; "+
			"then examine with a configuration that says snapshot_storage: {backend_type: compressed_file, path: SNAPSHOTS}, and copy back what a repair changed: %w", c.Snapshots.S3.Bucket, c.Snapshots.S3.Prefix, c.Snapshots.S3.Bucket, c.Snapshots.S3.Prefix, fault.ErrUnsupported)
	case c.Data.Backend == "rocksdb":
		return fmt.Errorf("doctor cannot examine RocksDB, which opens its files past the view that a repair is rehearsed on. Ask its own tool: ldb --db=%s checkconsistency. "+
			"To see whether log and snapshots alone would bring the data back, examine with a configuration that says app_storage: {backend_type: memory}: if that opens, move %s away, and the node's next open restores it: %w",
			c.Data.Path, c.Data.Path, fault.ErrUnsupported)
	case c.Log.Path == "": // then all are, as config sees to
		return fmt.Errorf("doctor has nothing to examine: log, snapshots and data of this configuration are in memory, and went with the process: %w", fault.ErrUnsupported)
	}
	return nil
}

// rootOf returns the directory of the tree that holds the layers, and makes
// their paths those in it: the node's own, or the root where one is elsewhere.
func rootOf(data string, layers ...*config.Layer) (string, error) {
	elsewhere := false
	for _, l := range layers {
		elsewhere = elsewhere || filepath.IsAbs(l.Path)
	}
	for _, l := range layers {
		if l.Path == "" {
			continue // in memory
		}
		if elsewhere {
			p := l.Path
			if !filepath.IsAbs(p) {
				p = filepath.Join(data, p)
			}
			p, err := filepath.Abs(p)
			if err != nil {
				return "", err
			}
			l.Path = strings.TrimPrefix(p, "/")
		}
		l.Path = path.Clean(filepath.ToSlash(l.Path))
	}
	if elsewhere {
		return "/", nil
	}
	return data, nil
}

func (e examined) text(w io.Writer) {
	if e.Applied != nil {
		e.appliedText(w)
		return
	}
	if !e.plan {
		fmt.Fprintf(w, "%s: %s\n\n", e.Dir, stateWords[e.State])
		for _, p := range e.Parts {
			fmt.Fprintf(w, "  %-10s %s\n", p.Name, p.Is)
		}
		fmt.Fprintln(w)
		for _, c := range e.Checks {
			fmt.Fprintf(w, "  %-8s %s\n", c.State, c.Rule)
			if c.Found != "" {
				fmt.Fprintf(w, "           %s\n", c.Found)
			}
		}
		section(w, "Cannot be read any more:", e.Lost)
		section(w, "The next open:", e.Opening)
	}
	section(w, "What to do:", e.Advice)
	e.repairText(w)
}

var stateWords = map[doctor.State]string{
	doctor.Sound:      "sound; it opens",
	doctor.Recovers:   "it opens, and recovers from a crash by itself",
	doctor.Repairable: "DAMAGED; a repair loses nothing",
	doctor.Beyond:     "DAMAGED beyond what can be repaired from here",
}

// section prints lines below a heading, unless there are none.
func section(w io.Writer, heading string, lines []string) {
	if len(lines) > 0 {
		fmt.Fprintf(w, "\n%s\n", heading)
	}
	for _, l := range lines {
		fmt.Fprintf(w, "  %s\n", l)
	}
}

func (e examined) repairText(w io.Writer) {
	if len(e.Repair) == 0 {
		if e.plan && len(e.Advice) == 0 {
			fmt.Fprintf(w, "%s: nothing to repair: %s\n", e.Dir, stateWords[e.State])
		}
		return
	}
	fmt.Fprintln(w, "\nThe repair:")
	for i, s := range e.Repair {
		fmt.Fprintf(w, "  %d. %s\n     %s\n", i+1, s.Do, s.Why)
	}
	fmt.Fprintf(w, "It was rehearsed: %s.\n", e.After)
	if e.plan {
		section(w, "It changes or removes these files, and keeps them in "+e.Dir+"/*.doctor-TIME:", e.Touched)
	}
	fmt.Fprintf(w, "To do it: trimaran doctor %s --apply\n", e.Dir)
}

func (e examined) appliedText(w io.Writer) {
	fmt.Fprintf(w, "%s: repaired\n\n", e.Dir)
	for i, s := range e.Repair {
		fmt.Fprintf(w, "  %d. %s\n", i+1, s.Do)
	}
	section(w, "What was changed or removed is kept in:", e.Applied.Kept)
	fmt.Fprintf(w, "\nThe node is now: %s\n", stateWords[e.Applied.State])
}

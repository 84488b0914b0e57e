package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
)

func newLogDump() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dump [DIR]",
		Short: "Print the entries of a log, one a line",
		Long: `Prints index, term, kind, time, sizes and CRC-32C (of Data) of each entry, group by group,
with -o json one object a line. An entry that is damaged has a line that says so, and
makes the exit code 3; the others are printed all the same.

--data hex prints every byte, --data text quotes what is not printable. --stable prints
the stable keys of each group before its entries.`,
		Example: `  trimaran log dump trimaran-data
  trimaran log dump trimaran-data --from 1000 --to 1010 --data text
  trimaran log dump /var/lib/trimaran/log --group 1/2 --stable -o json`,
		Args: oneLog,
	}
	d := dumper{out: outputFlag(cmd), data: "none"}
	group := cmd.Flags().String("group", "", "only this group, as SHARD/REPLICA")
	cmd.Flags().Uint64Var(&d.from, "from", 0, "the first index")
	cmd.Flags().Uint64Var(&d.to, "to", 0, "the last index; 0 is that of the group")
	cmd.Flags().Var(&d.data, "data", "how to print data: none, hex or text")
	cmd.Flags().BoolVar(&d.stable, "stable", false, "print stable keys as well")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *group != "" {
			g, err := raftlog.ParseGroup(*group)
			if err != nil {
				return usageError{err}
			}
			d.only = &g
		}
		if d.to == 0 {
			d.to = math.MaxUint64
		}
		if d.from > d.to {
			return usageError{fmt.Errorf("dump: --from %d is beyond --to %d", d.from, d.to)}
		}
		dir, err := logDir(cmd, args)
		if err != nil {
			return err
		}
		return withLog(cmd, dir, func(ctx context.Context, i *seglog.Inspector) error {
			return d.run(ctx, cmd, dir, i)
		})
	}
	return cmd
}

// dumper prints a log. It holds a bounded part of it in memory.
type dumper struct {
	out      *output
	only     *raftlog.Group
	from, to uint64
	data     dataForm
	stable   bool

	w       *lines
	stderr  io.Writer
	dir     string
	i       *seglog.Inspector
	again   bool // i is not the caller's
	damaged bool
}

// dumpBytes is how much is read at once.
const dumpBytes = 1 << 20

func (d *dumper) run(ctx context.Context, cmd *cobra.Command, dir string, i *seglog.Inspector) (err error) {
	d.w, d.stderr, d.dir, d.i = newLines(cmd.OutOrStdout(), *d.out == "json", d.data), cmd.ErrOrStderr(), dir, i
	defer func() {
		if d.again {
			err = errors.Join(err, d.i.Close())
		}
	}()
	seen := false
	for _, g := range i.Groups() {
		if d.only != nil && g.Group != *d.only {
			continue
		}
		seen = true
		if err := d.group(ctx, g); err != nil {
			return errors.Join(err, d.w.flush())
		}
	}
	err = d.w.flush()
	switch {
	case err == nil && d.only != nil && !seen:
		return fmt.Errorf("group %v: %w", *d.only, fault.ErrNotFound)
	case err == nil && d.damaged:
		return silent{fault.ErrCorrupt}
	}
	return err
}

func (d *dumper) group(ctx context.Context, g seglog.GroupInfo) error {
	if d.stable {
		if err := d.keys(g); err != nil {
			return err
		}
	}
	next := max(d.from, g.First())
	last := min(d.to, g.Last)
	var es []raftlog.Entry
	for next <= last {
		if err := ctx.Err(); err != nil {
			return err
		}
		var err error
		es, err = d.i.Read(es, g.Group, next, last+1, dumpBytes)
		for n := range es {
			if err := d.w.entry(g.Group, &es[n]); err != nil {
				return err
			}
		}
		next += uint64(len(es))
		switch {
		case errors.Is(err, seglog.ErrMoved):
			if next, last, err = d.moveOn(g.Group, next, last); err != nil {
				return err
			}
		case errors.Is(err, fault.ErrCorrupt):
			d.damaged = true
			if err := d.w.damage(g.Group, next, err); err != nil {
				return err
			}
			next++
		case err != nil:
			return err
		}
	}
	return nil
}

// moveOn looks at the log again, and says what of [next, last] is still there.
func (d *dumper) moveOn(g raftlog.Group, next, last uint64) (uint64, uint64, error) {
	i, err := seglog.Inspect(d.dir, nil)
	if err != nil {
		return next, last, err
	}
	if d.again {
		err = d.i.Close()
	}
	d.i, d.again = i, true
	b, failed := i.Bounds(g)
	if err = errors.Join(err, failed); err != nil {
		return next, last, err
	}
	if first := b.First(); first > next {
		fmt.Fprintf(d.stderr, "trimaran: group %v: entries %d to %d were compacted meanwhile\n", g, next, min(last, first-1))
		next = first
	}
	return next, min(last, b.Last), nil
}

func (d *dumper) keys(g seglog.GroupInfo) error {
	for _, key := range g.Keys {
		v, err := d.i.Stable(g.Group, key)
		if errors.Is(err, fault.ErrNotFound) {
			continue // deleted since the log was looked at
		}
		if err == nil {
			err = d.w.key(g.Group, key, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

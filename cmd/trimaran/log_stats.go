package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran/raftlog/seglog"
)

func newLogStats() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stats [DIR]",
		Short: "Show groups, files and state of a log",
		Long: `Shows how the log was found, its groups with their bounds, terms and the names of their
stable keys, and its files with what lives in them. Entries are not read: log verify
does that.`,
		Example: `  trimaran log stats trimaran-data
  trimaran log stats /var/lib/trimaran/log -o json`,
		Args: oneLog,
	}
	out := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir, err := logDir(cmd, args)
		if err != nil {
			return err
		}
		return withLog(cmd, dir, func(_ context.Context, i *seglog.Inspector) error {
			s := statsOf(dir, i)
			return out.print(cmd.OutOrStdout(), s, s.text)
		})
	}
	return cmd
}

// logStats is what log stats prints.
type logStats struct {
	logState
	Groups   []logGroup   `json:"groups"`
	Segments []logSegment `json:"segments"`
	Sums     logSums      `json:"sums"`
}

type logGroup struct {
	Group    string    `json:"group"`
	Base     uint64    `json:"base"`
	BaseTerm uint64    `json:"base_term"`
	First    uint64    `json:"first"`
	Last     uint64    `json:"last"`
	LastTerm uint64    `json:"last_term"`
	Entries  uint64    `json:"entries"`
	Bytes    uint64    `json:"bytes"`
	Terms    []logTerm `json:"terms"`
	Keys     []string  `json:"stable_keys"`
}

type logTerm struct {
	First uint64 `json:"first"`
	Term  uint64 `json:"term"`
}

type logSegment struct {
	File      string `json:"file"`
	State     string `json:"state"`
	Size      int64  `json:"size_bytes"`
	Live      int64  `json:"live_entries"`
	LiveBytes int64  `json:"live_bytes"`
}

type logSums struct {
	Groups     int    `json:"groups"`
	Entries    uint64 `json:"entries"`
	Segments   int    `json:"segments"`
	Size       int64  `json:"size_bytes"`
	LiveBytes  int64  `json:"live_bytes"`
	Spares     int    `json:"spares"`
	SpareBytes int64  `json:"spare_bytes"`
}

func statsOf(dir string, i *seglog.Inspector) logStats {
	info := i.Info()
	s := logStats{logState: stateOf(dir, info), Groups: []logGroup{}, Segments: []logSegment{}}
	for _, g := range i.Groups() {
		x := logGroup{
			Group: g.Group.String(), Base: g.Base.Index, BaseTerm: g.Base.Term, First: g.First(), Last: g.Last, LastTerm: g.LastTerm,
			Entries: g.Count(), Bytes: g.Bytes, Terms: []logTerm{}, Keys: append([]string{}, g.Keys...),
		}
		for _, r := range g.Terms {
			x.Terms = append(x.Terms, logTerm{r.First, r.Term})
		}
		s.Groups = append(s.Groups, x)
		s.Sums.Entries += x.Entries
	}
	s.Sums.Groups = len(s.Groups)
	for _, f := range info.Segments {
		s.Segments = append(s.Segments, logSegment{File: f.Name, State: f.State.String(), Size: f.Size, Live: f.Live, LiveBytes: f.LiveBytes})
		if f.State == seglog.Spare {
			s.Sums.Spares++
			s.Sums.SpareBytes += f.Size
			continue
		}
		s.Sums.Segments++
		s.Sums.Size += f.Size
		s.Sums.LiveBytes += f.LiveBytes
	}
	return s
}

func (s logStats) text(w io.Writer) {
	s.logState.text(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nGROUP\tBASE\tFIRST\tLAST\tENTRIES\tTERMS\tSIZE\tSTABLE KEYS")
	for _, g := range s.Groups {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n", g.Group, g.Base, g.First, g.Last, g.Entries, g.terms(), humanBytes(int64(g.Bytes)), strings.Join(g.Keys, " "))
	}
	fmt.Fprintln(t, "\nFILE\tSTATE\tSIZE\tLIVE ENTRIES\tLIVE")
	for _, f := range s.Segments {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", f.File, f.State, humanBytes(f.Size), f.Live, humanBytes(f.LiveBytes))
	}
	_ = t.Flush() // to w, whose errors nobody sees here
	fmt.Fprintf(w, "\ngroups: %d, entries: %d, segments: %d with %s, of which %s live, spares: %d with %s\n",
		s.Sums.Groups, s.Sums.Entries, s.Sums.Segments, humanBytes(s.Sums.Size), humanBytes(s.Sums.LiveBytes), s.Sums.Spares, humanBytes(s.Sums.SpareBytes))
}

// terms is from which to which the terms go.
func (g logGroup) terms() string {
	switch n := len(g.Terms); n {
	case 0:
		return "-"
	case 1:
		return fmt.Sprint(g.Terms[0].Term)
	default:
		return fmt.Sprintf("%d-%d", g.Terms[0].Term, g.Terms[n-1].Term)
	}
}

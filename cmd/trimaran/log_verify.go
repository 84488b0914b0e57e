package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
)

func newLogVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "verify [DIR]",
		Short: "Read a log to its end and check every byte",
		Long: `Reads every frame and every index of all segments in use and checks their checksums.
Damage is listed place by place, and makes the exit code 3. Damage that keeps the log
from being opened is all that is said of such a log.

A torn tail is no damage: a crash leaves it, and it was never acknowledged. Beside a
node that runs, --rate leaves it the disk.`,
		Example: `  trimaran log verify trimaran-data
  trimaran log verify trimaran-data --rate 50000000
  trimaran log verify /var/lib/trimaran/log -o json`,
		Args: oneLog,
	}
	out := outputFlag(cmd)
	rate := cmd.Flags().Int64("rate", 0, "read so many bytes a second at most; 0 is no bound")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *rate < 0 {
			return usageError{fmt.Errorf("verify: --rate %d is negative", *rate)}
		}
		dir, err := logDir(cmd, args)
		if err != nil {
			return err
		}
		v := logVerified{logState: logState{Dir: dir, State: "damaged"}, Damages: []logDamage{}}
		err = withLog(cmd, dir, func(ctx context.Context, i *seglog.Inspector) error {
			v.logState = stateOf(dir, i.Info())
			return v.run(ctx, i, *rate, cmd.ErrOrStderr())
		})
		if damage, ok := errors.AsType[*fault.Corruption](err); ok { // it cannot be opened
			v.add(damage)
		} else if err != nil {
			return err
		}
		v.Valid = len(v.Damages) == 0
		if err := out.print(cmd.OutOrStdout(), v, v.text); err != nil || v.Valid {
			return err
		}
		return silent{fault.ErrCorrupt}
	}
	return cmd
}

// logVerified is what log verify prints.
type logVerified struct {
	logState
	Valid   bool        `json:"valid"`
	Entries uint64      `json:"entries"`
	Bytes   int64       `json:"bytes"`
	Damages []logDamage `json:"damages"`
}

type logDamage struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"` // -1: not known
	Index  uint64 `json:"index,omitempty"`
	Class  string `json:"class"`
	Text   string `json:"text"`
}

func (v *logVerified) run(ctx context.Context, i *seglog.Inspector, rate int64, stderr io.Writer) error {
	bar := newProgress(stderr, "verify", -1)
	defer bar.end()
	r, err := i.Verify(ctx, &raftlog.VerifyOptions{BytesPerSecond: rate, Progress: bar.report})
	v.Entries, v.Bytes = r.Entries, r.Bytes
	for _, c := range r.Damage {
		v.add(c)
	}
	return err
}

func (v *logVerified) add(c *fault.Corruption) {
	v.Damages = append(v.Damages, logDamage{File: c.Path, Offset: c.Offset, Index: c.Index, Class: c.Class.String(), Text: c.Error()})
}

func (v logVerified) text(w io.Writer) {
	if v.ID != "" {
		v.logState.text(w)
	}
	if v.Valid {
		fmt.Fprintf(w, "valid: %s, entries: %d\n", humanBytes(v.Bytes), v.Entries)
		return
	}
	fmt.Fprintf(w, "DAMAGED, intact entries: %d\n", v.Entries)
	for _, d := range v.Damages {
		fmt.Fprintf(w, "  %s\n", d.Text)
	}
}

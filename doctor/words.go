package doctor

import (
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// opening says what an open did, or why it refused; nothing if it had nothing
// to do.
func opening(r trimaran.Report, refused error) []string {
	all := []string{}
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	if refused != nil {
		add("it refuses: %v", refused)
		return all
	}
	if n := len(r.Forsaken); n > 0 {
		add("it removes snapshots that a restore had given up: %d", n)
	}
	if r.Undone != (raftlog.Position{}) {
		add("it takes back a restore of %v that a crash cut short", r.Undone)
	}
	if r.Finished != (raftlog.Position{}) {
		add("it finishes a restore of %v that a crash cut short", r.Finished)
	}
	if !r.Restored.IsZero() {
		add("it restores snapshot %v", r.Restored)
	}
	if r.LogReset {
		add("it makes the log continue after the data")
	}
	return all
}

// advice is what is left to do where no repair is safe.
func advice(no string, f *findings) []string {
	all := []string{
		"no repair is safe: " + no,
		"if the group has other voters: remove this node from it, move its directory away, and let it join anew, with an empty one",
		"if it is the only one: bring back the part that is damaged, or the whole node, from a backup",
	}
	if s := f.strangers(); len(s) > 0 {
		all = append(all, "if the parts were put together on purpose: trimaran serve --adopt accepts them, once; whoever says so answers for the votes")
	}
	if f.data.err == nil && f.data.torn == nil && f.data.rows > 0 {
		all = append(all, fmt.Sprintf("the data can be read, up to index %d: trimaran kv export saves a copy of it", f.data.mark.Index))
	}
	if errors.Is(f.log.err, fault.ErrCorrupt) {
		all = append(all, "what can be read of the log: trimaran log dump")
	}
	return all
}

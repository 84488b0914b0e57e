package doctor

import (
	"encoding/hex"
	"fmt"

	"github.com/trimarandb/trimaran/raftlog"
)

// stranger is a part that does not belong to the others.
type stranger struct {
	part string // log, snapshots or data
	why  string
}

// strangers compares what the parts carry. A part may carry what the log
// carries, or what an open that was cut short began to give it, or nothing as
// long as it holds nothing.
func (f *findings) strangers() (found []stranger) {
	if f.log.err != nil {
		return nil // nothing to compare with
	}
	log := f.log.id
	parts := []struct {
		name  string
		id    raftlog.Identity
		blank bool
		known bool
	}{
		{"data", f.data.id, f.data.mark.Index == 0, f.data.err == nil},
		{"snapshots", f.snaps.id, len(f.snaps.all) == 0, f.snaps.err == nil},
	}
	others := parts[0].known && parts[1].known && !parts[0].id.IsZero() && parts[0].id.Node == parts[1].id.Node
	for _, p := range parts {
		var s stranger
		switch {
		case !p.known, p.id == log, !f.log.opening.IsZero() && p.id == f.log.opening, p.id.IsZero() && p.blank:
			continue
		case log.IsZero():
			s = stranger{"log", fmt.Sprintf("the %s belong to node %s, the log to none: it was replaced or lost", p.name, node(p.id))}
		case p.id.IsZero():
			s = stranger{p.name, fmt.Sprintf("the %s carry no identity, the log that of node %s", p.name, node(log))}
		case p.id.Node != log.Node && others:
			s = stranger{"log", fmt.Sprintf("the log belongs to node %s, the other parts to node %s", node(log), node(p.id))}
		case p.id.Node != log.Node:
			s = stranger{p.name, fmt.Sprintf("the %s belong to node %s, the log to node %s", p.name, node(p.id), node(log))}
		case p.id.Epoch < log.Epoch:
			s = stranger{p.name, fmt.Sprintf("the %s are of epoch %d, the log of %d: they are an older copy", p.name, p.id.Epoch, log.Epoch)}
		default:
			s = stranger{"log", fmt.Sprintf("the log is of epoch %d, the %s of %d: it is an older copy", log.Epoch, p.name, p.id.Epoch)}
		}
		found = append(found, s)
	}
	return found
}

func node(id raftlog.Identity) string { return hex.EncodeToString(id.Node[:4]) }

// isStrange reports whether a part is among the strangers.
func isStrange(all []stranger, part string) bool {
	for _, s := range all {
		if s.part == part {
			return true
		}
	}
	return false
}

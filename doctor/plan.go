package doctor

import (
	"fmt"
	"slices"

	"github.com/trimarandb/trimaran/snapshot"
)

// action is what a step does; exactly one field is set.
type action struct {
	aside   string // the directory of a layer that is set aside as a whole
	remove  snapshot.ID
	open    bool   // open the node: it recovers
	take    bool   // take a snapshot of the data
	compact uint64 // compact the log up to there
	rotate  bool   // close the node, and have the log begin a new segment
}

// plan is the repair that loses nothing, as far as the findings go; a rehearsal
// decides. Without one it says why. The log is what acknowledged, so it is
// never replaced by anything: a node that forgets a vote may vote twice.
func (f *findings) plan(o *Options) (steps []Step, no string) {
	p := planner{f: f, o: o, strangers: f.strangers()}
	if no = p.log(); no == "" {
		no = p.snapshots()
	}
	if no == "" {
		no = p.data()
	}
	if no == "" {
		no = p.coverLog()
	}
	if no != "" {
		return nil, no
	}
	return p.steps, ""
}

type planner struct {
	f         *findings
	o         *Options
	strangers []stranger
	steps     []Step
	reach     uint64 // up to where whole snapshots go that stay
	rebuilt   bool   // the data is set aside
}

// add puts what is set aside before all else: no part need be open for it.
func (p *planner) add(a action, why, format string, args ...any) {
	at := len(p.steps)
	if a.aside != "" {
		at = 0
	}
	p.steps = slices.Insert(p.steps, at, Step{Do: fmt.Sprintf(format, args...), Why: why, act: a})
}

// log refuses what nothing can bring back.
func (p *planner) log() string {
	f := p.f
	switch {
	case f.log.err != nil:
		return "the log cannot be opened, and nothing else knows how this node voted"
	case isStrange(p.strangers, "log"):
		return "the log is not this node's, or an older copy: how this node voted since is not known"
	case f.log.falls > 0 || f.log.term > 0 && f.log.term < f.log.bounds.LastTerm:
		return "the terms in the log contradict each other, so its votes cannot be trusted"
	case f.data.at == beyond && !f.log.intent && !isStrange(p.strangers, "data"):
		return "acknowledged entries are gone from the end of the log, and perhaps votes with them"
	}
	return ""
}

// snapshots sets aside those that are not this node's, and removes damaged ones.
func (p *planner) snapshots() string {
	f := p.f
	strange := isStrange(p.strangers, "snapshots")
	if strange || f.snaps.err != nil || f.strangeSnapshot() && f.data.at == held {
		p.add(action{aside: p.o.Snapshots}, "log and data agree with each other, and do not need them", "set the snapshots aside: %s", p.o.Snapshots)
		return ""
	}
	if f.strangeSnapshot() {
		return "log, snapshots and data are of different histories, and no two of them agree"
	}
	p.reach = f.snaps.newest().Index
	for _, s := range f.snaps.all {
		if s.damage != nil {
			p.add(action{remove: s.ID}, "it is damaged, and would be taken for a copy of the state", "remove snapshot %v", s.ID)
		}
	}
	return ""
}

// data sets it aside where snapshot and log bring it back.
func (p *planner) data() string {
	f := p.f
	broken := f.data.err != nil || f.data.torn != nil || f.data.at == differs && !f.log.intent || isStrange(p.strangers, "data")
	base := f.log.bounds.Base.Index
	switch {
	case !broken && f.data.mark.Index < base && p.reach < base:
		return "nothing that is here holds what the compacted entries did"
	case !broken:
		return ""
	case p.reach < base:
		return fmt.Sprintf("the data cannot be used, and without it nothing holds what the entries up to %d did", base)
	case p.firstBad(p.reach) != 0:
		return fmt.Sprintf("the data cannot be used, and the log that would bring it back is damaged at entry %d", p.firstBad(p.reach))
	}
	p.rebuilt = true
	from := "the log brings it back"
	if p.reach > 0 {
		from = fmt.Sprintf("the snapshot of index %d and the log after it bring it back", p.reach)
	}
	p.add(action{aside: p.o.Data}, from, "set the data aside: %s", p.o.Data)
	return ""
}

// firstBad is the first entry after an index that cannot be read, 0 without one.
func (p *planner) firstBad(after uint64) uint64 {
	for _, bad := range p.f.log.bad {
		if bad.hi > after {
			return max(bad.lo, after+1)
		}
	}
	return 0
}

// coverLog puts a snapshot behind what only the data holds, and lets go of
// damaged entries that are behind it.
func (p *planner) coverLog() string {
	f := p.f
	last := uint64(0) // that cannot be read
	if n := len(f.log.bad); n > 0 {
		last = f.log.bad[n-1].hi
	}
	mark := f.data.mark.Index
	if p.rebuilt {
		mark = p.reach
	}
	if last > mark {
		return fmt.Sprintf("entry %d of the log is damaged and not applied here: what it did is not known", p.firstBad(mark))
	}
	p.add(action{open: true}, "it recovers what a crash left, and shows that the parts fit", "open the node")
	if p.reach < f.log.bounds.Base.Index || p.reach < last || len(p.steps) > 1 && !p.rebuilt {
		p.add(action{take: true}, "what only the data holds gets a second copy", "take a snapshot of the data, at index %d", mark)
	}
	if last > 0 {
		p.add(action{compact: last}, "the damaged entries are in a snapshot; followers that lag are sent that", "compact the log up to %d", last)
	}
	if f.log.fragile() != nil {
		p.add(action{rotate: true}, "recovery after a crash does not read the damaged one any more", "begin a new segment of the log")
	}
	return ""
}

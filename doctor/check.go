package doctor

import (
	"fmt"
	"strings"
)

// parts describes the layers.
func (f *findings) parts(o *Options) []Part {
	log, data := "cannot be opened", "cannot be opened"
	if b := f.log.bounds; f.log.err == nil {
		log = fmt.Sprintf("entries %d to %d, last term %d, base %v", b.First(), b.Last, b.LastTerm, b.Base)
		if b.Empty() {
			log = fmt.Sprintf("no entries, base %v", b.Base)
		}
	}
	snaps := "none"
	for i, s := range f.snaps.all {
		if i == 0 {
			snaps = fmt.Sprintf("%d, newest first:", len(f.snaps.all))
		}
		if snaps += fmt.Sprintf(" %v", s.ID); s.damage != nil {
			snaps += " (damaged)"
		}
	}
	if f.snaps.err != nil {
		snaps = "cannot be opened"
	}
	if o.Data == "" {
		data = "in memory: each open brings it back"
	} else if f.data.err == nil {
		data = fmt.Sprintf("applied up to %v, rows: %d", f.data.mark, f.data.rows)
		if f.log.err == nil && f.data.mark.Index < f.log.bounds.Last {
			data += "; what the log has after that, the node applies as far as it is committed"
		}
	}
	return []Part{{"log", o.Log, log}, {"snapshots", o.Snapshots, snaps}, {"data", o.Data, data}}
}

// checks are the invariants of a node, whatever opens it.
func (f *findings) checks() []Check {
	return []Check{
		f.logReads(), f.snapshotsRead(), f.dataReads(), f.oneIdentity(), f.noRestore(),
		f.noHole(), f.appliedInLog(), f.covered(), f.termsAgree(), f.termsRise(),
	}
}

func verdict(rule string, unknown bool, broken string) Check {
	switch {
	case broken != "":
		return Check{rule, Broken, broken}
	case unknown:
		return Check{rule, Unknown, ""}
	}
	return Check{rule, Holds, ""}
}

func (f *findings) logReads() Check {
	const rule = "the log opens and every entry of it verifies"
	switch {
	case f.log.err != nil:
		return Check{rule, Broken, f.log.err.Error()}
	case len(f.log.bad) > 0:
		return Check{rule, Broken, fmt.Sprintf("%v cannot be read; damaged places: %d, the first: %v", f.log.bad[0], len(f.log.places), f.log.places[0])}
	case f.log.fragile() != nil:
		return Check{rule, Broken, fmt.Sprintf("every entry can be read, but after a crash the log could not be opened: %v", f.log.fragile())}
	case len(f.log.places) > 0:
		return Check{rule, Holds, fmt.Sprintf("damaged places where no entry is any more: %d; they go with their segments", len(f.log.places))}
	}
	return Check{rule, Holds, ""}
}

func (f *findings) snapshotsRead() Check {
	var found []string
	if f.snaps.err != nil {
		found = append(found, f.snaps.err.Error())
	}
	for _, s := range f.snaps.all {
		if s.damage != nil {
			found = append(found, fmt.Sprintf("%v: %v", s.ID, s.damage))
		}
	}
	return verdict("the snapshots open and every byte of them verifies", false, strings.Join(found, "; "))
}

func (f *findings) dataReads() Check {
	found := ""
	if f.data.err != nil {
		found = f.data.err.Error()
	} else if f.data.torn != nil {
		found = f.data.torn.Error()
	}
	return verdict("the data opens and every row of it can be read", false, found)
}

func (f *findings) oneIdentity() Check {
	var found []string
	for _, s := range f.strangers() {
		found = append(found, s.why)
	}
	return verdict("all parts carry one identity and one epoch", f.log.err != nil || f.snaps.err != nil || f.data.err != nil, strings.Join(found, "; "))
}

func (f *findings) noRestore() Check {
	const rule = "no restore is half done"
	if f.log.intent {
		return Check{rule, Pending, "the intent of a restore stands in the log; the next open finishes it, or takes it back"}
	}
	return verdict(rule, f.log.err != nil, "")
}

func (f *findings) noHole() Check {
	const rule = "no hole: data or a snapshot reaches the base of the log"
	base, newest := f.log.bounds.Base.Index, f.snaps.newest()
	switch {
	case f.log.err != nil || f.data.err != nil && newest.Index < base:
		return Check{rule, Unknown, ""}
	case f.data.err == nil && f.data.mark.Index >= base:
	case newest.Index >= base:
		if f.data.err == nil {
			return Check{rule, Pending, fmt.Sprintf("the data ends at %d, the log begins at %d; the next open restores snapshot %v", f.data.mark.Index, f.log.bounds.First(), newest.ID)}
		}
	default:
		return Check{rule, Broken, fmt.Sprintf("the data ends at %d, the log begins at %d, and no whole snapshot holds what is between", f.data.mark.Index, f.log.bounds.First())}
	}
	return Check{rule, Holds, ""}
}

func (f *findings) appliedInLog() Check {
	const rule = "what is applied is in the log, or was"
	found := ""
	switch {
	case f.log.intent:
		return Check{rule, Pending, "a restore is half done"}
	case f.data.at == beyond:
		found = fmt.Sprintf("the data holds entries up to %d, the log ends at %d", f.data.mark.Index, f.log.bounds.Last)
	}
	return verdict(rule, f.data.at == unknown, found)
}

// covered is about more than one copy of what was compacted.
func (f *findings) covered() Check {
	found, newest := "", f.snaps.newest()
	if f.log.err == nil && f.snaps.err == nil && newest.Index < f.log.bounds.Base.Index {
		found = fmt.Sprintf("the log begins at %d, the newest whole snapshot ends at %d: only the data has what is between", f.log.bounds.First(), newest.Index)
	}
	return verdict("a whole snapshot reaches the base of the log", f.log.err != nil || f.snaps.err != nil, found)
}

func (f *findings) termsAgree() Check {
	const rule = "terms agree in log, snapshots and data"
	if f.log.intent {
		return Check{rule, Pending, "a restore is half done"}
	}
	var found []string
	if f.data.at == differs {
		found = append(found, fmt.Sprintf("the data's last entry is %v, in the log it is of another term", f.data.mark))
	}
	newest := f.snaps.newest()
	if f.strangeSnapshot() {
		found = append(found, fmt.Sprintf("snapshot %v is of another history than log and data", newest.ID))
	}
	return verdict(rule, f.data.at == unknown || f.snaps.err != nil, strings.Join(found, "; "))
}

// strangeSnapshot reports a newest snapshot whose last entry is not the one
// that log or data have there.
func (f *findings) strangeSnapshot() bool {
	s, mark := f.snaps.newest(), f.data.mark
	if s.Index == 0 || f.log.err != nil || f.data.err != nil {
		return false
	}
	committed := s.Index <= mark.Index || s.Index == f.log.bounds.Base.Index
	return s.at == differs && committed ||
		s.Index == mark.Index && s.Term != mark.Term || s.Index > mark.Index && s.Term < mark.Term || s.Index < mark.Index && s.Term > mark.Term
}

func (f *findings) termsRise() Check {
	found := ""
	switch b := f.log.bounds; {
	case f.log.falls > 0:
		found = fmt.Sprintf("entry %d is of a lower term than the one before", f.log.falls)
	case f.log.term > 0 && f.log.term < b.LastTerm:
		found = fmt.Sprintf("the stored term is %d, the last entry's %d: votes were lost", f.log.term, b.LastTerm)
	}
	return verdict("terms never fall, and the stored term is not behind", f.log.err != nil, found)
}

// lost says what cannot be read any more, and what that costs.
func (f *findings) lost() []string {
	all := []string{}
	add := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	mark, b := f.data.mark.Index, f.log.bounds
	if f.log.err != nil {
		add("the log: entries after %d, and the votes of this node", max(mark, f.snaps.newest().Index))
	}
	for i, bad := range f.log.bad {
		if i == 10 {
			add("%v, and more up to %d, of the log", bad, f.log.bad[len(f.log.bad)-1].hi)
			break
		}
		add("%v of the log, %s", bad, f.where(bad.hi))
	}
	if f.data.at == beyond && !f.log.intent {
		add("entries %d to %d of the log, and perhaps votes", b.Last+1, mark)
	}
	if f.data.err == nil && mark < b.Base.Index && f.snaps.newest().Index < b.Base.Index {
		add("what entries %d to %d did", mark+1, b.Base.Index)
	}
	if f.data.torn != nil {
		add("keys of the data after %.60q: only some can be read, if any", f.data.after)
	}
	if f.data.err != nil {
		add("the data, as it is here")
	}
	for _, s := range f.snaps.all {
		if s.damage != nil {
			add("snapshot %v", s.ID)
		}
	}
	if f.snaps.err != nil {
		add("the snapshots")
	}
	return all
}

// where says what still has what an entry did.
func (f *findings) where(index uint64) string {
	switch {
	case f.data.err == nil && f.data.torn == nil && index <= f.data.mark.Index:
		return "which the data has applied"
	case index <= f.snaps.newest().Index:
		return "which a snapshot holds"
	}
	return "which is not applied here"
}

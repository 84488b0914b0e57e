package trimaran

import (
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// facts are what Recover decides by.
type facts struct {
	owner    Owner
	lossy    bool // the log may forget what it acknowledged: volatile, or synced too rarely
	log      raftlog.Bounds
	mark     raftlog.Position // the last entry in the data
	atMark   place
	newest   raftlog.Position // the newest valid snapshot, zero without one
	atNewest place
	idle     bool // the log holds all between mark and newest, and none of it is a command
	intent   *intent
}

// place is how a position stands to the log.
type place uint8

const (
	held    place = iota // an entry of it, or its base, with the same term
	below                // compacted away: the base lies above it
	beyond               // above the last entry
	differs              // the log has another term there
)

func (p place) String() string {
	return [...]string{"in the log", "below its base", "beyond its last entry", "there with another term"}[p]
}

// action is what Recover does about what it found.
type action uint8

const (
	open    action = iota // nothing: the three are one history
	restore               // make the newest valid snapshot the data, and look again
	advance               // move the mark to the newest valid snapshot, and look again
	follow                // make the log continue after the data, and look again
	undo                  // clear the intent, and look again
	refuse                // say what is wrong
)

func (a action) String() string {
	return [...]string{"open", "restore", "advance", "follow", "undo", "refuse"}[a]
}

// rule is one line of the recovery table.
type rule struct {
	name   string // what was found
	when   func(f *facts) bool
	do     action
	why    string
	class  fault.Class           // of a refusal
	reason func(f *facts) string // of a refusal: names the hole
	remedy string                // what doctor would do about it
}

// decide returns the first rule that fits. The last one always does.
func decide(f *facts) *rule {
	for i := range rules {
		if rules[i].when(f) {
			return &rules[i]
		}
	}
	panic("the last rule of recovery fits everything")
}

// rules is the recovery table. docs/format/recovery.md is printed from it.
var rules = [...]rule{
	{
		name: "restore cut short, data switched",
		when: func(f *facts) bool { return f.intent != nil && f.intent.to == f.mark },
		do:   follow,
		why:  "the intent names the mark: the log's part is left to do",
	},
	{
		name: "restore cut short, data not switched",
		when: func(f *facts) bool { return f.intent != nil },
		do:   undo,
		why:  "the old data is whole, nobody was told otherwise",
	},
	{
		name:  "data of another history than the log",
		class: fault.Foreign,
		when:  func(f *facts) bool { return f.atMark == differs },
		do:    refuse,
		why:   "what is applied was committed, and the log says otherwise",
		reason: func(f *facts) string {
			return fmt.Sprintf("the last entry of the data is %d of term %d, in the log it is of another term: the two are of different histories", f.mark.Index, f.mark.Term)
		},
		remedy: "bring back the part that belongs here, or reset the data and restore a snapshot that the log agrees with",
	},
	{
		name:  "snapshot of another history than the data",
		class: fault.Foreign,
		when: func(f *facts) bool {
			return f.newest.Index > 0 && (f.newest.Index == f.mark.Index && f.newest.Term != f.mark.Term || f.newest.Index > f.mark.Index && f.newest.Term < f.mark.Term ||
				f.newest.Index < f.mark.Index && f.newest.Term > f.mark.Term)
		},
		do:  refuse,
		why: "terms never fall, and both are committed",
		reason: func(f *facts) string {
			return fmt.Sprintf("the newest snapshot holds %v, the data %v: the two are of different histories", f.newest, f.mark)
		},
		remedy: "bring back the part that belongs here, or remove the snapshot",
	},
	{
		name:  "snapshot of another history than the log",
		class: fault.Foreign,
		when: func(f *facts) bool {
			return f.newest.Index > 0 && f.atNewest == differs && (f.newest.Index <= f.mark.Index || f.newest.Index == f.log.Base.Index)
		},
		do:  refuse,
		why: "what a snapshot holds, what is applied and what is compacted were committed",
		reason: func(f *facts) string {
			return fmt.Sprintf("the newest snapshot holds %v, in the log that entry is of another term: the two are of different histories", f.newest)
		},
		remedy: "bring back the part that belongs here, or remove the snapshot",
	},
	{
		name: "data behind the log, snapshot covers the hole",
		when: func(f *facts) bool { return f.atMark == below && f.newest.Index >= f.log.Base.Index },
		do:   restore,
		why:  "the entries in between are gone, the snapshot has what they did",
	},
	{
		name:  "data behind the log",
		class: fault.Missing,
		when:  func(f *facts) bool { return f.atMark == below },
		do:    refuse,
		why:   "a hole: nothing holds what the entries in between did",
		reason: func(f *facts) string {
			return fmt.Sprintf("data holds entries up to %d, the log begins at %d, and no valid snapshot holds those in between", f.mark.Index, f.log.First())
		},
		remedy: "repair a damaged snapshot that holds them, or take one from another node",
	},
	{
		name:  "data ahead of a log that keeps what it acknowledged",
		class: fault.Missing,
		when:  func(f *facts) bool { return f.atMark == beyond && !f.lossy },
		do:    refuse,
		why:   "acknowledged entries are gone from the log, and perhaps votes with them",
		reason: func(f *facts) string {
			return fmt.Sprintf("data holds entries up to %d, the log ends at %d: acknowledged entries are gone from the log", f.mark.Index, f.log.Last)
		},
		remedy: "bring back the log that belongs here, or remove the node from its group and let it join anew",
	},
	{
		name: "snapshot above the data, without a command in between",
		when: func(f *facts) bool { return f.newest.Index > f.mark.Index && f.idle },
		do:   advance,
		why:  "the data is the snapshot's already: a library labels a snapshot with entries that it never shows",
	},
	{
		name: "snapshot above the data that a library counts as applied",
		when: func(f *facts) bool { return f.owner == OwnerLibrary && f.newest.Index > f.mark.Index },
		do:   restore,
		why:  "the library delivers only what follows its newest snapshot",
	},
	{
		name: "snapshot above the data that the log does not hold",
		when: func(f *facts) bool { return f.newest.Index > f.mark.Index && f.atNewest != held },
		do:   restore,
		why:  "an install was cut short before its intent: what a snapshot holds was committed, so the log gives way",
	},
	{
		name: "data ahead of a log that may forget",
		when: func(f *facts) bool { return f.atMark == beyond },
		do:   follow,
		why:  "as its sync policy, or memory, says: acknowledged entries may not survive",
	},
	{
		name: "one history",
		when: func(*facts) bool { return true },
		do:   open,
		why:  "the log continues the data; Recover applies nothing, for its tail may not be committed",
	},
}

// refusal is the error of a rule that refuses.
func (r *rule) refusal(f *facts) error {
	return &fault.Corruption{Offset: -1, Index: f.mark.Index + 1, Class: r.class, Reason: r.reason(f), Err: errors.New(r.remedy)}
}

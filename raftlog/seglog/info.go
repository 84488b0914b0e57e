package seglog

import (
	"strconv"

	"github.com/trimarandb/trimaran/raftlog"
)

// Info is what an Inspector knows of a log as a whole.
type Info struct {
	ID       string // drawn when the log was made
	Live     bool   // a process holds it
	Holder   int    // which one, 0 if that is not known
	Recovery Recovery
	Segments []SegmentInfo // in order; spares come last
}

// SegmentState is what a file of a log is for.
type SegmentState uint8

const (
	// Active is the last segment, which is written to.
	Active SegmentState = iota + 1
	// Sealed has ended, and says where its entries lie.
	Sealed
	// Unsealed has ended, and its index is made again from the frames.
	Unsealed
	// Dead has ended, and nothing lives in it.
	Dead
	// Spare is a file for a later segment.
	Spare
)

var stateNames = [...]string{"unknown", "active", "sealed", "unsealed", "dead", "spare"}

func (s SegmentState) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return "state(" + strconv.Itoa(int(s)) + ")"
}

// SegmentInfo is one file of a log.
type SegmentInfo struct {
	Name      string
	State     SegmentState
	Size      int64 // of the file, in bytes
	Live      int64 // entries that live in it
	LiveBytes int64 // that they occupy
}

// GroupInfo is one group of a log.
type GroupInfo struct {
	Group raftlog.Group
	raftlog.Bounds
	Terms []raftlog.Run
	Bytes uint64   // that the entries occupy
	Keys  []string // the stable keys that are set, in order
}

// Info tells what the log is as a whole. Recovery says how Open would find it;
// where a process holds the log it says nothing, for its end is not one.
func (i *Inspector) Info() Info {
	x := Info{ID: i.s.id.String(), Live: i.live, Holder: i.holder, Recovery: i.s.recovery}
	if i.live {
		x.Recovery = Recovery{}
	}
	for n, seg := range i.s.segs {
		f := SegmentInfo{Name: seg.name, State: Unsealed, Size: seg.written, Live: seg.live, LiveBytes: seg.liveBytes}
		switch {
		case n == len(i.s.segs)-1:
			f.State = Active
		case seg.live == 0:
			f.State = Dead
		case seg.sealed:
			f.State = Sealed
		}
		x.Segments = append(x.Segments, f)
	}
	x.Segments = append(x.Segments, i.spares...)
	return x
}

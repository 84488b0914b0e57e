package dragonboat

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/lni/dragonboat/v4/raftpb"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// Frozen: part of format v1.
const (
	formatVersion = 1
	stateSize     = 1 + 3*8
	extHead       = 3 // version, type, which fields follow

	stateKey     = "dragonboat/state"
	bootstrapKey = "dragonboat/bootstrap"
	snapshotKey  = "dragonboat/snapshot"
)

// fields are those of an entry that raftlog.Entry has no place for, in the order
// in which they are written.
func fields(e *raftpb.Entry) [4]*uint64 {
	return [4]*uint64{&e.Key, &e.ClientID, &e.SeriesID, &e.RespondedTo}
}

// toEntries converts without copying Cmd. The extensions share one piece of
// memory.
func toEntries(in []raftpb.Entry) ([]raftlog.Entry, error) {
	if len(in) == 0 {
		return nil, nil
	}
	out := make([]raftlog.Entry, len(in))
	var exts []byte
	for i := range in {
		e := &in[i]
		out[i] = raftlog.Entry{Index: e.Index, Term: e.Term, Kind: kindOf(e), Data: e.Cmd}
		if plain(e) {
			continue
		}
		if e.Type < 0 || e.Type > 0xff {
			return nil, fmt.Errorf("entry %d: type %d: %w", e.Index, e.Type, fault.ErrInvalid)
		}
		if exts == nil {
			exts = make([]byte, 0, (extHead+4*8)*(len(in)-i))
		}
		start := len(exts)
		exts = appendExt(exts, e)
		out[i].Ext = exts[start:len(exts):len(exts)]
	}
	return out, nil
}

func appendExt(b []byte, e *raftpb.Entry) []byte {
	b = append(b, formatVersion, byte(e.Type), 0)
	which := len(b) - 1
	for i, field := range fields(e) {
		if *field != 0 {
			b[which] |= 1 << i
			b = binary.BigEndian.AppendUint64(b, *field)
		}
	}
	return b
}

func kindOf(e *raftpb.Entry) raftlog.Kind {
	switch {
	case e.Type == raftpb.ConfigChangeEntry:
		return raftlog.Configuration
	case e.Cmd == nil && plain(e):
		return raftlog.NoOp // what a new leader begins with
	}
	return raftlog.Normal
}

// plain reports that Kind and Data say all.
func plain(e *raftpb.Entry) bool {
	known := e.Type == raftpb.ApplicationEntry || e.Type == raftpb.ConfigChangeEntry
	return known && e.Key == 0 && e.ClientID == 0 && e.SeriesID == 0 && e.RespondedTo == 0
}

// fromEntry converts an entry of ours, whose Data the result takes over. What
// toEntries cannot have written is *fault.Corruption, or fault.ErrUnsupported if
// a newer version did.
func fromEntry(e *raftlog.Entry) (raftpb.Entry, error) {
	out := raftpb.Entry{Term: e.Term, Index: e.Index, Cmd: e.Data}
	switch {
	case len(e.Ext) > 0 && e.Ext[0] > formatVersion:
		return out, fmt.Errorf("entry %d: extension of version %d: %w", e.Index, e.Ext[0], fault.ErrUnsupported)
	case e.Ext != nil:
		if !parseExt(e.Ext, &out) {
			return out, foreign(e)
		}
	case e.Kind == raftlog.Configuration:
		out.Type = raftpb.ConfigChangeEntry
	}
	if kindOf(&out) != e.Kind || plain(&out) != (e.Ext == nil) {
		return out, foreign(e)
	}
	return out, nil
}

// parseExt reads what appendExt wrote, and nothing else.
func parseExt(b []byte, e *raftpb.Entry) bool {
	if len(b) < extHead || b[0] != formatVersion || b[2]>>4 != 0 || len(b) != extHead+8*bits.OnesCount8(b[2]) {
		return false
	}
	e.Type = raftpb.EntryType(b[1])
	which, rest := b[2], b[extHead:]
	for i, field := range fields(e) {
		if which&(1<<i) == 0 {
			continue
		}
		if *field = binary.BigEndian.Uint64(rest); *field == 0 {
			return false
		}
		rest = rest[8:]
	}
	return true
}

func foreign(e *raftlog.Entry) error {
	return &fault.Corruption{Offset: -1, Index: e.Index, Class: fault.Foreign,
		Reason: fmt.Sprintf("%v entry with %d bytes of extension is none of dragonboat", e.Kind, len(e.Ext))}
}

func encodeState(st raftpb.State) []byte {
	b := append(make([]byte, 0, stateSize), formatVersion)
	for _, n := range [...]uint64{st.Term, st.Vote, st.Commit} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

func decodeState(b []byte) (st raftpb.State, err error) {
	switch {
	case len(b) > 0 && b[0] > formatVersion:
		return st, newer(stateKey, b[0])
	case len(b) != stateSize || b[0] != formatVersion:
		return st, damaged(stateKey, "%d bytes are no state", len(b))
	}
	return raftpb.State{Term: binary.BigEndian.Uint64(b[1:]), Vote: binary.BigEndian.Uint64(b[9:]), Commit: binary.BigEndian.Uint64(b[17:])}, nil
}

func newer(key string, version byte) error {
	return fmt.Errorf("stable key %s: version %d, this build knows %d: %w", key, version, formatVersion, fault.ErrUnsupported)
}

func damaged(key, format string, args ...any) error {
	return &fault.Corruption{Offset: -1, Class: fault.Foreign, Reason: fmt.Sprintf("stable key %s: %s", key, fmt.Sprintf(format, args...))}
}

package etcdraft

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// Frozen: part of format v1.
const (
	formatVersion = 1
	hardStateSize = 1 + 3*8

	hardStateKey = "etcdraft/hardstate"
	confStateKey = "etcdraft/confstate"
)

// marshal is the same for equal messages, so that equal logs are equal bytes.
var marshal = proto.MarshalOptions{Deterministic: true}

// toEntry converts without copying Data.
func toEntry(e *raftpb.Entry) (raftlog.Entry, error) {
	out := raftlog.Entry{Index: e.GetIndex(), Term: e.GetTerm(), Kind: kindOf(e), Data: e.Data}
	if plain(e) {
		return out, nil
	}
	rest := &raftpb.Entry{Type: e.Type}
	rest.ProtoReflect().SetUnknown(e.ProtoReflect().GetUnknown())
	var err error
	if out.Ext, err = marshal.MarshalAppend([]byte{formatVersion}, rest); err != nil {
		return out, fmt.Errorf("entry %d: %w: %w", e.GetIndex(), err, fault.ErrInvalid)
	}
	return out, nil
}

func kindOf(e *raftpb.Entry) raftlog.Kind {
	switch {
	case isConfChange(e):
		return raftlog.Configuration
	case e.Type == nil && e.Data == nil:
		return raftlog.NoOp // what a new leader begins with
	}
	return raftlog.Normal
}

func isConfChange(e *raftpb.Entry) bool {
	return e.GetType() == raftpb.EntryConfChange || e.GetType() == raftpb.EntryConfChangeV2
}

// plain reports that Kind and Data say all.
func plain(e *raftpb.Entry) bool {
	return (e.Type == nil || *e.Type == raftpb.EntryConfChange) && len(e.ProtoReflect().GetUnknown()) == 0
}

// fromEntry converts an entry of ours, whose memory the result takes over. What
// toEntry cannot have written is *fault.Corruption, or fault.ErrUnsupported if a
// newer version did.
func fromEntry(e *raftlog.Entry) (*raftpb.Entry, error) {
	out := &raftpb.Entry{}
	switch {
	case len(e.Ext) > 0 && e.Ext[0] > formatVersion:
		return nil, fmt.Errorf("entry %d: extension of version %d: %w", e.Index, e.Ext[0], fault.ErrUnsupported)
	case len(e.Ext) > 0:
		if e.Ext[0] != formatVersion || proto.Unmarshal(e.Ext[1:], out) != nil || out.Term != nil || out.Index != nil || out.Data != nil {
			return nil, foreign(e)
		}
		if again, err := marshal.MarshalAppend([]byte{formatVersion}, out); err != nil || !bytes.Equal(again, e.Ext) {
			return nil, foreign(e)
		}
	case e.Kind == raftlog.Configuration:
		out.Type = raftpb.EntryConfChange.Enum()
	}
	out.Data = e.Data
	if kindOf(out) != e.Kind || plain(out) != (e.Ext == nil) {
		return nil, foreign(e)
	}
	out.Term, out.Index = &e.Term, &e.Index
	return out, nil
}

func foreign(e *raftlog.Entry) error {
	return &fault.Corruption{Offset: -1, Index: e.Index, Class: fault.Foreign,
		Reason: fmt.Sprintf("%v entry with %d bytes of extension is none of etcd-io/raft", e.Kind, len(e.Ext))}
}

// hardState is a raftpb.HardState by value.
type hardState struct{ term, vote, commit uint64 }

func fromHardState(hs *raftpb.HardState) hardState {
	return hardState{hs.GetTerm(), hs.GetVote(), hs.GetCommit()}
}

func (h hardState) message() *raftpb.HardState {
	if h == (hardState{}) {
		return nil
	}
	return &raftpb.HardState{Term: &h.term, Vote: &h.vote, Commit: &h.commit}
}

func (h hardState) encode() []byte {
	b := []byte{formatVersion}
	for _, n := range []uint64{h.term, h.vote, h.commit} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

func decodeHardState(b []byte) (h hardState, err error) {
	switch {
	case len(b) > 0 && b[0] > formatVersion:
		return h, fmt.Errorf("hard state of version %d: %w", b[0], fault.ErrUnsupported)
	case len(b) != hardStateSize || b[0] != formatVersion:
		return h, &fault.Corruption{Offset: -1, Class: fault.Foreign, Reason: fmt.Sprintf("stable key %s: %d bytes are no hard state", hardStateKey, len(b))}
	}
	return hardState{binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:]), binary.BigEndian.Uint64(b[17:])}, nil
}

// encodeConfState is never empty, as the snapshot layer wants it. What is not
// set is written as its default, so that equal memberships are equal bytes.
func encodeConfState(cs *raftpb.ConfState) ([]byte, error) {
	if cs == nil || cs.AutoLeave == nil {
		cs = raftpb.EnsureConfState(proto.Clone(cs).(*raftpb.ConfState))
	}
	b, err := marshal.MarshalAppend([]byte{formatVersion}, cs)
	if err != nil {
		return nil, fmt.Errorf("encode membership: %w: %w", err, fault.ErrInvalid)
	}
	return b, nil
}

func decodeConfState(b []byte) (*raftpb.ConfState, error) {
	cs := &raftpb.ConfState{}
	switch {
	case len(b) > 0 && b[0] > formatVersion:
		return nil, fmt.Errorf("membership of version %d: %w", b[0], fault.ErrUnsupported)
	case len(b) == 0 || b[0] != formatVersion || proto.Unmarshal(b[1:], cs) != nil:
		return nil, &fault.Corruption{Offset: -1, Class: fault.Foreign, Reason: fmt.Sprintf("membership of %d bytes is none of etcd-io/raft", len(b))}
	}
	return raftpb.EnsureConfState(cs), nil
}

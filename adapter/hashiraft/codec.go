package hashiraft

import (
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// Frozen: part of format v1.
const (
	extVersion = 1
	extHeader  = 3 // version, type, whether Extensions follow
)

// kinds are the types that a Kind says by itself.
var kinds = [...]struct {
	log  raft.LogType
	kind raftlog.Kind
}{
	{raft.LogCommand, raftlog.Normal},
	{raft.LogNoop, raftlog.NoOp},
	{raft.LogConfiguration, raftlog.Configuration},
}

// kindOf returns the Kind of a type and whether it says all. What is none of
// the three never reaches a state machine.
func kindOf(t raft.LogType) (kind raftlog.Kind, all bool) {
	for _, k := range kinds {
		if k.log == t {
			return k.kind, true
		}
	}
	return raftlog.NoOp, false
}

func typeOf(kind raftlog.Kind) (raft.LogType, bool) {
	for _, k := range kinds {
		if k.kind == kind {
			return k.log, true
		}
	}
	return 0, false
}

// toEntry converts without copying Data.
func toEntry(l *raft.Log) raftlog.Entry {
	kind, all := kindOf(l.Type)
	e := raftlog.Entry{Index: l.Index, Term: l.Term, Kind: kind, Time: l.AppendedAt, Data: l.Data}
	if all && l.Extensions == nil {
		return e
	}
	e.Ext = make([]byte, extHeader, extHeader+len(l.Extensions))
	e.Ext[0], e.Ext[1] = extVersion, byte(l.Type)
	if l.Extensions != nil {
		e.Ext[2] = 1
		e.Ext = append(e.Ext, l.Extensions...)
	}
	return e
}

// toLog converts an entry of ours; l takes over the entry's memory. What
// toEntry cannot have written is *fault.Corruption, or fault.ErrUnsupported if
// a newer version did.
func toLog(e raftlog.Entry, l *raft.Log) error {
	t, known := typeOf(e.Kind)
	var extensions []byte
	if e.Ext != nil {
		if len(e.Ext) > 0 && e.Ext[0] > extVersion {
			return fmt.Errorf("entry %d: extension of version %d: %w", e.Index, e.Ext[0], fault.ErrUnsupported)
		}
		if len(e.Ext) < extHeader || e.Ext[0] != extVersion || e.Ext[2] > 1 || e.Ext[2] == 0 && len(e.Ext) > extHeader {
			return foreign(e)
		}
		t = raft.LogType(e.Ext[1])
		kind, all := kindOf(t)
		if kind != e.Kind || all && e.Ext[2] == 0 {
			return foreign(e)
		}
		known = true
		if e.Ext[2] == 1 {
			extensions = e.Ext[extHeader:len(e.Ext):len(e.Ext)]
		}
	}
	if !known {
		return foreign(e)
	}
	*l = raft.Log{Index: e.Index, Term: e.Term, Type: t, Data: e.Data, Extensions: extensions, AppendedAt: e.Time}
	return nil
}

func foreign(e raftlog.Entry) error {
	return &fault.Corruption{Offset: -1, Index: e.Index, Class: fault.Foreign,
		Reason: fmt.Sprintf("%v entry with %d bytes of extension is none of hashicorp/raft", e.Kind, len(e.Ext))}
}

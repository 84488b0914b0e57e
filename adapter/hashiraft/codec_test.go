package hashiraft

import (
	"encoding/hex"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// TestFormat holds the bytes of format v1: what is written today must be read
// by every later version.
func TestFormat(t *testing.T) {
	at := time.Date(2026, 11, 24, 1, 2, 3, 4, time.UTC)
	for name, c := range map[string]struct {
		log  raft.Log
		kind raftlog.Kind
		ext  string // "-" for nil
	}{
		"command":            {raft.Log{Type: raft.LogCommand, Data: []byte("x")}, raftlog.Normal, "-"},
		"no data":            {raft.Log{Type: raft.LogCommand}, raftlog.Normal, "-"},
		"empty data":         {raft.Log{Type: raft.LogCommand, Data: []byte{}}, raftlog.Normal, "-"},
		"time":               {raft.Log{Type: raft.LogCommand, AppendedAt: at}, raftlog.Normal, "-"},
		"extensions":         {raft.Log{Type: raft.LogCommand, Extensions: []byte{7, 8}}, raftlog.Normal, "0100010708"},
		"empty extensions":   {raft.Log{Type: raft.LogCommand, Extensions: []byte{}}, raftlog.Normal, "010001"},
		"noop":               {raft.Log{Type: raft.LogNoop}, raftlog.NoOp, "-"},
		"noop extended":      {raft.Log{Type: raft.LogNoop, Extensions: []byte{7}}, raftlog.NoOp, "01010107"},
		"configuration":      {raft.Log{Type: raft.LogConfiguration, Data: []byte("c")}, raftlog.Configuration, "-"},
		"add peer":           {raft.Log{Type: raft.LogAddPeerDeprecated}, raftlog.NoOp, "010200"},
		"remove peer":        {raft.Log{Type: raft.LogRemovePeerDeprecated}, raftlog.NoOp, "010300"},
		"barrier":            {raft.Log{Type: raft.LogBarrier}, raftlog.NoOp, "010400"},
		"barrier extended":   {raft.Log{Type: raft.LogBarrier, Extensions: []byte{9}}, raftlog.NoOp, "01040109"},
		"type of the future": {raft.Log{Type: 200, Data: []byte("x")}, raftlog.NoOp, "01c800"},
	} {
		t.Run(name, func(t *testing.T) {
			c.log.Index, c.log.Term = 7, 3
			e := toEntry(&c.log)
			ext := "-"
			if e.Ext != nil {
				ext = hex.EncodeToString(e.Ext)
			}
			if e.Kind != c.kind || ext != c.ext {
				t.Errorf("kind %v ext %s, want %v %s", e.Kind, ext, c.kind, c.ext)
			}
			var back raft.Log
			if err := toLog(e, &back); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(back, c.log) {
				t.Errorf("came back as %+v, want %+v", back, c.log)
			}
		})
	}
}

func TestForeignEntries(t *testing.T) {
	for name, c := range map[string]struct {
		kind raftlog.Kind
		ext  []byte
		want error
	}{
		"kind of nobody":        {raftlog.Kind(9), nil, fault.ErrCorrupt},
		"snapshot marker":       {raftlog.Snapshot, nil, fault.ErrCorrupt},
		"empty":                 {raftlog.Normal, []byte{}, fault.ErrCorrupt},
		"cut":                   {raftlog.NoOp, []byte{1, 4}, fault.ErrCorrupt},
		"needless":              {raftlog.Normal, []byte{1, 0, 0}, fault.ErrCorrupt},
		"bytes after nil":       {raftlog.NoOp, []byte{1, 4, 0, 1}, fault.ErrCorrupt},
		"presence":              {raftlog.NoOp, []byte{1, 4, 2}, fault.ErrCorrupt},
		"version 0":             {raftlog.NoOp, []byte{0, 4, 0}, fault.ErrCorrupt},
		"newer version":         {raftlog.NoOp, []byte{2}, fault.ErrUnsupported},
		"type of another kind":  {raftlog.Normal, []byte{1, 4, 0}, fault.ErrCorrupt},
		"command called a noop": {raftlog.NoOp, []byte{1, 0, 1}, fault.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			if err := toLog(raftlog.Entry{Index: 1, Term: 1, Kind: c.kind, Ext: c.ext}, &raft.Log{}); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func FuzzEntry(f *testing.F) {
	f.Add(byte(0), []byte{}, false)
	f.Add(byte(0), []byte{1, 0, 1, 9}, true)
	f.Add(byte(3), []byte{1, 4, 0}, true)
	f.Add(byte(1), []byte{1, 5, 1}, true)
	f.Fuzz(func(t *testing.T, kind byte, ext []byte, has bool) {
		e := raftlog.Entry{Index: 1, Term: 1, Kind: raftlog.Kind(kind)}
		if has {
			e.Ext = ext
		}
		var l raft.Log
		if toLog(e, &l) != nil {
			return
		}
		if back := toEntry(&l); !back.Equal(e) {
			t.Errorf("%+v came back as %+v", e, back)
		}
	})
}

package dragonboat

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"github.com/lni/dragonboat/v4/raftpb"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// golden pins the bytes of format v1.
var golden = []struct {
	name  string
	entry raftpb.Entry
	kind  raftlog.Kind
	ext   string // hex, "-" for none
}{
	{"first of a leader", raftpb.Entry{Index: 7, Term: 3}, raftlog.NoOp, "-"},
	{"empty command", raftpb.Entry{Index: 7, Term: 3, Cmd: []byte{}}, raftlog.Normal, "-"},
	{"plain command", raftpb.Entry{Index: 7, Term: 3, Cmd: []byte("c")}, raftlog.Normal, "-"},
	{"plain change", raftpb.Entry{Index: 7, Term: 3, Type: raftpb.ConfigChangeEntry, Cmd: []byte("c")}, raftlog.Configuration, "-"},
	{"change", raftpb.Entry{Index: 7, Term: 3, Type: raftpb.ConfigChangeEntry, Key: 0x0102, Cmd: []byte("c")}, raftlog.Configuration, "0101010000000000000102"},
	{"command of a client", raftpb.Entry{Index: 7, Term: 3, Key: 1, ClientID: 2, Cmd: []byte("c")}, raftlog.Normal, "01000300000000000000010000000000000002"},
	{
		"encoded, of a session", raftpb.Entry{Index: 7, Term: 3, Type: raftpb.EncodedEntry, Key: 1, ClientID: 2, SeriesID: 3, RespondedTo: 4, Cmd: []byte("c")}, raftlog.Normal,
		"01020f0000000000000001000000000000000200000000000000030000000000000004",
	},
	{"metadata", raftpb.Entry{Index: 7, Term: 3, Type: raftpb.MetadataEntry}, raftlog.Normal, "010300"},
	{"responded", raftpb.Entry{Index: 7, Term: 3, RespondedTo: 1}, raftlog.Normal, "0100080000000000000001"},
}

func TestEntryBytes(t *testing.T) {
	for _, c := range golden {
		got, err := toEntries([]raftpb.Entry{c.entry})
		if err != nil {
			t.Fatal(err)
		}
		ext := "-"
		if got[0].Ext != nil {
			ext = hex.EncodeToString(got[0].Ext)
		}
		if got[0].Kind != c.kind || ext != c.ext {
			t.Errorf("%s: %v with extension %s, want %v with %s", c.name, got[0].Kind, ext, c.kind, c.ext)
		}
		if back, err := fromEntry(&got[0]); err != nil || !reflect.DeepEqual(back, c.entry) {
			t.Errorf("%s: came back as %+v, %v", c.name, back, err)
		}
	}
	if got := hex.EncodeToString(encodeState(raftpb.State{Term: 1, Vote: 2, Commit: 3})); got != "01000000000000000100000000000000020000000000000003" {
		t.Errorf("state is %s", got)
	}
}

// What toEntries cannot have written is no entry, and never a panic.
func TestForeignEntries(t *testing.T) {
	for name, e := range map[string]raftlog.Entry{
		"empty extension":   {Ext: []byte{}},
		"no fields":         {Ext: []byte{1}},
		"version 0":         {Ext: []byte{0, 3, 0}},
		"unknown field":     {Ext: []byte{1, 3, 0x10}},
		"short":             {Ext: []byte{1, 0, 1, 0, 0, 0}},
		"long":              {Ext: []byte{1, 3, 0, 0}},
		"field of zero":     {Ext: make([]byte, 11)},
		"nothing to extend": {Ext: []byte{1, 0, 0}},
		"kind":              {Kind: raftlog.Configuration, Ext: []byte{1, 3, 0}},
		"no-op with data":   {Kind: raftlog.NoOp, Data: []byte("x")},
		"normal without":    {Kind: raftlog.Normal},
		"snapshot":          {Kind: raftlog.Snapshot},
	} {
		e.Index, e.Term = 1, 1
		var c *fault.Corruption
		if _, err := fromEntry(&e); !errors.As(err, &c) || c.Index != 1 {
			t.Errorf("%s: %v, want corruption", name, err)
		}
	}
	e := raftlog.Entry{Index: 1, Term: 1, Ext: []byte{2}}
	if _, err := fromEntry(&e); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("newer version: %v", err)
	}
	for _, b := range [][]byte{nil, {}, {1}, make([]byte, stateSize), make([]byte, stateSize+1)} {
		var c *fault.Corruption
		if _, err := decodeState(b); !errors.As(err, &c) {
			t.Errorf("state %x: %v", b, err)
		}
	}
	if _, err := decodeState([]byte{2}); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("newer state: %v", err)
	}
}

// FuzzEntry: what decodes encodes to the same bytes.
func FuzzEntry(f *testing.F) {
	for _, c := range golden {
		e, err := toEntries([]raftpb.Entry{c.entry})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(e[0].Kind), e[0].Data, e[0].Ext, e[0].Ext != nil)
	}
	f.Fuzz(func(t *testing.T, kind uint8, data, ext []byte, extended bool) {
		in := raftlog.Entry{Index: 1, Term: 1, Kind: raftlog.Kind(kind), Data: data}
		if extended {
			in.Ext = append([]byte{}, ext...)
		}
		e, err := fromEntry(&in)
		if err != nil {
			return
		}
		out, err := toEntries([]raftpb.Entry{e})
		if err != nil || !out[0].Equal(in) {
			t.Errorf("%+v became %+v, %v", in, out, err)
		}
	})
}

// A record that is damaged is never taken for another.
func FuzzRecord(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0}, []byte(nil))
	f.Add([]byte{1, 0, 0, 0, 3, 8, 1, 16}, []byte(nil))
	f.Add([]byte{1, 0, 1, 0, 0}, []byte("more"))
	f.Add([]byte{2}, []byte(nil))
	f.Fuzz(func(t *testing.T, first, second []byte) {
		l := &LogDB{d: stables{snapshotKey: first, pieceKey(snapshotKey, 1): second}}
		var got rawMessage
		if err := l.getRecord(raftlog.Group{}, snapshotKey, &got); err != nil {
			return
		}
		if want := append(bytes.Clone(first[recordHead:]), second[:max(0, len(got)-len(first)+recordHead)]...); !bytes.Equal(got, want) {
			t.Errorf("%x and %x became %x", first, second, got)
		}
	})
}

// stables is a driver that holds nothing else.
type stables map[string][]byte

func (s stables) Stable(_ raftlog.Group, key string) ([]byte, error) {
	if v, ok := s[key]; ok {
		return v, nil
	}
	return nil, fault.ErrNotFound
}

func (stables) Submit([]raftlog.GroupBatch, func(error)) error     { return fault.ErrUnsupported }
func (stables) Bounds(raftlog.Group) (b raftlog.Bounds, err error) { return b, nil }
func (stables) Term(raftlog.Group, uint64) (uint64, error)         { return 0, fault.ErrUnsupported }
func (stables) Groups() ([]raftlog.Group, error)                   { return nil, nil }
func (stables) Remove(raftlog.Group) error                         { return nil }
func (stables) Sync() error                                        { return nil }
func (stables) Close() error                                       { return nil }
func (stables) Read([]raftlog.Entry, raftlog.Group, uint64, uint64, uint64) ([]raftlog.Entry, error) {
	return nil, fault.ErrUnsupported
}

type rawMessage []byte

func (m *rawMessage) Unmarshal(b []byte) error {
	*m = bytes.Clone(b)
	return nil
}

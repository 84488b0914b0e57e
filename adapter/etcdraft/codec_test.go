package etcdraft

import (
	"encoding/hex"
	"errors"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

func unknown(e *raftpb.Entry) *raftpb.Entry {
	e.ProtoReflect().SetUnknown([]byte{0x78, 5}) // field 15 of the future
	return e
}

// TestEntryFormat holds the bytes of format v1: what is written today must be
// read by every later version.
func TestEntryFormat(t *testing.T) {
	for name, c := range map[string]struct {
		entry *raftpb.Entry
		kind  raftlog.Kind
		ext   string // "-" for nil
	}{
		"command":           {&raftpb.Entry{Data: []byte("x")}, raftlog.Normal, "-"},
		"empty command":     {&raftpb.Entry{Data: []byte{}}, raftlog.Normal, "-"},
		"of a new leader":   {&raftpb.Entry{}, raftlog.NoOp, "-"},
		"explicit":          {&raftpb.Entry{Type: raftpb.EntryNormal.Enum(), Data: []byte("x")}, raftlog.Normal, "010800"},
		"explicit, no data": {&raftpb.Entry{Type: raftpb.EntryNormal.Enum()}, raftlog.Normal, "010800"},
		"conf change":       {&raftpb.Entry{Type: raftpb.EntryConfChange.Enum(), Data: []byte("c")}, raftlog.Configuration, "-"},
		"conf change v2":    {&raftpb.Entry{Type: raftpb.EntryConfChangeV2.Enum()}, raftlog.Configuration, "010802"},
		"of the future":     {&raftpb.Entry{Type: raftpb.EntryType(9).Enum(), Data: []byte("x")}, raftlog.Normal, "010809"},
		"unknown field":     {unknown(&raftpb.Entry{Data: []byte("x")}), raftlog.Normal, "017805"},
		"unknown and type":  {unknown(&raftpb.Entry{Type: raftpb.EntryConfChange.Enum()}), raftlog.Configuration, "0108017805"},
	} {
		t.Run(name, func(t *testing.T) {
			c.entry.Index, c.entry.Term = new(uint64(7)), new(uint64(3))
			e, err := toEntry(c.entry)
			if err != nil {
				t.Fatal(err)
			}
			ext := "-"
			if e.Ext != nil {
				ext = hex.EncodeToString(e.Ext)
			}
			if e.Kind != c.kind || ext != c.ext {
				t.Errorf("kind %v ext %s, want %v %s", e.Kind, ext, c.kind, c.ext)
			}
			back, err := fromEntry(&e)
			if err != nil {
				t.Fatal(err)
			}
			if !proto.Equal(back, c.entry) {
				t.Errorf("came back as %v, want %v", back, c.entry)
			}
			if e.PayloadSize() > proto.Size(c.entry) {
				t.Errorf("%d bytes of payload, %d in protobuf: a read limited by payload may return too little", e.PayloadSize(), proto.Size(c.entry))
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
		"kind of nobody":          {raftlog.Kind(9), nil, fault.ErrCorrupt},
		"snapshot marker":         {raftlog.Snapshot, nil, fault.ErrCorrupt},
		"command without data":    {raftlog.Normal, nil, fault.ErrCorrupt},
		"empty":                   {raftlog.Normal, []byte{}, fault.ErrCorrupt},
		"needless":                {raftlog.NoOp, []byte{1}, fault.ErrCorrupt},
		"needless type":           {raftlog.Configuration, []byte{1, 8, 1}, fault.ErrCorrupt},
		"type of another kind":    {raftlog.Normal, []byte{1, 8, 2}, fault.ErrCorrupt},
		"cut":                     {raftlog.Normal, []byte{1, 8}, fault.ErrCorrupt},
		"term where none belongs": {raftlog.Normal, []byte{1, 8, 0, 16, 1}, fault.ErrCorrupt},
		"type twice":              {raftlog.Configuration, []byte{1, 8, 0, 8, 2}, fault.ErrCorrupt},
		"version 0":               {raftlog.Normal, []byte{0, 8, 0}, fault.ErrCorrupt},
		"newer version":           {raftlog.Normal, []byte{2}, fault.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			if e, err := fromEntry(&raftlog.Entry{Index: 1, Term: 1, Kind: c.kind, Ext: c.ext}); !errors.Is(err, c.want) {
				t.Errorf("%v, %v, want %v", e, err, c.want)
			}
		})
	}
}

func TestStateFormat(t *testing.T) {
	hs := hardState{term: 1, vote: 2, commit: 1 << 40}
	const want = "01" + "0000000000000001" + "0000000000000002" + "0000010000000000"
	if got := hex.EncodeToString(hs.encode()); got != want {
		t.Errorf("hard state is %s, want %s", got, want)
	}
	if back, err := decodeHardState(hs.encode()); err != nil || back != hs {
		t.Errorf("came back as %v, %v", back, err)
	}
	cs := &raftpb.ConfState{Voters: []uint64{1, 300}, Learners: []uint64{4}}
	got, err := encodeConfState(cs)
	if err != nil || hex.EncodeToString(got) != "01"+"0801"+"08ac02"+"1004"+"2800" {
		t.Errorf("membership is %x, %v", got, err)
	}
	if back, err := decodeConfState(got); err != nil || !equal(back, cs) {
		t.Errorf("came back as %v, %v", back, err)
	}
	if empty, err := encodeConfState(nil); err != nil || len(empty) == 0 {
		t.Errorf("no membership is %x, %v, want some bytes", empty, err)
	}
	for _, b := range [][]byte{nil, {}, {0}, {1}, make([]byte, hardStateSize), append(hs.encode(), 0)} {
		if _, err := decodeHardState(b); !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("hard state %x: %v, want ErrCorrupt", b, err)
		}
	}
	for _, b := range [][]byte{nil, {}, {0}, {1, 8}} {
		if _, err := decodeConfState(b); !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("membership %x: %v, want ErrCorrupt", b, err)
		}
	}
	_, a := decodeHardState([]byte{2})
	_, b := decodeConfState([]byte{2})
	if !errors.Is(a, fault.ErrUnsupported) || !errors.Is(b, fault.ErrUnsupported) {
		t.Errorf("newer versions: %v, %v, want ErrUnsupported", a, b)
	}
}

func FuzzEntry(f *testing.F) {
	f.Add(byte(0), []byte{}, []byte("x"), false)
	f.Add(byte(0), []byte{1, 8, 0}, []byte{}, true)
	f.Add(byte(1), []byte{1, 8, 2}, []byte("cc"), true)
	f.Add(byte(0), []byte{1, 0x78, 5}, []byte("x"), true)
	f.Fuzz(func(t *testing.T, kind byte, ext, data []byte, has bool) {
		e := raftlog.Entry{Index: 1, Term: 1, Kind: raftlog.Kind(kind), Data: data}
		if has {
			e.Ext = ext
		}
		m, err := fromEntry(&e)
		if err != nil {
			return
		}
		back, err := toEntry(m)
		if err != nil || !back.Equal(e) {
			t.Errorf("%+v came back as %+v, %v", e, back, err)
		}
		if e.PayloadSize() > proto.Size(m) {
			t.Errorf("%d bytes of payload, %d in protobuf", e.PayloadSize(), proto.Size(m))
		}
	})
}

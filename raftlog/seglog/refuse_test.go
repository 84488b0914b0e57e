package seglog_test

import (
	"errors"
	"io/fs"
	"math"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/vfs"
)

func TestOpenRefusesBadOptions(t *testing.T) {
	for _, o := range []seglog.Options{{SegmentSize: -1}, {FlushInterval: -1}, {BufferSize: -1}, {Sync: 9}} {
		o.FS = vfs.NewMem()
		if _, err := seglog.Open("log", &o); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("Open(%+v) = %v, want ErrInvalid", o, err)
		}
	}
}

func TestOpenWithoutPermission(t *testing.T) {
	for _, kind := range []string{"lock", "list", "create", "open", "openwrite"} {
		mem := vfs.NewMem()
		s, err := seglog.Open("log", &seglog.Options{FS: mem})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = seglog.Open("log", &seglog.Options{FS: vfs.Hook(mem, func(op vfs.Op) error {
			if op.Kind == kind {
				return &fs.PathError{Op: op.Kind, Path: op.Name, Err: fs.ErrPermission}
			}
			return nil
		})})
		if kind == "create" && err == nil {
			continue // a log that is there needs to make nothing
		}
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "open log log: ") {
			t.Errorf("Open without permission to %s = %v, want fs.ErrPermission and the directory", kind, err)
		}
	}
}

// A log of a newer format is refused with both versions and left as it is.
func TestNewerVersion(t *testing.T) {
	im, _ := threeSegments(t)
	for _, name := range []string{"IDENTITY", lastSegment} {
		b := []byte(string(im[name]))
		b[8] = 2
		b[20] ^= 1 // what follows is not as this version has it
		newer := im.with(name, b)
		fsys := newer.fs(t)
		_, err := seglog.Open("log", &seglog.Options{FS: fsys})
		if !errors.Is(err, fault.ErrUnsupported) || !strings.Contains(err.Error(), "version 2") || !strings.Contains(err.Error(), "version 1") {
			t.Errorf("%s of version 2: Open = %v, want ErrUnsupported with both versions", name, err)
		}
		for n, after := range take(t, fsys) {
			if string(after) != string(newer[n]) && n != "LOCK" {
				t.Errorf("%s changed", n)
			}
		}
	}
}

// A segment of another log, intact in itself, is refused by name.
func TestForeignSegment(t *testing.T) {
	im, _ := threeSegments(t)
	other := vfs.NewMem()
	s, err := seglog.Open("log", &seglog.Options{FS: other, Rand: strings.NewReader("salt of 8another identity")})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	foreign := take(t, other)["00000000000000000001.seg"]
	_, err = seglog.Open("log", &seglog.Options{FS: im.with("00000000000000000001.seg", foreign).fs(t)})
	var c *fault.Corruption
	if !errors.As(err, &c) || c.Class != fault.Foreign || c.Path != "log/00000000000000000001.seg" {
		t.Errorf("Open = %v, want foreign damage in segment 1", err)
	}
}

func TestWriteToSeveralGroupsIsChecked(t *testing.T) {
	s, err := seglog.Open("log", &seglog.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	g1, g2 := raftlog.Group{Shard: 1}, raftlog.Group{Shard: 2}
	good := raftlog.Batch{Entries: []raftlog.Entry{{Index: 1, Term: 1}}}
	for name, bad := range map[string]raftlog.Batch{
		"term 0":      {Entries: []raftlog.Entry{{Index: 1}}},
		"gap":         {Entries: []raftlog.Entry{{Index: 2, Term: 1}}},
		"no key":      {Stable: []raftlog.StableKV{{}}},
		"large index": {Entries: []raftlog.Entry{{Index: math.MaxUint64, Term: 1}}},
	} {
		if err := s.Write(raftlog.GroupBatch{Group: g1, Batch: good}, raftlog.GroupBatch{Group: g2, Batch: bad}); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s: Write = %v, want ErrInvalid", name, err)
		}
	}
	if groups, err := s.Groups(); err != nil || len(groups) != 0 {
		t.Errorf("Groups() = %v, %v, want none", groups, err)
	}
	if err := s.Write(raftlog.GroupBatch{Group: g1, Batch: good}, raftlog.GroupBatch{Group: g2, Batch: good}); err != nil {
		t.Error(err)
	}
}

func TestSyncPolicyNames(t *testing.T) {
	for _, p := range []seglog.SyncPolicy{seglog.SyncBatch, seglog.SyncAlways, seglog.SyncInterval, seglog.SyncNever} {
		if got, err := seglog.ParseSyncPolicy(p.String()); err != nil || got != p {
			t.Errorf("ParseSyncPolicy(%q) = %v, %v", p, got, err)
		}
	}
	if _, err := seglog.ParseSyncPolicy("sometimes"); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("ParseSyncPolicy(sometimes) = %v, want ErrInvalid", err)
	}
}

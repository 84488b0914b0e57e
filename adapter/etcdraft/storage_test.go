package etcdraft_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/trimarandb/trimaran/adapter/etcdraft"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/vfs"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open opens the storage in fsys; it is closed with the test, if not before.
func open(t *testing.T, fsys vfs.FS) *etcdraft.Storage {
	t.Helper()
	s, err := etcdraft.Open("node", &etcdraft.Options{FS: fsys})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

func reopen(t *testing.T, fsys vfs.FS, s *etcdraft.Storage) *etcdraft.Storage {
	t.Helper()
	check(t, s.Close())
	return open(t, fsys)
}

// from makes entries with these terms, the first at index.
func from(index uint64, terms ...uint64) (entries []*raftpb.Entry) {
	for i, term := range terms {
		entries = append(entries, &raftpb.Entry{Index: new(index + uint64(i)), Term: new(term), Data: fmt.Appendf(nil, "%d in %d", index+uint64(i), term)})
	}
	return entries
}

func shot(index, term uint64, data string, voters ...uint64) *raftpb.Snapshot {
	return raftpb.EnsureSnapshot(&raftpb.Snapshot{Data: []byte(data), Metadata: &raftpb.SnapshotMetadata{
		Index: &index, Term: &term, ConfState: &raftpb.ConfState{Voters: voters}}})
}

func hard(term, vote, commit uint64) *raftpb.HardState {
	return &raftpb.HardState{Term: &term, Vote: &vote, Commit: &commit}
}

// three is a storage that begins after index 3 of term 3 and holds 4 and 5, as
// in the tests of MemoryStorage.
func three(t *testing.T) *etcdraft.Storage {
	s := open(t, vfs.NewMem())
	check(t, s.Save(nil, from(4, 4, 5), shot(3, 3, "three", 1, 2, 3)))
	return s
}

// holds compares the whole log.
func holds(t *testing.T, s *etcdraft.Storage, base, baseTerm uint64, want []*raftpb.Entry) {
	t.Helper()
	first, err := s.FirstIndex()
	check(t, err)
	last, err := s.LastIndex()
	check(t, err)
	if first != base+1 || last != base+uint64(len(want)) {
		t.Fatalf("log is [%d, %d], want [%d, %d]", first, last, base+1, base+uint64(len(want)))
	}
	if term, err := s.Term(base); err != nil || term != baseTerm {
		t.Errorf("Term(%d) = %d, %v, want %d", base, term, err, baseTerm)
	}
	got, err := s.Entries(first, last+1, math.MaxUint64)
	check(t, err)
	same(t, got, want)
}

func same(t *testing.T, got, want []*raftpb.Entry) {
	t.Helper()
	if !slices.EqualFunc(got, want, func(a, b *raftpb.Entry) bool { return proto.Equal(a, b) }) {
		t.Errorf("entries %v, want %v", got, want)
	}
}

func TestTerm(t *testing.T) {
	s := three(t)
	for index, want := range map[uint64]struct {
		term uint64
		err  error
	}{
		2: {0, raft.ErrCompacted}, 3: {3, nil}, 4: {4, nil}, 5: {5, nil}, 6: {0, raft.ErrUnavailable},
	} {
		if term, err := s.Term(index); term != want.term || err != want.err { //nolint:errorlint // raft compares
			t.Errorf("Term(%d) = %d, %v, want %d, exactly %v", index, term, err, want.term, want.err)
		}
	}
}

func TestEntries(t *testing.T) {
	s := three(t)
	check(t, s.Save(nil, from(6, 6), nil))
	all := from(4, 4, 5, 6)
	size := func(n int) (sum uint64) {
		for _, e := range all[:n] {
			sum += uint64(proto.Size(e))
		}
		return sum
	}
	for _, c := range []struct {
		lo, hi, max uint64
		err         error
		want        []*raftpb.Entry
	}{
		{2, 6, math.MaxUint64, raft.ErrCompacted, nil},
		{3, 4, math.MaxUint64, raft.ErrCompacted, nil},
		{4, 5, math.MaxUint64, nil, all[:1]},
		{4, 6, math.MaxUint64, nil, all[:2]},
		{4, 7, math.MaxUint64, nil, all},
		{4, 8, math.MaxUint64, raft.ErrUnavailable, nil},
		{7, 8, math.MaxUint64, raft.ErrUnavailable, nil},
		{4, 7, 0, nil, all[:1]}, // at least one
		{4, 7, size(1), nil, all[:1]},
		{4, 7, size(2) - 1, nil, all[:1]},
		{4, 7, size(2), nil, all[:2]},
		{4, 7, size(3) - 1, nil, all[:2]},
		{4, 7, size(3), nil, all},
	} {
		got, err := s.Entries(c.lo, c.hi, c.max)
		if err != c.err { //nolint:errorlint // raft compares
			t.Errorf("Entries(%d, %d, %d): %v, want exactly %v", c.lo, c.hi, c.max, err, c.err)
		}
		same(t, got, c.want)
	}
	got, err := s.Entries(4, 6, math.MaxUint64)
	check(t, err)
	_ = append(got, &raftpb.Entry{}) // the slice is the caller's
	holds(t, s, 3, 3, all)
}

func TestSaveReplacesAndSkips(t *testing.T) {
	for name, c := range map[string]struct{ save, want []*raftpb.Entry }{
		"all compacted":            {from(1, 1, 2), from(4, 4, 5)},
		"compacted and the same":   {from(3, 3, 4, 5), from(4, 4, 5)},
		"all replaced":             {from(3, 3, 6, 6), from(4, 6, 6)},
		"one more":                 {from(3, 3, 4, 5, 5), from(4, 4, 5, 5)},
		"cut at both ends":         {from(2, 3, 3, 5), from(4, 5)},
		"conflict, shorter":        {from(4, 5), from(4, 5)},
		"conflict with lower term": {from(5, 4), from(4, 4, 4)},
		"append":                   {from(6, 5), from(4, 4, 5, 5)},
		"nothing":                  {nil, from(4, 4, 5)},
	} {
		t.Run(name, func(t *testing.T) {
			s := three(t)
			check(t, s.Save(nil, c.save, nil))
			holds(t, s, 3, 3, c.want)
		})
	}
}

func TestSaveRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		entries []*raftpb.Entry
		snap    *raftpb.Snapshot
		want    error
	}{
		"gap":                        {from(7, 5), nil, fault.ErrInvalid},
		"falling term":               {from(6, 4), nil, fault.ErrInvalid},
		"gap within":                 {slices.Concat(from(6, 5), from(8, 5)), nil, fault.ErrInvalid},
		"no term":                    {from(6, 0), nil, fault.ErrInvalid},
		"snapshot that is there":     {nil, shot(3, 3, "x"), raft.ErrSnapOutOfDate},
		"older snapshot":             {nil, shot(2, 2, "x"), raft.ErrSnapOutOfDate},
		"snapshot without a term":    {nil, shot(9, 0, "x"), fault.ErrInvalid},
		"entries not after snapshot": {from(9, 9), shot(9, 9, "x"), fault.ErrInvalid},
		"term falls after snapshot":  {from(10, 8), shot(9, 9, "x"), fault.ErrInvalid},
		"gap in what follows it":     {slices.Concat(from(10, 9), from(12, 9)), shot(9, 9, "x"), fault.ErrInvalid},
		"large entry after a snapshot": {[]*raftpb.Entry{{Index: new(uint64(10)), Term: new(uint64(9)), Data: make([]byte, 65<<20)}},
			shot(9, 9, "x"), fault.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			s := three(t)
			check(t, s.Save(hard(5, 1, 4), nil, nil))
			if err := s.Save(hard(9, 2, 5), c.entries, c.snap); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			holds(t, s, 3, 3, from(4, 4, 5))
			hs, _, err := s.InitialState()
			check(t, err)
			if !proto.Equal(hs, hard(5, 1, 4)) {
				t.Errorf("hard state %v, want that of before", hs)
			}
			if snap, err := s.Snapshot(); err != nil || snap.GetMetadata().GetIndex() != 3 {
				t.Errorf("snapshot %v, %v, want that of before", snap, err)
			}
		})
	}
}

func TestNewStorageIsEmpty(t *testing.T) {
	fsys := vfs.NewMem()
	s := open(t, fsys)
	for range 2 {
		holds(t, s, 0, 0, nil)
		hs, cs, err := s.InitialState()
		check(t, err)
		if hs != nil || cs == nil || len(cs.GetVoters()) > 0 {
			t.Errorf("initial state %v, %v, want nil and empty", hs, cs)
		}
		if snap, err := s.Snapshot(); err != nil || !raft.IsEmptySnap(snap) {
			t.Errorf("snapshot %v, %v, want an empty one", snap, err)
		}
		s = reopen(t, fsys, s)
	}
}

func TestEverythingSurvives(t *testing.T) {
	fsys := vfs.NewMem()
	s := open(t, fsys)
	entries := from(1, 1, 1, 2)
	entries[0] = &raftpb.Entry{Index: new(uint64(1)), Term: new(uint64(1)), Type: raftpb.EntryConfChange.Enum(), Data: []byte("cc")}
	entries[1] = &raftpb.Entry{Index: new(uint64(2)), Term: new(uint64(1)), Type: raftpb.EntryConfChangeV2.Enum()}
	check(t, s.Save(hard(2, 7, 1), entries, nil))
	for range 2 {
		holds(t, s, 0, 0, entries)
		hs, _, err := s.InitialState()
		check(t, err)
		if !proto.Equal(hs, hard(2, 7, 1)) {
			t.Errorf("hard state %v", hs)
		}
		s = reopen(t, fsys, s)
	}
	made, err := s.CreateSnapshot(2, &raftpb.ConfState{Voters: []uint64{7, 8}, Learners: []uint64{9}, AutoLeave: new(true)}, []byte("state"))
	check(t, err)
	check(t, s.Compact(2))
	for range 2 {
		holds(t, s, 2, 1, entries[2:]) // Term(FirstIndex-1) too
		got, err := s.Snapshot()
		check(t, err)
		if !proto.Equal(got, made) || string(got.GetData()) != "state" || !got.GetMetadata().GetConfState().GetAutoLeave() {
			t.Errorf("snapshot %v, want %v", got, made)
		}
		hs, cs, err := s.InitialState()
		check(t, err)
		if !proto.Equal(hs, hard(2, 7, 2)) || !proto.Equal(cs, made.GetMetadata().GetConfState()) {
			t.Errorf("initial state %v, %v: the commit index is not behind the log, and members are the snapshot's", hs, cs)
		}
		s = reopen(t, fsys, s)
	}
}

// The commit index alone is not worth a sync to raft, but a clean close keeps it.
func TestCommitIndexAlone(t *testing.T) {
	fsys, syncs := vfs.NewMem(), 0
	s, err := openParts(vfs.Hook(fsys, func(op vfs.Op) error {
		if strings.HasPrefix(op.Kind, "sync") {
			syncs++
		}
		return nil
	}))
	check(t, err)
	check(t, s.Save(hard(1, 1, 0), from(1, 1, 1, 1), nil))
	for _, c := range []struct {
		what    string
		hs      *raftpb.HardState
		entries []*raftpb.Entry
		want    int
	}{
		{"the commit index", hard(1, 1, 2), nil, 0},
		{"entries and hard state", hard(1, 1, 3), from(4, 1), 1},
		{"a term", hard(2, 0, 3), nil, 1},
		{"a vote in it", hard(2, 2, 3), nil, 1},
		{"the commit index again", hard(2, 2, 4), nil, 0},
	} {
		syncs = 0
		check(t, s.Save(c.hs, c.entries, nil))
		if syncs != c.want {
			t.Errorf("%d syncs for %s, want %d", syncs, c.what, c.want)
		}
	}
	for range 2 {
		hs, _, err := s.InitialState()
		check(t, err)
		if !proto.Equal(hs, hard(2, 2, 4)) {
			t.Errorf("hard state %v, want commit 4", hs)
		}
		check(t, s.close())
		s, err = openParts(fsys)
		check(t, err)
	}
	check(t, s.close())
}

func TestCreateSnapshot(t *testing.T) {
	cs := &raftpb.ConfState{Voters: []uint64{1, 2, 3}}
	for _, index := range []uint64{4, 5} {
		s := three(t)
		got, err := s.CreateSnapshot(index, cs, []byte("data"))
		check(t, err)
		m := got.GetMetadata()
		if m.GetIndex() != index || m.GetTerm() != index || string(got.GetData()) != "data" || !slices.Equal(m.GetConfState().GetVoters(), cs.GetVoters()) {
			t.Errorf("made %v", got)
		}
		for _, old := range []uint64{3, index} {
			if _, err := s.CreateSnapshot(old, cs, nil); err != raft.ErrSnapOutOfDate { //nolint:errorlint // as MemoryStorage has it
				t.Errorf("snapshot at %d after %d: %v, want exactly ErrSnapOutOfDate", old, index, err)
			}
		}
		if _, err := s.CreateSnapshot(6, cs, nil); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("snapshot after the last entry: %v, want ErrInvalid", err)
		}
	}
	s := three(t)
	got, err := s.CreateSnapshot(5, nil, nil)
	check(t, err)
	if !slices.Equal(got.GetMetadata().GetConfState().GetVoters(), []uint64{1, 2, 3}) {
		t.Errorf("members %v, want those of the snapshot before", got.GetMetadata().GetConfState())
	}
}

func TestCompact(t *testing.T) {
	for _, c := range []struct {
		index uint64
		err   error
		base  uint64
		want  []*raftpb.Entry
	}{
		{2, raft.ErrCompacted, 3, from(4, 4, 5)},
		{3, raft.ErrCompacted, 3, from(4, 4, 5)},
		{4, nil, 4, from(5, 5)},
		{5, nil, 5, nil},
		{6, fault.ErrInvalid, 3, from(4, 4, 5)},
	} {
		s := three(t)
		_, err := s.CreateSnapshot(5, nil, nil)
		check(t, err)
		if err := s.Compact(c.index); !errors.Is(err, c.err) {
			t.Errorf("Compact(%d): %v, want %v", c.index, err, c.err)
		}
		holds(t, s, c.base, c.base, c.want)
	}
	s := three(t)
	if err := s.Compact(4); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("compact beyond the newest snapshot: %v, want ErrInvalid", err)
	}
	holds(t, s, 3, 3, from(4, 4, 5))
}

func TestApplySnapshot(t *testing.T) {
	fsys := vfs.NewMem()
	s := open(t, fsys)
	check(t, s.Save(hard(2, 2, 1), from(1, 1, 1, 2), nil))
	check(t, s.ApplySnapshot(shot(40, 4, "data", 1, 2, 3)))
	for _, index := range []uint64{3, 40} {
		if err := s.ApplySnapshot(shot(index, 4, "data", 1)); err != raft.ErrSnapOutOfDate { //nolint:errorlint // as MemoryStorage has it
			t.Errorf("snapshot at %d after 40: %v, want exactly ErrSnapOutOfDate", index, err)
		}
	}
	for range 2 {
		holds(t, s, 40, 4, nil)
		if _, err := s.Entries(40, 41, 0); err != raft.ErrCompacted { //nolint:errorlint // raft compares
			t.Errorf("entry 40: %v, want exactly ErrCompacted", err)
		}
		hs, cs, err := s.InitialState()
		check(t, err)
		if !proto.Equal(hs, hard(4, 0, 40)) || len(cs.GetVoters()) != 3 {
			t.Errorf("initial state %v, %v: a term below the log's is raised without a vote, the commit index too", hs, cs)
		}
		s = reopen(t, fsys, s)
	}
	check(t, s.Save(nil, from(41, 4), nil))
	holds(t, s, 40, 4, from(41, 4))
}

func TestApplySnapshotWithMembersAlone(t *testing.T) {
	fsys := vfs.NewMem()
	s := open(t, fsys)
	check(t, s.ApplySnapshot(shot(0, 0, "", 1, 2, 3)))
	for range 2 {
		_, cs, err := s.InitialState()
		check(t, err)
		snap, err := s.Snapshot()
		check(t, err)
		if len(cs.GetVoters()) != 3 || len(snap.GetMetadata().GetConfState().GetVoters()) != 3 || !raft.IsEmptySnap(snap) {
			t.Errorf("members %v, snapshot %v", cs, snap)
		}
		s = reopen(t, fsys, s)
	}
	if err := s.ApplySnapshot(shot(0, 0, "data", 1)); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("data at index 0: %v, want ErrInvalid", err)
	}
	check(t, s.Save(nil, from(1, 1), nil))
	if err := s.ApplySnapshot(shot(0, 0, "", 1)); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("other members for entries that are there: %v, want ErrInvalid", err)
	}
	made, err := s.CreateSnapshot(1, nil, nil)
	check(t, err)
	if len(made.GetMetadata().GetConfState().GetVoters()) != 3 {
		t.Errorf("the first snapshot has members %v", made.GetMetadata().GetConfState())
	}
}

// A large state is no harder than a small one, and compresses.
func TestLargeSnapshot(t *testing.T) {
	s := three(t)
	data := make([]byte, 5<<20)
	for i := range data {
		data[i] = byte(i >> 10)
	}
	_, err := s.CreateSnapshot(5, nil, data)
	check(t, err)
	got, err := s.Snapshot()
	check(t, err)
	if !slices.Equal(got.GetData(), data) {
		t.Errorf("%d bytes came back as %d others", len(data), len(got.GetData()))
	}
}

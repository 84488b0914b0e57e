package seglog_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

// changes are the operations that alter the disk.
var changes = []string{"create", "mkdir", "rename", "remove", "syncdir", "write", "truncate", "sync", "syncdata"}

// breaker fails operations that alter the disk, counted from 1.
type breaker struct {
	n    atomic.Int64
	from int64 // first to fail; 0 none
	only bool  // that one only
	err  error
	hit  string
}

func (b *breaker) before(op vfs.Op) error {
	if !slices.Contains(changes, op.Kind) {
		return nil
	}
	n := b.n.Add(1)
	if b.from != 0 && (n == b.from || n > b.from && !b.only) {
		if n == b.from {
			b.hit = op.Kind
		}
		return fmt.Errorf("%s %s: %w", op.Kind, op.Name, b.err)
	}
	return nil
}

// story is a run that may fail at any step: what was acknowledged, and what was
// attempted last.
type story struct {
	acked, attempted state
	failure          error // the first
}

type state struct {
	base, last uint64
	term       uint64 // of the entries from 5 on
	vote       string
}

// play writes entries, rotates, truncates, compacts and resets on a log of
// small segments, closes it and opens it once more.
func play(fsys vfs.FS) (st story) {
	o := &seglog.Options{FS: fsys, SegmentSize: 600, Background: inline}
	for range 2 {
		s, err := seglog.Open("log", o)
		if err != nil {
			st.failure = errors.Join(st.failure, err)
			return st
		}
		st.run(s)
		if err := s.Close(); err != nil {
			st.failure = errors.Join(st.failure, err)
		}
	}
	return st
}

func (st *story) run(s *seglog.Store) {
	l, err := s.Log(raftlog.Group{Shard: group1})
	if err != nil {
		st.failure = errors.Join(st.failure, err)
		return
	}
	defer l.Close()
	step := func(to state, b raftlog.Batch) {
		if st.attempted != st.acked {
			return // the outcome of an earlier step is not known
		}
		st.attempted = to
		err := l.Write(b)
		if err == nil {
			st.acked = to
			return
		}
		st.failure = errors.Join(st.failure, err)
		if errors.Is(err, fault.ErrFull) {
			st.attempted = st.acked // nothing changed
		}
	}
	term := st.acked.term + 1
	for i := range 4 {
		at := st.acked
		vote := fmt.Sprintf("vote %d of term %d", i, term)
		var es []raftlog.Entry
		for index := at.last + 1; index <= at.last+3; index++ {
			es = append(es, raftlog.Entry{Index: index, Term: term, Data: payload(index)})
		}
		step(state{at.base, at.last + 3, term, vote}, raftlog.Batch{Entries: es, Stable: []raftlog.StableKV{{Key: "vote", Value: []byte(vote)}}})
	}
	at := st.acked
	if at.last < 6 {
		return
	}
	step(state{at.base, at.last - 1, at.term, at.vote}, raftlog.Batch{TruncateFrom: at.last})
	at = st.acked
	step(state{at.last - 3, at.last, at.term, at.vote}, raftlog.Batch{CompactTo: at.last - 3})
	at = st.acked
	step(state{at.last + 10, at.last + 10, at.term, at.vote}, raftlog.Batch{Reset: &raftlog.Position{Index: at.last + 10, Term: term}})
}

// check opens the log twice, without failures, and wants all that was
// acknowledged, and nothing that was not attempted.
func (st *story) check(fsys vfs.FS) error {
	var first state
	for round := range 2 {
		s, err := seglog.Open("log", &seglog.Options{FS: fsys, Background: inline})
		if err != nil {
			return fmt.Errorf("reopen: %w", err)
		}
		got, err := contentOf(s)
		if err := errors.Join(err, s.Close()); err != nil {
			return err
		}
		if round == 1 && got != first {
			return fmt.Errorf("opened twice: %+v, then %+v", first, got)
		}
		first = got
	}
	want := []state{st.acked, st.attempted}
	for i := range want {
		want[i].term = 0
	}
	if !slices.Contains(want, first) {
		return fmt.Errorf("log holds %+v, acknowledged %+v, attempted %+v", first, st.acked, st.attempted)
	}
	return nil
}

func contentOf(s *seglog.Store) (state, error) {
	l, err := s.Log(raftlog.Group{Shard: group1})
	if err != nil {
		return state{}, err
	}
	b, err := l.Bounds()
	if err != nil {
		return state{}, err
	}
	for e, err := range l.Entries(b.First(), b.Last+1) {
		if err != nil {
			return state{}, err
		}
		if string(e.Data) != string(payload(e.Index)) {
			return state{}, fmt.Errorf("entry %d = %q", e.Index, e.Data)
		}
	}
	vote, err := l.Stable("vote")
	if err != nil && !errors.Is(err, fault.ErrNotFound) {
		return state{}, err
	}
	return state{base: b.Base.Index, last: b.Last, vote: string(vote)}, nil
}

// steps is how many operations play makes when nothing fails.
func steps(t *testing.T) int64 {
	t.Helper()
	b := &breaker{}
	fsys := vfs.NewMem()
	st := play(vfs.Hook(fsys, b.before))
	if st.failure != nil {
		t.Fatal(st.failure)
	}
	if err := st.check(fsys); err != nil {
		t.Fatal(err)
	}
	return b.n.Load()
}

// The process dies before each operation in turn: from there on nothing
// reaches the disk.
func TestKilledBeforeEveryOperation(t *testing.T) {
	n := steps(t)
	for from := int64(1); from <= n; from++ {
		fsys := vfs.NewMem()
		b := &breaker{from: from, err: errors.New("killed")}
		st := play(vfs.Hook(fsys, b.before))
		if st.failure == nil {
			t.Errorf("operation %d of %d, a %s: no failure reported", from, n, b.hit)
		}
		if err := st.check(fsys); err != nil {
			t.Errorf("killed at operation %d of %d: %v", from, n, err)
		}
	}
	t.Logf("killed before each of %d operations", n)
}

// Recovery is killed too, before each of its operations, after every kill.
func TestKilledInRecovery(t *testing.T) {
	n := steps(t)
	deaths := 0
	for from := int64(1); from <= n; from++ {
		for again := int64(1); ; again++ {
			fsys := vfs.NewMem()
			st := play(vfs.Hook(fsys, (&breaker{from: from, err: errors.New("killed")}).before))
			b := &breaker{from: again, err: errors.New("killed again")}
			s, err := seglog.Open("log", &seglog.Options{FS: vfs.Hook(fsys, b.before), Background: inline})
			if err == nil {
				err = s.Close()
			}
			if err := st.check(fsys); err != nil {
				t.Fatalf("killed at operation %d, then at %d of recovery: %v", from, again, err)
			}
			deaths++
			if err == nil {
				break // recovery and close finished before
			}
		}
	}
	t.Logf("%d pairs of kills", deaths)
}

// One operation fails with EIO and all later ones work. Nothing is acknowledged
// after a failed write or sync, and a reopen finds what was acknowledged.
func TestEveryOperationFailsOnce(t *testing.T) {
	n := steps(t)
	seen := map[string]int{}
	for at := int64(1); at <= n; at++ {
		fsys := vfs.NewMem()
		b := &breaker{from: at, only: true, err: syscall.EIO}
		st := play(vfs.Hook(fsys, b.before))
		seen[b.hit]++
		if err := st.check(fsys); err != nil {
			t.Errorf("EIO from %s, operation %d of %d: %v", b.hit, at, n, err)
		}
	}
	for _, kind := range []string{"create", "rename", "syncdir", "write", "sync", "syncdata", "remove"} {
		if seen[kind] == 0 {
			t.Errorf("no %s among the operations that failed: %v", kind, seen)
		}
	}
}

// After a failed sync nothing is acknowledged, although later syncs would work,
// and reads go on (cockroach #37102).
func TestPoisonedAfterAFailedSync(t *testing.T) {
	fsys := vfs.NewMem()
	b := &breaker{only: true, err: syscall.EIO}
	s, err := seglog.Open("log", &seglog.Options{FS: vfs.Hook(fsys, func(op vfs.Op) error {
		if op.Kind != "syncdata" {
			return nil
		}
		return b.before(op)
	})})
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Log(raftlog.Group{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append(raftlog.Entry{Index: 1, Term: 1, Data: payload(1)}); err != nil {
		t.Fatal(err)
	}
	b.from = b.n.Load() + 1
	for i := range 3 {
		err := l.Append(raftlog.Entry{Index: 2, Term: 1, Data: payload(2)})
		if !errors.Is(err, fault.ErrPoisoned) || !errors.Is(err, syscall.EIO) {
			t.Errorf("append %d after a failed sync = %v, want ErrPoisoned with its cause", i, err)
		}
	}
	if err := l.Sync(); !errors.Is(err, fault.ErrPoisoned) {
		t.Errorf("Sync = %v, want ErrPoisoned", err)
	}
	if last, err := l.LastIndex(); err != nil || last != 1 {
		t.Errorf("LastIndex = %d, %v, want 1: what was not acknowledged is not visible", last, err)
	}
	if e, err := l.Entry(1); err != nil || string(e.Data) != string(payload(1)) {
		t.Errorf("Entry(1) of a poisoned log = %q, %v", e.Data, err)
	}
	if st, err := l.Stats(); err != nil || st.Poisoned == nil {
		t.Errorf("Stats = %+v, %v, want the reason why it is poisoned", st, err)
	}
	if err := s.Close(); !errors.Is(err, fault.ErrPoisoned) {
		t.Errorf("Close of a poisoned log = %v, want ErrPoisoned", err)
	}
	if s, err = seglog.Open("log", &seglog.Options{FS: fsys}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if l, err = s.Log(raftlog.Group{}); err != nil {
		t.Fatal(err)
	}
	last, err := l.LastIndex()
	if err != nil || last < 1 || last > 2 {
		t.Fatalf("LastIndex after reopening = %d, %v, want 1 or 2", last, err)
	}
	if err := l.Append(raftlog.Entry{Index: last + 1, Term: 1}); err != nil {
		t.Errorf("Append after reopening = %v", err)
	}
}

// A full disk refuses and changes nothing, part of the write that fitted
// included; when there is room the same log works again.
func TestFullDisk(t *testing.T) {
	disk := simdisk.New(nil)
	fsys := disk.FS()
	var full atomic.Bool
	disk.Fail(func(op vfs.Op) error {
		switch {
		case !full.Load() || op.Kind != "write" && op.Kind != "create":
			return nil
		case op.Kind == "write":
			return &simdisk.ShortWrite{N: 8, Err: syscall.ENOSPC} // part of it fits
		}
		return syscall.ENOSPC
	})
	s, err := seglog.Open("log", &seglog.Options{FS: fsys, SegmentSize: 500})
	if err != nil {
		t.Fatal(err)
	}
	l, err := s.Log(raftlog.Group{Shard: group1})
	if err != nil {
		t.Fatal(err)
	}
	last := uint64(0)
	for round := range 10 { // some rounds meet the full disk in a rotation
		for range 3 {
			last++
			if err := l.Append(raftlog.Entry{Index: last, Term: 1, Data: payload(last)}); err != nil {
				t.Fatal(err)
			}
		}
		full.Store(true)
		for range 2 {
			if err := l.Append(raftlog.Entry{Index: last + 1, Term: 1}); !errors.Is(err, fault.ErrFull) || !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("round %d: append to a full disk = %v, want ErrFull with its cause", round, err)
			}
		}
		if e, err := l.Entry(last); err != nil || string(e.Data) != string(payload(last)) {
			t.Fatalf("round %d: Entry(%d) = %q, %v", round, last, e.Data, err)
		}
		full.Store(false)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	st := story{acked: state{last: last}, attempted: state{last: last}}
	if err := st.check(fsys); err != nil {
		t.Error(err)
	}
}

// A write that finds the disk full takes those queued behind it along: they
// were accepted because it was there.
func TestFullDiskFailsWhatFollows(t *testing.T) {
	mem := vfs.NewMem()
	var full atomic.Bool
	block, entered := make(chan struct{}), make(chan struct{})
	fsys := vfs.Hook(mem, func(op vfs.Op) error {
		if op.Kind != "write" || !full.Load() {
			return nil
		}
		entered <- struct{}{}
		<-block
		full.Store(false)
		return syscall.ENOSPC
	})
	s, err := seglog.Open("log", &seglog.Options{FS: fsys})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	l, err := s.Log(raftlog.Group{})
	if err != nil {
		t.Fatal(err)
	}
	full.Store(true)
	results := make(chan error, 3)
	write := func(index uint64) {
		b := raftlog.Batch{Entries: []raftlog.Entry{{Index: index, Term: 1}}}
		if err := l.WriteAsync(b, func(err error) { results <- err }); err != nil {
			t.Error(err)
		}
	}
	write(1)
	<-entered
	write(2)
	write(3)
	close(block)
	for i := range 3 {
		if err := <-results; !errors.Is(err, fault.ErrFull) {
			t.Errorf("write %d = %v, want ErrFull", i+1, err)
		}
	}
	if err := l.Append(raftlog.Entry{Index: 1, Term: 1}); err != nil {
		t.Errorf("append with room again = %v", err)
	}
}

// A large frame goes to the disk in pieces. Any of them may find no room, which
// changes nothing; but a piece that could not be written out may be lost, which
// no later sync would tell.
func TestLargeFrameInPieces(t *testing.T) {
	for _, c := range []struct {
		kind      string
		err, want error
		least     int // calls of that kind
	}{
		{"write", syscall.ENOSPC, fault.ErrFull, 4},
		{"write", syscall.EIO, fault.ErrPoisoned, 4},
		{"hint", syscall.EIO, fault.ErrPoisoned, 2},
		{"hint", syscall.ENOSPC, fault.ErrPoisoned, 2},
	} {
		calls := 0
		for largeFrame(t, c.kind, calls+1, c.err, c.want) {
			calls++
		}
		if calls < c.least {
			t.Errorf("%d calls of %s failed, want at least %d", calls, c.kind, c.least)
		}
	}
}

// largeFrame appends a large entry while the n-th call of that kind fails, and
// reports whether there was such a call.
func largeFrame(t *testing.T, kind string, n int, failure, want error) bool {
	large := bytes.Repeat([]byte("0123456789abcde\n"), 60<<10)
	big := raftlog.Entry{Index: 2, Term: 1, Data: large}
	d := simdisk.New(nil)
	calls, armed := 0, false
	hooked := vfs.Hook(d.FS(), func(op vfs.Op) error {
		if !armed || op.Kind != kind {
			return nil
		}
		if calls++; calls == n {
			return failure
		}
		return nil
	})
	use := func(fsys vfs.FS, do func(l *raftlog.Log)) {
		s, err := seglog.Open("log", &seglog.Options{FS: fsys, Background: inline, SegmentSize: 4 << 20})
		if err != nil {
			t.Fatal(err)
		}
		l, err := s.Log(raftlog.Group{})
		if err != nil {
			t.Fatal(err)
		}
		do(l)
		_ = l.Close()
		_ = s.Close() // poisoned, perhaps
	}
	acked := uint64(1)
	use(hooked, func(l *raftlog.Log) {
		if err := l.Append(raftlog.Entry{Index: 1, Term: 1, Data: []byte("small")}); err != nil {
			t.Fatal(err)
		}
		armed = true
		err := l.Append(big)
		if calls < n {
			if err != nil {
				t.Errorf("Append = %v, though nothing failed", err)
			}
			acked = 2
			return
		}
		if !errors.Is(err, want) {
			t.Errorf("%s %d fails with %v: Append = %v, want %v", kind, n, failure, err, want)
		}
		if last, err := l.LastIndex(); err != nil || last != 1 {
			t.Errorf("%s %d fails with %v: LastIndex = %d, %v, want 1", kind, n, failure, last, err)
		}
		if errors.Is(want, fault.ErrFull) {
			if err := l.Append(big); err != nil {
				t.Errorf("Append with room again = %v", err)
			}
			acked = 2
		}
	})
	use(d.FS(), func(l *raftlog.Log) {
		last, err := l.LastIndex()
		if err != nil || last < acked {
			t.Errorf("opened again: LastIndex = %d, %v, want %d", last, err, acked)
		}
		if last == 2 {
			if e, err := l.Entry(2); err != nil || !bytes.Equal(e.Data, large) {
				t.Errorf("Entry(2) = %d bytes, %v", len(e.Data), err)
			}
		}
	})
	return calls >= n
}

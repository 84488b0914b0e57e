package dirbucket_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot/dirbucket"
	"github.com/trimarandb/trimaran/vfs"
)

// breaker fails operations, counted from 1, and keeps their names.
type breaker struct {
	n    atomic.Int64
	from int64 // first to fail; 0 none
	only bool  // that one only
	err  error
	seen []string
}

func (b *breaker) before(op vfs.Op) error {
	n := b.n.Add(1)
	b.seen = append(b.seen, op.Kind+" "+strings.TrimPrefix(op.Name, "dir/"))
	if b.from != 0 && (n == b.from || n > b.from && !b.only) {
		return &fs.PathError{Op: op.Kind, Path: op.Name, Err: b.err}
	}
	return nil
}

// change is something done to a bucket that holds initial: what it holds then,
// and the operations that it takes.
type change struct {
	name  string
	run   func(ctx context.Context, b *dirbucket.Bucket) error
	after map[string]string
	ops   []string
}

const long = "a longer content than there was"

var (
	initial = map[string]string{"old": "old content", "keep": "kept"}

	changes = []change{
		{
			name:  "publish",
			run:   func(ctx context.Context, b *dirbucket.Bucket) error { return put(ctx, b, "new", long) },
			after: map[string]string{"old": "old content", "keep": "kept", "new": long},
			ops:   []string{"create .pending-1", "write .pending-1", "write .pending-1", "syncdata .pending-1", "stat new", "rename .pending-1", "syncdir dir"},
		},
		{
			name:  "replace",
			run:   func(ctx context.Context, b *dirbucket.Bucket) error { return put(ctx, b, "old", long) },
			after: map[string]string{"old": long, "keep": "kept"},
			ops:   []string{"create .pending-1", "write .pending-1", "write .pending-1", "syncdata .pending-1", "stat old", "rename .pending-1", "syncdir dir"},
		},
		{
			name:  "remove",
			run:   func(ctx context.Context, b *dirbucket.Bucket) error { return b.Remove(ctx, "old") },
			after: map[string]string{"keep": "kept"},
			ops:   []string{"stat old", "remove old", "syncdir dir"},
		},
	}
)

// prepared is a directory that holds initial and is not open.
func prepared(t *testing.T) vfs.FS {
	t.Helper()
	mem := vfs.NewMem()
	b := open(t, mem)
	for _, name := range slices.Sorted(maps.Keys(initial)) {
		if err := put(t.Context(), b, name, initial[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	return mem
}

// begin opens the bucket through a breaker that has counted nothing yet.
func begin(t *testing.T, mem vfs.FS, br *breaker) *dirbucket.Bucket {
	t.Helper()
	from := br.from
	br.from = 0
	b := open(t, vfs.Hook(mem, br.before))
	br.n.Store(0)
	br.from, br.seen = from, nil
	return b
}

// Bytes are durable before the name, and the name before the call returns.
func TestOrder(t *testing.T) {
	for _, c := range changes {
		t.Run(c.name, func(t *testing.T) {
			var br breaker
			b := begin(t, prepared(t), &br)
			if err := c.run(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(br.seen, c.ops) {
				t.Errorf("operations = %q, want %q", br.seen, c.ops)
			}
		})
	}
}

func TestSyncsOnTheWay(t *testing.T) {
	var br breaker
	b := begin(t, prepared(t), &br)
	p, err := b.Create(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}
	piece := make([]byte, 5<<20)
	for range 7 {
		if _, err := p.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Abort(); err != nil {
		t.Fatal(err)
	}
	if n := count(br.seen, "syncdata"); n != 1 {
		t.Errorf("35 MiB were synced %d times on the way, want once", n)
	}
}

func count(ops []string, kind string) (n int) {
	for _, op := range ops {
		if strings.HasPrefix(op, kind+" ") {
			n++
		}
	}
	return n
}

// TestKilled ends the process before each operation: what it had done so far
// stays, and what comes after fails.
func TestKilled(t *testing.T) {
	for _, c := range changes {
		for n := int64(1); n <= int64(len(c.ops))+1; n++ {
			t.Run(fmt.Sprintf("%s/%d", c.name, n), func(t *testing.T) {
				mem := prepared(t)
				br := &breaker{from: n, err: syscall.EIO}
				b := begin(t, mem, br)
				err := c.run(t.Context(), b)
				if want := n > int64(len(c.ops)); (err == nil) != want {
					t.Fatalf("%s = %v, killed before operation %d of %d", c.name, err, n, len(c.ops))
				}
				acked := err == nil
				_ = b.Close() // frees the lock, as the kernel does
				again := open(t, mem)
				wantState(t, again, acked, c)
				wantNothingLeft(t, mem)
			})
		}
	}
}

// wantState: the old objects or the new ones, and the new ones once that was
// acknowledged.
func wantState(t *testing.T, b *dirbucket.Bucket, acked bool, c change) {
	t.Helper()
	got, err := contents(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(got, c.after) && (acked || !maps.Equal(got, initial)) {
		t.Errorf("objects = %q, want %q, or before it was acknowledged %q", got, c.after, initial)
	}
}

func wantNothingLeft(t *testing.T, mem vfs.FS) {
	t.Helper()
	for _, name := range files(t, mem, "dir") {
		if strings.HasPrefix(name, ".") && name != ".lock" {
			t.Errorf("%s is left behind", name)
		}
	}
}

// TestFailedOnce fails each operation once, with a full disk and with a broken
// one. The call fails, nothing of it can be seen, and all works again, except
// after a failed sync of the directory.
func TestFailedOnce(t *testing.T) {
	for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
		for _, c := range changes {
			for n := range int64(len(c.ops)) {
				t.Run(fmt.Sprintf("%v/%s/%s", cause, c.name, c.ops[n]), func(t *testing.T) {
					failOnce(t, c, &breaker{from: n + 1, only: true, err: cause})
				})
			}
		}
	}
}

func failOnce(t *testing.T, c change, br *breaker) {
	mem := prepared(t)
	b := begin(t, mem, br)
	err := c.run(t.Context(), b)
	op := c.ops[br.from-1]
	namesLost := strings.HasPrefix(op, "syncdir")
	want := map[bool]error{true: fault.ErrPoisoned, false: br.err}[namesLost]
	if !errors.Is(err, want) || !errors.Is(err, br.err) {
		t.Fatalf("%s = %v, want %v", c.name, err, want)
	}
	if full := errors.Is(br.err, syscall.ENOSPC) && !namesLost; errors.Is(err, fault.ErrFull) != full {
		t.Errorf("%s = %v, want ErrFull %v", c.name, err, full)
	}
	wantNothingLeft(t, mem)
	if !namesLost {
		wantState(t, b, false, change{after: initial})
		if err := c.run(t.Context(), b); err != nil {
			t.Fatalf("second %s = %v", c.name, err)
		}
		wantState(t, b, true, c)
		return
	}
	if c.name == "publish" {
		wantState(t, b, false, change{after: initial})
	}
	wantState(t, b, false, c)
	_, create := b.Create(t.Context(), "more")
	for _, err := range []error{create, b.Remove(t.Context(), "keep")} {
		if !errors.Is(err, fault.ErrPoisoned) {
			t.Errorf("a change after a failed sync of the directory = %v, want ErrPoisoned", err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, mem)
	if err := c.run(t.Context(), again); err != nil {
		t.Fatalf("%s after opening anew = %v", c.name, err)
	}
	wantState(t, again, true, c)
}

// What was begun before a sync of the directory failed is not published after.
func TestCommitAfterPoison(t *testing.T) {
	mem := prepared(t)
	br := &breaker{from: 5, only: true, err: syscall.EIO}
	b := begin(t, mem, br)
	p, err := b.Create(t.Context(), "new")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := b.Remove(t.Context(), "old"); !errors.Is(err, syscall.EIO) {
		t.Fatalf("Remove = %v, want its sync to fail", err)
	}
	if err := p.Commit(t.Context()); !errors.Is(err, fault.ErrPoisoned) {
		t.Errorf("Commit = %v, want ErrPoisoned", err)
	}
	wantState(t, b, false, change{after: map[string]string{"keep": "kept"}})
	wantNothingLeft(t, mem)
}

// A write that failed cannot be committed, also if the rest would succeed.
func TestNoCommitAfterFailedWrite(t *testing.T) {
	mem := prepared(t)
	b := begin(t, mem, &breaker{from: 2, only: true, err: syscall.ENOSPC})
	p, err := b.Create(t.Context(), "new")
	if err != nil {
		t.Fatal(err)
	}
	_, first := p.Write([]byte("x"))
	wantNothingLeft(t, mem)
	_, second := p.Write([]byte("y"))
	for call, err := range map[string]error{"Write": first, "second Write": second, "Commit": p.Commit(t.Context())} {
		if !errors.Is(err, fault.ErrFull) {
			t.Errorf("%s = %v, want ErrFull", call, err)
		}
	}
	if err := p.Abort(); err != nil {
		t.Errorf("Abort = %v", err)
	}
	wantState(t, b, false, change{after: initial})
}

// TestOpenFails fails each operation of Open once: it reports that, holds no
// lock, and the next one succeeds.
func TestOpenFails(t *testing.T) {
	for n := int64(1); ; n++ {
		mem := prepared(t)
		if err := vfs.WriteFile(mem, "dir/.pending-9", []byte("half")); err != nil {
			t.Fatal(err)
		}
		br := &breaker{from: n, only: true, err: syscall.EIO}
		b, err := dirbucket.Open("dir", &dirbucket.Options{FS: vfs.Hook(mem, br.before)})
		if err == nil {
			if n < 6 || int64(len(br.seen)) != n-1 {
				t.Fatalf("Open succeeded with operation %d failing: %q", n, br.seen)
			}
			_ = b.Close()
			return
		}
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("Open = %v, want EIO", err)
		}
		wantState(t, open(t, mem), true, change{after: initial})
	}
}

// The removal of what is pending may fail too; the next Open sees to it.
func TestAbortFails(t *testing.T) {
	mem := prepared(t)
	b := begin(t, mem, &breaker{from: 2, err: syscall.EIO})
	p, err := b.Create(t.Context(), "new")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Abort(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Abort = %v, want EIO", err)
	}
	if err := p.Abort(); err != nil {
		t.Errorf("second Abort = %v", err)
	}
	if err := b.Close(); err != nil {
		t.Errorf("Close = %v", err)
	}
	open(t, mem)
	wantNothingLeft(t, mem)
}

// A long object is synced while it is written, beside the writing. A failure of
// that sync costs the object, as one in Commit does.
func TestSyncBesideWritesFails(t *testing.T) {
	for _, commit := range []bool{false, true} {
		var syncs atomic.Int64
		broken := errors.New("broken")
		b := open(t, vfs.Hook(vfs.NewMem(), func(op vfs.Op) error {
			if op.Kind == "syncdata" && syncs.Add(1) == 1 {
				return broken
			}
			return nil
		}))
		p, err := b.Create(t.Context(), "object")
		if err != nil {
			t.Fatal(err)
		}
		part := make([]byte, 16<<20)
		for range 3 { // the second begins the sync
			if _, err := p.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		if commit {
			err = p.Commit(t.Context())
		} else {
			_, err = p.Write(part) // begins the next
		}
		if !errors.Is(err, broken) {
			t.Errorf("commit %v: error %v, want %v", commit, err, broken)
		}
		if err := p.Abort(); err != nil {
			t.Errorf("Abort = %v", err)
		}
		if all, err := contents(t.Context(), b); err != nil || len(all) != 0 || syncs.Load() != 1 {
			t.Errorf("commit %v: %d objects, %v, after %d syncs, want none after one", commit, len(all), err, syncs.Load())
		}
	}
}

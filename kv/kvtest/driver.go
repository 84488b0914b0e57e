package kvtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

func driverCases() []Case {
	return []Case{
		driverCase("driver/reads", "Get and Scan see what was committed, in the order of the bytes", driverReads),
		driverCase("driver/bounds", "a range is half open in both directions, and an empty Hi has no bound", driverBounds),
		driverCase("driver/own-writes", "a transaction reads its own writes and deletes", driverOwnWrites),
		driverCase("driver/stable-walk", "a walk shows the state of its beginning, whatever the loop writes", driverStableWalk),
		driverCase("driver/rollback", "a rollback keeps nothing and may follow a commit", driverRollback),
		driverCase("driver/snapshot", "a readable transaction sees no later commit, and does not wait", driverSnapshot),
		driverCase("driver/ownership", "keys and values passed in belong to the caller again", driverOwnership),
		driverCase("driver/sizes", "keys of 80 KiB, values of 1 MiB and empty values are kept", driverSizes),
		driverCase("driver/ended", "an ended transaction and a closed engine refuse work", driverEnded),
		driverCase("driver/range-delete", "DeleteRange, where there is one, removes [lo, hi) and nothing else", driverRangeDelete),
		driverCase("driver/generation", "a generation is unseen until its switch, and old readers keep the old content", driverGeneration),
		driverCase("driver/discard", "a discarded generation leaves nothing", driverDiscard),
	}
}

// driverProbe drives an engine for one case.
type driverProbe struct {
	ctx context.Context
	d   kv.Driver
	err error
}

func (p *driverProbe) failf(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

func (p *driverProbe) ok(what string, err error) {
	if err != nil {
		p.failf("%s = %w, want nil", what, err)
	}
}

// with runs fn in a transaction that is rolled back unless fn commits it.
func (p *driverProbe) with(writable bool, fn func(t kv.DriverTx)) {
	t, err := p.d.Begin(p.ctx, writable)
	if err != nil {
		p.failf("Begin(writable %v) = %w", writable, err)
		return
	}
	fn(t)
	p.ok("Rollback", t.Rollback())
}

// commit puts "k=v" pairs, deletes "-k", and commits.
func (p *driverProbe) commit(changes ...string) {
	p.with(true, func(t kv.DriverTx) {
		p.change(t, changes...)
		p.ok("Commit", t.Commit())
	})
}

func (p *driverProbe) change(t kv.DriverTx, changes ...string) {
	for _, c := range changes {
		if key, del := strings.CutPrefix(c, "-"); del {
			p.ok("Delete("+key+")", t.Delete([]byte(key)))
			continue
		}
		key, value, _ := strings.Cut(c, "=")
		p.ok("Put("+c+")", t.Put([]byte(key), []byte(value)))
	}
}

// scan fails unless the walk yields these "k=v" pairs.
func (p *driverProbe) scan(t kv.DriverTx, r kv.Range, want string) {
	var list []string
	for pair, err := range t.Scan(r) {
		if err != nil {
			p.failf("Scan = %w", err)
			return
		}
		list = append(list, string(pair.Key)+"="+string(pair.Value))
	}
	if got := strings.Join(list, " "); got != want {
		p.failf("Scan(%q, %q, reverse %v) = %q, want %q", r.Lo, r.Hi, r.Reverse, got, want)
	}
}

func (p *driverProbe) all(want string) {
	p.with(false, func(t kv.DriverTx) { p.scan(t, kv.Range{}, want) })
}

func (p *driverProbe) get(t kv.DriverTx, key, want string) {
	v, err := t.Get([]byte(key))
	if want == "-" {
		if !errors.Is(err, fault.ErrNotFound) {
			p.failf("Get(%s) = %q, %v, want not found", key, v, err)
		}
		return
	}
	if err != nil || string(v) != want {
		p.failf("Get(%s) = %q, %v, want %q", key, v, err, want)
	}
}

func driverReads(p *driverProbe) {
	p.all("")
	p.commit("b=2", "a=1", "\x00=0", "\xff\xff=9", "ab=3")
	p.all("\x00=0 a=1 ab=3 b=2 \xff\xff=9")
	p.with(false, func(t kv.DriverTx) {
		p.get(t, "ab", "3")
		p.get(t, "abc", "-")
	})
	p.commit("a=one", "-b", "-none")
	p.all("\x00=0 a=one ab=3 \xff\xff=9")
}

func driverBounds(p *driverProbe) {
	p.commit("a=1", "b=2", "c=3", "d=4")
	p.with(false, func(t kv.DriverTx) {
		p.scan(t, span("b", "d"), "b=2 c=3")
		p.scan(t, reverse(span("b", "d")), "c=3 b=2")
		p.scan(t, span("bb", "cc"), "c=3")
		p.scan(t, reverse(span("bb", "cc")), "c=3")
		p.scan(t, span("c", ""), "c=3 d=4")
		p.scan(t, reverse(span("c", "")), "d=4 c=3")
		p.scan(t, reverse(span("", "b")), "a=1")
		p.scan(t, span("c", "b"), "")
		p.scan(t, reverse(span("c", "b")), "")
		p.scan(t, span("b", "b"), "")
		p.scan(t, reverse(span("e", "f")), "")
		for _, err := range t.Scan(kv.Range{}) {
			p.ok("Scan", err)
			break // leaving early leaves nothing behind
		}
		p.scan(t, kv.Range{}, "a=1 b=2 c=3 d=4")
	})
}

func driverOwnWrites(p *driverProbe) {
	p.commit("a=1", "b=2")
	p.with(true, func(t kv.DriverTx) {
		p.change(t, "a=one", "c=3", "-b")
		p.get(t, "a", "one")
		p.get(t, "b", "-")
		p.scan(t, kv.Range{}, "a=one c=3")
		p.change(t, "b=two", "-c")
		p.scan(t, kv.Range{Reverse: true}, "b=two a=one")
		p.ok("Commit", t.Commit())
	})
	p.all("a=one b=two")
}

func driverStableWalk(p *driverProbe) {
	p.commit("a=1", "c=3", "e=5")
	for _, r := range []kv.Range{{}, {Reverse: true}} {
		p.with(true, func(t kv.DriverTx) {
			p.change(t, "b=2")
			var seen []string
			for pair, err := range t.Scan(r) {
				p.ok("Scan", err)
				seen = append(seen, string(pair.Key)+"="+string(pair.Value))
				p.change(t, "-"+string(pair.Key), "-c", "d=4", "e=x", "f=6")
			}
			want := "a=1 b=2 c=3 e=5"
			if r.Reverse {
				want = "e=5 c=3 b=2 a=1"
			}
			if got := strings.Join(seen, " "); got != want {
				p.failf("walk that writes saw %q, want %q", got, want)
			}
		})
	}
	p.all("a=1 c=3 e=5")
}

func driverRollback(p *driverProbe) {
	p.commit("a=1")
	p.with(true, func(t kv.DriverTx) { p.change(t, "a=2", "b=2") })
	p.with(true, func(t kv.DriverTx) { p.change(t, "-a") })
	p.all("a=1")
	p.with(true, func(t kv.DriverTx) {
		p.change(t, "b=2")
		p.ok("Commit", t.Commit())
		p.ok("Rollback after Commit", t.Rollback())
	})
	p.all("a=1 b=2")
}

func driverSnapshot(p *driverProbe) {
	p.commit("a=1", "b=2")
	p.with(false, func(old kv.DriverTx) {
		p.with(true, func(w kv.DriverTx) {
			p.change(w, "a=x", "-b", "c=3")
			p.scan(old, kv.Range{}, "a=1 b=2")
			p.all("a=1 b=2")
			p.ok("Commit", w.Commit())
		})
		p.scan(old, kv.Range{}, "a=1 b=2")
		p.get(old, "c", "-")
		p.all("a=x c=3")
	})
}

func driverOwnership(p *driverProbe) {
	p.with(true, func(t kv.DriverTx) {
		key, value := []byte("key"), []byte("value")
		p.ok("Put", t.Put(key, value))
		copy(key, "xxx")
		copy(value, "xxxxx")
		p.get(t, "key", "value")
		copy(key, "key")
		p.ok("Delete", t.Delete([]byte("other")))
		p.ok("Commit", t.Commit())
		copy(key, "yyy")
	})
	p.all("key=value")
}

func driverSizes(p *driverProbe) {
	key, value := bytes.Repeat([]byte("k"), 80<<10), bytes.Repeat([]byte("v"), 1<<20)
	p.with(true, func(t kv.DriverTx) {
		p.ok("Put of a long pair", t.Put(key, value))
		p.ok("Put of an empty value", t.Put([]byte("empty"), nil))
		p.ok("Commit", t.Commit())
	})
	p.with(false, func(t kv.DriverTx) {
		if v, err := t.Get(key); err != nil || !bytes.Equal(v, value) {
			p.failf("Get(long key) = %d bytes, %v, want %d", len(v), err, len(value))
		}
		p.get(t, "empty", "")
	})
}

func driverEnded(p *driverProbe) {
	p.commit("a=1")
	p.with(true, func(t kv.DriverTx) {
		p.ok("Commit", t.Commit())
		if err := t.Put([]byte("b"), nil); err == nil {
			p.failf("Put after Commit = nil, want an error")
		}
		if err := t.Commit(); err == nil {
			p.failf("second Commit = nil, want an error")
		}
	})
	p.with(false, func(t kv.DriverTx) {
		if err := t.Put([]byte("b"), nil); err == nil {
			p.failf("Put in a readable transaction = nil, want an error")
		}
	})
	p.all("a=1")
	ctx, cancel := context.WithCancel(p.ctx)
	cancel()
	if t, err := p.d.Begin(ctx, true); err == nil {
		_ = t.Rollback()
		p.failf("Begin with a cancelled context = nil, want its error")
	}
	p.ok("Sync", p.d.Sync())
	p.ok("Close", p.d.Close())
	if _, err := p.d.Begin(p.ctx, false); err == nil {
		p.failf("Begin after Close = nil, want an error")
	}
}

func driverRangeDelete(p *driverProbe) {
	p.commit("a=1", "b=2", "c=3", "d=4")
	p.with(true, func(t kv.DriverTx) {
		rd, ok := t.(kv.RangeDeleter)
		if !ok {
			p.change(t, "-b", "-c")
		} else {
			p.ok("DeleteRange", rd.DeleteRange([]byte("b"), []byte("d")))
		}
		p.get(t, "b", "-")
		p.change(t, "c=again")
		p.ok("Commit", t.Commit())
	})
	p.all("a=1 c=again d=4")
}

// generation fills a fresh generation, or reports that the engine has none.
func (p *driverProbe) generation(pairs ...string) (kv.Ingester, bool) {
	gens, ok := kv.As[kv.Generations](p.d)
	if !ok {
		return nil, false
	}
	g, err := gens.Fresh(p.ctx)
	if err != nil {
		p.failf("Fresh = %w", err)
		return nil, false
	}
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		p.ok("Put("+pair+")", g.Put([]byte(key), []byte(value)))
	}
	return g, true
}

func driverGeneration(p *driverProbe) {
	p.commit("a=1", "b=2")
	g, ok := p.generation("b=new", "c=new", "a0=new")
	if !ok {
		return
	}
	p.commit("d=4")
	p.ok("Sync", g.Sync())
	p.all("a=1 b=2 d=4")
	p.with(false, func(old kv.DriverTx) {
		p.ok("Put", g.Put([]byte("x"), nil))
		p.ok("Switch", g.Switch())
		p.scan(old, kv.Range{}, "a=1 b=2 d=4")
		p.all("a0=new b=new c=new x=")
		p.ok("Discard after Switch", g.Discard())
		p.commit("e=5", "-x")
		p.scan(old, kv.Range{}, "a=1 b=2 d=4")
	})
	p.all("a0=new b=new c=new e=5")
}

func driverDiscard(p *driverProbe) {
	p.commit("a=1")
	g, ok := p.generation("b=2")
	if !ok {
		return
	}
	p.ok("Discard", g.Discard())
	p.ok("second Discard", g.Discard())
	p.all("a=1")
	if g, ok = p.generation("c=3"); ok {
		p.ok("Switch", g.Switch())
	}
	p.all("c=3")
}

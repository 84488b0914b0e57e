package kvtest

import (
	"fmt"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// epoch is when the clocks of the cases begin.
func epoch() time.Time { return time.Unix(1_700_000_000, 0).UTC() }

func clockCases() []Case {
	return []Case{
		storeCase("clock/hide", "a row is gone from every read when the clock reaches its deadline, not before", clockHides),
		storeCase("clock/advance", "the clock never goes back, and is held at an hour ahead", clockAdvance),
		storeCase("clock/needed", "a ttl needs a clock and has to be positive", clockNeeded),
		storeCase("clock/cleared", "Put and CompareAndSwap take a deadline away, Increment keeps it", deadlineCleared),
		storeCase("clock/past", "PutUntil a deadline that has passed leaves no value", deadlinePassed),
		storeCase("clock/expire", "Expire removes what is dead, at most its limit, and no read shows it", expire),
		storeCase("clock/dead-is-none", "a dead row is none for CompareAndSwap and Increment", deadIsNone),
		storeCase("clock/snapshot", "a snapshot keeps the clock of its beginning", clockSnapshot),
	}
}

func (p *probe) advance(to time.Time) {
	p.update(func(t *kv.WriteTx) error { return t.Advance(to) })
}

func (p *probe) until(key, value string, deadline time.Time) {
	p.ok("PutUntil("+key+")", p.s.PutUntil(p.ctx, []byte(key), []byte(value), deadline))
}

func (p *probe) next(want time.Time) {
	got, err := p.s.NextDeadline(p.ctx)
	if err != nil || !got.Equal(want) {
		p.failf("NextDeadline() = %v, %v, want %v", got, err, want)
	}
}

func clockHides(p *probe) {
	t0 := epoch()
	p.advance(t0)
	p.put("a", "forever")
	p.ok("PutTTL", p.s.PutTTL(p.ctx, []byte("b"), []byte("ttl"), time.Minute))
	p.until("c", "until", t0.Add(2*time.Minute))
	for key, want := range map[string]time.Time{"a": {}, "b": t0.Add(time.Minute), "c": t0.Add(2 * time.Minute)} {
		got, err := p.s.Deadline(p.ctx, []byte(key))
		p.ok("Deadline", err)
		same(p, "Deadline("+key+")", got.Equal(want), true)
	}
	p.next(t0.Add(time.Minute))
	p.advance(t0.Add(time.Minute - 1))
	p.scan(kv.Range{}, "a b c")
	p.advance(t0.Add(time.Minute))
	p.scan(kv.Range{}, "a c")
	p.scan(kv.Range{Reverse: true}, "c a")
	p.has("b", "-")
	p.next(t0.Add(2 * time.Minute))
	has, err := p.s.Has(p.ctx, []byte("b"))
	p.ok("Has", err)
	same(p, "Has(b)", has, false)
	_, err = p.s.Deadline(p.ctx, []byte("b"))
	p.is("Deadline(b)", err, fault.ErrNotFound)
	values, err := p.s.MultiGet(p.ctx, [][]byte{[]byte("b"), []byte("c")})
	p.ok("MultiGet", err)
	same(p, "MultiGet(b, c)", fmt.Sprintf("%q", values), `["" "until"]`)
	page, err := p.s.Page(p.ctx, kv.PageOptions{Limit: 2})
	p.ok("Page", err)
	same(p, "Page", pageKeys(page)+" "+string(page.Next), "a c ")
	n, err := p.s.Count(p.ctx, kv.Range{})
	p.ok("Count", err)
	same(p, "Count", n, 2)
	_, sum := p.export()
	same(p, "rows exported", sum.Rows, 2)
	p.advance(t0.Add(time.Hour))
	p.scan(kv.Range{}, "a")
	p.next(time.Time{})
}

func clockAdvance(p *probe) {
	t0 := epoch()
	clock := func(want time.Time) {
		m, err := p.s.Mark(p.ctx)
		if err != nil || !m.Clock.Equal(want) {
			p.failf("clock = %v, %v, want %v", m.Clock, err, want)
		}
	}
	clamps := func(n uint64, behind bool) {
		st, err := p.s.Stats()
		if err != nil || st.ClockClamps != n || st.ClockBehind != behind {
			p.failf("Stats() = %d clamps, behind %v, %v, want %d, %v", st.ClockClamps, st.ClockBehind, err, n, behind)
		}
	}
	p.advance(t0)
	clock(t0)
	p.advance(t0.Add(-time.Second))
	clock(t0)
	p.advance(t0.Add(kv.MaxAdvance))
	clock(t0.Add(kv.MaxAdvance))
	clamps(0, false)
	t1 := t0.Add(kv.MaxAdvance)
	p.advance(t1.Add(kv.MaxAdvance + 1))
	clock(t1.Add(kv.MaxAdvance))
	clamps(1, true)
	p.advance(t1)
	clock(t1.Add(kv.MaxAdvance))
	clamps(1, false)
	for _, bad := range []time.Time{{}, time.Unix(-1, 0), time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC)} {
		p.is(fmt.Sprintf("Advance(%v)", bad), p.s.Update(p.ctx, func(t *kv.WriteTx) error { return t.Advance(bad) }), fault.ErrInvalid)
	}
}

func clockNeeded(p *probe) {
	key := []byte("a")
	p.is("PutTTL without a clock", p.s.PutTTL(p.ctx, key, nil, time.Second), fault.ErrInvalid)
	p.advance(epoch())
	for _, ttl := range []time.Duration{0, -1, 1<<63 - 1} {
		p.is(fmt.Sprintf("PutTTL of %v", ttl), p.s.PutTTL(p.ctx, key, nil, ttl), fault.ErrInvalid)
	}
	p.is("PutUntil without a deadline", p.s.PutUntil(p.ctx, key, nil, time.Time{}), fault.ErrInvalid)
	p.has("a", "-")
}

func deadlineCleared(p *probe) {
	t0 := epoch()
	p.advance(t0)
	soon := t0.Add(time.Second)
	p.until("put", "1", soon)
	p.until("swap", "1", soon)
	p.until("again", "1", soon)
	p.until("count", "\x00\x00\x00\x00\x00\x00\x00\x01", soon)
	p.put("put", "2")
	_, err := p.s.CompareAndSwap(p.ctx, []byte("swap"), []byte("1"), []byte("2"))
	p.ok("CompareAndSwap", err)
	p.until("again", "2", soon.Add(time.Minute))
	_, err = p.s.Increment(p.ctx, []byte("count"), 1)
	p.ok("Increment", err)
	p.advance(soon)
	p.scan(kv.Range{}, "again put swap")
	n, err := p.s.Expire(p.ctx, 10)
	p.ok("Expire", err)
	same(p, "expired", n, 1)
	p.scan(kv.Range{}, "again put swap")
	p.has("put", "2")
	p.next(soon.Add(time.Minute))
	p.ok("Delete", p.s.Delete(p.ctx, []byte("again")))
	p.next(time.Time{})
}

func deadlinePassed(p *probe) {
	t0 := epoch()
	p.advance(t0)
	p.put("a", "1")
	p.until("a", "2", t0)
	p.has("a", "-")
	p.until("b", "2", t0.Add(-time.Hour))
	p.scan(kv.Range{}, "")
	p.next(time.Time{})
}

func expire(p *probe) {
	t0 := epoch()
	p.advance(t0)
	for i := range 5 {
		p.until(fmt.Sprintf("dead%d", i), "x", t0.Add(time.Duration(5-i)*time.Second))
	}
	p.until("later", "x", t0.Add(time.Minute))
	p.put("a", "1")
	p.advance(t0.Add(10 * time.Second))
	before, _ := p.export()
	for _, want := range []int{2, 2, 1, 0} {
		n, err := p.s.Expire(p.ctx, 2)
		p.ok("Expire", err)
		same(p, "Expire(2)", n, want)
		after, _ := p.export()
		same(p, "export unchanged by Expire", string(after), string(before))
	}
	p.scan(kv.Range{}, "a later")
	_, err := p.s.Expire(p.ctx, -1)
	p.is("Expire(-1)", err, fault.ErrInvalid)
	p.advance(t0.Add(time.Minute))
	n, err := p.s.Expire(p.ctx, 0)
	p.ok("Expire", err)
	same(p, "Expire(0)", n, 1)
	p.scan(kv.Range{}, "a")
}

func deadIsNone(p *probe) {
	t0 := epoch()
	p.advance(t0)
	for _, key := range []string{"swap", "count", "put"} {
		p.until(key, "12345678", t0.Add(time.Second))
	}
	p.advance(t0.Add(time.Second))
	swapped, err := p.s.CompareAndSwap(p.ctx, []byte("swap"), nil, []byte("new"))
	p.ok("CompareAndSwap", err)
	same(p, "CompareAndSwap of a dead row", swapped, true)
	n, err := p.s.Increment(p.ctx, []byte("count"), 1)
	p.ok("Increment", err)
	same(p, "Increment of a dead row", n, 1)
	p.put("put", "new")
	_, err = p.s.Expire(p.ctx, 10)
	p.ok("Expire", err)
	p.scan(kv.Range{}, "count put swap")
	p.next(time.Time{})
}

func clockSnapshot(p *probe) {
	t0 := epoch()
	p.advance(t0)
	p.until("a", "1", t0.Add(time.Second))
	r, err := p.s.BeginRead(p.ctx)
	p.ok("BeginRead", err)
	p.advance(t0.Add(time.Second))
	_, err = p.s.Expire(p.ctx, 10)
	p.ok("Expire", err)
	p.has("a", "-")
	p.sees(r, "a", "1")
	p.ok("Close", r.Close())
	p.update(func(t *kv.WriteTx) error {
		p.ok("PutTTL", t.PutTTL([]byte("b"), nil, time.Second))
		p.ok("Advance", t.Advance(t0.Add(2*time.Second)))
		p.sees(t, "b", "-")
		return nil
	})
}

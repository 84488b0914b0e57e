package kvtest

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// Random drives a store over the engine with steps random calls and compares
// every answer with a plain map: transactions committed and not, deadlines,
// counters, compare-and-swap, pages, an index, held snapshots and captures,
// export, import, reopening. The same seed makes the same calls. The error
// names seed and step.
func Random(ctx context.Context, place Place, seed uint64, steps int) error {
	r := &run{probe: probe{ctx: ctx, place: place}, rnd: rand.New(rand.NewPCG(seed, 0)), model: newModel()}
	r.open()
	for i := 0; i < steps && r.err == nil; i++ {
		name, step := r.pick()
		step()
		if r.err != nil {
			return fmt.Errorf("seed %d, step %d, %s: %w", seed, i, name, r.err)
		}
	}
	if r.err == nil {
		r.everything()
		r.drop()
		r.ok("Close", r.s.Close())
	}
	if r.err != nil {
		return fmt.Errorf("seed %d, after %d steps: %w", seed, steps, r.err)
	}
	return nil
}

// run is a random run under way.
type run struct {
	probe
	rnd   *rand.Rand
	model *model
	held  []held
	saved *saved
}

// held is a snapshot or a capture and what it has to show.
type held struct {
	model   *model
	tx      *kv.ReadTx
	capture *kv.Capture
	digest  kv.Sum
}

// saved is an export and the state it holds.
type saved struct {
	model  *model
	stream []byte
	sum    kv.Summary
}

type weighted struct {
	weight int
	name   string
	step   func()
}

func (r *run) pick() (string, func()) {
	list := []weighted{
		{30, "transaction", r.transaction}, {10, "get", r.get}, {6, "scan", r.scanAny}, {6, "pages", r.pagesAny},
		{5, "expire", r.expire}, {4, "index", r.changeIndex}, {8, "query", r.query}, {4, "hold", r.hold}, {4, "look", r.look},
		{2, "save", r.save}, {1, "import", r.restore}, {2, "times", r.times}, {1, "reopen", r.reopenAny},
	}
	sum := 0
	for _, w := range list {
		sum += w.weight
	}
	n := r.rnd.IntN(sum)
	for _, w := range list {
		if n -= w.weight; n < 0 {
			return w.name, w.step
		}
	}
	return "", nil
}

func (r *run) key() string {
	const letters = "\x00ab\xff"
	b := make([]byte, 1+r.rnd.IntN(3))
	for i := range b {
		b[i] = letters[r.rnd.IntN(len(letters))]
	}
	return string(b)
}

func (r *run) val() string {
	switch r.rnd.IntN(8) {
	case 0:
		return ""
	case 1:
		return "\x00\x00\x00\x00\x00\x00\x00\x07"
	default:
		return string(rune('a'+r.rnd.IntN(5))) + strings.Repeat("v", r.rnd.IntN(20))
	}
}

func (r *run) span() kv.Range {
	x := kv.Range{Reverse: r.rnd.IntN(2) == 0}
	if r.rnd.IntN(3) > 0 {
		x.Lo = []byte(r.key())
	}
	if r.rnd.IntN(3) > 0 {
		x.Hi = []byte(r.key())
	}
	return x
}

// transaction makes up to six changes and commits them, or not.
func (r *run) transaction() {
	before := r.model
	r.model = before.clone()
	t, err := r.s.BeginWrite(r.ctx)
	r.ok("BeginWrite", err)
	if err != nil {
		return
	}
	defer t.Rollback()
	for range 1 + r.rnd.IntN(6) {
		r.change(t)
	}
	r.sameKeys("Scan inside", slices.Collect(keysOf(r, t)), r.model.alive(kv.Range{}))
	if r.rnd.IntN(5) == 0 {
		r.ok("Rollback", t.Rollback())
		r.model = before
		return
	}
	r.ok("Commit", t.Commit())
}

func (r *run) change(t *kv.WriteTx) {
	m, key, value := r.model, r.key(), r.val()
	k, v := []byte(key), []byte(value)
	switch r.rnd.IntN(13) {
	case 0, 1, 2:
		r.ok("Put", t.Put(k, v))
		m.put(key, value, time.Time{})
	case 3:
		ttl := time.Duration(1 + r.rnd.Int64N(int64(3*time.Minute)))
		if err := t.PutTTL(k, v, ttl); m.clock.IsZero() {
			r.is("PutTTL", err, fault.ErrInvalid)
		} else {
			r.ok("PutTTL", err)
			m.put(key, value, m.clock.Add(ttl))
		}
	case 4:
		end := epoch().Add(time.Duration(r.rnd.Int64N(int64(2 * time.Hour))))
		r.ok("PutUntil", t.PutUntil(k, v, end))
		m.put(key, value, end)
		if _, alive := m.get(key); !alive {
			delete(m.rows, key)
		}
	case 5:
		r.ok("Delete", t.Delete(k))
		delete(m.rows, key)
	case 6:
		x := r.span()
		if r.rnd.IntN(4) > 0 {
			x = kv.Prefix(k)
		}
		r.ok("DeleteRange", t.DeleteRange(x))
		m.deleteRange(x)
	case 7, 8:
		r.swap(t, key, value)
	case 9:
		delta := []int64{1, -3, math.MaxInt64, math.MinInt64}[r.rnd.IntN(4)]
		want, ok := m.increment(key, delta)
		if got, err := t.Increment(k, delta); !ok {
			r.is("Increment", err, fault.ErrInvalid)
		} else if err != nil || got != want {
			r.failf("Increment(%q, %d) = %d, %v, want %d", key, delta, got, err, want)
		}
	case 10:
		to := epoch().Add(time.Duration(r.rnd.Int64N(int64(3 * time.Hour))))
		if !m.clock.IsZero() {
			to = m.clock.Add(time.Duration(r.rnd.Int64N(int64(time.Minute))) - time.Second)
		}
		r.ok("Advance", t.Advance(to))
		m.advance(to)
	case 11:
		m.index += uint64(r.rnd.IntN(3))
		r.ok("SetMark", t.SetMark(kv.Mark{Index: m.index, Term: m.index / 10}))
	case 12:
		r.moveRows(t)
	}
}

// moveRows writes from inside a walk, ahead of it.
func (r *run) moveRows(t *kv.WriteTx) {
	x := r.span()
	want := r.model.alive(x)
	var got []string
	for pair, err := range t.Scan(x) {
		r.ok("Scan", err)
		key, value := string(pair.Key), string(pair.Value)
		got = append(got, key)
		if len(got) > 3 {
			continue
		}
		r.ok("Delete", t.Delete(pair.Key))
		delete(r.model.rows, key)
		to := "a" + key[:min(2, len(key))]
		r.ok("Put", t.Put([]byte(to), []byte(value)))
		r.model.put(to, value, time.Time{})
	}
	r.sameKeys(fmt.Sprintf("walk that writes over %+v", x), got, want)
}

func (r *run) swap(t *kv.WriteTx, key, value string) {
	m := r.model
	was, found := m.get(key)
	var expect, next []byte
	switch guess := r.rnd.IntN(3); {
	case guess > 0 && found:
		expect = []byte(was.value)
	case guess == 0:
		expect = []byte(r.val())
	}
	if r.rnd.IntN(4) > 0 {
		next = []byte(value)
	}
	want := found == (expect != nil) && was.value == string(expect)
	got, err := t.CompareAndSwap([]byte(key), expect, next)
	if err != nil || got != want {
		r.failf("CompareAndSwap(%q, %q, %q) = %v, %v, want %v", key, expect, next, got, err, want)
	}
	switch {
	case want && next == nil:
		delete(m.rows, key)
	case want:
		m.put(key, value, time.Time{})
	}
}

func (r *run) get() {
	key := r.key()
	row, found := r.model.get(key)
	want := row.value
	if !found {
		want = "-"
	}
	r.has(key, want)
	got, err := r.s.MultiGet(r.ctx, [][]byte{[]byte(key), []byte("a")})
	r.ok("MultiGet", err)
	if err == nil && ((got[0] != nil) != found || string(got[0]) != row.value) {
		r.failf("MultiGet(%q) = %q, want %q, %v", key, got[0], row.value, found)
	}
	end, err := r.s.Deadline(r.ctx, []byte(key))
	if found && (err != nil || !end.Equal(row.deadline)) {
		r.failf("Deadline(%q) = %v, %v, want %v", key, end, err, row.deadline)
	}
}

func (r *run) scanAny() {
	x := r.span()
	var got []string
	for pair, err := range r.s.Scan(r.ctx, x) {
		r.ok("Scan", err)
		got = append(got, string(pair.Key))
		if row, _ := r.model.get(string(pair.Key)); row.value != string(pair.Value) {
			r.failf("Scan found %q = %q, want %q", pair.Key, pair.Value, row.value)
		}
	}
	r.sameKeys(fmt.Sprintf("Scan(%+v)", x), got, r.model.alive(x))
}

func (r *run) pagesAny() {
	o := kv.PageOptions{Range: r.span(), Limit: 1 + r.rnd.IntN(9), MaxBytes: 1 + r.rnd.IntN(60)}
	var got []string
	for more := r.pages(); more(o.Cursor); {
		page, err := r.s.Page(r.ctx, o)
		r.ok("Page", err)
		for _, row := range page.Rows {
			got = append(got, string(row.Key))
		}
		o.Cursor = page.Next
	}
	r.sameKeys(fmt.Sprintf("pages of %+v", o), got, r.model.alive(o.Range))
}

func (r *run) expire() {
	limit := 1 + r.rnd.IntN(5)
	want := min(limit, r.model.dead())
	got, err := r.s.Expire(r.ctx, limit)
	if err != nil || got != want {
		r.failf("Expire(%d) = %d, %v, want %d", limit, got, err, want)
	}
	// Which rows went, the model learns from their deadlines: the longest dead.
	type dead struct {
		end time.Time
		key string
	}
	var list []dead
	for key, row := range r.model.rows {
		if _, alive := r.model.get(key); !alive {
			list = append(list, dead{row.deadline, key})
		}
	}
	slices.SortFunc(list, func(a, b dead) int {
		if c := a.end.Compare(b.end); c != 0 {
			return c
		}
		return strings.Compare(a.key, b.key)
	})
	for _, d := range list[:want] {
		delete(r.model.rows, d.key)
	}
}

func (r *run) times() {
	got, err := r.s.NextDeadline(r.ctx)
	if want := r.model.nextDeadline(); err != nil || !got.Equal(want) {
		r.failf("NextDeadline() = %v, %v, want %v", got, err, want)
	}
	m, err := r.s.Mark(r.ctx)
	if err != nil || m.Index != r.model.index || !m.Clock.Equal(r.model.clock) {
		r.failf("Mark() = %+v, %v, want index %d, clock %v", m, err, r.model.index, r.model.clock)
	}
}

const theIndex = "first"

func (r *run) changeIndex() {
	m := r.model
	r.update(func(t *kv.WriteTx) (err error) {
		switch limit := 1 + r.rnd.IntN(8); {
		case m.state == indexNone:
			m.state, m.built = indexBegun, ""
			return t.CreateIndex(kv.Index{Name: theIndex, Bytes: &kv.ByteRange{Len: 1}})
		case m.state == indexReady && r.rnd.IntN(3) == 0:
			m.state = indexNone
			return t.DropIndex(theIndex)
		case m.state == indexBegun:
			done, err := t.BuildIndex(theIndex, limit)
			same(&r.probe, "BuildIndex", done, m.build(limit))
			return err
		}
		return nil
	})
}

func (r *run) query() {
	q := kv.Query{Index: theIndex, Reverse: r.rnd.IntN(2) == 0}
	if r.model.state != indexReady {
		want := fault.ErrInvalid
		if r.model.state == indexNone {
			want = fault.ErrNotFound
		}
		_, err := r.s.Query(r.ctx, q)
		r.is("Query", err, want)
		return
	}
	lo, hi := []byte(nil), []byte(nil)
	switch c := byte('a' + r.rnd.IntN(5)); r.rnd.IntN(3) {
	case 0:
		q.Exact, lo, hi = []byte{c}, []byte{c}, []byte{c + 1}
	case 1:
		lo, hi = []byte{c}, []byte{c + 2}
		q.Lo, q.Hi = lo, hi
	}
	q.Limit = 1 + r.rnd.IntN(10)
	var got []string
	for more := r.pages(); more(q.Cursor); {
		page, err := r.s.Query(r.ctx, q)
		r.ok("Query", err)
		for _, row := range page.Rows {
			got = append(got, string(row.Key))
		}
		q.Cursor = page.Next
	}
	r.sameKeys(fmt.Sprintf("Query(%+v)", q), got, r.model.query(lo, hi, q.Reverse))
}

// hold keeps a snapshot or a capture for later.
func (r *run) hold() {
	if len(r.held) == 3 {
		r.look()
		return
	}
	h := held{model: r.model.clone()}
	var err error
	if r.rnd.IntN(2) == 0 {
		h.tx, err = r.s.BeginRead(r.ctx)
		r.ok("BeginRead", err)
	} else {
		h.capture, err = r.s.Capture(r.ctx)
		r.ok("Capture", err)
		d, err := r.s.Digest(r.ctx, kv.Range{})
		r.ok("Digest", err)
		h.digest = d.Root
	}
	r.held = append(r.held, h)
}

// look checks one of those held and lets go of it.
func (r *run) look() {
	if len(r.held) == 0 {
		return
	}
	i := r.rnd.IntN(len(r.held))
	h := r.held[i]
	r.held = slices.Delete(r.held, i, i+1)
	if h.tx != nil {
		r.sameKeys("Scan of a snapshot", slices.Collect(keysOf(r, h.tx)), h.model.alive(kv.Range{}))
		r.ok("Close", h.tx.Close())
		return
	}
	var b bytes.Buffer
	_, err := h.capture.WriteTo(&b)
	r.ok("WriteTo", err)
	sum, err := h.capture.Summary()
	r.ok("Summary", err)
	same(&r.probe, "digest of a capture", sum.Digest, h.digest)
	same(&r.probe, "rows of a capture", int(sum.Rows), len(h.model.alive(kv.Range{})))
	r.ok("Release", h.capture.Release())
}

func (r *run) save() {
	r.saved = &saved{model: r.model.clone()}
	r.saved.stream, r.saved.sum = r.export()
	// Dead rows do not travel.
	for key := range r.saved.model.rows {
		if _, alive := r.saved.model.get(key); !alive {
			delete(r.saved.model.rows, key)
		}
	}
}

func (r *run) restore() {
	if r.saved == nil || !r.canImport() {
		return
	}
	got := r.imports(r.saved.stream, nil)
	same(&r.probe, "imported digest", got.Digest, r.saved.sum.Digest)
	r.model = r.saved.model.clone()
	r.everything()
	again, _ := r.export()
	same(&r.probe, "export after import", bytes.Equal(again, r.saved.stream), true)
}

func (r *run) reopenAny() {
	r.drop()
	if r.volatile() {
		r.model = newModel()
	}
	r.ok("Close", r.s.Close())
	r.open()
	if r.err == nil {
		r.everything()
	}
}

// drop lets go of everything held.
func (r *run) drop() {
	for len(r.held) > 0 && r.err == nil {
		r.look()
	}
}

// everything compares the whole store with the model.
func (r *run) everything() {
	var got []string
	for pair, err := range r.s.Scan(r.ctx, kv.Range{}) {
		r.ok("Scan", err)
		got = append(got, string(pair.Key))
		row, _ := r.model.get(string(pair.Key))
		same(&r.probe, fmt.Sprintf("value of %q", pair.Key), string(pair.Value), row.value)
	}
	r.sameKeys("Scan", got, r.model.alive(kv.Range{}))
	r.times()
	if r.model.state == indexReady {
		r.query()
	}
}

func (r *run) sameKeys(what string, got, want []string) {
	if !slices.Equal(got, want) {
		r.failf("%s = %q, want %q", what, got, want)
	}
}

// keysOf walks the keys that a transaction sees.
func keysOf(r *run, t getter) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for pair, err := range t.Scan(kv.Range{}) {
			r.ok("Scan", err)
			if err != nil || !yield(string(pair.Key)) {
				return
			}
		}
	}
}

package kvtest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

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
	n, err := r.s.Count(r.ctx, x)
	r.ok("Count", err)
	same(&r.probe, fmt.Sprintf("Count(%+v)", x), int(n), len(got))
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
	if err != nil || m.Index != r.model.index || !m.Clock.Equal(r.model.clock) || string(m.Membership) != r.model.membership || m.MembershipIndex != r.model.memberAt {
		r.failf("Mark() = %+v, %v, want that of %+v", m, err, r.model)
	}
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
	r.exported = b.Bytes()
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

// restore imports what was saved, or gives up before the switch. Writers go on
// while it is loaded.
func (r *run) restore() {
	if r.saved == nil || !r.canImport() {
		return
	}
	i, err := r.s.BeginImport(r.ctx)
	r.ok("BeginImport", err)
	if err != nil {
		return
	}
	sum, err := i.Load(r.ctx, bytes.NewReader(r.saved.stream), nil)
	r.ok("Load", err)
	same(&r.probe, "imported digest", sum.Digest, r.saved.sum.Digest)
	for range r.rnd.IntN(3) {
		r.transaction()
	}
	if r.rnd.IntN(4) == 0 {
		r.ok("Abort", i.Abort())
		r.everything()
		return
	}
	r.ok("Switch", i.Switch(r.ctx))
	r.model = r.saved.model.clone()
	r.everything()
	again, _ := r.export()
	same(&r.probe, "export after import", bytes.Equal(again, r.saved.stream), true)
}

func (r *run) compact() {
	if err := r.s.Compact(r.ctx); !errors.Is(err, fault.ErrUnsupported) {
		r.ok("Compact", err)
	}
	r.everything()
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
	n, err := r.s.Count(r.ctx, kv.Range{})
	r.ok("Count", err)
	same(&r.probe, "Count", int(n), len(got))
	st, err := r.s.Stats()
	r.ok("Stats", err)
	if st.Counted {
		same(&r.probe, "rows in Stats", int(st.Rows), len(got))
	}
	r.times()
	for i := range randomIndexes {
		r.queryOf(i, kv.Query{}, func(string) bool { return true })
	}
}

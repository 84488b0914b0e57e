package kvtest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/trimarandb/trimaran/kv"
)

// Random drives a store over the engine with steps random calls and compares
// every answer with a plain map: transactions committed and not, deadlines,
// counters, compare-and-swap, pages, indexes of each kind, held snapshots and
// captures, export, import, compaction, reopening. The same seed makes the same
// calls. The error names seed and step.
func Random(ctx context.Context, place Place, seed uint64, steps int) error {
	return Together(ctx, seed, steps, place)
}

// Together is [Random] on several engines side by side: besides the map each
// is compared with the others, every export of one with theirs, to the byte.
// Either all of them are [kv.Volatile] or none.
func Together(ctx context.Context, seed uint64, steps int, places ...Place) error {
	runs := make([]*run, len(places))
	for i, place := range places {
		runs[i] = &run{probe: probe{ctx: ctx, place: place, o: indexOptions()}, rnd: rand.New(rand.NewPCG(seed, 0)), model: newModel()}
		runs[i].open()
	}
	for i := range steps {
		name := ""
		for _, r := range runs {
			var step func()
			name, step = r.pick()
			step()
		}
		if err := agree(runs); err != nil {
			return fmt.Errorf("seed %d, step %d, %s: %w", seed, i, name, err)
		}
	}
	for _, r := range runs {
		r.everything()
		r.save()
		r.drop()
		r.ok("Close", r.s.Close())
	}
	if err := agree(runs); err != nil {
		return fmt.Errorf("seed %d, after %d steps: %w", seed, steps, err)
	}
	return nil
}

// agree returns the first failure, or how the exports of a step differ.
func agree(runs []*run) error {
	for _, r := range runs {
		switch {
		case r.err != nil && r.s != nil:
			st, _ := r.s.Stats() // the failure says more
			return fmt.Errorf("%s: %w", st.Engine, r.err)
		case r.err != nil:
			return r.err
		case !bytes.Equal(r.exported, runs[0].exported):
			return fmt.Errorf("an export of %d bytes differs from that of the first engine, of %d bytes", len(r.exported), len(runs[0].exported))
		}
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

	exported []byte // last
}

// export remembers what it returns.
func (r *run) export() ([]byte, kv.Summary) {
	b, sum := r.probe.export()
	r.exported = b
	return b, sum
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

// pick draws a step, one that does nothing after a failure.
func (r *run) pick() (string, func()) {
	if r.err != nil {
		return "", func() {}
	}
	list := []weighted{
		{30, "transaction", r.transaction}, {10, "get", r.get}, {6, "scan", r.scanAny}, {6, "pages", r.pagesAny},
		{5, "expire", r.expire}, {4, "index", r.changeIndex}, {8, "query", r.query}, {4, "hold", r.hold}, {4, "look", r.look},
		{2, "save", r.save}, {2, "import", r.restore}, {2, "times", r.times}, {2, "reopen", r.reopenAny}, {1, "compact", r.compact},
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
	switch r.rnd.IntN(10) {
	case 0:
		return ""
	case 1:
		return "\x00\x00\x00\x00\x00\x00\x00\x07"
	case 2:
		return fmt.Sprintf(`{"n":%d}`, r.rnd.IntN(7)-3)
	case 3:
		return string(rune('a'+r.rnd.IntN(3))) + " word"
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

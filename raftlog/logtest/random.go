package logtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// Random walks a driver at a fresh place through random writes, refused writes
// and reopens of several groups, and compares it with a model after each step.
// One seed is one walk; the error names seed and step.
func Random(open Open, seed uint64, steps int) error {
	w := &walk{rng: rand.New(rand.NewPCG(seed, 0)), s: &subject{open: open}, models: map[raftlog.Group]*model{}}
	err := w.s.start()
	if err == nil {
		v, ok := raftlog.As[raftlog.Volatile](w.s.d)
		w.volatile = ok && v.Volatile()
	}
	for i := 0; i < steps && err == nil; i++ {
		if err = w.step(); err != nil {
			err = fmt.Errorf("step %d, %s: %w", i, w.what, err)
		}
	}
	if err == nil {
		err = w.compareAll()
	}
	if err == nil {
		err = w.s.verify()
	}
	if err = errors.Join(err, w.s.stop()); err != nil {
		return fmt.Errorf("random walk with seed %d: %w", seed, err)
	}
	return nil
}

type walk struct {
	rng      *rand.Rand
	s        *subject
	models   map[raftlog.Group]*model
	volatile bool
	what     string // the step under way
}

func (w *walk) step() error {
	switch p := w.rng.IntN(100); {
	case p < 3 && !w.volatile:
		w.what = "reopen"
		if err := w.s.reopen(); err != nil {
			return err
		}
		return w.compareAll()
	case p < 5:
		return w.remove()
	case p < 15:
		return w.several()
	case p < 20:
		return w.burst()
	}
	g := w.group()
	b, want := w.batch(w.model(g))
	w.what = fmt.Sprintf("write to %v", g)
	l, err := raftlog.New(w.s.d, g, nil)
	if err != nil {
		return err
	}
	if err := is("write", l.Write(b), want); err != nil {
		return err
	}
	if want == nil {
		w.model(g).apply(b)
	}
	return errors.Join(w.compare(g), l.Close())
}

func (w *walk) group() raftlog.Group { return raftlog.Group{Shard: w.rng.Uint64N(4)} }

func (w *walk) model(g raftlog.Group) *model {
	if w.models[g] == nil {
		w.models[g] = &model{stable: map[string][]byte{}}
	}
	return w.models[g]
}

func (w *walk) remove() error {
	g := w.group()
	w.what = fmt.Sprintf("remove %v", g)
	delete(w.models, g)
	if err := w.s.d.Remove(g); err != nil {
		return err
	}
	return w.compare(g)
}

// several writes to all groups at once.
func (w *walk) several() error {
	w.what = "write to several groups"
	var batches []raftlog.GroupBatch
	var want error
	for shard := range uint64(4) {
		g := raftlog.Group{Shard: shard}
		b, err := w.batch(w.model(g))
		if want == nil {
			want = err
		}
		batches = append(batches, raftlog.GroupBatch{Group: g, Batch: b})
	}
	for i := range batches {
		if err := batches[i].Batch.Validate(0); err != nil {
			return nil // the front refuses it before the driver is asked
		}
	}
	if err := is("submit", w.s.d.Submit(batches, nil), want); err != nil {
		return err
	}
	if want == nil {
		for _, b := range batches {
			w.model(b.Group).apply(b.Batch)
		}
	}
	return w.compareAll()
}

// burst queues several writes to one group without waiting between them.
func (w *walk) burst() error {
	g := w.group()
	w.what = fmt.Sprintf("burst to %v", g)
	l, err := raftlog.New(w.s.d, g, nil)
	if err != nil {
		return err
	}
	n := 1 + w.rng.IntN(8)
	results := make(chan error, n)
	for range n {
		b, want := w.batch(w.model(g))
		err := l.WriteAsync(b, func(err error) { results <- err })
		if err := is("write async", err, want); err != nil {
			return err
		}
		if want == nil {
			w.model(g).apply(b)
		}
	}
	if err := l.Close(); err != nil {
		return err
	}
	close(results)
	for err := range results {
		if err != nil {
			return err
		}
	}
	return w.compare(g)
}

// batch makes a random batch for a log and says how it must end.
func (w *walk) batch(m *model) (raftlog.Batch, error) {
	var b raftlog.Batch
	after := m.clone()
	if w.rng.IntN(30) == 0 {
		b.Reset = &raftlog.Position{Index: w.rng.Uint64N(1000), Term: 1 + w.rng.Uint64N(20)}
		if b.Reset.Index == 0 {
			b.Reset.Term = 0
		}
	}
	after.apply(raftlog.Batch{Reset: b.Reset})
	if w.rng.IntN(6) == 0 {
		b.TruncateFrom = 1 + after.base.Index + w.rng.Uint64N(uint64(len(after.entries))+3)
	}
	after.apply(raftlog.Batch{TruncateFrom: b.TruncateFrom})
	b.Entries = w.entries(after)
	after.apply(raftlog.Batch{Entries: b.Entries})
	for range w.rng.IntN(3) {
		kv := raftlog.StableKV{Key: fmt.Sprintf("key %d", w.rng.IntN(5))}
		if w.rng.IntN(4) > 0 {
			kv.Value = w.bytes(40)
		}
		b.Stable = append(b.Stable, kv)
	}
	if w.rng.IntN(6) == 0 && after.last() > 0 {
		b.CompactTo = 1 + w.rng.Uint64N(after.last())
	}
	if w.rng.IntN(12) == 0 {
		return w.spoil(b, after)
	}
	return b, nil
}

func (w *walk) entries(m *model) []raftlog.Entry {
	var es []raftlog.Entry
	term := max(1, m.lastTerm())
	for i := range w.rng.Uint64N(6) {
		if w.rng.IntN(5) == 0 {
			term++
		}
		e := raftlog.Entry{Index: m.last() + 1 + i, Term: term, Kind: raftlog.Kind(w.rng.IntN(5)), Data: w.bytes(300)}
		if w.rng.IntN(3) == 0 {
			e.Ext = w.bytes(20)
			e.Time = time.Unix(w.rng.Int64N(1<<33), w.rng.Int64N(1e9))
		}
		es = append(es, e)
	}
	return es
}

// bytes returns up to n bytes, now and then nil.
func (w *walk) bytes(n int) []byte {
	if w.rng.IntN(10) == 0 {
		return nil
	}
	b := make([]byte, w.rng.IntN(n))
	for i := range b {
		b[i] = byte(w.rng.Uint32())
	}
	return b
}

// spoil makes b break one rule; after is the log as b would have left it.
func (w *walk) spoil(b raftlog.Batch, after *model) (raftlog.Batch, error) {
	switch w.rng.IntN(4) {
	case 0:
		b.CompactTo = after.last() + 1 + w.rng.Uint64N(5)
	case 1:
		b.Entries = append(b.Entries, raftlog.Entry{Index: after.last() + 2, Term: 1 << 40})
	case 2:
		b.Stable = append(b.Stable, raftlog.StableKV{Key: ""})
	case 3:
		if after.base.Index == 0 {
			return b, nil
		}
		b = raftlog.Batch{TruncateFrom: after.base.Index, Reset: &after.base, Stable: b.Stable}
		return b, fault.ErrCompacted
	}
	return b, fault.ErrInvalid
}

func (w *walk) compareAll() error {
	for shard := range uint64(4) {
		if err := w.compare(raftlog.Group{Shard: shard}); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) compare(g raftlog.Group) error {
	l, err := raftlog.New(w.s.d, g, nil)
	if err != nil {
		return err
	}
	err = w.model(g).compare(&subject{d: w.s.d, l: l})
	if err != nil {
		return fmt.Errorf("group %v: %w", g, err)
	}
	return l.Close()
}

package kvtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

func exportCases() []Case {
	return []Case{
		storeCase("export/capture", "a capture is a state held still", capture),
		{"export/capture-constant", "a capture reads no row and copies none, however many there are", captureConstant},
		storeCase("export/equal", "equal states give equal bytes and digests, whatever their past", exportEqual),
		storeCase("export/import", "an import replaces everything but the identity, mark included", importAll),
		storeCase("export/readers", "readers and captures begun before an import keep the old state", importKeepsReaders),
		storeCase("export/damage", "a stream cut short or damaged is corrupt and changes nothing", importDamage),
		storeCase("export/steps", "an import in steps is unseen until its switch and gone after an abort", importSteps),
		storeCase("export/indexes", "an import rebuilds indexes, as far as they were built", importIndexes),
		storeCase("export/difference", "two digests find the first range that differs", difference),
	}
}

// canImport is false for an engine without generations, which must say so.
func (p *probe) canImport() bool {
	i, err := p.s.BeginImport(p.ctx)
	if errors.Is(err, fault.ErrUnsupported) {
		return false
	}
	p.ok("BeginImport", err)
	if err == nil {
		p.ok("Abort", i.Abort())
	}
	return p.err == nil
}

func (p *probe) imports(stream []byte, o *kv.ImportOptions) kv.Summary {
	sum, err := p.s.Import(p.ctx, bytes.NewReader(stream), o)
	p.ok("Import", err)
	return sum
}

func capture(p *probe) {
	p.put("a", "1", "b", "2")
	c, err := p.s.Capture(p.ctx)
	p.ok("Capture", err)
	_, err = c.Summary()
	p.is("Summary before WriteTo", err, fault.ErrNotFound)
	want, sum := p.export()
	p.put("a", "9", "c", "3")
	p.ok("Delete", p.s.Delete(p.ctx, []byte("b")))
	var b bytes.Buffer
	n, err := c.WriteTo(&b)
	p.ok("WriteTo", err)
	same(p, "bytes written", n, int64(b.Len()))
	same(p, "export of a capture", bytes.Equal(b.Bytes(), want), true)
	got, err := c.Summary()
	p.ok("Summary", err)
	same(p, "Summary", fmt.Sprint(got), fmt.Sprint(sum))
	d, err := c.Digest(p.ctx, kv.Range{})
	p.ok("Digest", err)
	same(p, "Digest", d.Root, sum.Digest)
	p.ok("Release", c.Release())
	p.ok("Release again", c.Release())
	if _, err := c.WriteTo(&b); !errors.Is(err, fault.ErrClosed) {
		p.failf("WriteTo after Release = %v, want closed", err)
	}
}

func exportEqual(p *probe) {
	p.advance(epoch())
	p.put("a", "1", "b", "2")
	want, sum := p.export()
	p.put("c", "3", "a", "other")
	p.until("d", "4", epoch().Add(time.Minute))
	other, _ := p.export()
	same(p, "exports of different states are equal", bytes.Equal(want, other), false)
	p.ok("DeleteRange", p.s.DeleteRange(p.ctx, span("c", "")))
	p.put("a", "1")
	got, again := p.export()
	same(p, "exports of equal states are equal", bytes.Equal(want, got), true)
	same(p, "digest", again.Digest, sum.Digest)
	same(p, "rows", sum.Rows, 2)
	same(p, "bytes", sum.Bytes, 4)
}

func importAll(p *probe) {
	t0 := epoch()
	id := kv.Identity{Node: [16]byte{1}, Epoch: 7}
	p.ok("SetIdentity", p.s.SetIdentity(id))
	p.update(func(t *kv.WriteTx) error {
		p.ok("Put", t.Put([]byte("a"), []byte("1")))
		p.ok("SetMark", t.SetMark(kv.Mark{Index: 4, Term: 2, Clock: t0, Membership: []byte("abc"), MembershipIndex: 3}))
		return t.PutTTL([]byte("b"), []byte{}, time.Minute)
	})
	stream, sum := p.export()
	p.update(func(t *kv.WriteTx) error {
		p.ok("Put", t.Put([]byte("c"), []byte("3")))
		return t.SetMark(kv.Mark{Index: 9, Term: 9, Clock: t0.Add(time.Second)})
	})
	if !p.canImport() {
		return
	}
	same(p, "imported", fmt.Sprint(p.imports(stream, nil)), fmt.Sprint(sum))
	p.scan(kv.Range{}, "a b")
	p.next(t0.Add(time.Minute))
	again, _ := p.export()
	same(p, "export after import", bytes.Equal(stream, again), true)
	same(p, "identity", p.s.Identity(), id)
	for _, o := range []struct{ clock, want time.Time }{{t0.Add(-time.Hour), t0}, {t0.Add(time.Second), t0.Add(time.Second)}} {
		p.imports(stream, &kv.ImportOptions{Mark: &kv.Mark{Index: 6, Term: 3, Membership: []byte("xyz"), MembershipIndex: 5, Clock: o.clock}})
		m, err := p.s.Mark(p.ctx)
		p.ok("Mark", err)
		if m.Index != 6 || m.Term != 3 || string(m.Membership) != "xyz" || m.MembershipIndex != 5 || !m.Clock.Equal(o.want) {
			p.failf("mark of an import with options = %+v, want clock %v", m, o.want)
		}
	}
	p.put("d", "4")
	p.advance(t0.Add(time.Minute))
	p.scan(kv.Range{}, "a d")
}

func importKeepsReaders(p *probe) {
	p.put("a", "1")
	stream, _ := p.export()
	p.put("b", "2")
	if !p.canImport() {
		return
	}
	r, err := p.s.BeginRead(p.ctx)
	p.ok("BeginRead", err)
	c, err := p.s.Capture(p.ctx)
	p.ok("Capture", err)
	want, _ := p.export()
	for pair, err := range r.Scan(kv.Range{}) {
		p.ok("Scan", err)
		if string(pair.Key) == "a" {
			p.imports(stream, nil)
			p.put("c", "3")
		}
	}
	p.scan(kv.Range{}, "a c")
	p.rows("Scan of the old state", r.Scan(kv.Range{}), "a b")
	var b bytes.Buffer
	_, err = c.WriteTo(&b)
	p.ok("WriteTo", err)
	same(p, "capture across an import", bytes.Equal(b.Bytes(), want), true)
	p.ok("Close", r.Close())
	p.ok("Release", c.Release())
}

func importDamage(p *probe) {
	for i := range 20 {
		p.put(fmt.Sprintf("key%d", i), "value")
	}
	stream, _ := p.export()
	p.put("live", "1")
	want, _ := p.export()
	if !p.canImport() {
		return
	}
	bad := map[string][]byte{
		"empty": {}, "no export": []byte("something else entirely"), "cut": stream[:len(stream)/2],
		"without trailer": stream[:len(stream)-1], "with a tail": append(bytes.Clone(stream), 0), "twice": append(bytes.Clone(stream), stream...),
	}
	for _, at := range []int{0, 20, len(stream) / 2, len(stream) - 1} {
		flipped := bytes.Clone(stream)
		flipped[at] ^= 1
		bad[fmt.Sprintf("flipped at %d", at)] = flipped
	}
	for what, b := range bad {
		_, err := p.s.Import(p.ctx, bytes.NewReader(b), nil)
		p.is("Import "+what, err, fault.ErrCorrupt)
	}
	mine := errors.New("mine")
	for _, part := range [][]byte{nil, stream[:len(stream)/2], stream} {
		_, err := p.s.Import(p.ctx, io.MultiReader(bytes.NewReader(part), failing{mine}), nil)
		p.is("Import of a reader that fails", err, mine)
		same(p, "it is damage", errors.Is(err, fault.ErrCorrupt), false)
	}
	got, _ := p.export()
	same(p, "state after failed imports is the old one", bytes.Equal(got, want), true)
	p.imports(stream, nil)
	p.has("live", "-")
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func importSteps(p *probe) {
	p.put("a", "1")
	stream, _ := p.export()
	p.put("a", "2", "b", "2")
	if !p.canImport() {
		return
	}
	i, err := p.s.BeginImport(p.ctx)
	p.ok("BeginImport", err)
	_, err = p.s.BeginImport(p.ctx)
	p.is("second BeginImport", err, fault.ErrConflict)
	p.is("Switch before Load", i.Switch(p.ctx), fault.ErrInvalid)
	_, err = i.Load(p.ctx, bytes.NewReader(stream), nil)
	p.ok("Load", err)
	p.has("a", "2")
	p.put("c", "3")
	p.ok("Abort", i.Abort())
	p.ok("Abort again", i.Abort())
	p.is("Switch after Abort", i.Switch(p.ctx), fault.ErrInvalid)
	p.scan(kv.Range{}, "a b c")
	i, err = p.s.BeginImport(p.ctx)
	p.ok("BeginImport", err)
	var rows uint64
	_, err = i.Load(p.ctx, bytes.NewReader(stream), &kv.ImportOptions{Progress: func(r, _ uint64) { rows = r }})
	p.ok("Load", err)
	same(p, "progress", rows, 1)
	p.ok("SetIdentity", p.s.SetIdentity(kv.Identity{Epoch: 3}))
	p.ok("Switch", i.Switch(p.ctx))
	p.ok("Abort after Switch", i.Abort())
	p.scan(kv.Range{}, "a")
	p.has("a", "1")
	same(p, "epoch", p.s.Identity().Epoch, 3)
}

func importIndexes(p *probe) {
	p.index(kv.Index{Name: "done", Bytes: &kv.ByteRange{Len: 1}})
	p.put("a", "3", "b", "2", "c", "1")
	p.update(func(t *kv.WriteTx) error {
		p.ok("CreateIndex", t.CreateIndex(kv.Index{Name: "begun", Bytes: &kv.ByteRange{Len: 1}}))
		_, err := t.BuildIndex("begun", 2)
		return err
	})
	stream, _ := p.export()
	p.ok("DropIndex", p.s.DropIndex(p.ctx, "done"))
	p.ok("DropIndex", p.s.DropIndex(p.ctx, "begun"))
	if !p.canImport() {
		return
	}
	p.imports(stream, nil)
	p.query(kv.Query{Index: "done"}, "c b a")
	_, err := p.s.Query(p.ctx, kv.Query{Index: "begun"})
	p.is("Query of an index half built", err, fault.ErrInvalid)
	p.put("b", "9")
	again, _ := p.export()
	same(p, "export differs by the row", bytes.Equal(stream, again), false)
	p.index(kv.Index{Name: "begun", Bytes: &kv.ByteRange{Len: 1}})
	p.query(kv.Query{Index: "begun"}, "c a b")
	p.query(kv.Query{Index: "done"}, "c a b")
}

func difference(p *probe) {
	p.update(func(t *kv.WriteTx) error {
		for i := range 3000 {
			if err := t.Put(fmt.Appendf(nil, "%05d", i), []byte("x")); err != nil {
				return err
			}
		}
		return nil
	})
	digest := func() kv.Digest {
		d, err := p.s.Digest(p.ctx, kv.Range{})
		p.ok("Digest", err)
		return d
	}
	a := digest()
	if _, differs := a.FirstDifference(digest()); differs {
		p.failf("FirstDifference of equal states = true")
	}
	for _, key := range []string{"00000", "01234", "02999", "zzz", "!"} {
		old, err := p.s.Get(p.ctx, []byte(key))
		p.put(key, "other")
		b := digest()
		r, differs := a.FirstDifference(b)
		if !differs || a.Root == b.Root || string(r.Lo) > key || len(r.Hi) > 0 && key >= string(r.Hi) {
			p.failf("difference at %s: FirstDifference = %q to %q, %v", key, r.Lo, r.Hi, differs)
		}
		if back, differs := b.FirstDifference(a); !differs || !bytes.Equal(back.Lo, r.Lo) || !bytes.Equal(back.Hi, r.Hi) {
			p.failf("difference at %s depends on the order", key)
		}
		if err != nil {
			p.ok("Delete", p.s.Delete(p.ctx, []byte(key)))
		} else {
			p.put(key, string(old))
		}
	}
	same(p, "digest of the state restored", digest().Root, a.Root)
}

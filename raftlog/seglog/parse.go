package seglog

import (
	"encoding/binary"

	"github.com/trimarandb/trimaran/raftlog"
)

// parser decodes the payloads of batch frames, one after another, into the
// same memory.
type parser struct {
	records
	ops     []op
	entries []raftlog.Entry

	seed uint32
	off  int64 // of the payload
	pos  int   // in b
	err  error
}

// parse decodes a payload that has its place at off and verifies every entry
// and, against want, all the rest. What it returns is lent until the next
// call, payloads of entries from b. Whatever the bytes, it returns an error
// rather than panic, and accepts one encoding of each op only.
func (p *parser) parse(b []byte, seed uint32, off int64, want uint32) ([]op, error) {
	p.b, p.skip = b, 0
	p.runs, p.locs = p.runs[:0], p.locs[:0]
	p.ops, p.entries = p.ops[:0], p.entries[:0]
	p.seed, p.off, p.pos, p.err = seed, off, 0, nil
	for p.pos < len(p.b) && p.err == nil {
		p.op()
	}
	if p.err != nil {
		return nil, p.err
	}
	if p.sum(seed, off) != want {
		return nil, errFramePayload
	}
	n := 0
	for i := range p.ops {
		o := &p.ops[i]
		o.batch.Entries = p.entries[n : n+o.n : n+o.n] // now that they do not move any more
		n += o.n
	}
	return p.ops, nil
}

// next takes the record header at pos if it has that tag and as many words
// after it.
func (p *parser) next(tag byte, words int) (head, w []byte, ok bool) {
	n := alignment * (1 + words)
	if p.err != nil || len(p.b)-p.pos < n || p.b[p.pos] != tag {
		return nil, nil, false
	}
	head = p.b[p.pos : p.pos+alignment]
	w = p.b[p.pos+alignment : p.pos+n]
	p.pos += n
	return head, w, true
}

func word(w []byte, i int) uint64 { return binary.LittleEndian.Uint64(w[alignment*i:]) }

// fail notes what is wrong unless fine.
func (p *parser) must(fine bool) {
	if !fine && p.err == nil {
		p.err = errRecord
	}
}

func (p *parser) op() {
	head, w, ok := p.next(tagGroup, 2)
	if !ok {
		p.must(false)
		return
	}
	p.must(zero(head[1:]))
	o := op{name: raftlog.Group{Shard: word(w, 0), Replica: word(w, 1)}, at: len(p.locs)}
	start := p.pos
	if head, _, ok := p.next(tagRemove, 0); ok {
		p.must(zero(head[1:]))
		o.remove = true
	} else if p.pos < len(p.b) && p.b[p.pos] == tagMoved {
		p.moved(&o)
	} else {
		p.batch(&o)
	}
	p.must(p.pos > start) // an op that does nothing is never written
	o.n = len(p.locs) - o.at
	p.ops = append(p.ops, o)
}

func (p *parser) batch(o *op) {
	if head, w, ok := p.next(tagReset, 2); ok {
		p.must(zero(head[1:]))
		o.batch.Reset = &raftlog.Position{Index: word(w, 0), Term: word(w, 1)}
	}
	if head, w, ok := p.next(tagTruncate, 1); ok {
		o.batch.TruncateFrom = word(w, 0)
		p.must(zero(head[1:]) && o.batch.TruncateFrom != 0)
	}
	for {
		head, w, ok := p.next(tagRun, 2)
		if !ok {
			break
		}
		p.run(o, head, w)
	}
	for p.err == nil && p.pos < len(p.b) && p.b[p.pos] == tagStable {
		p.stable(o)
	}
	if head, w, ok := p.next(tagCompact, 1); ok {
		o.batch.CompactTo = word(w, 0)
		p.must(zero(head[1:]) && o.batch.CompactTo != 0)
	}
}

func (p *parser) moved(o *op) {
	for {
		head, w, ok := p.next(tagMoved, 3)
		if !ok {
			return
		}
		p.must(o.from == 0 || o.from == word(w, 2))
		o.from = word(w, 2)
		p.must(o.from != 0)
		p.run(o, head, w)
	}
}

func (p *parser) run(o *op, head, w []byte) {
	u := run{first: word(w, 0), term: word(w, 1), at: len(p.locs), n: int(binary.LittleEndian.Uint32(head[4:]))}
	p.must(zero(head[1:4]) && u.n > 0 && u.first > 0 && u.term > 0 && u.first-1 <= raftlog.MaxIndex-uint64(u.n))
	if len(p.locs) > o.at && p.err == nil {
		last := p.runs[len(p.runs)-1]
		p.must(u.first == last.first+uint64(last.n) && u.term > last.term)
	}
	for i := 0; i < u.n && p.err == nil; i++ {
		b := p.b[p.pos:]
		if len(b) < entryHead || entrySpan(b) > int64(len(b)) {
			p.err = errRecord
			return
		}
		n := entrySpan(b)
		e, err := parseEntry(b[:n], p.seed, p.off+int64(p.pos), u.first+uint64(i), u.term, false)
		if err != nil {
			p.err = err
			return
		}
		p.must(zero(b[entryHead+int64(binary.LittleEndian.Uint32(b)&^extended) : n]))
		p.entries = append(p.entries, e)
		p.locs = append(p.locs, loc{uint32(p.pos / alignment), uint32(n / alignment)})
		p.pos += int(n)
	}
	p.runs = append(p.runs, u)
}

func (p *parser) stable(o *op) {
	b := p.b[p.pos:]
	if len(b) < alignment {
		p.must(false)
		return
	}
	flags, key, value := b[1], int(b[2]), int64(binary.LittleEndian.Uint32(b[4:]))
	n := aligned(alignment + int64(key) + value)
	p.must(b[3] == 0 && flags <= flagDelete && n <= int64(len(b)) && (flags == 0 || value == 0))
	if p.err != nil {
		return
	}
	kv := raftlog.StableKV{Key: string(b[alignment : alignment+key])}
	end := alignment + key + int(value)
	if flags == 0 {
		kv.Value = append([]byte{}, b[alignment+key:end]...)
	}
	p.must(zero(b[end:n]))
	o.batch.Stable = append(o.batch.Stable, kv)
	p.pos += int(n)
}

package kv

import (
	"bytes"
	"crypto/sha256"
	"hash"

	"github.com/trimarandb/trimaran/internal/frame"
)

// Frozen: part of format v1. What is hashed in front of the parts of a sum.
const (
	sumLeaf  = 0x00
	sumNode  = 0x01
	sumIndex = 0x02
	sumRoot  = 0x03
)

// digester computes a digest from the frames of an export. It hashes them
// beside its caller, who has then time to make or take the next ones.
type digester struct {
	indexes hash.Hash     // the definitions
	hashing chan struct{} // closed when the chunk given last is hashed
	leaf    hash.Hash     // the rows of the open leaf
	nodes   [cutLevels]node
	levels  [cutLevels][]DigestRange
	lowest  int // levels below are not kept
	most    int // how many ranges a level may have to be kept
	rows    uint64
	bytes   uint64
}

// node is the open range of a level.
type node struct {
	lo   []byte
	rows uint64
	h    hash.Hash // the sums of its children; unused in level 0
}

func newDigester() *digester {
	g := &digester{indexes: started(sumIndex), leaf: started(sumLeaf), most: 4096}
	for i := range g.nodes {
		g.nodes[i].h = started(sumNode)
	}
	return g
}

func started(first byte) hash.Hash {
	h := sha256.New()
	h.Write([]byte{first})
	return h
}

// index adds a definition as an export writes it.
func (g *digester) index(definition []byte) {
	g.indexes.Write(appendBytes(nil, definition))
}

// chunk is some frames of rows one after another: enough to be worth a
// goroutine.
type chunk struct {
	buf    []byte
	frames []framed
	seal   bool // before each frame is room for its header, to be filled
}

const chunkBytes = 256 << 10

// framed is the rows buf[lo:hi] of a chunk, and how many they are, and how many
// bytes of keys and values.
type framed struct {
	lo, hi      int
	rows, bytes uint64
}

// hash adds the frames of c, and fills their headers if they have any. Nobody
// may touch c before wait, or another call of hash, has returned.
func (g *digester) hash(c *chunk) {
	g.wait()
	done := make(chan struct{})
	g.hashing = done
	go func() {
		defer close(done)
		for _, f := range c.frames {
			if c.seal {
				frame.Finish(c.buf[:f.hi], f.lo-frame.HeaderSize, frameRows, streamSeed)
			}
			g.frame(c.buf[f.lo:f.hi], f)
		}
	}()
}

// wait returns when nothing is being hashed.
func (g *digester) wait() {
	if g.hashing != nil {
		<-g.hashing
	}
}

// frame adds the rows of one frame.
func (g *digester) frame(rows []byte, f framed) {
	d := decoder{b: rows}
	n := d.u32()
	d.u32()
	first := d.take(uint64(n))
	if level := cutLevel(first); level >= 0 && g.rows > 0 {
		g.cut(level, first)
	}
	g.leaf.Write(rows)
	g.nodes[0].rows += f.rows
	g.rows += f.rows
	g.bytes += f.bytes
}

// chunks is a pair of them: one is filled while the other is hashed.
type chunks struct{ open, last *chunk }

func newChunks(seal bool) chunks { return chunks{&chunk{seal: seal}, &chunk{seal: seal}} }

// swap begins with the other chunk, which is not being hashed any more, and
// does not keep what one large value took.
func (c *chunks) swap() {
	c.open, c.last = c.last, c.open
	c.open.frames = c.open.frames[:0]
	c.open.buf = c.open.buf[:0]
	if cap(c.open.buf) > 4*chunkBytes {
		c.open.buf = nil
	}
	if cap(c.open.buf) < chunkBytes {
		c.open.buf = make([]byte, 0, 2*chunkBytes) // there is more to come
	}
}

// cut ends the open ranges of all levels up to level; those that follow begin
// at key.
func (g *digester) cut(level int, key []byte) {
	for l := range level + 1 {
		n := &g.nodes[l]
		h := n.h
		if l == 0 {
			h = g.leaf
		}
		r := DigestRange{Lo: n.lo, Rows: n.rows, Sum: Sum(h.Sum(nil))}
		h.Reset()
		if l == 0 {
			h.Write([]byte{sumLeaf})
		} else {
			h.Write([]byte{sumNode})
		}
		if l+1 < cutLevels {
			g.nodes[l+1].h.Write(r.Sum[:])
			g.nodes[l+1].rows += n.rows
		}
		g.keep(l, r)
		n.lo, n.rows = bytes.Clone(key), 0
	}
}

// keep adds a finished range, or gives up a level that has too many.
func (g *digester) keep(level int, r DigestRange) {
	if level < g.lowest {
		return
	}
	g.levels[level] = append(g.levels[level], r)
	if len(g.levels[level]) > g.most && level < cutLevels-1 {
		g.levels[level] = nil
		g.lowest = level + 1
	}
}

// finish returns the digest of everything added, once.
func (g *digester) finish(m Mark) Digest {
	g.wait()
	if g.rows > 0 {
		g.cut(cutLevels-1, nil)
	}
	d := Digest{Rows: g.rows, Bytes: g.bytes, Mark: m}
	root := started(sumRoot)
	root.Write(g.indexes.Sum(nil))
	for _, r := range g.levels[cutLevels-1] {
		root.Write(r.Sum[:])
	}
	d.Root = Sum(root.Sum(nil))
	for l := g.lowest; l < cutLevels; l++ {
		d.Levels = append(d.Levels, DigestLevel{Level: l, Ranges: g.levels[l]})
	}
	return d
}

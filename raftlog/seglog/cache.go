package seglog

import "sync"

// recent keeps the last bytes that were written to the active segment, because
// Raft reads what it just wrote. All groups share it.
type recent struct {
	mu   sync.RWMutex
	size int64
	buf  []byte // a ring: the byte at off of the segment is at off modulo its length
	seg  *segment
	from int64 // what it holds
	to   int64
}

// add takes over b, written at off of seg.
func (c *recent) add(seg *segment, off int64, b []byte) {
	size := c.size
	if size <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.buf == nil {
		c.buf = make([]byte, size)
	}
	if int64(len(b)) > size/8 { // not worth the time: the kernel has it too
		c.seg = nil
		return
	}
	if c.seg != seg || c.to > off || off-c.to >= block {
		c.seg, c.from, c.to = seg, off, off
	}
	c.to = off + int64(len(b))
	c.from = max(c.from, c.to-size)
	at := off % size
	n := copy(c.buf[at:], b)
	copy(c.buf, b[n:])
}

// read fills p with the bytes at off of seg, or reports that it does not have
// all of them.
func (c *recent) read(seg *segment, p []byte, off int64) bool {
	if c.size <= 0 {
		return false
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.seg != seg || off < c.from || off+int64(len(p)) > c.to {
		return false
	}
	n := copy(p, c.buf[off%int64(len(c.buf)):])
	copy(p[n:], c.buf)
	return true
}

// indexes keeps the indexes of sealed segments that were used last.
type indexes struct {
	mu    sync.Mutex
	limit int64
	used  int64
	clock uint64
	held  map[*segment]*held
	hits  uint64
	loads uint64
}

type held struct {
	x    *index
	used uint64
}

func (c *indexes) get(seg *segment) *index {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.held[seg]
	if h == nil {
		c.loads++
		return nil
	}
	c.hits++
	c.clock++
	h.used = c.clock
	return h.x
}

// put keeps x, and drops those that were not used for longest if there is no
// room for it. One is always kept.
func (c *indexes) put(seg *segment, x *index) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held[seg] != nil {
		return
	}
	c.clock++
	c.held[seg] = &held{x, c.clock}
	c.used += int64(len(x.b))
	for c.used > c.limit && len(c.held) > 1 {
		var oldest *segment
		for s, h := range c.held {
			if s != seg && (oldest == nil || h.used < c.held[oldest].used) {
				oldest = s
			}
		}
		c.remove(oldest)
	}
}

func (c *indexes) remove(seg *segment) {
	if h := c.held[seg]; h != nil {
		c.used -= int64(len(h.x.b))
		delete(c.held, seg)
	}
}

func (c *indexes) forget(seg *segment) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(seg)
}

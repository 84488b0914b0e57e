package resp

import (
	"container/list"
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

// cursors remembers which key each cursor of SCAN stands for. Redis clients
// take cursors as numbers, and a key does not fit into one; so a cursor is a
// digest of 63 bits of the key, and the keys used last are kept. A cursor that
// was forgotten, or comes from another server, is unknown, or stands for the
// same key here: never for another one, as numbers in a row would.
type cursors struct {
	mu    sync.Mutex
	byID  map[uint64]*list.Element
	order *list.List // of position, the one used last in front
	bytes int
}

type position struct {
	id  uint64
	key []byte
}

const (
	maxCursors     = 1 << 14
	maxCursorBytes = 4 << 20
)

func newCursors() *cursors {
	return &cursors{byID: map[uint64]*list.Element{}, order: list.New()}
}

// add returns the cursor of a key: 63 bits, never 0.
func (c *cursors) add(key []byte) uint64 {
	sum := sha256.Sum256(key)
	id := max(1, binary.BigEndian.Uint64(sum[:])>>1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.byID[id]; e != nil {
		c.order.MoveToFront(e)
		return id
	}
	c.byID[id] = c.order.PushFront(position{id, key})
	c.bytes += len(key)
	for c.order.Len() > maxCursors || c.bytes > maxCursorBytes {
		last := c.order.Back()
		p := c.order.Remove(last).(position)
		delete(c.byID, p.id)
		c.bytes -= len(p.key)
	}
	return id
}

// find returns the key of a cursor, if it is known.
func (c *cursors) find(id uint64) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byID[id]
	if e == nil {
		return nil, false
	}
	c.order.MoveToFront(e)
	return e.Value.(position).key, true
}

package peer

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
)

// Pebble is Pebble used as a log: an index is a key.
func Pebble() Kind {
	return Kind{Name: "pebble", Version: "v2.1.7", Verifies: true, Open: openPebble}
}

type pebbleLog struct {
	db    *pebble.DB
	write *pebble.WriteOptions
	key   [8]byte
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}

func openPebble(dir string, o Options) (Log, error) {
	db, err := pebble.Open(dir, &pebble.Options{
		MemTableSize:       64 << 20,
		FormatMajorVersion: pebble.FormatNewest,
		Logger:             silent{},
	})
	if err != nil {
		return nil, err
	}
	p := &pebbleLog{db: db, write: pebble.Sync}
	if o.Relaxed {
		p.write = pebble.NoSync
	}
	return p, nil
}

func key(buf *[8]byte, index uint64) []byte {
	binary.BigEndian.PutUint64(buf[:], index)
	return buf[:]
}

func (p *pebbleLog) Append(first uint64, payloads [][]byte) error {
	if len(payloads) == 1 {
		return p.db.Set(key(&p.key, first), payloads[0], p.write)
	}
	b := p.db.NewBatch()
	defer b.Close()
	for i, payload := range payloads {
		if err := b.Set(key(&p.key, first+uint64(i)), payload, nil); err != nil {
			return err
		}
	}
	return b.Commit(p.write)
}

func (p *pebbleLog) Read(lo, hi uint64, visit func(uint64, []byte) error) error {
	var from, to [8]byte
	iter, err := p.db.NewIter(&pebble.IterOptions{LowerBound: key(&from, lo), UpperBound: key(&to, hi)})
	if err != nil {
		return err
	}
	defer iter.Close()
	for ok := iter.First(); ok; ok = iter.Next() {
		index := binary.BigEndian.Uint64(iter.Key())
		if index != lo {
			return errMissing(lo)
		}
		if err := visit(index, iter.Value()); err != nil {
			return err
		}
		lo++
	}
	if err := iter.Error(); err != nil {
		return err
	}
	if lo < hi {
		return errMissing(lo)
	}
	return nil
}

func (p *pebbleLog) Get(index uint64) ([]byte, error) {
	value, closer, err := p.db.Get(key(&p.key, index))
	if err != nil {
		return nil, err
	}
	return value, closer.Close()
}

func (p *pebbleLog) DropFront(index uint64) error {
	var from, to [8]byte
	return p.db.DeleteRange(key(&from, 0), key(&to, index), pebble.Sync)
}

func (p *pebbleLog) DropBack(index uint64) error {
	var from [8]byte
	end := []byte{255, 255, 255, 255, 255, 255, 255, 255}
	return p.db.DeleteRange(key(&from, index), end, pebble.Sync)
}

func (p *pebbleLog) Sync() error  { return p.db.LogData(nil, pebble.Sync) }
func (p *pebbleLog) Close() error { return p.db.Close() }

func (p *pebbleLog) Writers(n, groups int, next uint64) ([]Writer, error) {
	if groups != 1 {
		return nil, ErrUnsupported
	}
	counter := new(atomic.Uint64)
	counter.Store(next)
	writers := make([]Writer, n)
	for i := range writers {
		writers[i] = &pebbleWriter{db: p.db, next: counter}
	}
	return writers, nil
}

type pebbleWriter struct {
	db   *pebble.DB
	next *atomic.Uint64
	key  [8]byte
}

func (w *pebbleWriter) Append(payload []byte) error {
	return w.db.Set(key(&w.key, w.next.Add(1)-1), payload, pebble.Sync)
}

package peer

import (
	"errors"
	"sync"

	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
)

// What one range read asks for.
const (
	readBytes   = 1 << 20
	readEntries = 1024
)

// Trimaran is the log under test: seglog through the public front.
func Trimaran() Kind {
	return Kind{Name: "trimaran", Version: "this tree", Verifies: true, Open: openTrimaran}
}

type trimaran struct {
	store   *seglog.Store
	log     *raftlog.Log
	entries []raftlog.Entry // of Append
	read    []raftlog.Entry // of Read and Get, with the memory of their payloads
}

func openTrimaran(dir string, o Options) (Log, error) {
	so := &seglog.Options{}
	if o.Relaxed {
		so.Sync = seglog.SyncInterval
	}
	store, err := seglog.Open(dir, so)
	if err != nil {
		return nil, err
	}
	log, err := raftlog.New(store, raftlog.Group{}, nil)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	return &trimaran{store: store, log: log}, nil
}

func (t *trimaran) Append(first uint64, payloads [][]byte) error {
	t.entries = t.entries[:0]
	for i, p := range payloads {
		t.entries = append(t.entries, raftlog.Entry{Index: first + uint64(i), Term: 1, Data: p})
	}
	return t.log.Append(t.entries...)
}

func (t *trimaran) AppendAsync(index uint64, payload []byte, done func(error)) error {
	e := []raftlog.Entry{{Index: index, Term: 1, Data: payload}}
	return t.log.WriteAsync(raftlog.Batch{Entries: e}, done)
}

func (t *trimaran) Read(lo, hi uint64, visit func(uint64, []byte) error) error {
	for lo < hi {
		var err error
		if t.read, err = t.log.ReadRange(t.read, lo, min(hi, lo+readEntries), readBytes); err != nil {
			return err
		}
		for i := range t.read {
			if err := visit(t.read[i].Index, t.read[i].Data); err != nil {
				return err
			}
		}
		lo += uint64(len(t.read))
	}
	return nil
}

func (t *trimaran) Get(index uint64) (_ []byte, err error) {
	if t.read, err = t.log.ReadRange(t.read, index, index+1, readBytes); err != nil {
		return nil, err
	}
	return t.read[0].Data, nil
}

func (t *trimaran) DropFront(index uint64) error { return t.log.CompactTo(index - 1) }
func (t *trimaran) DropBack(index uint64) error  { return t.log.TruncateFrom(index) }
func (t *trimaran) Sync() error                  { return t.log.Sync() }
func (t *trimaran) Close() error                 { return errors.Join(t.log.Close(), t.store.Close()) }

func (t *trimaran) Writers(n, groups int, next uint64) ([]Writer, error) {
	writers := make([]Writer, n)
	if groups == 1 {
		shared := &order{log: t.log, next: next}
		for i := range writers {
			writers[i] = newOrdered(shared)
		}
		return writers, nil
	}
	var dropped sync.WaitGroup
	var errs []error
	for i := range writers {
		w := &spread{}
		for g := i; g < groups; g += n {
			log, err := raftlog.New(t.store, raftlog.Group{Shard: uint64(1 + g)}, nil)
			if err != nil {
				return nil, err
			}
			last, err := log.LastIndex()
			if err != nil {
				return nil, err
			}
			// What the round before wrote goes, as it does with one group.
			if last > 1 {
				dropped.Add(1)
				if err := log.WriteAsync(raftlog.Batch{CompactTo: last - 1}, func(err error) { errs = append(errs, err); dropped.Done() }); err != nil {
					return nil, err
				}
			}
			w.logs, w.next = append(w.logs, log), append(w.next, last+1)
		}
		writers[i] = w
	}
	dropped.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return writers, nil
}

// order gives the writers of one group their indexes: entries of a group have
// to be queued in that order.
type order struct {
	mu   sync.Mutex
	log  *raftlog.Log
	next uint64
}

type ordered struct {
	order *order
	entry [1]raftlog.Entry
	ended chan error
	done  func(error)
}

func newOrdered(o *order) *ordered {
	w := &ordered{order: o, ended: make(chan error, 1)}
	w.done = func(err error) { w.ended <- err }
	return w
}

func (w *ordered) Append(payload []byte) error {
	o := w.order
	o.mu.Lock()
	w.entry[0] = raftlog.Entry{Index: o.next, Term: 1, Data: payload}
	err := o.log.WriteAsync(raftlog.Batch{Entries: w.entry[:]}, w.done)
	if err == nil {
		o.next++
	}
	o.mu.Unlock()
	if err != nil {
		return err
	}
	return <-w.ended
}

// spread writes to its groups in turn; no other writer has them.
type spread struct {
	logs  []*raftlog.Log
	next  []uint64
	turn  int
	entry [1]raftlog.Entry
}

func (w *spread) Append(payload []byte) error {
	g := w.turn
	w.turn = (w.turn + 1) % len(w.logs)
	w.entry[0] = raftlog.Entry{Index: w.next[g], Term: 1, Data: payload}
	if err := w.logs[g].Append(w.entry[:]...); err != nil {
		return err
	}
	w.next[g]++
	return nil
}

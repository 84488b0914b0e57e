package engine

import (
	"bytes"
	"io"
	"sync/atomic"

	"github.com/tidwall/btree"
)

// BTree is the tree below trimaran/memory, by itself: a copy to read from, and
// a copy to write in that takes its place.
func BTree() Kind {
	return Kind{Name: "tidwall/btree", Version: "v1.8.2", Bare: true, Open: func(string, Options) (Store, error) {
		s := &treeStore{}
		s.live.Store(btree.NewBTreeGOptions(lessPair, btree.Options{NoLocks: true}))
		return s, nil
	}}
}

type pair struct{ key, value []byte }

func lessPair(a, b pair) bool { return bytes.Compare(a.key, b.key) < 0 }

type treeStore struct {
	live atomic.Pointer[btree.BTreeG[pair]]
}

func (s *treeStore) Write(b Batch) error {
	t := s.live.Load().IsoCopy()
	err := b(func(key, value []byte) error {
		both := append(append(make([]byte, 0, len(key)+len(value)), key...), value...)
		t.Set(pair{both[:len(key):len(key)], both[len(key):]})
		return nil
	})
	if err == nil {
		s.live.Store(t)
	}
	return err
}

// Get copies, as everybody's does who gives a value away.
func (s *treeStore) Get(key []byte) ([]byte, error) {
	p, _ := s.live.Load().Get(pair{key: key})
	return bytes.Clone(p.value), nil
}

func (s *treeStore) MultiGet(keys [][]byte, visit func(int, []byte)) error {
	t := s.live.Load()
	for i, key := range keys {
		p, _ := t.Get(pair{key: key})
		visit(i, bytes.Clone(p.value))
	}
	return nil
}

func (s *treeStore) Scan(from []byte, n int, visit func(key, value []byte)) error {
	s.live.Load().Ascend(pair{key: from}, func(p pair) bool {
		visit(p.key, p.value)
		n--
		return n > 0
	})
	return nil
}

func (s *treeStore) Export(w io.Writer) (int64, error) {
	f := newFramer(w)
	s.live.Load().Scan(func(p pair) bool {
		f.add(p.key, p.value)
		return f.err == nil
	})
	return f.end(nil)
}

func (s *treeStore) Settle() error { return nil }
func (s *treeStore) Close() error  { return nil }

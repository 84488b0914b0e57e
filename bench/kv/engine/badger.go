package engine

import (
	"errors"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// Badger keeps these values beside their keys: 200 bytes are under its
// threshold.
func Badger() Kind { return Kind{Name: "badger", Version: "v4.9.6", Open: openBadger} }

type badgerStore struct{ db *badger.DB }

func openBadger(dir string, o Options) (Store, error) {
	opts := badger.DefaultOptions(dir).WithLogger(nil).WithSyncWrites(o.Durable).
		WithBlockCacheSize(o.Cache).WithMemTableSize(max(o.WriteBuffer, 8<<20)).WithNumMemtables(3).WithValueThreshold(1 << 10).
		WithCompression(options.Snappy).WithNumCompactors(2).WithMetricsEnabled(false)
	db, err := badger.Open(opts)
	if err != nil {
		return nil, err
	}
	return &badgerStore{db}, nil
}

// Write copies: Badger keeps what it is given until the commit.
func (s *badgerStore) Write(b Batch) error {
	t := s.db.NewTransaction(true)
	defer t.Discard()
	err := b(func(key, value []byte) error {
		err := t.Set(append([]byte(nil), key...), append([]byte(nil), value...))
		if !errors.Is(err, badger.ErrTxnTooBig) {
			return err
		}
		if err := t.Commit(); err != nil {
			return err
		}
		t = s.db.NewTransaction(true)
		return t.Set(append([]byte(nil), key...), append([]byte(nil), value...))
	})
	if err != nil {
		return err
	}
	return t.Commit()
}

func (s *badgerStore) Get(key []byte) (value []byte, err error) {
	err = s.db.View(func(t *badger.Txn) error {
		it, err := t.Get(key)
		if err == nil {
			value, err = it.ValueCopy(nil)
		}
		return err
	})
	return value, err
}

func (s *badgerStore) MultiGet(keys [][]byte, visit func(int, []byte)) error {
	return s.db.View(func(t *badger.Txn) error {
		for i, key := range keys {
			it, err := t.Get(key)
			if err != nil {
				return err
			}
			if err := it.Value(func(v []byte) error { visit(i, v); return nil }); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *badgerStore) Scan(from []byte, n int, visit func(key, value []byte)) error {
	return s.db.View(func(t *badger.Txn) error {
		o := badger.DefaultIteratorOptions
		o.PrefetchSize = n
		it := t.NewIterator(o)
		defer it.Close()
		for it.Seek(from); it.Valid() && n > 0; it.Next() {
			x := it.Item()
			if err := x.Value(func(v []byte) error { visit(x.Key(), v); return nil }); err != nil {
				return err
			}
			n--
		}
		return nil
	})
}

func (s *badgerStore) Settle() error { return s.db.Flatten(2) }

func (s *badgerStore) Update(key []byte, change func([]byte) []byte) error {
	for {
		err := s.db.Update(func(t *badger.Txn) error {
			it, err := t.Get(key)
			if err != nil {
				return err
			}
			old, err := it.ValueCopy(nil)
			if err != nil {
				return err
			}
			return t.Set(key, change(old))
		})
		if !errors.Is(err, badger.ErrConflict) {
			return err
		}
	}
}

func (s *badgerStore) Close() error { return s.db.Close() }

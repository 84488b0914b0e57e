package engine

import (
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// Bolt is bbolt; commits of many callers are its DB.Batch.
func Bolt() Kind { return Kind{Name: "bbolt", Version: "v1.5.0", Open: openBolt} }

type boltStore struct {
	db      *bbolt.DB
	durable bool
}

var boltBucket = []byte("b")

func openBolt(dir string, o Options) (Store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	db, err := bbolt.Open(filepath.Join(dir, "bolt"), 0o644, &bbolt.Options{NoSync: !o.Durable, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, err
	}
	return &boltStore{db, o.Durable}, db.Update(func(t *bbolt.Tx) error {
		_, err := t.CreateBucketIfNotExists(boltBucket)
		return err
	})
}

func (s *boltStore) Write(b Batch) error {
	update := s.db.Update
	if s.durable {
		update = s.db.Batch
	}
	return update(func(t *bbolt.Tx) error {
		// It keeps keys until the commit.
		return b(func(key, value []byte) error {
			return t.Bucket(boltBucket).Put(append([]byte(nil), key...), append([]byte(nil), value...))
		})
	})
}

func (s *boltStore) Get(key []byte) (value []byte, err error) {
	err = s.db.View(func(t *bbolt.Tx) error {
		value = append(value, t.Bucket(boltBucket).Get(key)...)
		return nil
	})
	return value, err
}

func (s *boltStore) MultiGet(keys [][]byte, visit func(int, []byte)) error {
	return s.db.View(func(t *bbolt.Tx) error {
		bucket := t.Bucket(boltBucket)
		for i, key := range keys {
			visit(i, bucket.Get(key))
		}
		return nil
	})
}

func (s *boltStore) Scan(from []byte, n int, visit func(key, value []byte)) error {
	return s.db.View(func(t *bbolt.Tx) error {
		c := t.Bucket(boltBucket).Cursor()
		for k, v := c.Seek(from); k != nil && n > 0; k, v = c.Next() {
			visit(k, v)
			n--
		}
		return nil
	})
}

func (s *boltStore) Update(key []byte, change func([]byte) []byte) error {
	return s.db.Update(func(t *bbolt.Tx) error {
		b := t.Bucket(boltBucket)
		return b.Put(key, change(b.Get(key)))
	})
}

func (s *boltStore) Settle() error { return nil }
func (s *boltStore) Close() error  { return s.db.Close() }

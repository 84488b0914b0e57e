package engine

import (
	"context"
	"errors"
	"io"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
	"github.com/trimarandb/trimaran/kv/pebblekv"
)

// Trimaran is the store of package kv on its default engine.
func Trimaran() Kind {
	return Kind{Name: "trimaran", Version: "this tree", Open: func(dir string, o Options) (Store, error) {
		db, err := pebblekv.Open(dir, &pebblekv.Options{CacheSize: o.Cache, WriteBufferSize: o.WriteBuffer})
		return NewStore(db, err, o)
	}}
}

// TrimaranMemory is the store on its engine in memory.
func TrimaranMemory() Kind {
	return Kind{Name: "trimaran/memory", Version: "this tree", Open: func(_ string, o Options) (Store, error) {
		db, err := memkv.New(nil)
		return NewStore(db, err, o)
	}}
}

// KV is a store of package kv.
type KV struct {
	*kv.Store
	ctx   context.Context
	marks bool
}

// NewStore opens a store over an engine.
func NewStore(d kv.Driver, err error, o Options) (*KV, error) {
	if err != nil {
		return nil, err
	}
	policy := kv.SyncNever
	if o.Durable {
		policy = kv.SyncBatch
	}
	s, err := kv.New(d, &kv.Options{Sync: policy})
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return &KV{Store: s, ctx: context.Background(), marks: !o.Durable}, nil
}

// Write moves the mark as a Raft node does, unless the store is durable by
// itself.
func (k *KV) Write(b Batch) error {
	return k.Store.Update(k.ctx, func(t *kv.WriteTx) error {
		if !k.marks {
			return b(t.Put)
		}
		m, err := t.Mark()
		if err != nil {
			return err
		}
		if err := t.SetMark(kv.Mark{Index: m.Index + 1, Term: 1}); err != nil {
			return err
		}
		return b(t.Put)
	})
}

// Get is Store.Get.
func (k *KV) Get(key []byte) ([]byte, error) {
	v, err := k.Store.Get(k.ctx, key)
	if errors.Is(err, fault.ErrNotFound) {
		return nil, nil
	}
	return v, err
}

// MultiGet is Store.MultiGet.
func (k *KV) MultiGet(keys [][]byte, visit func(int, []byte)) error {
	values, err := k.Store.MultiGet(k.ctx, keys)
	for i, v := range values {
		visit(i, v)
	}
	return err
}

// Scan is Store.Scan.
func (k *KV) Scan(from []byte, n int, visit func(key, value []byte)) error {
	for p, err := range k.Store.Scan(k.ctx, kv.Range{Lo: from}) {
		if err != nil {
			return err
		}
		visit(p.Key, p.Value)
		if n--; n == 0 {
			break
		}
	}
	return nil
}

// Settle compacts, where there is something to compact.
func (k *KV) Settle() error {
	if err := k.Compact(k.ctx); !errors.Is(err, fault.ErrUnsupported) {
		return err
	}
	return nil
}

// Update is one transaction.
func (k *KV) Update(key []byte, change func(old []byte) []byte) error {
	return k.Store.Update(k.ctx, func(t *kv.WriteTx) error {
		old, err := t.Get(key)
		if err != nil {
			return err
		}
		return t.Put(key, change(old))
	})
}

// Export is Store.Export.
func (k *KV) Export(w io.Writer) (int64, error) {
	sum, err := k.Store.Export(k.ctx, w)
	return int64(sum.Bytes), err
}

// Import is Store.Import, of an export.
func (k *KV) Import(r io.Reader, _ Batch) error {
	_, err := k.Store.Import(k.ctx, r, nil)
	return err
}

package kvtest_test

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"io/fs"
	"sync"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/kvtest"
	"github.com/trimarandb/trimaran/kv/memkv"
	"github.com/trimarandb/trimaran/vfs"
)

// fileEngine keeps everything in memory and writes it to one file at each Sync:
// an engine whose files are the same in each run.
type fileEngine struct {
	kv.Driver
	fs  vfs.FS
	bug flaw

	mu   sync.Mutex
	fail error // of the first write that failed
}

// flaw is what an engine does wrong.
type flaw string

const (
	noBug         flaw = "none"
	noWrite       flaw = "a sync writes nothing"
	noFileSync    flaw = "the file is not synced before it is renamed"
	noDirSync     flaw = "the directory is not synced after the rename"
	inPlace       flaw = "the file is written over in place"
	syncRepeated  flaw = "a sync that failed is acknowledged when it is repeated"
	errorIgnored  flaw = "an error of the disk is ignored"
	markApart     flaw = "the last key of a commit is written by a file of its own"
	lateSwitch    flaw = "a switch is written by the next sync"
	notTransacted flaw = "half of a commit is written before the rest"
	keeps         flaw = "it says that it is volatile, and is not"
)

func openFile(b flaw) kvtest.OpenOn {
	return func(fsys vfs.FS) (kv.Driver, error) {
		db, err := memkv.New(nil)
		if err != nil {
			return nil, err
		}
		e := &fileEngine{Driver: db, fs: fsys, bug: b}
		return e, errors.Join(e.load("data"), e.load("last"))
	}
}

func (e *fileEngine) load(name string) error {
	b, err := vfs.ReadFile(e.fs, name, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var pairs []kv.Pair
	if err == nil {
		err = gob.NewDecoder(bytes.NewReader(b)).Decode(&pairs)
	}
	if err != nil || len(pairs) == 0 {
		return err
	}
	tx, err := e.Driver.Begin(context.Background(), true)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		if err := tx.Put(p.Key, p.Value); err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	return tx.Commit()
}

// save writes everything, or a part of it, to a file.
func (e *fileEngine) save(name string, part func([]kv.Pair) []kv.Pair) error {
	tx, err := e.Driver.Begin(context.Background(), false)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // it has no failures
	var pairs []kv.Pair
	for p, err := range tx.Scan(kv.Range{}) {
		if err != nil {
			return err
		}
		pairs = append(pairs, kv.Pair{Key: bytes.Clone(p.Key), Value: bytes.Clone(p.Value)})
	}
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(part(pairs)); err != nil {
		return err
	}
	return e.write(name, b.Bytes())
}

func (e *fileEngine) write(name string, b []byte) error {
	switch e.bug {
	case noFileSync, noDirSync, inPlace:
	default:
		return vfs.WriteFile(e.fs, name, b)
	}
	tmp := name + vfs.TempSuffix
	if e.bug == inPlace {
		tmp = name
	}
	err := e.fs.Remove(tmp)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := e.fs.Create(tmp)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(b, 0); err == nil && e.bug != noFileSync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil && e.bug != inPlace {
		err = e.fs.Rename(tmp, name)
	}
	if err == nil && e.bug != noDirSync {
		err = e.fs.SyncDir(".")
	}
	return err
}

func all(p []kv.Pair) []kv.Pair { return p }

func (e *fileEngine) Sync() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.bug == noWrite {
		return nil
	}
	if e.fail != nil && e.bug != syncRepeated {
		return e.fail
	}
	if e.fail != nil {
		e.fail = nil // nothing is dirty any more
		return nil
	}
	var err error
	if e.bug == markApart {
		err = e.save("last", func(p []kv.Pair) []kv.Pair { return p[max(0, len(p)-1):] })
	}
	if e.bug == notTransacted {
		err = e.save("data", func(p []kv.Pair) []kv.Pair { return p[:len(p)/2] })
	}
	if err == nil {
		err = e.save("data", all)
	}
	if e.fail = err; e.bug == errorIgnored {
		e.fail = nil
	}
	if e.bug == syncRepeated && err != nil {
		return nil // it had not been asked before
	}
	return e.fail
}

func (e *fileEngine) Begin(ctx context.Context, writable bool) (kv.DriverTx, error) {
	e.mu.Lock()
	fail := e.fail
	e.mu.Unlock()
	if writable && fail != nil && e.bug != syncRepeated {
		return nil, errors.Join(fault.ErrPoisoned, fail)
	}
	return e.Driver.Begin(ctx, writable)
}

func (e *fileEngine) Volatile() bool    { return e.bug == keeps }
func (e *fileEngine) Unwrap() kv.Driver { return e.Driver }

func (e *fileEngine) Fresh(ctx context.Context) (kv.Ingester, error) {
	gens, _ := kv.As[kv.Generations](e.Driver)
	in, err := gens.Fresh(ctx)
	return &fileIngester{in, e}, err
}

type fileIngester struct {
	kv.Ingester
	e *fileEngine
}

func (i *fileIngester) Switch() error {
	if err := i.Ingester.Switch(); err != nil || i.e.bug == lateSwitch {
		return err
	}
	return i.e.Sync()
}

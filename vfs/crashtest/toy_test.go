package crashtest_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"slices"

	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

// bugs are what is wrong with a toy.
type bugs struct {
	noSyncDir     bool // a new generation's name is not synced
	ackEarly      bool // appends are acknowledged before the sync
	ignoreSync    bool // an error of a sync is ignored
	retrySync     bool // a sync that failed is repeated
	trustLength   bool // records are not checksummed
	keepTail      bool // what recovery does not accept stays where it is
	pointFirst    bool // the pointer moves before the new generation is synced
	rawPointer    bool // the pointer is overwritten in place
	resurrect     bool // an old generation that is still there is preferred
	panics        bool // on an empty generation
	unpoints      bool // recovery takes the pointer away and makes it anew
	extendUnsaved bool // appends after a reopen are not synced
}

// toy keeps a list of numbers: a file of checksummed records, replaced by a new
// one with every third number, and a pointer to it.
type toy struct {
	bugs
	fsys   vfs.FS
	f      vfs.File
	gen    int
	end    int64
	list   []uint32
	failed error
	reopen bool
}

const recordSize = 300 // so that records straddle sectors

func encode(v uint32) []byte {
	b := make([]byte, recordSize)
	for i := 4; i < len(b); i += 4 {
		binary.LittleEndian.PutUint32(b[i:], v^uint32(i))
	}
	binary.LittleEndian.PutUint32(b, crc32.ChecksumIEEE(b[4:]))
	return b
}

func (t *toy) decode(b []byte) (v uint32, ok bool) {
	v = binary.LittleEndian.Uint32(b[4:]) ^ 4
	if t.trustLength {
		return v, true
	}
	return v, binary.LittleEndian.Uint32(b) == crc32.ChecksumIEEE(b[4:])
}

func genName(gen int) string { return fmt.Sprintf("gen%d", gen) }

func openToy(fsys vfs.FS, b bugs) (*toy, error) {
	t := &toy{bugs: b, fsys: fsys}
	p, err := vfs.ReadFile(fsys, "pointer", 8)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		t.gen = 0
	case err != nil:
		return nil, err
	case len(p) != 1:
		return nil, fmt.Errorf("pointer has %d bytes", len(p))
	default:
		t.gen = int(p[0])
	}
	if t.resurrect && t.gen > 0 {
		if _, err := fsys.Stat(genName(t.gen - 1)); err == nil {
			t.gen--
		}
	}
	if t.gen == 0 {
		return t, t.replace(nil) // nothing was ever acknowledged
	}
	return t, t.load()
}

func (t *toy) load() (err error) {
	t.reopen = true
	if t.f, err = t.fsys.OpenWrite(genName(t.gen)); err != nil {
		return err
	}
	size, err := t.f.Size()
	if err != nil {
		return err
	}
	if t.panics && size == 0 {
		panic("no records")
	}
	rec := make([]byte, recordSize)
	for t.end+recordSize <= size {
		if _, err := t.f.ReadAt(rec, t.end); err != nil {
			return err
		}
		v, ok := t.decode(rec)
		if !ok {
			break
		}
		t.list = append(t.list, v)
		t.end += recordSize
	}
	if t.keepTail {
		return nil
	}
	if t.unpoints {
		if err := errors.Join(t.fsys.Remove("pointer"), t.fsys.SyncDir(".")); err != nil {
			return err
		}
	}
	// What is here may have been seen, and may not be on disk; a sync after one
	// that failed proves nothing, so it is written anew.
	return t.replace(t.list)
}

// replace begins a new generation with these numbers.
func (t *toy) replace(list []uint32) error {
	t.gen++
	name := genName(t.gen)
	if err := t.fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	old := t.f
	f, err := t.fsys.Create(name)
	if err != nil {
		return err
	}
	t.f, t.end, t.list = f, 0, list
	for _, v := range list {
		if _, err := f.WriteAt(encode(v), t.end); err != nil {
			return err
		}
		t.end += recordSize
	}
	if t.pointFirst {
		if err := t.point(); err != nil {
			return err
		}
	}
	if err := t.sync(); err != nil {
		return err
	}
	if !t.noSyncDir {
		if err := t.fsys.SyncDir("."); err != nil {
			return err
		}
	}
	if !t.pointFirst {
		if err := t.point(); err != nil {
			return err
		}
	}
	if old != nil {
		if err := old.Close(); err != nil {
			return err
		}
	}
	err = t.fsys.Remove(genName(t.gen - 1))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}

func (t *toy) point() error {
	if !t.rawPointer {
		return vfs.WriteFile(t.fsys, "pointer", []byte{byte(t.gen)})
	}
	f, err := t.fsys.OpenWrite("pointer")
	if errors.Is(err, fs.ErrNotExist) {
		f, err = t.fsys.Create("pointer")
	}
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte{byte(t.gen)}, 0)
	return errors.Join(err, f.Sync(), f.Close(), t.fsys.SyncDir("."))
}

func (t *toy) sync() error {
	err := t.f.Sync()
	if err != nil && t.retrySync {
		err = t.f.Sync()
	}
	if t.ignoreSync {
		return nil
	}
	return err
}

// add is durable on return. After an error the toy refuses all.
func (t *toy) add(v uint32) error {
	if t.failed != nil {
		return t.failed
	}
	t.failed = t.append(v)
	return t.failed
}

func (t *toy) append(v uint32) error {
	if len(t.list)%3 == 2 {
		return t.replace(append(slices.Clip(t.list), v))
	}
	if _, err := t.f.WriteAt(encode(v), t.end); err != nil {
		return err
	}
	t.end += recordSize
	t.list = append(t.list, v)
	if t.ackEarly || t.extendUnsaved && t.reopen {
		return nil
	}
	return t.sync()
}

func (t *toy) close() error { return t.f.Close() }

// script adds as many numbers as its states, and one more to extend.
type script struct {
	bugs
	values []uint32
	hook   func()
}

func toyWorkload(b bugs) crashtest.Workload {
	return crashtest.Workload{Name: "toy", Faults: true, New: func(seed uint64) crashtest.Script {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := &script{bugs: b, values: make([]uint32, 7)}
		for i := range s.values {
			s.values[i] = rng.Uint32()
		}
		return s
	}}
}

func (s *script) Run(fsys vfs.FS, r *crashtest.Recorder) error {
	t, err := openToy(fsys, s.bugs)
	for i, v := range s.values {
		if err != nil {
			break
		}
		if r.Begin(i + 1); s.hook != nil {
			s.hook()
		}
		if err = t.add(v); err == nil {
			r.Ack(i + 1)
		}
	}
	return nil // what the disk refused ends the script
}

const extension = 12345

func (s *script) Check(fsys vfs.FS, want crashtest.Expect) (int, error) {
	if s.hook != nil {
		s.hook()
	}
	t, err := openToy(fsys, s.bugs)
	if err != nil {
		return 0, err
	}
	list := t.list
	if want.Extended {
		if len(list) == 0 || list[len(list)-1] != extension {
			return 0, fmt.Errorf("%d numbers, the last is not the extension", len(list))
		}
		list = list[:len(list)-1]
	}
	if len(list) > len(s.values) {
		return 0, fmt.Errorf("%d numbers of %d", len(list), len(s.values))
	}
	for i, v := range list {
		if v != s.values[i] {
			return 0, fmt.Errorf("number %d is %d, not %d", i, v, s.values[i])
		}
	}
	return len(list), t.close()
}

func (s *script) Extend(fsys vfs.FS, found int) error {
	t, err := openToy(fsys, s.bugs)
	if err != nil {
		return err
	}
	if err := t.add(extension); err != nil {
		return err
	}
	return t.close()
}

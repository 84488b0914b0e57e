package snapshot

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/frame"
	"github.com/trimarandb/trimaran/vfs"
)

// staging is the directory in which one transfer collects its chunks:
//
//	receive-<SHA-256 of the manifest>/
//	    lock                 held while a Receiver works on it
//	    manifest
//	    <SHA-256>.chunk      a chunk frame, seeded with that digest
//
// Nothing in it is synced, and nothing is trusted: chunks are verified when a
// transfer is taken up again and once more when they are used, so that what a
// crash tore is asked for again.
type staging struct {
	root vfs.FS
	name string
	dir  vfs.FS
	lock io.Closer
	temp atomic.Int64
}

const (
	stagingPrefix  = "receive-"
	lockFile       = "lock"
	manifestFile   = "manifest"
	chunkSuffix    = ".chunk"
	stagingTemp    = ".tmp"
	goneSuffix     = ".gone"
	chunkFrameMost = chunkRoom + maxChunk
)

func stagingName(key [32]byte) string { return stagingPrefix + hex.EncodeToString(key[:]) }

// openStaging opens the directory of a transfer, or makes it, and removes the
// files that a crash left half written: their names are given again.
// fault.ErrConflict: somebody works on it.
func openStaging(root vfs.FS, name string) (*staging, error) {
	g, err := lockStaging(root, name)
	if err == nil {
		err = g.sweep()
	}
	switch {
	case errors.Is(err, vfs.ErrLocked):
		return nil, fmt.Errorf("transfer %s is under way: %w", name, fault.ErrConflict)
	case err != nil:
		return nil, fmt.Errorf("open staging %s: %w", name, full(err))
	}
	return g, nil
}

func lockStaging(root vfs.FS, name string) (*staging, error) {
	if err := root.Mkdir(name); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	dir, err := root.Sub(name)
	if err != nil {
		return nil, err
	}
	lock, err := dir.Lock(lockFile)
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return &staging{root: root, name: name, dir: dir, lock: lock}, nil
}

// sweep removes files that were not finished. After an error the staging is
// closed.
func (g *staging) sweep() error {
	infos, err := g.dir.List(".")
	for _, info := range infos {
		if err == nil && strings.HasSuffix(info.Name, stagingTemp) {
			err = g.dir.Remove(info.Name)
		}
	}
	if err != nil {
		return errors.Join(err, g.close())
	}
	return nil
}

// close keeps what is staged for the next time.
func (g *staging) close() error { return errors.Join(g.lock.Close(), g.dir.Close()) }

// remove drops what is staged. The directory gets another name first, so that
// nobody finds half of it, with or without its lock; adopt finishes what a
// crash leaves of it.
func (g *staging) remove() error {
	gone := g.name + goneSuffix
	err := vfs.RemoveAll(g.root, gone)
	if err == nil {
		err = g.root.Rename(g.name, gone)
	}
	if err == nil {
		err = vfs.RemoveAll(g.root, gone)
	}
	return errors.Join(err, g.close())
}

// write replaces one file as a whole, as far as other goroutines and a later
// run without a power failure can see.
func (g *staging) write(name string, b []byte) error {
	temp := name + "." + strconv.FormatInt(g.temp.Add(1), 10) + stagingTemp
	f, err := g.dir.Create(temp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	if err = errors.Join(err, f.Close()); err == nil {
		err = g.dir.Rename(temp, name)
	}
	if err != nil {
		return errors.Join(err, g.dir.Remove(temp))
	}
	return nil
}

func chunkFile(digest [32]byte) string { return hex.EncodeToString(digest[:]) + chunkSuffix }

func parseChunkFile(name string) (digest [32]byte, ok bool) {
	s, ok := strings.CutSuffix(name, chunkSuffix)
	if !ok || len(s) != hex.EncodedLen(len(digest)) {
		return digest, false
	}
	_, err := hex.Decode(digest[:], []byte(s))
	return digest, err == nil
}

func stagingSeed(digest [32]byte) uint32 { return frame.Sum(0, digest[:]) }

// put stages a chunk whose content was verified.
func (g *staging) put(e ChunkInfo, c Codec, data []byte) error {
	b := appendChunk(nil, stagingSeed(e.Digest), c, e.Size, data)
	if err := g.write(chunkFile(e.Digest), b); err != nil {
		return fmt.Errorf("stage a chunk: %w", full(err))
	}
	return nil
}

// get reads the frame of a staged chunk and verifies its checksum, not its
// content.
func (g *staging) get(digest [32]byte) (c Codec, raw int, b []byte, err error) {
	name := chunkFile(digest)
	p := place{path: g.name + "/" + name, class: fault.Uncommitted}
	b, err = vfs.ReadFile(g.dir, name, chunkFrameMost)
	if err != nil {
		return 0, 0, nil, p.broken(0, "staged chunk", err)
	}
	if err := checkFrame(p, 0, stagingSeed(digest), kindChunk, b); err != nil {
		return 0, 0, nil, err
	}
	c, raw, _, err = parseChunk(p, 0, b[frame.HeaderSize:])
	return c, raw, b, err
}

func (g *staging) drop(digest [32]byte) error { return g.dir.Remove(chunkFile(digest)) }

// chunks returns the raw length of each chunk that is staged and wanted, and
// removes everything else but the lock and the manifest.
func (g *staging) chunks(wanted func(digest [32]byte) bool) (map[[32]byte]int, error) {
	infos, err := g.dir.List(".")
	if err != nil {
		return nil, err
	}
	have := map[[32]byte]int{}
	for _, info := range infos {
		if info.Name == lockFile || info.Name == manifestFile {
			continue
		}
		if digest, ok := parseChunkFile(info.Name); ok && wanted(digest) {
			if _, raw, _, err := g.get(digest); err == nil {
				have[digest] = raw
				continue
			}
		}
		if err := vfs.RemoveAll(g.dir, info.Name); err != nil {
			return nil, err
		}
	}
	return have, nil
}

// adopt moves the chunks of transfers that this one supersedes, those of a
// state that is not newer, and removes what is left of them. Transfers that
// somebody works on are left alone.
func (g *staging) adopt(index uint64, wanted func(digest [32]byte) bool) error {
	infos, err := g.root.List(".")
	if err != nil {
		return err
	}
	for _, info := range infos {
		if !info.Dir || info.Name == g.name || !strings.HasPrefix(info.Name, stagingPrefix) {
			continue
		}
		old, err := lockStaging(g.root, info.Name)
		if errors.Is(err, vfs.ErrLocked) {
			continue
		}
		if err != nil {
			return err
		}
		if !old.supersededBy(index) {
			err = old.close()
		} else {
			err = errors.Join(g.take(old, wanted), old.remove())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// supersededBy also gives up a directory whose manifest cannot be read.
func (g *staging) supersededBy(index uint64) bool {
	f, err := g.dir.Open(manifestFile)
	if err != nil {
		return true
	}
	h, err := readHeader(place{path: manifestFile}, io.NewSectionReader(f, 0, math.MaxInt64))
	err = errors.Join(err, f.Close())
	return err != nil || h.info.Index <= index
}

func (g *staging) take(old *staging, wanted func(digest [32]byte) bool) error {
	have, err := old.chunks(wanted)
	if err != nil {
		return err
	}
	for _, digest := range slices.SortedFunc(maps.Keys(have), func(a, b [32]byte) int { return bytes.Compare(a[:], b[:]) }) {
		file := chunkFile(digest)
		if err := g.root.Rename(old.name+"/"+file, g.name+"/"+file); err != nil {
			return err
		}
	}
	return nil
}

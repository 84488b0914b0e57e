package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/trimarandb/trimaran/bench/log/peer"
)

const (
	bigEntry = 1 << 10
	bigBatch = 64
)

// big returns the directory of a log of plan.Big entries, written in durable
// batches and closed in order. It is built once and shared: who changes it
// takes a copy.
func (b *bench) big(k peer.Kind) (string, error) {
	dir := filepath.Join(b.root, "big", plain(k.Name))
	if b.built[k.Name] {
		return dir, warm(dir)
	}
	b.progress.Step("building " + k.Name)
	l, err := k.Open(dir, peer.Options{Whole: true})
	if err != nil {
		return "", err
	}
	if err := fillLog(l, b.seed, b.plan.Big, bigBatch, bigEntry); err != nil {
		return "", errors.Join(err, l.Close())
	}
	b.built[k.Name] = true
	return dir, l.Close()
}

// openBig opens the shared log.
func (b *bench) openBig(k peer.Kind) (peer.Log, error) {
	dir, err := b.big(k)
	if err != nil {
		return nil, err
	}
	return k.Open(dir, peer.Options{Whole: true})
}

// copyBig copies the shared log to a directory of the session's own.
func (b *bench) copyBig(k peer.Kind, name string) (string, error) {
	from, err := b.big(k)
	if err != nil {
		return "", err
	}
	to := b.dir(k, name)
	return to, copyTree(to, from)
}

func fillLog(l peer.Log, seed uint64, entries, batch, size int) error {
	f := newFeed(seed, batch, size, 1)
	for f.next <= uint64(entries) {
		f.payloads = f.payloads[:min(len(f.payloads), entries+1-int(f.next))]
		if err := f.append(l); err != nil {
			return err
		}
	}
	return nil
}

// copyTree copies files as they are in the page cache: of a log that is open,
// it makes what a killed process would have left.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		return copyFile(filepath.Join(to, rel), path)
	})
}

func copyFile(to, from string) error {
	src, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a log that is open may remove what it does not need
	} else if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

// warm reads all files, so that they are in the page cache.
func warm(dir string) error {
	return eachFile(dir, func(path string, _ os.FileInfo) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{f}, make([]byte, 1<<20))
		return err
	})
}

// onDisk is what the files of dir occupy, in bytes.
func onDisk(dir string) (int64, error) {
	var n int64
	err := eachFile(dir, func(_ string, info os.FileInfo) error {
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return fmt.Errorf("stat has no blocks")
		}
		n += stat.Blocks * 512
		return nil
	})
	return n, err
}

// content is what the files of dir hold, in bytes, each up to its last byte
// that is not zero: without the space that is only reserved.
func content(dir string) (int64, error) {
	var n int64
	err := eachFile(dir, func(path string, info os.FileInfo) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		end, err := lastNonZero(f, info.Size())
		n += end
		return err
	})
	return n, err
}

func lastNonZero(f *os.File, size int64) (int64, error) {
	buf := make([]byte, 1<<20)
	for end := size; end > 0; {
		n := min(end, int64(len(buf)))
		if _, err := f.ReadAt(buf[:n], end-n); err != nil && err != io.EOF {
			return 0, err
		}
		for i := n; i > 0; i-- {
			if buf[i-1] != 0 {
				return end - n + i, nil
			}
		}
		end -= n
	}
	return 0, nil
}

func eachFile(dir string, do func(path string, info os.FileInfo) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var info os.FileInfo
			if info, err = d.Info(); err == nil {
				err = do(path, info)
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed behind the caller's back
		}
		return err
	})
}

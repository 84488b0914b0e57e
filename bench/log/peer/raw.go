package peer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const (
	ringBytes  = 64 << 20
	relaxBytes = 256 << 10
)

// Raw is the device: bare payload bytes, one pwrite and one fdatasync for each
// Append, into blocks that were written before; relaxed, a buffer of 256 KiB
// and no sync. Read is pread in pieces of 1 MiB and one crc32c for each entry,
// Get one pread and one crc32c.
func Raw() Kind {
	return Kind{Name: "raw", Version: "pwrite + fdatasync", Verifies: true, Limit: true, Open: openRaw}
}

type raw struct {
	file  *os.File
	dir   string
	opts  Options
	off   int64
	table *crc32.Table
	size  int      // of an entry, the same for all of a whole log
	sums  []uint32 // of a whole log
	buf   []byte
}

func openRaw(dir string, o Options) (Log, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(dir, "raw"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	r := &raw{file: file, dir: dir, opts: o, table: crc32.MakeTable(crc32.Castagnoli)}
	if o.Whole {
		err = r.loadSums()
	} else {
		err = r.fill()
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return r, nil
}

// fill writes every block of the ring once.
func (r *raw) fill() error {
	zeros := make([]byte, 1<<20)
	for off := int64(0); off < ringBytes; off += int64(len(zeros)) {
		if _, err := r.file.WriteAt(zeros, off); err != nil {
			return err
		}
	}
	return r.file.Sync()
}

func (r *raw) sumsFile() string { return filepath.Join(r.dir, "sums") }

func (r *raw) loadSums() error {
	b, err := os.ReadFile(r.sumsFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	r.size = int(binary.LittleEndian.Uint32(b))
	r.sums = make([]uint32, len(b)/4-1)
	r.off = int64(len(r.sums)) * int64(r.size)
	return binary.Read(bytes.NewReader(b[4:]), binary.LittleEndian, r.sums)
}

func (r *raw) Append(_ uint64, payloads [][]byte) error {
	b := r.joined(payloads)
	if r.opts.Relaxed {
		return r.buffer(b)
	}
	if r.opts.Whole {
		r.size = len(payloads[0])
		for _, p := range payloads {
			r.sums = append(r.sums, crc32.Checksum(p, r.table))
		}
	}
	if err := r.write(b); err != nil {
		return err
	}
	return unix.Fdatasync(int(r.file.Fd()))
}

// joined returns the payloads as one piece, without a copy where they are one.
func (r *raw) joined(payloads [][]byte) []byte {
	n, contiguous := 0, true
	first := payloads[0][:cap(payloads[0])]
	for _, p := range payloads {
		contiguous = contiguous && n < len(first) && &first[n] == &p[0]
		n += len(p)
	}
	if contiguous {
		return first[:n]
	}
	r.buf = r.buf[:0]
	for _, p := range payloads {
		r.buf = append(r.buf, p...)
	}
	return r.buf
}

func (r *raw) buffer(b []byte) error {
	if len(r.buf)+len(b) > relaxBytes {
		if err := r.write(r.buf); err != nil {
			return err
		}
		r.buf = r.buf[:0]
	}
	r.buf = append(r.buf, b...)
	return nil
}

func (r *raw) write(b []byte) error {
	if !r.opts.Whole && r.off+int64(len(b)) > ringBytes {
		r.off = 0
	}
	n, err := r.file.WriteAt(b, r.off)
	r.off += int64(n)
	return err
}

func (r *raw) Read(lo, hi uint64, visit func(uint64, []byte) error) error {
	if r.size == 0 || hi-1 > uint64(len(r.sums)) {
		return errMissing(hi - 1)
	}
	per := uint64(max(1, readBytes/r.size))
	buf := make([]byte, per*uint64(r.size))
	for lo < hi {
		n := min(per, hi-lo)
		piece := buf[:n*uint64(r.size)]
		if _, err := r.file.ReadAt(piece, int64(lo-1)*int64(r.size)); err != nil && err != io.EOF {
			return err
		}
		for i := range n {
			p := piece[i*uint64(r.size) : (i+1)*uint64(r.size)]
			if err := r.check(lo+i, p); err != nil {
				return err
			}
			if err := visit(lo+i, p); err != nil {
				return err
			}
		}
		lo += n
	}
	return nil
}

func (r *raw) Get(index uint64) ([]byte, error) {
	if index > uint64(len(r.sums)) {
		return nil, errMissing(index)
	}
	if len(r.buf) < r.size {
		r.buf = make([]byte, r.size)
	}
	p := r.buf[:r.size]
	if _, err := r.file.ReadAt(p, int64(index-1)*int64(r.size)); err != nil {
		return nil, err
	}
	return p, r.check(index, p)
}

func (r *raw) check(index uint64, p []byte) error {
	if crc32.Checksum(p, r.table) != r.sums[index-1] {
		return fmt.Errorf("checksum of entry %d does not match", index)
	}
	return nil
}

func (r *raw) DropFront(uint64) error { return nil }
func (r *raw) DropBack(uint64) error  { return nil }
func (r *raw) Sync() error            { return r.file.Sync() }

func (r *raw) Close() error {
	var err error
	if r.opts.Whole {
		b := binary.LittleEndian.AppendUint32(nil, uint32(r.size))
		for _, sum := range r.sums {
			b = binary.LittleEndian.AppendUint32(b, sum)
		}
		err = os.WriteFile(r.sumsFile(), b, 0o644)
	}
	return errors.Join(err, r.file.Close())
}

package dirbucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/vfs"
)

// reader reads an object whose file changes no more.
type reader struct {
	ctx       context.Context // of Open: io.Reader has no place for one
	b         *Bucket
	f         vfs.File
	name      string
	off, size int64
}

// Read ends with io.EOF where the object ended when it was opened. A file that
// somebody cut since then is io.ErrUnexpectedEOF.
func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.off >= r.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), r.size-r.off)]
	n, err := r.f.ReadAt(p, r.off)
	r.off += int64(n)
	switch {
	case n == len(p): // a file may report its end along with the last bytes
		return n, nil
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	case errors.Is(err, fs.ErrClosed):
		err = fault.ErrClosed
	}
	return n, fmt.Errorf("read %s at %d: %w", r.where(), r.off, err)
}

func (r *reader) where() string { return path.Join(r.b.dir, r.name) }

// Close may be called twice.
func (r *reader) Close() error {
	if err := r.f.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return fmt.Errorf("close %s: %w", r.where(), err)
	}
	return nil
}

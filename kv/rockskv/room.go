//go:build rocksdb && cgo

package rockskv

import (
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/vfs"
)

// lookAgain is how many bytes are written at most before room is looked at
// again.
const lookAgain = 64 << 20

// room keeps commits from filling the disk to the last byte: after a log that
// found no room nobody knows what was written, so a commit is refused before
// that, while there is still enough for what is in memory already. The writer
// uses it.
type room struct {
	fs      vfs.FS
	reserve int64
	left    int64 // may be written before looking again
}

// newRoom reserves a table and a log file, or a tenth of a small disk.
func newRoom(fsys vfs.FS, o *Options) room { return room{fs: fsys, reserve: 2 * o.WriteBufferSize} }

// admit is fault.ErrFull unless there is room for n bytes, twice: in the log
// and in a table.
func (r *room) admit(n int64) error {
	if r.left >= n {
		r.left -= n
		return nil
	}
	sp, err := r.fs.Space()
	if err != nil {
		return err
	}
	free := sp.Free - min(r.reserve, sp.Total/10)
	if free/2 < n {
		r.left = 0
		return fmt.Errorf("commit of %d bytes, and %d are free: %w", n, sp.Free, fault.ErrFull)
	}
	r.left = min(lookAgain, free/4) - n
	return nil
}

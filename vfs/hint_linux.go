package vfs

import (
	"errors"
	"os"
	"strconv"
	"syscall"
)

const (
	fallocKeepSize = 1      // FALLOC_FL_KEEP_SIZE
	syncBefore     = 1      // SYNC_FILE_RANGE_WAIT_BEFORE
	syncWrite      = 2      // SYNC_FILE_RANGE_WRITE
	magicExt       = 0xef53 // ext2, ext3, ext4
	magicXFS       = 0x58465342
)

func hint(f *os.File, h Hint, off, n int64) error {
	switch h {
	case HintReserve:
		return onFD(f, "fallocate", func(fd int) error { return syscall.Fallocate(fd, fallocKeepSize, off, n) })
	case HintWriteBack:
		return onFD(f, "sync_file_range", func(fd int) error { return writeBack(fd, off+n) })
	case HintWriteOut:
		return onFD(f, "sync_file_range", func(fd int) error { return syscall.SyncFileRange(fd, off, n, syncWrite) })
	case HintPrefetch:
		return onFD(f, "readahead", func(fd int) error { return readAhead(fd, off, n) })
	default:
		return fail("hint", f.Name(), errors.ErrUnsupported)
	}
}

// writeBack waits for what is under way already, so that no more than one
// hint's worth of dirty pages piles up. Elsewhere than on the file systems
// that are known to do it, the call may succeed and do nothing.
func writeBack(fd int, end int64) error {
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(fd, &st); err != nil {
		return err
	}
	if st.Type != magicExt && st.Type != magicXFS {
		return errors.ErrUnsupported
	}
	return syscall.SyncFileRange(fd, 0, end, syncBefore|syncWrite)
}

// readAhead passes its offset in one register, which needs 64 bits.
func readAhead(fd int, off, n int64) error {
	if strconv.IntSize < 64 {
		return errors.ErrUnsupported
	}
	if _, _, errno := syscall.Syscall(syscall.SYS_READAHEAD, uintptr(fd), uintptr(off), uintptr(n)); errno != 0 {
		return errno
	}
	return nil
}

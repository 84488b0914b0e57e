package vfs

import (
	"os"
	"syscall"
)

// syncData is Sync, which package os does with F_FULLFSYNC here: darwin has
// nothing weaker that reaches the disk.
func syncData(f *os.File) error { return f.Sync() }

func space(f *os.File) (Space, error) {
	var st syscall.Statfs_t
	err := onFD(f, "statfs", func(fd int) error { return syscall.Fstatfs(fd, &st) })
	if err != nil {
		return Space{}, err
	}
	unit := int64(st.Bsize)
	return Space{Free: int64(st.Bavail) * unit, Total: int64(st.Blocks) * unit}, nil
}

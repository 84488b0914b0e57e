package vfs

import (
	"os"
	"syscall"
)

// syncData is fdatasync: no journal commit for a mere change of times.
func syncData(f *os.File) error { return onFD(f, "fdatasync", syscall.Fdatasync) }

func space(f *os.File) (Space, error) {
	var st syscall.Statfs_t
	err := onFD(f, "statfs", func(fd int) error { return syscall.Fstatfs(fd, &st) })
	if err != nil {
		return Space{}, err
	}
	// Counts are in fragments; Bsize is only the preferred transfer size, and
	// larger on some network file systems.
	unit := int64(st.Frsize)
	if unit == 0 {
		unit = int64(st.Bsize)
	}
	return Space{Free: int64(st.Bavail) * unit, Total: int64(st.Blocks) * unit}, nil
}

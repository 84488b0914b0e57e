package vfs

import (
	"io/fs"
	"os"
	"syscall"
)

// syncData is fdatasync, repeated only while a signal interrupts it.
func syncData(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
		return nil
	}
}

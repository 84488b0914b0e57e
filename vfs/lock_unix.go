//go:build unix

package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// lockFile takes an flock, which belongs to the open file: a second open in
// the same process conflicts too, and the kernel drops it when the process
// ends, however that happens. The pid in the file is only for the message.
func lockFile(root *os.Root, name string) (io.Closer, error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
			if pid := holder(f); pid != "" {
				err = fmt.Errorf("%w (pid %s)", ErrLocked, pid)
			}
		}
		return nil, errors.Join(&fs.PathError{Op: "lock", Path: name, Err: err}, f.Close())
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func holder(f *os.File) string {
	var b [16]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && err != io.EOF {
		return ""
	}
	return strings.TrimSpace(string(b[:n]))
}

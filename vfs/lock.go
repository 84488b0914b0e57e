//go:build linux || darwin

package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// lockFile takes an flock, which belongs to the open file: a second open in
// the same process conflicts too, and the kernel drops it when the process
// ends, however that happens.
func lockFile(root *os.Root, name string) (io.Closer, error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	err = onFD(f, "lock", func(fd int) error { return syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB) })
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = &fs.PathError{Op: "lock", Path: name, Err: heldBy(f)}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	leavePID(f)
	return &diskLock{close: sync.OnceValue(f.Close)}, nil
}

type diskLock struct{ close func() error }

func (l *diskLock) Close() error { return l.close() }

// leavePID says in the file who holds it. It is only for the message, so it
// cannot fail: a full disk must not keep a node from starting.
func leavePID(f *os.File) {
	if n, err := f.WriteString(strconv.Itoa(os.Getpid()) + "\n"); err == nil {
		_ = f.Truncate(int64(n))
	}
}

func heldBy(f *os.File) error {
	var b [16]byte
	n, err := f.ReadAt(b[:], 0)
	pid := strings.TrimSpace(string(b[:n]))
	if err != io.EOF || pid == "" {
		return ErrLocked
	}
	return fmt.Errorf("%w by process %s", ErrLocked, pid)
}

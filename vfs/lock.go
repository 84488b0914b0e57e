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
	"time"
)

// lockFile takes an flock, which belongs to the open file: a second open in
// the same process conflicts too, and the kernel drops it when the process
// ends, however that happens.
func lockFile(root *os.Root, name string) (io.Closer, error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
	if err != nil {
		return nil, err
	}
	for range lookTries {
		err = flock(f, syscall.LOCK_EX)
		if !errors.Is(err, syscall.EWOULDBLOCK) || flock(f, syscall.LOCK_SH) != nil {
			break
		}
		// Somebody looks at it, and nobody has it.
		err = errors.Join(err, flock(f, syscall.LOCK_UN))
		time.Sleep(lookPause)
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = &fs.PathError{Op: "lock", Path: name, Err: heldBy(f)}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	leavePID(f)
	return &diskLock{close: sync.OnceValue(f.Close)}, nil
}

// How often, and after which pause, a lock is tried again that somebody looks
// at: lockHolder shares it for a moment, which must not keep a node from
// starting.
const (
	lookTries = 1000
	lookPause = time.Millisecond
)

// flock takes a lock or fails with EWOULDBLOCK.
func flock(f *os.File, how int) error {
	return onFD(f, "lock", func(fd int) error { return syscall.Flock(fd, how|syscall.LOCK_NB) })
}

// lockHolder finds out who has the lock by trying a shared one, which many may
// have at a time, and letting go of it.
func lockHolder(root *os.Root, name string) (pid int, held bool, err error) {
	f, err := root.OpenFile(name, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	err = flock(f, syscall.LOCK_SH)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		pid, _ = readPID(f) // 0 if it is not there
		return pid, true, nil
	}
	return 0, false, err
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
	if pid, ok := readPID(f); ok {
		return fmt.Errorf("%w by process %d", ErrLocked, pid)
	}
	return ErrLocked
}

// readPID reads what leavePID wrote.
func readPID(f *os.File) (pid int, ok bool) {
	var b [16]byte
	n, err := f.ReadAt(b[:], 0)
	if !errors.Is(err, io.EOF) {
		return 0, false
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(b[:n])))
	return pid, err == nil && pid > 0
}

package vfs

import (
	"errors"
	"syscall"
)

// IsFull reports whether err says that the disk, a quota or the largest file
// size is exhausted. From a write it means that nothing is lost and the call
// can be made again; from a sync it means no such thing.
func IsFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

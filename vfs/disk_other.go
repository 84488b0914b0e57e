//go:build !linux && !darwin

package vfs

import (
	"errors"
	"io/fs"
)

// Disk is not written for this platform.
func Disk(dir string) (FS, error) {
	return nil, &fs.PathError{Op: "open", Path: dir, Err: errors.ErrUnsupported}
}

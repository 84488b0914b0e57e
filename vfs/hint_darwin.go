package vfs

import (
	"errors"
	"os"
)

func hint(f *os.File, _ Hint, _, _ int64) error {
	return fail("hint", f.Name(), errors.ErrUnsupported)
}

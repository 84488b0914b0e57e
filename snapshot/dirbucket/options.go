package dirbucket

import "github.com/trimarandb/trimaran/vfs"

// Options tune a Bucket. Nil and zero fields mean the defaults.
type Options struct {
	// FS is where dir is. Default: the real disk.
	FS vfs.FS
}

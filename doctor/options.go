package doctor

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
)

// Node opens the parts of a node, or all of it, in a directory of a file tree.
// A config.Config with that tree in its Options is one. Nothing that it opens
// may be outside the tree, or prune snapshots.
type Node interface {
	OpenLog(ctx context.Context, dir string) (*raftlog.Log, io.Closer, error)
	OpenSnapshots(ctx context.Context, dir string) (*snapshot.Store, io.Closer, error)
	OpenData(ctx context.Context, dir string) (*kv.Store, error)
	Open(ctx context.Context, dir string) (*trimaran.Storage, error)
}

// Options say where the node is. All but Now and Progress are needed.
type Options struct {
	// FS is the tree that holds the three layers.
	FS vfs.FS
	// Scratch is where what is tried out is written; whoever made it removes
	// what is left in it.
	Scratch vfs.FS
	// On is the node on a tree like FS.
	On func(fsys vfs.FS) Node
	// Log, Snapshots and Data are the directories of the layers in the tree. Data
	// is empty where it is in memory, so that each open brings it back.
	Log, Snapshots, Data string
	// Locks are the files that a process which runs the node has locked.
	Locks []string
	// TermKey is the stable key of the log that holds the current term, in eight
	// bytes, big endian. Empty: the library keeps it in another way.
	TermKey string
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// Progress is told what is being read, and how far. Default: nobody.
	Progress func(part string, done, total int64)
}

func (o *Options) withDefaults() (*Options, error) {
	out := *o
	if out.FS == nil || out.Scratch == nil || out.On == nil || out.Log == "" || out.Snapshots == "" {
		return nil, fmt.Errorf("doctor: options: a tree, a scratch directory, a node and directories of log and snapshots are needed: %w", fault.ErrInvalid)
	}
	if out.Now == nil {
		out.Now = time.Now
	}
	if out.Progress == nil {
		out.Progress = func(string, int64, int64) {}
	}
	return &out, nil
}

// dirs are those of the layers that are not in memory.
func (o *Options) dirs() []string {
	if o.Data == "" {
		return []string{o.Log, o.Snapshots}
	}
	return []string{o.Log, o.Snapshots, o.Data}
}

// locked refuses a node that runs.
func (o *Options) locked() error {
	for _, name := range o.Locks {
		pid, held, err := vfs.LockHolder(o.FS, name)
		if err != nil {
			return fmt.Errorf("doctor: who holds %s: %w", name, err)
		}
		if held {
			return fmt.Errorf("doctor: process %d holds %s, the node runs: stop it first: %w", pid, name, fault.ErrLocked)
		}
	}
	return nil
}

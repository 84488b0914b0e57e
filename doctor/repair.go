package doctor

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
)

// repair takes steps on a tree. What is set aside goes to DIR plus suffix.
func repair(ctx context.Context, o *Options, fsys vfs.FS, suffix string, steps []Step) (r trimaran.Report, err error) {
	var st *trimaran.Storage
	defer func() {
		if st != nil {
			err = errors.Join(err, st.Close())
		}
	}()
	for _, s := range steps {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		switch a := s.act; {
		case a.aside != "":
			err = setAside(fsys, a.aside, a.aside+suffix)
		case !a.remove.IsZero():
			err = removeSnapshot(ctx, o.On(fsys), a.remove)
		case a.open:
			if st, err = o.On(fsys).Open(ctx, "."); err == nil {
				r = st.Recovered()
			}
		case a.take:
			if _, err = st.Snapshot(ctx, 0); errors.Is(err, fault.ErrNothingNew) {
				err = nil // there was one
			}
		case a.rotate:
			err = st.Close()
			if st = nil; err == nil {
				err = rotate(o, fsys)
			}
		default:
			err = st.Log().CompactTo(a.compact)
		}
		if err != nil {
			return r, fmt.Errorf("%s: %w", s.Do, err)
		}
	}
	return r, nil
}

// rotate has the log begin a new segment: where segments are as small as can
// be, the next write does. It stores again what is there.
func rotate(o *Options, fsys vfs.FS) (err error) {
	d, err := seglog.Open(o.Log, &seglog.Options{FS: fsys, SegmentSize: smallest})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	l, err := d.Log(raftlog.Group{})
	if err != nil {
		return err
	}
	return errors.Join(l.SetIdentity(l.Identity()), l.Close())
}

// smallest is less than any segment has that holds a frame.
const smallest = 1

// setAside moves a directory away, durably.
func setAside(fsys vfs.FS, dir, to string) error {
	if err := fsys.Rename(dir, to); err != nil {
		return err
	}
	return fsys.SyncDir(path.Dir(dir))
}

func removeSnapshot(ctx context.Context, node Node, id snapshot.ID) error {
	s, closer, err := node.OpenSnapshots(ctx, ".")
	if err != nil {
		return err
	}
	err = s.Remove(ctx, id, &snapshot.RemoveOptions{Force: true})
	return errors.Join(err, s.Close(), closer.Close())
}

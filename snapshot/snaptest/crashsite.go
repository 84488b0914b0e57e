package snaptest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path"
	"strings"

	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
)

// site is a store that is open, and what it stands on.
type site struct {
	*snapshot.Store
	objects *objectCount
	staging vfs.FS
	log     *crashLog
}

// objectCount is a bucket that counts its objects when it is closed.
type objectCount struct {
	snapshot.Bucket
	n int
}

func (c *objectCount) Unwrap() snapshot.Bucket { return c.Bucket }

func (c *objectCount) Close() error {
	c.n = 0
	for _, err := range c.List(context.Background()) {
		if err != nil {
			break // whoever closed it once sees nothing
		}
		c.n++
	}
	return c.Bucket.Close()
}

// openSite opens a store in which nothing differs from one run to the next. o
// is what it is tuned by.
func openSite(open OpenOn, fsys vfs.FS, seed uint64, o snapshot.Options) (*site, error) {
	b, err := open(fsys)
	if err != nil {
		return nil, fmt.Errorf("open the bucket: %w", err)
	}
	s := &site{objects: &objectCount{Bucket: b}, log: &crashLog{}}
	if own, ok := snapshot.As[interface{ Staging() (vfs.FS, error) }](b); ok {
		s.staging, err = own.Staging()
	} else {
		s.staging, err = vfs.At(fsys, "staging")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open staging: %w", err), b.Close())
	}
	o.ChunkSize, o.Staging = chunkSize, s.staging
	o.Rand, o.Logger = random8{rand.New(rand.NewPCG(seed, 0x1d))}, slog.New(s.log)
	if o.Now == nil {
		o.Now = atCrashEpoch
	}
	if s.Store, err = snapshot.New(s.objects, &o); err != nil {
		return nil, errors.Join(fmt.Errorf("New = %w", err), s.staging.Close())
	}
	return s, nil
}

func (s *site) close() error {
	err := s.Close()
	if err != nil {
		err = fmt.Errorf("Close = %w", err)
	}
	return errors.Join(err, s.staging.Close())
}

// found is the set that is listed, with the identity, and the ids by label.
func (s *site) found(c *crashScript) (set int, ids map[int]snapshot.ID, err error) {
	epoch := s.Identity().Epoch
	if epoch > epochs {
		return 0, nil, fmt.Errorf("the identity has epoch %d, at most %d was set", epoch, epochs)
	}
	set, ids = bitsOf(epoch), map[int]snapshot.ID{}
	for m, err := range s.All(context.Background()) {
		if err == nil {
			err = m.Damaged
		}
		if err != nil {
			return 0, nil, fmt.Errorf("All has %v: %w", m.ID, err)
		}
		n, err := labelOf(m)
		if err == nil {
			err = c.labels[n].matches(m)
		}
		if err != nil {
			return 0, nil, err
		}
		if _, twice := ids[n]; twice {
			return 0, nil, fmt.Errorf("snapshot %d is listed twice, as %v and %v", n, ids[n], m.ID)
		}
		ids[n] = m.ID
		if n == extension {
			continue // is no part of a state
		}
		set |= 1 << n
	}
	return set, ids, nil
}

// left counts the files that are not staged.
func (s *site) left(fsys vfs.FS) (int, error) {
	all, err := countFiles(fsys, ".")
	if err != nil {
		return 0, err
	}
	staged, err := countFiles(s.staging, ".")
	return all - staged, err
}

func countFiles(fsys vfs.FS, dir string) (n int, err error) {
	infos, err := fsys.List(dir)
	for _, info := range infos {
		if !info.Dir {
			if info.Name != probeFile {
				n++
			}
			continue
		}
		below, err := countFiles(fsys, path.Join(dir, info.Name))
		if err != nil {
			return 0, err
		}
		n += below
	}
	return n, err
}

// crashLog keeps what a store logs that is no debugging.
type crashLog struct {
	lines []string
	errs  []error
}

// take returns what was logged since it was taken last.
func (l *crashLog) take() error {
	if len(l.lines) == 0 {
		return nil
	}
	err := fmt.Errorf("logged %s: %w", strings.Join(l.lines, "; "), errors.Join(l.errs...))
	l.lines, l.errs = nil, nil
	return err
}

func (l *crashLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (l *crashLog) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *crashLog) WithGroup(string) slog.Handler                    { return l }

func (l *crashLog) Handle(_ context.Context, r slog.Record) error {
	l.lines = append(l.lines, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok {
			l.errs = append(l.errs, err)
		}
		return true
	})
	return nil
}

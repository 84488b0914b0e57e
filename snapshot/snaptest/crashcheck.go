package snaptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"sync"

	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

// crashScript is one script with the snapshots that it may publish.
type crashScript struct {
	open    OpenOn
	profile profile
	seed    uint64
	labels  [labels + 1]*label
	clean   sync.Map // int to int: the files of a clean bucket by the objects in it
}

func newCrashScript(open OpenOn, p profile, seed uint64) *crashScript {
	s := &crashScript{open: open, profile: p, seed: seed}
	for n := range s.labels {
		s.labels[n] = newLabel(seed, n, p)
	}
	return s
}

// Check implements crashtest.Script.
func (s *crashScript) Check(fsys vfs.FS, want crashtest.Expect) (found int, err error) {
	site, err := openSite(s.open, fsys, s.seed, snapshot.Options{})
	if err != nil {
		return 0, err
	}
	found, err = s.look(site, want)
	err = errors.Join(err, site.log.take(), site.Close(), site.log.take())
	if err == nil {
		err = s.swept(site, fsys)
	}
	return found, errors.Join(err, site.staging.Close())
}

// look compares what is there with what may be.
func (s *crashScript) look(site *site, want crashtest.Expect) (int, error) {
	set, ids, err := site.found(s)
	if err != nil {
		return 0, err
	}
	if site.Volatile() {
		if len(ids) > 0 {
			return 0, fmt.Errorf("a volatile bucket has %v after a crash", ids)
		}
		return want.Acked(), nil
	}
	if want.Extended {
		set, err = s.unextended(set, ids, want.Acked())
	} else if _, ok := ids[extension]; ok {
		err = errors.New("what nobody began is there")
	}
	if err != nil {
		return 0, err
	}
	for n, id := range ids {
		if err := s.reads(site.Store, n, id, bits.OnesCount(uint(set))%2 == 0); err != nil {
			return 0, err
		}
	}
	return set, nil
}

// reads makes sure of every byte: in one way, or by verification, which leaves
// no trace of an access.
func (s *crashScript) reads(store *snapshot.Store, n int, id snapshot.ID, open bool) error {
	ctx := context.Background()
	l := s.labels[n]
	if !open {
		far, err := l.elsewhere()
		if err != nil {
			return err
		}
		r, err := store.Verify(ctx, id, nil)
		if err != nil || r.Meta.Digest != far.manifest.Meta.Digest {
			return fmt.Errorf("Verify(snapshot %d) = %s, %w, want %s", n, r.Meta.Digest, err, far.manifest.Meta.Digest)
		}
		return nil
	}
	got, err := read(ctx, store, id)
	if err != nil || !bytes.Equal(got, l.content) {
		return fmt.Errorf("snapshot %d reads as %d bytes, %w, want %d", n, len(got), err, len(l.content))
	}
	return nil
}

// swept makes sure that nothing is left which a clean bucket would not have.
func (s *crashScript) swept(site *site, fsys vfs.FS) error {
	got, err := site.left(fsys)
	if err != nil {
		return err
	}
	want, err := s.cleanFiles(site.objects.n)
	if err == nil && got > want {
		err = fmt.Errorf("%d files are there, a clean bucket of %d objects has %d:%s", got, site.objects.n, want, filesOf(fsys, "."))
	}
	return err
}

func filesOf(fsys vfs.FS, dir string) string {
	var b strings.Builder
	infos, _ := fsys.List(dir) // for people
	for _, info := range infos {
		b.WriteString(" " + info.Name)
		if info.Dir {
			b.WriteString("/(" + filesOf(fsys, dir+"/"+info.Name) + " )")
		}
	}
	return strings.ReplaceAll(b.String(), "./", "")
}

// cleanFiles is how many files a bucket has in which so many objects were put
// and nothing else happened.
func (s *crashScript) cleanFiles(objects int) (int, error) {
	if n, ok := s.clean.Load(objects); ok {
		return n.(int), nil
	}
	mem, ctx := vfs.NewMem(), context.Background()
	b, err := s.open(mem)
	if err != nil {
		return 0, err
	}
	for i := range objects {
		if err := put(ctx, b, fmt.Sprintf("object-%d", i), []byte("x")); err != nil {
			return 0, errors.Join(err, b.Close())
		}
	}
	if err := b.Close(); err != nil {
		return 0, err
	}
	n, err := countFiles(mem, ".")
	if err == nil {
		s.clean.Store(objects, n)
	}
	return n, err
}

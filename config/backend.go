package config

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/vfs"
)

// backend is one way to keep a layer: L is what the file can say of the layer,
// D what is opened.
type backend[L, D any] struct {
	name     string
	volatile bool     // nothing survives the process, and there is no path
	keys     []string // of its config section
	read     func(s *Section, l *L)
	show     func(w *writer, l *L)
	open     func(ctx context.Context, at place, l *L) (D, error)
}

// Layer is what the sections of all layers say.
type Layer struct {
	Backend string // its name in backend_type
	Path    string // below the directory of the storage, or absolute; "" for what is in memory
}

// place is where a layer is opened.
type place struct {
	o   *Options
	fs  vfs.FS // nil for the real disk
	dir string // of the storage, then of the layer
}

// table is all backends of a layer.
type table[L, D any] []backend[L, D]

func (t table[L, D]) find(name string) *backend[L, D] {
	i := slices.IndexFunc(t, func(b backend[L, D]) bool { return b.name == name })
	if i < 0 {
		return nil
	}
	return &t[i]
}

func (t table[L, D]) names() (names []string) {
	for _, b := range t {
		names = append(names, b.name)
	}
	return names
}

// open opens the backend that the layer names.
func (t table[L, D]) open(ctx context.Context, at place, layer *Layer, l *L) (d D, err error) {
	b := t.find(layer.Backend)
	if b == nil {
		return d, fmt.Errorf("backend %q: want %s: %w", layer.Backend, list(t.names(), "or"), fault.ErrInvalid)
	}
	at.dir = resolve(at.fs, at.dir, layer.Path)
	return b.open(ctx, at, l)
}

// read reads the section of a layer: which backend, where, and how.
func (t table[L, D]) read(s *Section, l *L, at *Layer) {
	if s.asked != nil {
		t.ask(s, l, at)
		return
	}
	b := t.find(s.Choice("backend_type", "", t.names()...))
	cfg := s.Section("config")
	if b == nil {
		_ = s.Text("path", "")
		cfg.skip()
		*at = Layer{}
		return
	}
	at.Backend = b.name
	switch {
	case !b.volatile:
		at.Path = s.Text("path", at.Path)
		checkPath(s, at.Path)
	case s.Has("path"):
		s.Fail("path", "%s keeps nothing on disk", b.name)
		fallthrough
	default:
		at.Path = ""
	}
	t.refuseOthers(cfg, b)
	b.read(cfg, l)
}

// refuseOthers names the backend to which a key belongs that this one does not
// have.
func (t table[L, D]) refuseOthers(s *Section, b *backend[L, D]) {
	for _, f := range s.fields {
		if slices.Contains(b.keys, f.key) {
			continue
		}
		var owners []string
		for _, other := range t {
			if slices.Contains(other.keys, f.key) {
				owners = append(owners, other.name)
			}
		}
		if len(owners) > 0 {
			s.failAt(f.line, f.col, below(s.path, f.key), b.name+" has no such key; "+list(owners, "and")+" "+verb(len(owners)))
			s.settle(f.key)
		}
	}
}

func verb(n int) string {
	if n == 1 {
		return "has"
	}
	return "have"
}

// checkPath refuses a path that would not mean what it seems to.
func checkPath(s *Section, p string) {
	switch {
	case p == "":
		s.Fail("path", "is empty")
	case strings.HasPrefix(p, "~") || strings.Contains(p, "$"):
		s.Fail("path", "%s is taken literally: neither ~ nor variables are expanded", quote(p))
	case !filepath.IsAbs(p) && !filepath.IsLocal(p):
		s.Fail("path", "%s leaves the directory of the storage: give an absolute path", quote(p))
	}
}

// resolve is where a layer's path leads from the storage's directory.
func resolve(fsys vfs.FS, dir, p string) string {
	switch {
	case fsys != nil:
		return path.Join(dir, filepath.ToSlash(p))
	case filepath.IsAbs(p):
		return filepath.Clean(p)
	}
	return filepath.Join(dir, p)
}

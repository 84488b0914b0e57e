package simdisk

import (
	"compress/gzip"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// The saved form of a history. It is for replaying a failure on the version
// that met it, not for keeping. It has no maps, so that equal histories have
// equal bytes.

type savedDisk struct {
	Nodes []savedNode // directories, then files, each in order
	Ops   []savedOp
}

// savedNode is a file, or a directory with its names in order.
type savedNode struct {
	ID    int
	Dir   bool
	Names []savedName
	Bytes []byte
}

type savedName struct {
	Name string
	ID   int
}

type savedOp struct {
	Kind   uint8
	Path   string
	ID     int
	Sets   []savedSet
	Failed bool
	Lost   bool
	Bytes  []byte // of a write
	Off    int64
	Size   int64
}

type savedSet struct {
	Dir  int
	Name string
	ID   int
}

// Save writes what the disk held at first and its first n operations, from
// which Load makes the same points and images.
func (d *Disk) Save(w io.Writer, n int) error {
	d.mu.Lock()
	ops := d.history[:n]
	d.mu.Unlock()
	var out savedDisk
	for _, id := range slices.Sorted(maps.Keys(d.base.names.dirs)) {
		names := d.base.names.dirs[id]
		n := savedNode{ID: id, Dir: true}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			n.Names = append(n.Names, savedName{name, names[name]})
		}
		out.Nodes = append(out.Nodes, n)
	}
	for i, id := range d.base.names.files {
		out.Nodes = append(out.Nodes, savedNode{ID: id, Bytes: d.base.files[i].bytes()})
	}
	for _, r := range ops {
		s := savedOp{Kind: uint8(r.kind), Path: r.path, ID: r.id, Failed: r.failed, Lost: r.lost, Off: r.off, Size: r.size}
		for _, set := range r.sets {
			s.Sets = append(s.Sets, savedSet{set.dir, set.name, set.id})
		}
		if r.kind == opWrite {
			s.Bytes = r.bytes()
		}
		out.Ops = append(out.Ops, s)
	}
	z := gzip.NewWriter(w)
	if err := errors.Join(gob.NewEncoder(z).Encode(out), z.Close()); err != nil {
		return fmt.Errorf("save history: %w", err)
	}
	return nil
}

// bytes are those that a write wrote.
func (r *record) bytes() []byte {
	b := make([]byte, 0, len(r.sectors)*SectorSize)
	for _, s := range r.sectors {
		b = append(b, s.b[:]...)
	}
	in := r.off % SectorSize
	return b[in : in+int64(r.n)]
}

// Load reads what Save wrote. The input is trusted to be that.
func Load(r io.Reader) (*Disk, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, fmt.Errorf("load history: %w", err)
	}
	var in savedDisk
	if err := gob.NewDecoder(z).Decode(&in); err != nil {
		return nil, fmt.Errorf("load history: %w", err)
	}
	d := load(in.Nodes).Disk(nil)
	for _, s := range in.Ops {
		d.do(s.record(d.live))
	}
	return d, nil
}

func load(nodes []savedNode) *Image {
	dirs := map[int]map[string]int{}
	m := &Image{}
	for _, n := range nodes {
		if !n.Dir {
			c := content{}
			c.overwrite(n.Bytes, 0)
			m.files = append(m.files, freeze(c))
			continue
		}
		names := map[string]int{}
		for _, name := range n.Names {
			names[name.Name] = name.ID
		}
		dirs[n.ID] = names
	}
	m.names = reach(dirs)
	return m
}

func (s *savedOp) record(t *tree) *record {
	r := &record{kind: kind(s.Kind), path: s.Path, id: s.ID, failed: s.Failed, lost: s.Lost, off: s.Off, size: s.Size, n: len(s.Bytes)}
	for _, in := range s.Sets {
		r.sets = append(r.sets, set{dir: in.Dir, name: in.Name, id: in.ID})
	}
	switch r.kind {
	case opWrite:
		r.before = t.nodes[r.id].data.size
		r.first, r.sectors = t.nodes[r.id].data.written(s.Bytes, s.Off)
	case opTruncate:
		r.first, r.sectors = t.nodes[r.id].data.shortened(s.Size)
	}
	return r
}

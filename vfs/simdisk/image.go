package simdisk

import "slices"

// Image is what a disk holds when a system starts: all of it durable. It never
// changes, and all methods may be called by several goroutines.
type Image struct {
	names *names
	files []*frozen // the bytes of names.files
}

func newImage() *Image {
	return &Image{names: reach(map[int]map[string]int{rootID: {}})}
}

// file returns the bytes of a file, nil if the node is none.
func (m *Image) file(id int) *frozen {
	if i, ok := slices.BinarySearch(m.names.files, id); ok {
		return m.files[i]
	}
	return nil
}

// Digest tells images apart: it covers names, sizes and bytes. That two files
// are one with two names it does not.
func (m *Image) Digest() uint64 {
	sum := uint64(0)
	for _, p := range m.names.places {
		what := uint64(0)
		if p.file >= 0 {
			what = m.files[p.file].digest()
		}
		sum += mix(mix(what+1) ^ p.path)
	}
	return mix(sum)
}

// Disk starts a system on the image, with a history that is empty.
func (m *Image) Disk(o *Options) *Disk {
	d := &Disk{base: m, live: newTree(len(m.names.places) + 1)}
	if o != nil {
		d.o = *o
	}
	nodes := make([]node, len(m.names.places))
	for i, p := range m.names.places {
		if d.live.nodes[p.id] != nil {
			continue
		}
		n := &nodes[i]
		n.id = p.id
		if p.file >= 0 {
			n.data = m.files[p.file].content
		} else {
			n.entries = make(map[string]*node, len(m.names.dirs[p.id]))
		}
		n.given = n.usage()
		d.live.add(n)
	}
	for dir, names := range m.names.dirs {
		for name, id := range names {
			d.live.set(set{dir: dir, name: name, id: id})
		}
	}
	return d
}

package simdisk

import "slices"

// names are the directories of an image. They never change; images that have
// the same ones share them.
type names struct {
	dirs   map[int]map[string]int // of what can be reached from the root
	files  []int                  // that can be reached, in order
	places []place                // all that can be reached
}

// place is a file or directory at a path. A file with two names has two.
type place struct {
	path uint64 // digest of it
	id   int
	file int // index in names.files, -1 for a directory
}

// reach returns what can be reached from the root. A directory is in no more
// than one other, so there are no circles.
func reach(dirs map[int]map[string]int) *names {
	n := &names{dirs: make(map[int]map[string]int, len(dirs))}
	n.walk(dirs, rootID, 1)
	for _, p := range n.places {
		if p.file == 0 {
			n.files = append(n.files, p.id)
		}
	}
	slices.Sort(n.files)
	n.files = slices.Compact(n.files)
	for i, p := range n.places {
		if p.file == 0 {
			n.places[i].file, _ = slices.BinarySearch(n.files, p.id)
		}
	}
	return n
}

func (n *names) walk(dirs map[int]map[string]int, dir int, path uint64) {
	n.dirs[dir] = dirs[dir]
	for name, id := range dirs[dir] {
		p := place{path: join(path, name), id: id}
		if dirs[id] != nil {
			p.file = -1
			n.walk(dirs, id, p.path)
		}
		n.places = append(n.places, p)
	}
}

// join is the digest of a path that is longer by a name.
func join(path uint64, name string) uint64 {
	for i := range len(name) {
		path = (path ^ uint64(name[i])) * 0x100000001b3
	}
	return mix(path)
}

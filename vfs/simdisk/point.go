package simdisk

import (
	"maps"
	"slices"
)

// Point is a moment in a disk's history: after n operations, before the next.
// It belongs to one goroutine.
type Point struct {
	d       *Disk
	history []*record
	n       int
	files   []fileState            // by id, those that a name leads to, or may lead to
	dirs    map[int]map[string]int // durable names; images share them, so they are replaced, not changed
	lost    map[int]int            // the last sync of a directory that failed and lost names
	changes []change               // of names, loose, in the order in which they were made
	settled map[name]int           // the operation that a durable name is from, where older ones are loose
	made    map[string]*names      // by what became of the changes
	answers []byte                 // about the changes, while an image is made
}

// name is one in a directory.
type name struct {
	dir  int
	name string
}

// change is an operation on names that may or may not have happened. Its sets
// happen together.
type change struct {
	op   int
	sets []set
}

// Point returns the moment after the first n operations.
func (d *Disk) Point(n int) *Point {
	d.mu.Lock()
	history := slices.Clip(d.history)
	d.mu.Unlock()
	p := &Point{d: d, history: history, dirs: d.base.names.dirs, settled: map[name]int{}, lost: map[int]int{}}
	p.made = map[string]*names{"": d.base.names}
	p.files = make([]fileState, len(d.base.files))
	for i, c := range d.base.files {
		p.files[i] = fileState{id: d.base.names.files[i], stable: c}
	}
	for p.n < n && p.Next() {
	}
	return p
}

// Ops is how many operations lie before the point.
func (p *Point) Ops() int { return p.n }

// Next moves behind the next operation, and reports whether there was one.
func (p *Point) Next() bool {
	if p.n == len(p.history) {
		return false
	}
	p.apply(p.history[p.n])
	p.n++
	return true
}

// file returns the state of a file, nil if no name can ever lead to it.
func (p *Point) file(id int) *fileState {
	i, ok := slices.BinarySearchFunc(p.files, id, func(f fileState, id int) int { return f.id - id })
	if !ok {
		return nil
	}
	return &p.files[i]
}

func (p *Point) apply(r *record) {
	switch r.kind {
	case opCreate:
		p.files = append(p.files, fileState{id: r.id, stable: &frozen{content: content{shared: true}}})
	case opMkdir:
		p.dirs = maps.Clone(p.dirs)
		p.dirs[r.id] = map[string]int{}
	case opWrite, opTruncate:
		if f := p.file(r.id); f != nil {
			f.write(p.n, r)
		}
	case opSync:
		if f := p.file(r.id); f != nil {
			f.sync(p.n, r.failed)
		}
	case opSyncDir:
		p.syncDir(r)
	}
	if len(r.sets) > 0 {
		p.changes = append(p.changes, change{op: p.n, sets: r.sets})
		clear(p.made)
	}
}

// syncDir makes durable what was done to names in a directory since the last
// sync of it that lost them. A change that has another half elsewhere becomes
// durable whole.
func (p *Point) syncDir(r *record) {
	dir := r.id
	if r.lost {
		p.lost[dir] = p.n
	}
	if r.failed {
		return
	}
	table := table{dirs: maps.Clone(p.dirs), settled: p.settled}
	before := len(p.changes)
	p.changes = slices.DeleteFunc(p.changes, func(c change) bool {
		if c.op < p.lost[dir] || !slices.ContainsFunc(c.sets, func(s set) bool { return s.dir == dir }) {
			return false
		}
		for _, s := range c.sets {
			table.apply(s, c.op)
			p.settled[name{s.dir, s.name}] = max(c.op, p.settled[name{s.dir, s.name}])
		}
		return true
	})
	if len(p.changes) == before {
		return
	}
	p.dirs = table.dirs
	p.forget()
	clear(p.made)
}

// forget drops what can make no difference any more: changes that newer ones
// made durable overrule, and all below what no name can lead to.
func (p *Point) forget() {
	alive := map[int]bool{}
	p.visit(rootID, alive)
	p.changes = slices.DeleteFunc(p.changes, func(c change) bool {
		return !slices.ContainsFunc(c.sets, func(s set) bool {
			return alive[s.dir] && p.settled[name{s.dir, s.name}] <= c.op
		})
	})
	p.files = slices.DeleteFunc(p.files, func(f fileState) bool { return !alive[f.id] })
	maps.DeleteFunc(p.dirs, func(id int, _ map[string]int) bool { return !alive[id] })
	maps.DeleteFunc(p.settled, func(_ name, op int) bool { return len(p.changes) == 0 || op < p.changes[0].op })
}

func (p *Point) visit(id int, alive map[int]bool) {
	if alive[id] {
		return
	}
	alive[id] = true
	for _, id := range p.dirs[id] {
		p.visit(id, alive)
	}
	for _, c := range p.changes {
		for _, s := range c.sets {
			if s.dir == id && s.id != 0 {
				p.visit(s.id, alive)
			}
		}
	}
}

// table is directories while changes are applied to them, in their order.
type table struct {
	dirs    map[int]map[string]int
	settled map[name]int
	mine    map[int]bool // directories whose names are a copy already
}

func (t *table) apply(s set, op int) {
	if t.dirs[s.dir] == nil || t.settled[name{s.dir, s.name}] > op {
		return
	}
	if t.dirs[s.id] != nil && !t.leave(s.id, op) {
		return
	}
	t.put(s)
}

// leave takes a directory from where it was: it can only be in one other. It
// reports false if a newer operation than op put it there.
func (t *table) leave(id, op int) bool {
	for dir, names := range t.dirs {
		for at, is := range names {
			if is != id {
				continue
			}
			if t.settled[name{dir, at}] > op {
				return false
			}
			t.put(set{dir: dir, name: at})
			return true
		}
	}
	return true
}

func (t *table) put(s set) {
	if t.mine == nil {
		t.mine = map[int]bool{}
	}
	if !t.mine[s.dir] {
		t.mine[s.dir] = true
		t.dirs[s.dir] = maps.Clone(t.dirs[s.dir])
	}
	if s.id == 0 {
		delete(t.dirs[s.dir], s.name)
	} else {
		t.dirs[s.dir][s.name] = s.id
	}
}

// Loose lists, in order, the operations of which anything is not durable.
func (p *Point) Loose() []int {
	var ops []int
	for _, c := range p.changes {
		ops = append(ops, c.op)
	}
	for _, f := range p.files {
		for _, l := range f.loose {
			for _, v := range l.vs {
				ops = append(ops, v.op)
			}
		}
		for _, s := range f.sizes {
			ops = append(ops, s.op)
		}
	}
	slices.Sort(ops)
	return slices.Compact(ops)
}

// Kill is the disk after the process died and the system did not: a new
// process sees everything, and nothing more became durable. The history goes on
// from the first Ops operations.
func (p *Point) Kill(o *Options) *Disk {
	d := p.d.base.Disk(o)
	for _, r := range p.history[:p.n] {
		d.live.apply(r)
	}
	d.history = p.history[:p.n:p.n]
	return d
}

package simdisk

import "fmt"

type kind uint8

const (
	opCreate kind = iota
	opMkdir
	opLink
	opRename
	opRemove
	opWrite
	opTruncate
	opSync
	opSyncDir
)

var kindNames = [...]string{"create", "mkdir", "link", "rename", "remove", "write", "truncate", "sync", "syncdir"}

// set gives a name in a directory to a node, or to none.
type set struct {
	dir  int
	name string
	id   int // 0: the name is gone
}

// record is one operation that took place. Records never change.
type record struct {
	kind   kind
	path   string // for people
	id     int    // the file or directory that it concerns
	sets   []set  // what it does to names; the last one of a rename gives the new name
	failed bool   // a sync that returned an error
	lost   bool   // and what it should have made durable may never be

	// Of opWrite and opTruncate: the sectors as they are afterwards, the range
	// that was written, the size afterwards.
	first   int
	sectors []*sector
	off     int64
	n       int
	size    int64
	before  int64 // the size before
}

func (r *record) String() string {
	s := kindNames[r.kind] + " " + r.path
	switch {
	case r.kind == opWrite:
		s += fmt.Sprintf(" [%d, %d)", r.off, r.off+int64(r.n))
	case r.kind == opTruncate:
		s += fmt.Sprintf(" to %d", r.size)
	case r.failed:
		s += " failed"
	}
	return s
}

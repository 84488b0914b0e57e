package fault

import (
	"fmt"
	"strconv"
	"strings"
)

// Class says what damage means for what was acknowledged.
type Class uint8

const (
	// Torn: the end of the last unsynced write is missing. Nothing that was
	// acknowledged is affected.
	Torn Class = iota + 1
	// Uncommitted: damage to bytes that were written but never known durable.
	Uncommitted
	// Committed: damage to bytes that had been synced, and so acknowledged.
	Committed
	// Missing: a file or range that must exist does not.
	Missing
	// Foreign: intact bytes that belong to another log, store or position.
	Foreign
)

var classNames = [...]string{"unknown", "torn", "uncommitted", "committed", "missing", "foreign"}

func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return "class(" + strconv.Itoa(int(c)) + ")"
}

// Corruption is damage: where it is, what it touches and why we think so. It
// matches [ErrCorrupt], and Err when that is set. It never carries payload.
type Corruption struct {
	Path   string // file or object; empty when there is none
	Offset int64  // in Path; -1 when unknown
	Index  uint64 // first log index affected; 0 when unknown or not a log
	Class  Class
	Reason string // what was expected and what was found
	Err    error  // the cause, may be nil
}

// Error puts the place first: "00000000000000000001.seg at 4096: committed
// damage, index 7: checksum mismatch".
func (c *Corruption) Error() string {
	var b strings.Builder
	if c.Path != "" {
		b.WriteString(c.Path)
		if c.Offset >= 0 {
			fmt.Fprintf(&b, " at %d", c.Offset)
		}
		b.WriteString(": ")
	}
	fmt.Fprintf(&b, "%s damage", c.Class)
	if c.Index != 0 {
		fmt.Fprintf(&b, ", index %d", c.Index)
	}
	if c.Reason != "" {
		b.WriteString(": " + c.Reason)
	}
	if c.Err != nil {
		b.WriteString(": " + c.Err.Error())
	}
	return b.String()
}

// Unwrap returns ErrCorrupt and the cause.
func (c *Corruption) Unwrap() []error {
	if c.Err == nil {
		return []error{ErrCorrupt}
	}
	return []error{ErrCorrupt, c.Err}
}

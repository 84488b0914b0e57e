package crashtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

// Fault is a call of the disk that fails: the Call-th, counted from 1, of those
// that can, in one of the ways that its kind knows. The zero Fault is none.
type Fault struct {
	Call    int
	How     string // "eio", "enospc", "short"
	Forever bool   // all later calls fail too; short: all later writes
}

func (f Fault) String() string {
	switch {
	case f.Call == 0:
		return "none"
	case f.Forever:
		return fmt.Sprintf("%d:%s:forever", f.Call, f.How)
	}
	return fmt.Sprintf("%d:%s:once", f.Call, f.How)
}

func parseFault(s string) (f Fault, err error) {
	if s == "none" {
		return f, nil
	}
	parts := strings.Split(s, ":")
	if len(parts) != 3 || parts[2] != "once" && parts[2] != "forever" {
		return f, fmt.Errorf("fault %q: want none or CALL:HOW:once|forever", s)
	}
	if f.Call, err = strconv.Atoi(parts[0]); err != nil || f.Call < 1 {
		return f, fmt.Errorf("fault %q: want the number of a call from 1 on", s)
	}
	if !slices.Contains(canFail["write"], parts[1]) {
		return f, fmt.Errorf("fault %q: want one of %s", s, strings.Join(canFail["write"], ", "))
	}
	f.How, f.Forever = parts[1], parts[2] == "forever"
	return f, nil
}

// canFail lists the ways in which a kind of call fails.
var canFail = map[string][]string{
	"create":   {"eio", "enospc"},
	"mkdir":    {"eio", "enospc"},
	"rename":   {"eio", "enospc"},
	"link":     {"eio", "enospc"},
	"remove":   {"eio"},
	"write":    {"eio", "enospc", "short"},
	"truncate": {"eio", "enospc"},
	"sync":     {"eio", "enospc"},
	"syncdata": {"eio", "enospc"},
	"syncdir":  {"eio"},
}

// counter notes the kinds of the calls that can fail.
type counter struct {
	mu    sync.Mutex
	kinds []string
}

func (c *counter) hook(op vfs.Op) error {
	if canFail[op.Kind] == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kinds = append(c.kinds, op.Kind)
	return nil
}

// faults is every way in which one of these calls can fail.
func (c *counter) faults() []Fault {
	var all []Fault
	for i, kind := range c.kinds {
		for _, how := range canFail[kind] {
			all = append(all, Fault{Call: i + 1, How: how}, Fault{Call: i + 1, How: how, Forever: true})
		}
	}
	return all
}

// hook makes the call fail.
func (f Fault) hook() func(vfs.Op) error {
	var calls atomic.Int64
	return func(op vfs.Op) error {
		if canFail[op.Kind] == nil {
			return nil
		}
		n := int(calls.Add(1))
		if n < f.Call || n > f.Call && !f.Forever {
			return nil
		}
		switch f.How {
		case "enospc":
			if op.Kind == "remove" || op.Kind == "syncdir" {
				return nil
			}
			return syscall.ENOSPC
		case "short":
			if op.Kind != "write" {
				return nil
			}
			return &simdisk.ShortWrite{N: op.Len / 2, Err: syscall.ENOSPC}
		}
		return syscall.EIO
	}
}

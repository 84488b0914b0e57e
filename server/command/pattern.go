package command

import (
	"bytes"

	"github.com/trimarandb/trimaran/kv"
)

// Pattern is a glob pattern as Redis knows it: ? is any byte, * any bytes,
// [a-z] and [^a-z] a class, and \ takes the meaning away from what follows.
type Pattern struct {
	p       []byte
	literal []byte // every match begins with it
}

// Compile prepares a pattern. There are no bad ones: an open class ends with
// the pattern, as in Redis. The pattern is lent.
func Compile(p []byte) Pattern {
	n := bytes.IndexAny(p, `*?[\`)
	if n < 0 {
		n = len(p)
	}
	return Pattern{p: p, literal: p[:n]}
}

// Range is a range of keys outside of which nothing matches.
func (p Pattern) Range() kv.Range { return kv.Prefix(p.literal) }

// Match reports whether the whole of s matches. It takes time in proportion to
// the length of s times that of the pattern, whatever they are.
func (p Pattern) Match(s []byte) bool {
	glob, star, retry := p.p, []byte(nil), []byte(nil)
	for {
		switch {
		case len(glob) > 0 && glob[0] == '*':
			glob = glob[1:]
			star, retry = glob, s
			continue
		case len(glob) > 0 && len(s) > 0:
			if rest, ok := matchByte(glob, s[0]); ok {
				glob, s = rest, s[1:]
				continue
			}
		case len(glob) == 0 && len(s) == 0:
			return true
		}
		if star == nil || len(retry) == 0 {
			return false
		}
		retry = retry[1:] // the last star takes one byte more
		glob, s = star, retry
	}
}

// matchByte matches the first element of a pattern, which is not a star,
// against one byte, and returns what follows the element.
func matchByte(p []byte, c byte) (rest []byte, ok bool) {
	switch {
	case p[0] == '?':
		return p[1:], true
	case p[0] == '[':
		return matchClass(p[1:], c)
	case p[0] == '\\' && len(p) > 1:
		p = p[1:]
	}
	return p[1:], p[0] == c
}

// matchClass matches what follows the bracket.
func matchClass(p []byte, c byte) (rest []byte, ok bool) {
	not := len(p) > 0 && p[0] == '^'
	if not {
		p = p[1:]
	}
	in := false
	for len(p) > 0 && p[0] != ']' {
		switch {
		case p[0] == '\\' && len(p) > 1:
			in = in || p[1] == c
			p = p[2:]
		case len(p) > 2 && p[1] == '-':
			lo, hi := min(p[0], p[2]), max(p[0], p[2])
			in = in || lo <= c && c <= hi
			p = p[3:]
		default:
			in = in || p[0] == c
			p = p[1:]
		}
	}
	if len(p) > 0 {
		p = p[1:]
	}
	return p, in != not
}

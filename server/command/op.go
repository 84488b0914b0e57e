package command

import (
	"fmt"

	"github.com/trimarandb/trimaran/fault"
)

// Limits that hold on every replica, whatever its store allows. A store must
// allow at least this much; the defaults of package kv do.
const (
	MaxKey   = 64 << 10 // bytes of a key, which has at least one
	MaxValue = 64 << 20 // bytes of a value
	MaxMatch = 1 << 10  // bytes of a pattern, which bounds the time of a match
	MaxArgs  = 1 << 20  // arguments of all operations of one command
	MaxOps   = 1 << 20  // operations of one command
	MaxReply = 64 << 20 // bytes after which a command's operations give no more replies
)

// Code says what an operation does.
type Code uint8

// Frozen: part of format v1.
const (
	Set      Code = 1  // key, value: with NX, XX, Fetch, KeepTTL or Until
	GetDel   Code = 2  // key
	Del      Code = 3  // keys
	MSet     Code = 4  // key, value, key, value ...
	MSetNX   Code = 5  // as MSet, all or none
	IncrBy   Code = 6  // key; N is added
	Append   Code = 7  // key, value
	ExpireAt Code = 8  // key; N is the deadline: with NX, XX, GT or LT
	Persist  Code = 9  // key
	Flush    Code = 10 // removes every key

	Get    Code = 32 // key
	MGet   Code = 33 // keys
	Exists Code = 34 // keys
	Strlen Code = 35 // key
	TTL    Code = 36 // key, in seconds
	PTTL   Code = 37 // key, in milliseconds
	Type   Code = 38 // key
	DBSize Code = 39
	Keys   Code = 40 // pattern
)

// Flags refine an operation.
type Flags uint8

// Frozen: part of format v1.
const (
	NX      Flags = 1 << iota // only if the key, or its deadline, is not there
	XX                        // only if it is
	Fetch                     // reply with the old value
	KeepTTL                   // keep the deadline
	Until                     // N is the deadline
	GT                        // only if N is later than the deadline
	LT                        // only if N is earlier; no deadline counts as never
)

// Op is one operation of a command.
type Op struct {
	Code  Code
	Flags Flags
	N     int64
	Args  [][]byte
}

// Writes reports whether the operation may change data.
func (o *Op) Writes() bool { return o.Code < Get }

// shape says what the arguments of an operation are.
type shape uint8

const (
	none shape = iota
	oneKey
	manyKeys
	keyValue
	pairs
	pattern
)

// rule says which operations are well formed.
type rule struct {
	name  string
	shape shape
	flags Flags
}

var rules = [...]rule{
	Set:      {"set", keyValue, NX | XX | Fetch | KeepTTL | Until},
	GetDel:   {"getdel", oneKey, 0},
	Del:      {"del", manyKeys, 0},
	MSet:     {"mset", pairs, 0},
	MSetNX:   {"msetnx", pairs, 0},
	IncrBy:   {"incrby", oneKey, 0},
	Append:   {"append", keyValue, 0},
	ExpireAt: {"expireat", oneKey, NX | XX | GT | LT},
	Persist:  {"persist", oneKey, 0},
	Flush:    {"flush", none, 0},
	Get:      {"get", oneKey, 0},
	MGet:     {"mget", manyKeys, 0},
	Exists:   {"exists", manyKeys, 0},
	Strlen:   {"strlen", oneKey, 0},
	TTL:      {"ttl", oneKey, 0},
	PTTL:     {"pttl", oneKey, 0},
	Type:     {"type", oneKey, 0},
	DBSize:   {"dbsize", none, 0},
	Keys:     {"keys", pattern, 0},
}

// String is the name of the operation.
func (c Code) String() string {
	if int(c) < len(rules) && rules[c].name != "" {
		return rules[c].name
	}
	return fmt.Sprintf("code(%d)", uint8(c))
}

// Check reports what is wrong with an operation as fault.ErrInvalid. Encode
// refuses what it refuses, and Decode too.
func (o *Op) Check() error {
	if int(o.Code) >= len(rules) || rules[o.Code].name == "" {
		return fmt.Errorf("operation %v is unknown: %w", o.Code, fault.ErrInvalid)
	}
	r := rules[o.Code]
	if o.Flags&^r.flags != 0 || o.contradicts() {
		return fmt.Errorf("%v with flags %#x: %w", o.Code, uint8(o.Flags), fault.ErrInvalid)
	}
	if !o.numberFits() {
		return fmt.Errorf("%v with number %d: %w", o.Code, o.N, fault.ErrInvalid)
	}
	return r.checkArgs(o.Code, o.Args)
}

func (o *Op) contradicts() bool {
	both := func(a, b Flags) bool { return o.Flags&a != 0 && o.Flags&b != 0 }
	return both(NX, XX|GT|LT) || both(GT, LT) || both(KeepTTL, Until)
}

func (o *Op) numberFits() bool {
	switch {
	case o.Code == IncrBy:
		return true
	case o.Code == ExpireAt, o.Flags&Until != 0:
		return o.N > 0
	default:
		return o.N == 0
	}
}

func (r rule) checkArgs(c Code, args [][]byte) error {
	n, fits := len(args), false
	switch r.shape {
	case none:
		fits = n == 0
	case oneKey, pattern:
		fits = n == 1
	case keyValue:
		fits = n == 2
	case manyKeys:
		fits = n >= 1
	case pairs:
		fits = n >= 2 && n%2 == 0
	}
	if !fits {
		return fmt.Errorf("%v with %d arguments: %w", c, n, fault.ErrInvalid)
	}
	for i, arg := range args {
		value := i%2 == 1 && (r.shape == keyValue || r.shape == pairs)
		switch {
		case value && len(arg) > MaxValue:
			return fmt.Errorf("%v: value of %d bytes, at most %d: %w", c, len(arg), MaxValue, fault.ErrInvalid)
		case value:
		case r.shape == pattern:
			if len(arg) > MaxMatch {
				return fmt.Errorf("%v: pattern of %d bytes, at most %d: %w", c, len(arg), MaxMatch, fault.ErrInvalid)
			}
		case len(arg) > MaxKey, len(arg) == 0:
			return fmt.Errorf("%v: key of %d bytes, 1 to %d are allowed: %w", c, len(arg), MaxKey, fault.ErrInvalid)
		}
	}
	return nil
}

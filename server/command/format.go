package command

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/trimarandb/trimaran/fault"
)

const formatVersion = 1

// Command is one entry of the replicated log. Without operations it is a tick,
// which moves the clock only.
type Command struct {
	Clock   time.Time // of the proposer; the zero time moves nothing
	Watches []Watch   // keys that must be as they were, or nothing is done
	Ops     []Op
}

// Tick is a command that moves the clock to now and does nothing else.
func Tick(now time.Time) ([]byte, error) { return (&Command{Clock: now}).AppendTo(nil) }

// AppendTo appends the encoded command to b. It fails with fault.ErrInvalid if
// an operation is not well formed, a limit is exceeded, or the clock is not
// between 1970 and 2262.
func (c *Command) AppendTo(b []byte) ([]byte, error) {
	clock, err := nanos(c.Clock)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	b = append(b, formatVersion)
	b = binary.AppendUvarint(b, clock)
	b = binary.AppendUvarint(b, uint64(len(c.Watches)))
	for _, w := range c.Watches {
		b = append(appendString(b, w.Key), w.Was[:]...)
	}
	b = binary.AppendUvarint(b, uint64(len(c.Ops)))
	for i := range c.Ops {
		o := &c.Ops[i]
		b = append(b, byte(o.Code), byte(o.Flags))
		b = binary.AppendVarint(b, o.N)
		b = binary.AppendUvarint(b, uint64(len(o.Args)))
		for _, arg := range o.Args {
			b = appendString(b, arg)
		}
	}
	return b, nil
}

func (c *Command) check() error {
	args := len(c.Watches)
	for _, w := range c.Watches {
		if len(w.Key) == 0 || len(w.Key) > MaxKey {
			return fmt.Errorf("watch: key of %d bytes, 1 to %d are allowed: %w", len(w.Key), MaxKey, fault.ErrInvalid)
		}
	}
	for i := range c.Ops {
		if err := c.Ops[i].Check(); err != nil {
			return err
		}
		args += len(c.Ops[i].Args)
	}
	if args > MaxArgs || len(c.Ops) > MaxOps {
		return fmt.Errorf("%d arguments in %d operations, at most %d in %d: %w", args, len(c.Ops), MaxArgs, MaxOps, fault.ErrInvalid)
	}
	return nil
}

// Decode reads what AppendTo wrote; keys and values are lent from data. A
// newer version is fault.ErrUnsupported, anything else that AppendTo does not
// write is *fault.Corruption. It takes memory in proportion to data, and never
// more than MaxArgs and MaxOps ask for beside it.
func Decode(data []byte) (Command, error) {
	if len(data) > 0 && data[0] > formatVersion {
		return Command{}, fmt.Errorf("decode: command of version %d, at most %d is known: %w", data[0], formatVersion, fault.ErrUnsupported)
	}
	d := decoder{b: data}
	version := d.byte()
	clock := d.uvarint(math.MaxInt64)
	c := Command{Clock: instant(clock)}
	if n := d.count(MaxArgs, 2+len(Fingerprint{})); n > 0 {
		c.Watches = make([]Watch, n)
	}
	for i := range c.Watches {
		c.Watches[i].Key = d.string()
		copy(c.Watches[i].Was[:], d.take(uint64(len(Fingerprint{}))))
	}
	if n := d.count(MaxOps, minOp); n > 0 {
		c.Ops = make([]Op, n)
	}
	left := MaxArgs - len(c.Watches)
	for i := range c.Ops {
		c.Ops[i] = d.op(left)
		left -= len(c.Ops[i].Args)
	}
	if version != formatVersion || d.bad || len(d.b) > 0 {
		return Command{}, damaged(fmt.Sprintf("command of %d bytes does not parse: %d bytes are left", len(data), len(d.b)), nil)
	}
	if err := c.check(); err != nil {
		return Command{}, damaged("command breaks a rule", err)
	}
	return c, nil
}

func damaged(reason string, err error) error {
	return fmt.Errorf("decode: %w", &fault.Corruption{Offset: -1, Class: fault.Committed, Reason: reason, Err: err})
}

// minOp is the length of the shortest operation: code, flags, n, no arguments.
const minOp = 4

// decoder reads fields. After one that is not there, or not in its shortest
// form, it answers zeros and bad is set.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.b)) {
		d.bad = true
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) byte() byte {
	if b := d.take(1); b != nil {
		return b[0]
	}
	return 0
}

// uvarint reads a number up to limit.
func (d *decoder) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > limit || n > 1 && d.b[n-1] == 0 {
		d.bad = true
		return 0
	}
	d.take(uint64(n))
	return v
}

func (d *decoder) varint() int64 {
	u := d.uvarint(math.MaxUint64)
	return int64(u>>1) ^ -int64(u&1)
}

// count reads how many things of at least size bytes follow.
func (d *decoder) count(limit, size int) int {
	n := d.uvarint(uint64(limit))
	if d.bad || n > uint64(len(d.b)/size) {
		d.bad = true
		return 0
	}
	return int(n)
}

func (d *decoder) string() []byte { return d.take(d.uvarint(math.MaxInt32)) }

func (d *decoder) op(maxArgs int) Op {
	if d.bad {
		return Op{}
	}
	o := Op{Code: Code(d.byte()), Flags: Flags(d.byte()), N: d.varint()}
	if n := d.count(maxArgs, 1); n > 0 {
		o.Args = make([][]byte, n)
	}
	for i := range o.Args {
		o.Args[i] = d.string()
	}
	return o
}

func appendString(b, s []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// nanos is t in nanoseconds since 1970, 0 for the zero time.
func nanos(t time.Time) (uint64, error) {
	if t.IsZero() {
		return 0, nil
	}
	if s := t.Unix(); s < 0 || s >= math.MaxInt64/int64(time.Second) || t.UnixNano() <= 0 {
		return 0, fmt.Errorf("clock %v is not between 1970 and 2262: %w", t, fault.ErrInvalid)
	}
	return uint64(t.UnixNano()), nil
}

// instant is the inverse of nanos.
func instant(n uint64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n)).UTC()
}

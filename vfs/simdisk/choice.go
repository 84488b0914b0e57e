package simdisk

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Mode says how a Choice decides about what is loose.
type Mode uint8

const (
	// All: everything done survived, as if the system had been given time.
	All Mode = iota
	// None: only what was synced survived.
	None
	// Omit: all but operation Arg.
	Omit
	// Only: none but operation Arg.
	Only
	// Cut: all, but of the last write only the first Arg bytes.
	Cut
	// Nth: combination Arg of those that Combinations counts.
	Nth
	// Sizes: names and sizes survived, no bytes; with Arg 1 garbage is where
	// they should be.
	Sizes
	// Both: all, and of each loose rename both names.
	Both
	// Sample: everything decided at random, from the seed Arg; sectors torn and
	// garbage among it.
	Sample
	// Short: as Cut, and a file that the write made longer ends there.
	Short
)

var modeNames = [...]string{"all", "none", "omit", "only", "cut", "nth", "sizes", "both", "sample", "short"}

// Choice is one outcome of a crash at a point.
type Choice struct {
	Mode Mode
	Arg  uint64
}

// String is what ParseChoice reads.
func (c Choice) String() string {
	if int(c.Mode) >= len(modeNames) {
		return fmt.Sprintf("mode(%d):%d", c.Mode, c.Arg)
	}
	switch c.Mode {
	case All, None, Both:
		return modeNames[c.Mode]
	}
	return modeNames[c.Mode] + ":" + strconv.FormatUint(c.Arg, 10)
}

// ParseChoice reads what String writes.
func ParseChoice(s string) (Choice, error) {
	name, arg, _ := strings.Cut(s, ":")
	for m, want := range modeNames {
		if name != want {
			continue
		}
		c := Choice{Mode: Mode(m)}
		if arg == "" {
			return c, nil
		}
		var err error
		if c.Arg, err = strconv.ParseUint(arg, 10, 64); err != nil {
			return c, fmt.Errorf("choice %q: %w", s, err)
		}
		return c, nil
	}
	return Choice{}, fmt.Errorf("choice %q: want one of %s", s, strings.Join(modeNames[:], ", "))
}

// decider answers for each loose thing in turn, always asked in the same order:
// names as they changed, then file by file its size and its sectors.
type decider interface {
	// name: 0 it did not happen, 1 it did, 2 of a rename both names are there.
	name(c change) int
	// size: which of the versions, 0 for the durable one, and an upper limit.
	size(vs []sizeVersion) (int, int64)
	// sector: which of the versions, 0 for the durable one, and what happened
	// to it on the way.
	sector(vs []version) (int, fate)
}

// fate is what happened to a sector on its way to the disk.
type fate struct {
	torn    int    // if > 0, only so many bytes arrived
	garbage uint64 // if > 0, noise from this seed is where bytes were changed, or missing
}

var sound fate

const unlimited = math.MaxInt64

// latest returns the newest version, other than that of operation but; 0 is
// the durable one.
func latest[V any](vs []V, op func(V) int, but int) int {
	for i := len(vs); i > 0; i-- {
		if op(vs[i-1]) != but {
			return i
		}
	}
	return 0
}

func exactly[V any](vs []V, op func(V) int, want int) int {
	for i := len(vs); i > 0; i-- {
		if op(vs[i-1]) == want {
			return i
		}
	}
	return 0
}

func sizeOp(v sizeVersion) int { return v.op }
func sectorOp(v version) int   { return v.op }

// without keeps the newest of all, except for operation op.
type without struct {
	op   int
	both bool
}

func (w without) name(c change) int {
	switch {
	case c.op == w.op:
		return 0
	case w.both:
		return 2
	}
	return 1
}
func (w without) size(vs []sizeVersion) (int, int64) {
	return latest(vs, sizeOp, w.op), unlimited
}
func (w without) sector(vs []version) (int, fate) { return latest(vs, sectorOp, w.op), sound }

// only keeps what operation op did.
type only struct{ op int }

func (o only) name(c change) int {
	if c.op == o.op {
		return 1
	}
	return 0
}
func (o only) size(vs []sizeVersion) (int, int64) {
	return exactly(vs, sizeOp, o.op), unlimited
}
func (o only) sector(vs []version) (int, fate) { return exactly(vs, sectorOp, o.op), sound }

// hollow keeps names and sizes.
type hollow struct {
	without
	noise bool
}

func (h hollow) sector([]version) (int, fate) {
	if h.noise {
		return 0, fate{garbage: 1}
	}
	return 0, sound
}

// nth counts through all combinations.
type nth struct{ rest uint64 }

func (n *nth) pick(of int) int {
	i := n.rest % uint64(of)
	n.rest /= uint64(of)
	return int(i)
}
func (n *nth) name(change) int                    { return n.pick(2) }
func (n *nth) size(vs []sizeVersion) (int, int64) { return n.pick(len(vs) + 1), unlimited }
func (n *nth) sector(vs []version) (int, fate)    { return n.pick(len(vs) + 1), sound }

// sample leans one way or the other, so that many items do not always end up
// half and half.
type sample struct {
	rng         *rand.Rand
	keep        float64
	torn, noise bool
}

func newSample(seed uint64) *sample {
	s := &sample{rng: rand.New(rand.NewPCG(seed, 0x5eed))}
	s.keep = []float64{0.05, 0.3, 0.5, 0.7, 0.95}[s.rng.IntN(5)]
	s.torn, s.noise = s.rng.IntN(2) == 0, s.rng.IntN(4) == 0
	return s
}

func (s *sample) version(n int) int {
	if n == 0 || s.rng.Float64() < s.keep {
		return n
	}
	return s.rng.IntN(n)
}
func (s *sample) name(change) int                    { return s.version(1) }
func (s *sample) size(vs []sizeVersion) (int, int64) { return s.version(len(vs)), unlimited }

func (s *sample) sector(vs []version) (int, fate) {
	v, f := s.version(len(vs)), sound
	if s.torn && s.rng.IntN(3) == 0 {
		f.torn = 1 + s.rng.IntN(SectorSize-1)
	}
	if s.noise && s.rng.IntN(3) == 0 {
		f.garbage = s.rng.Uint64() | 1
	}
	return v, f
}

package snaptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/trimarandb/trimaran/snapshot"
)

// The states of a crash script are sets, a bit for each member: a snapshot has
// the bit of its label, and the identity that is stored has the lowest of the
// bits above, as many as its epoch says.
const (
	labels    = 24 // even ones are written here, odd ones come from elsewhere
	extension = labels
	epochs    = 4
	epochBits = (1<<epochs - 1) << labels
)

func bitsOf(epoch uint64) int { return (1<<epoch - 1) << labels }

// label is a snapshot that a script may publish, once. What it holds depends
// on the seed of the script and its number alone.
type label struct {
	info    snapshot.Info
	content []byte
	codec   snapshot.Codec

	once   sync.Once // fills what follows
	remote *remote
	err    error
}

// remote is the snapshot as another node has it.
type remote struct {
	manifest  snapshot.Manifest
	chunks    [][]byte
	container []byte
}

// newLabel makes a snapshot of one sector or of a few chunks, which shares most
// of them with other such.
func newLabel(seed uint64, n int, p profile) *label {
	rng := rand.New(rand.NewPCG(seed, uint64(n)))
	codecs := p.codecs
	if codecs == nil {
		codecs = []snapshot.Codec{snapshot.CodecNone, snapshot.CodecLZ4}
	}
	l := &label{codec: codecs[n/2%len(codecs)]}
	if rng.IntN(4) == 0 || p.large && n%2 == 1 {
		l.content = slices.Insert(payload(rand.New(rand.NewPCG(seed, 1<<32)), 9000), rng.IntN(9000), payload(rng, 300)...)
	} else {
		l.content = payload(rng, 20+rng.IntN(900))
	}
	state := n
	if p.twins {
		state = n / 2 // one that is installed is of the same state as one that is written
	}
	index := 10 * uint64(state+1)
	l.info = snapshot.Info{
		Index: index, Term: 1 + index/70, Membership: []byte("members " + strconv.Itoa(n)),
		MembershipIndex: index / 2, Clock: time.Unix(int64(index), 5).UTC(),
	}
	if n == extension {
		l.info.Index, l.info.Term, l.codec = 1<<40, 1<<30, snapshot.CodecNone
	}
	return l
}

// labelOf reads the number from what newLabel wrote.
func labelOf(m snapshot.Meta) (int, error) {
	s, ok := bytes.CutPrefix(m.Membership, []byte("members "))
	n, err := strconv.Atoi(string(s))
	if !ok || err != nil || n < 0 || n > extension {
		return 0, fmt.Errorf("snapshot %v of nobody: membership %.40q", m.ID, m.Membership)
	}
	return n, nil
}

// elsewhere returns the snapshot as another node has it.
func (l *label) elsewhere() (*remote, error) {
	l.once.Do(func() { l.remote, l.err = l.make() })
	return l.remote, l.err
}

func (l *label) make() (_ *remote, err error) {
	ctx := context.Background()
	s, err := snapshot.New(newPlain(), &snapshot.Options{
		ChunkSize: chunkSize, Now: atCrashEpoch, Rand: random8{rand.New(rand.NewPCG(l.info.Index, uint64(l.codec)))},
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	m, err := commit(ctx, s, l.info, l.content, &snapshot.CreateOptions{Codec: l.codec})
	if err != nil {
		return nil, err
	}
	r := &remote{}
	if r.manifest, err = s.Manifest(ctx, m.ID); err != nil {
		return nil, err
	}
	for n := range r.manifest.Chunks {
		c, err := s.Chunk(ctx, m.ID, n)
		if err != nil {
			return nil, err
		}
		b, err := io.ReadAll(c)
		if err != nil {
			return nil, err
		}
		r.chunks = append(r.chunks, b)
	}
	w, err := s.Stream(ctx, m.ID)
	if err != nil {
		return nil, err
	}
	r.container, err = io.ReadAll(w)
	return r, errors.Join(err, w.Close())
}

// matches compares what a store tells of the snapshot.
func (l *label) matches(m snapshot.Meta) error {
	i := m.Info
	same := i.Index == l.info.Index && i.Term == l.info.Term && bytes.Equal(i.Membership, l.info.Membership) &&
		i.MembershipIndex == l.info.MembershipIndex && i.Clock.Equal(l.info.Clock)
	if !same || m.Size != int64(len(l.content)) || m.Entries != uint64(len(l.content)) {
		return fmt.Errorf("snapshot %v is %+v, want %+v with %d bytes", m.ID, m, l.info, len(l.content))
	}
	return nil
}

// crashEpoch is when everything begins.
var crashEpoch = time.Unix(1_700_000_000, 0).UTC()

func atCrashEpoch() time.Time { return crashEpoch }

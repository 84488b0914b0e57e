package snapshot_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

// frugal fails if f allocates more than 128 MiB in all.
func frugal(t testing.TB, what string, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 128<<20 {
		t.Errorf("%s: %d MiB were allocated, want at most 128", what, n>>20)
	}
}

// pieces are the parts of a container: header, each chunk, and the rest.
func pieces(whole []byte, man snapshot.Manifest) (head []byte, chunks [][]byte, tail []byte) {
	at := man.Chunks[0].Offset
	head = whole[:at]
	for _, c := range man.Chunks {
		end := c.Offset + 24 + int64(c.StoredSize)
		chunks, at = append(chunks, whole[c.Offset:end]), end
	}
	return head, chunks, whole[at:]
}

// TestHostileStreams puts whole chunks where they do not belong, within one
// container and between two, and takes what comes out by every way.
func TestHostileStreams(t *testing.T) {
	b := newKept()
	s := open(t, b, nil)
	content := noise(1, 40_000)
	m1, m2 := commit(t, s, 7, content, nil), commit(t, s, 7, slices.Concat(content[:20_000], noise(2, 20_000)), nil)
	man := manifest(t, s, m1.ID)
	whole, other := b.get(t, object(m1.ID)), b.get(t, object(m2.ID))
	head, chunks, tail := pieces(whole, man)
	ohead, ochunks, otail := pieces(other, manifest(t, s, m2.ID))
	join := func(head []byte, chunks [][]byte, tail []byte) []byte {
		return slices.Concat(head, slices.Concat(chunks...), tail)
	}
	last := len(chunks) - 1
	with := func(n int, c []byte) [][]byte { l := slices.Clone(chunks); l[n] = c; return l }
	reversed := slices.Clone(chunks)
	slices.Reverse(reversed)
	exchanged := with(1, chunks[2])
	exchanged[2] = chunks[1]
	turns := slices.Clone(chunks)
	for n := 1; n < min(len(turns), len(ochunks)); n += 2 {
		turns[n] = ochunks[n]
	}
	for what, hostile := range map[string][]byte{
		"extended by a byte":               join(head, chunks, append(bytes.Clone(tail), 0)),
		"extended by another":              slices.Concat(whole, other),
		"chunks in reverse":                join(head, reversed, tail),
		"two chunks exchanged":             join(head, exchanged, tail),
		"a chunk twice":                    join(head, slices.Insert(slices.Clone(chunks), 1, chunks[1]), tail),
		"a chunk left out":                 join(head, slices.Delete(slices.Clone(chunks), 1, 2), tail),
		"the last chunk left out":          join(head, chunks[:last], tail),
		"a chunk of another with a twin":   join(head, with(1, ochunks[1]), tail),
		"the last chunk of another":        join(head, with(last, ochunks[len(ochunks)-1]), tail),
		"chunks of two in turn":            join(head, turns, tail),
		"the chunks of another":            join(head, ochunks, tail),
		"the header of another":            join(ohead, chunks, tail),
		"the table and trailer of another": join(head, chunks, otail),
		"cut, then another":                slices.Concat(whole[:len(whole)/2], other[len(other)/2:]),
	} {
		frugal(t, what, func() {
			b.put(t, object(m1.ID), hostile)
			if got, err := read(t.Context(), s, m1.ID); !errors.Is(err, fault.ErrCorrupt) || !bytes.HasPrefix(content, got) {
				t.Errorf("%s: reading = %d bytes, %v, want damage", what, len(got), err)
			}
			into := open(t, newKept(), nil)
			if _, err := into.Install(t.Context(), bytes.NewReader(hostile), nil); !errors.Is(err, fault.ErrCorrupt) {
				t.Errorf("%s: Install = %v, want damage", what, err)
			}
			receiveHostile(t, what, into, man, whole, hostile)
		})
	}
	b.put(t, object(m1.ID), whole)
}

// receiveHostile sends the chunks that hostile has where the manifest says: none
// but the right ones are taken.
func receiveHostile(t *testing.T, what string, into *snapshot.Store, man snapshot.Manifest, whole, hostile []byte) {
	t.Helper()
	r := receive(t, into, man)
	var missing []int
	for n, c := range man.Chunks {
		end := c.Offset + 24 + int64(c.StoredSize)
		sent := hostile[min(c.Offset, int64(len(hostile))):min(end, int64(len(hostile)))]
		err := r.Put(n, bytes.NewReader(sent))
		if right := bytes.Equal(sent, whole[c.Offset:end]); right != (err == nil) || !right && !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("%s: Put(%d) = %v, the chunk is right: %v", what, n, err, right)
		}
		if err != nil {
			missing = append(missing, n)
		}
	}
	if need := r.Need(); !slices.Equal(need, missing) {
		t.Errorf("%s: Need = %v, want %v", what, need, missing)
	}
	if _, err := r.Commit(); (err == nil) != (len(missing) == 0) {
		t.Errorf("%s: Commit = %v with %d chunks missing", what, err, len(missing))
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	want := 0
	if len(missing) == 0 {
		want = 1
	}
	if got := ids(t, into); len(got) != want {
		t.Errorf("%s: All = %v, want %d", what, got, want)
	}
}

// TestPutEveryBit sends a chunk with each bit flipped, cut at each byte and
// extended: none is taken, and the right one is afterwards.
func TestPutEveryBit(t *testing.T) {
	for _, codec := range codecs {
		src, m, man := peer(t, 7, bytes.Repeat([]byte("so much of the same "), 15), &snapshot.CreateOptions{Codec: codec})
		right := chunk(t, src, m.ID, 0)
		into := open(t, newKept(), nil)
		r := receive(t, into, man)
		frugal(t, codec.String(), func() {
			refuse := func(what string, sent []byte) {
				t.Helper()
				if err := r.Put(0, bytes.NewReader(sent)); !errors.Is(err, fault.ErrCorrupt) {
					t.Fatalf("%v, %s: Put = %v, want damage", codec, what, err)
				}
			}
			for bit := range len(right) * 8 {
				d := bytes.Clone(right)
				d[bit/8] ^= 1 << (bit % 8)
				refuse(fmt.Sprintf("bit %d of byte %d flipped", bit%8, bit/8), d)
			}
			for n := range right {
				refuse(fmt.Sprintf("cut at %d", n), right[:n])
			}
			refuse("extended", append(bytes.Clone(right), 0))
			refuse("doubled", append(bytes.Clone(right), right...))
		})
		put(t, r, src, m.ID, 0)
		if got, err := r.Commit(); err != nil || got.Digest != m.Digest {
			t.Errorf("%v: Commit = %v, %v, want digest %v", codec, got.Digest, err, m.Digest)
		}
	}
}

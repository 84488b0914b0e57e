package snapshot_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/internal/ident"
	"github.com/trimarandb/trimaran/snapshot"
)

// goldenContent has chunks that shrink and one that does not.
func goldenContent() []byte {
	return append(bytes.Repeat([]byte("trimaran keeps the state of a raft node; "), 400), noise(3, 5000)...)
}

func goldenInfo() snapshot.Info {
	return snapshot.Info{
		Index: 0x1122334455, Term: 7, Membership: []byte("a,b,c"), MembershipIndex: 0x99,
		Clock: time.Unix(1_600_000_000, 42).UTC(),
	}
}

// TestGolden writes containers with all that varies held still. Without a
// codec the bytes are frozen; what a codec makes of them may change with its
// library, so there the golden file is only read.
func TestGolden(t *testing.T) {
	for _, codec := range codecs {
		t.Run(codec.String(), func(t *testing.T) {
			file := "v1-" + codec.String() + ".snap"
			b := newKept()
			s := open(t, b, &snapshot.Options{Now: fixed, Rand: &counter{}})
			w, err := s.Create(t.Context(), goldenInfo(), &snapshot.CreateOptions{Codec: codec})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write(goldenContent()); err != nil {
				t.Fatal(err)
			}
			w.SetEntries(12)
			m, err := w.Commit()
			if err != nil {
				t.Fatal(err)
			}
			whole := b.get(t, object(m.ID))
			if codec == snapshot.CodecNone || *update {
				golden(t, file, whole)
				man, err := manifest(t, s, m.ID).MarshalBinary()
				if err != nil {
					t.Fatal(err)
				}
				if codec == snapshot.CodecNone {
					golden(t, "v1.manifest", man)
				}
			}
			readsGolden(t, file, m)
		})
	}
}

// readsGolden reads a golden file as a container, and compares what it says
// with a snapshot that was written just now.
func readsGolden(t *testing.T, file string, want snapshot.Meta) {
	t.Helper()
	whole, err := os.ReadFile(filepath.Join("testdata", "golden", file))
	if err != nil {
		t.Fatal(err)
	}
	b := newKept()
	b.put(t, object(want.ID), whole)
	s := open(t, b, nil)
	got, err := s.Stat(t.Context(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest != want.Digest || got.Size != want.Size || got.Entries != 12 || got.Index != want.Index || got.Term != 7 ||
		string(got.Membership) != "a,b,c" || got.MembershipIndex != 0x99 || !got.Clock.Equal(want.Clock) ||
		!got.Created.Equal(fixed()) || got.Codec != want.Codec || got.Level != want.Level {
		t.Errorf("%s says %+v, want %+v", file, got, want)
	}
	wantRead(t, s, want.ID, goldenContent())
	if !bytes.Equal(container(t, s, want.ID), whole) {
		t.Errorf("%s is streamed as other bytes", file)
	}
}

// TestGoldenSmallObjects pins the objects beside the containers and the names.
func TestGoldenSmallObjects(t *testing.T) {
	b := newKept()
	s := open(t, b, &snapshot.Options{Now: fixed, Rand: &counter{}})
	if err := s.SetIdentity(ident.Identity{Node: [16]byte{1, 2, 3}, Epoch: 4}); err != nil {
		t.Fatal(err)
	}
	one := commit(t, s, 10, []byte("one"), nil)
	commit(t, s, 20, []byte("two"), nil)
	wantRead(t, s, one.ID, []byte("one"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	golden(t, "v1.IDENTITY", b.get(t, "IDENTITY"))
	golden(t, "v1.ACCESS", b.get(t, "ACCESS"))
	want := []string{
		"0000000000000003-000000000000000a-1112131415161718.snap",
		"0000000000000003-0000000000000014-292a2b2c2d2e2f30.snap", "ACCESS", "IDENTITY",
	}
	got := b.names(t)
	if len(got) != 4 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] || got[3] != want[3] {
		t.Errorf("objects = %v, want %v", got, want)
	}
}

package s3bucket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/internal/race"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/s3bucket"
)

// killPoints are places in the upload of an object of three parts: requests 1
// and 2 are those of Open, 3 begins the upload, 4 to 6 are its parts, and 7
// puts them together.
var killPoints = map[string]point{
	"begin":                {request: 3},
	"answer to begin":      {request: 3, reply: true},
	"first part":           {request: 4, bytes: 1 << 20},
	"answer to first part": {request: 4, reply: true},
	"second part":          {request: 5, bytes: 3 << 20},
	"last part":            {request: 6, bytes: 100 << 10},
	"commit":               {request: 7, bytes: 300},
	"answer to commit":     {request: 7, reply: true},
}

// someKillPoints are their names; under the race detector a few of them.
func someKillPoints() (names []string) {
	all := slices.Sorted(maps.Keys(killPoints))
	for i := race.Either(0, 1); i < len(all); i += race.Either(1, 3) {
		names = append(names, all[i])
	}
	return names
}

const uploadSize = 12 << 20 // parts of 5, 5 and 2 MiB

// upload writes an object with one Write per 64 KiB.
func upload(ctx context.Context, b snapshot.Bucket, name string, content []byte) error {
	p, err := b.Create(ctx, name)
	if err != nil {
		return fmt.Errorf("Create: %w", err)
	}
	for piece := range slices.Chunk(content, 64<<10) {
		if _, err := p.Write(piece); err != nil {
			return errors.Join(fmt.Errorf("Write: %w", err), p.Abort())
		}
	}
	if err := p.Commit(ctx); err != nil {
		return errors.Join(fmt.Errorf("Commit: %w", err), p.Abort())
	}
	return nil
}

func download(ctx context.Context, b snapshot.Bucket, name string, off int64) ([]byte, error) {
	r, err := b.Open(ctx, name, off)
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(r)
	return content, errors.Join(err, r.Close())
}

// listed is what List yields, in its order.
func listed(t testing.TB, b snapshot.Bucket) (names []string, sizes []int64) {
	t.Helper()
	for o, err := range b.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		names, sizes = append(names, o.Name), append(sizes, o.Size)
	}
	return names, sizes
}

func noise(n int) []byte {
	content := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{7})
	_, _ = rng.Read(content)
	return content
}

// The server is killed and started again while an object is uploaded: the
// upload goes on where it was, and the object is whole.
func TestServerKilledAndRestarted(t *testing.T) {
	content := noise(uploadSize)
	for _, name := range someKillPoints() {
		at := killPoints[name]
		t.Run(name, func(t *testing.T) {
			g := startGateway(t)
			r := startRelay(t, g, at)
			o := options("a")
			var mu sync.Mutex // parts fail beside each other
			restarts := 0
			o.Sleep = func(ctx context.Context, _ time.Duration) error {
				mu.Lock()
				defer mu.Unlock()
				if r.dead() && restarts == 0 {
					restarts++
					g.restart()
				}
				return ctx.Err()
			}
			b, err := s3bucket.Open(t.Context(), r.endpoint(), bucketTag, o)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if err := upload(t.Context(), b, "object", content); err != nil {
				t.Fatalf("upload over a restart: %v", err)
			}
			if restarts != 1 {
				t.Fatalf("server was restarted %d times, want once: the point was not met", restarts)
			}
			got, err := download(t.Context(), b, "object", 0)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("object has %d bytes, %v, want the %d that were written", len(got), err, len(content))
			}
			names, sizes := listed(t, b)
			if !slices.Equal(names, []string{"object"}) || sizes[0] != uploadSize {
				t.Errorf("List = %v %v, want the object only", names, sizes)
			}
		})
	}
}

// The server is killed while an object is uploaded, and with it the node: no
// half object is ever listed, the upload works the next time, and what is left
// behind is removed when it is old enough, by its own node only.
func TestServerAndNodeKilled(t *testing.T) {
	content := noise(uploadSize)
	for _, name := range someKillPoints() {
		at := killPoints[name]
		t.Run(name, func(t *testing.T) {
			g := startGateway(t)
			r := startRelay(t, g, at)
			o := options("a")
			o.Attempts = 1
			b, err := s3bucket.Open(t.Context(), r.endpoint(), bucketTag, o)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if err := upload(t.Context(), b, "object", content); !errors.Is(err, s3bucket.ErrUnreachable) {
				t.Fatalf("upload to a server that was killed = %v, want ErrUnreachable", err)
			}
			g.restart()
			left := len(g.uploads())

			again := g.open(options("a"))
			names, sizes := listed(t, again)
			whole := slices.Equal(names, []string{"object"}) && sizes[0] == uploadSize
			if len(names) > 0 && (!whole || name != "answer to commit") {
				t.Errorf("List = %v %v after a crash, want nothing", names, sizes)
			}
			if err := upload(t.Context(), again, "object", content); err != nil {
				t.Errorf("upload after a crash: %v", err)
			}
			got, err := download(t.Context(), again, "object", 0)
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("object has %d bytes, %v, want the %d that were written", len(got), err, len(content))
			}

			later := time.Now().Add(25 * time.Hour)
			for _, prefix := range []string{"b", "a"} {
				if got := len(g.uploads()); got != left {
					t.Errorf("%d uploads before a node opened %s, want %d", got, prefix, left)
				}
				o := options(prefix)
				o.Now = func() time.Time { return later }
				g.open(o)
			}
			if keys := g.uploads(); len(keys) > 0 {
				t.Errorf("uploads to %v are left after 25 hours, want none", keys)
			}
			wantLeft := 1
			if name == "begin" || name == "answer to commit" {
				wantLeft = 0
			}
			if left != wantLeft {
				t.Errorf("the crash left %d uploads, want %d: the point was not met", left, wantLeft)
			}
		})
	}
}

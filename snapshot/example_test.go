package snapshot_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"

	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/membucket"
)

func ExampleStore() {
	ctx := context.Background()
	s, err := snapshot.New(membucket.New(nil), &snapshot.Options{
		Codec:     snapshot.CodecZstd,
		Retention: snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 2},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	for index := uint64(100); index <= 300; index += 100 {
		w, err := s.Create(ctx, snapshot.Info{Index: index, Term: 2, Membership: []byte("n1,n2,n3")}, nil)
		if err != nil {
			log.Fatal(err)
		}
		if _, err := fmt.Fprintf(w, "the state at %d", index); err != nil {
			log.Fatal(err)
		}
		if _, err := w.Commit(); err != nil {
			log.Fatal(err)
		}
	}

	latest, err := s.Latest(ctx)
	if err != nil {
		log.Fatal(err)
	}
	r, err := s.Open(ctx, latest.ID)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	state, err := io.ReadAll(r)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s, members %s\n", state, latest.Membership)
	for m, err := range s.All(ctx) {
		fmt.Println(m.Index, m.Size, m.Codec, err)
	}
	// Output:
	// the state at 300, members n1,n2,n3
	// 300 16 zstd <nil>
	// 200 16 zstd <nil>
}

// A follower takes a snapshot in pieces, from whoever has it.
func ExampleStore_Receive() {
	ctx := context.Background()
	leader, err := snapshot.New(membucket.New(nil), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer leader.Close()
	w, err := leader.Create(ctx, snapshot.Info{Index: 7, Term: 1, Membership: []byte("n1")}, nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := w.Write(bytes.Repeat([]byte("state "), 1000)); err != nil {
		log.Fatal(err)
	}
	sent, err := w.Commit()
	if err != nil {
		log.Fatal(err)
	}
	defer leader.Pin(sent.ID)()
	manifest, err := leader.Manifest(ctx, sent.ID)
	if err != nil {
		log.Fatal(err)
	}

	follower, err := snapshot.New(membucket.New(nil), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer follower.Close()
	recv, err := follower.Receive(ctx, manifest)
	if err != nil {
		log.Fatal(err)
	}
	defer recv.Close()
	for _, n := range recv.Need() {
		chunk, err := leader.Chunk(ctx, sent.ID, n)
		if err != nil {
			log.Fatal(err)
		}
		if err := recv.Put(n, chunk); err != nil {
			log.Fatal(err)
		}
	}
	got, err := recv.Commit()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(got.Index, got.Size, got.Digest == sent.Digest)
	// Output:
	// 7 6000 true
}

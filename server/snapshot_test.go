package server_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
	"github.com/trimarandb/trimaran/server"
	"github.com/trimarandb/trimaran/vfs"
)

// A snapshot alone gives the state that the node had, deadlines included, to
// the digest.
func TestSnapshotAloneGivesTheState(t *testing.T) {
	n := start(t, vfs.NewMem(), server.Options{})
	leads(t, n)
	for i := range 100 {
		_, err := propose(t.Context(), n, set(time.Now(), fmt.Sprint("k", i), fmt.Sprint("v", i), time.Duration(i%3)*time.Hour))
		check(t, err)
	}
	meta, err := n.Snapshot(t.Context())
	check(t, err)
	want, err := n.KV().Digest(t.Context(), kv.Range{})
	check(t, err)

	engine, err := memkv.New(nil)
	check(t, err)
	alone, err := kv.New(engine, nil)
	check(t, err)
	defer alone.Close()
	r, err := n.Storage().Snapshots().Open(t.Context(), meta.ID)
	check(t, err)
	defer r.Close()
	_, err = alone.Import(t.Context(), r, nil)
	check(t, err)
	got, err := alone.Digest(t.Context(), kv.Range{})
	check(t, err)
	if got.Root != want.Root || got.Rows != 100 {
		t.Errorf("from the snapshot alone: %v, the node has %v", got, want)
	}
}

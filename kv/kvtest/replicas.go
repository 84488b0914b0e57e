package kvtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// Replicas gives stores over several engines the same commands, to each in
// transactions of other sizes, under another sync policy, with sweeps, restarts
// and compactions of its own in between. Eight times on the way, and at the
// end, their exports have to be equal to the byte, and so their digests; then
// one of them goes on from what another has exported. The same seed makes the
// same calls. An engine that is [kv.Volatile] is not restarted.
func Replicas(ctx context.Context, seed uint64, commands int, places ...Place) error {
	draw := &crashDraw{rng: rand.New(rand.NewPCG(seed, 1)), keys: 700}
	log := make([]func(*kv.WriteTx) error, commands)
	for i := range log {
		log[i] = draw.change()
	}
	list := make([]*replica, len(places))
	for i, place := range places {
		list[i] = newReplica(ctx, place, seed, i)
	}
	const meetings = 8
	for n := 1; n <= meetings; n++ {
		for _, r := range list {
			r.applyTo(log, commands*n/meetings)
		}
		if err := meet(list, n); err != nil {
			return fmt.Errorf("seed %d, after %d of %d commands: %w", seed, commands*n/meetings, commands, err)
		}
	}
	for i, r := range list {
		if r.ok("Close", r.s.Close()); r.err != nil {
			return fmt.Errorf("seed %d, replica %d: %w", seed, i, r.err)
		}
	}
	return nil
}

// replica is a store that has applied the first commands of a log.
type replica struct {
	probe
	rnd     *rand.Rand
	batch   int // commands in one transaction, at most
	applied int
}

func newReplica(ctx context.Context, place Place, seed uint64, i int) *replica {
	policies := []kv.SyncPolicy{kv.SyncNever, kv.SyncBatch, kv.SyncAlways}
	o := indexOptions()
	o.Sync = policies[i%len(policies)]
	r := &replica{
		probe: probe{ctx: ctx, place: place, o: o},
		rnd:   rand.New(rand.NewPCG(seed, uint64(i)+2)),
		batch: []int{1, 60, 7}[i%3],
	}
	r.open()
	return r
}

func (r *replica) applyTo(log []func(*kv.WriteTx) error, end int) {
	for r.applied < end && r.err == nil {
		n := min(end-r.applied, 1+r.rnd.IntN(r.batch))
		r.update(func(t *kv.WriteTx) error {
			for i := r.applied; i < r.applied+n; i++ {
				if err := t.SetMark(kv.Mark{Index: uint64(i + 1), Term: 1 + uint64(i/50)}); err != nil {
					return err
				}
				if err := log[i](t); err != nil {
					return fmt.Errorf("command %d: %w", i, err)
				}
			}
			return nil
		})
		r.applied += n
		r.own()
	}
}

// own is what a replica does when it likes to.
func (r *replica) own() {
	switch r.rnd.IntN(40) {
	case 0, 1, 2, 3:
		_, err := r.s.Expire(r.ctx, 1+r.rnd.IntN(9))
		r.ok("Expire", err)
	case 4:
		r.ok("Sync", r.s.Sync())
	case 5:
		if err := r.s.Compact(r.ctx); !errors.Is(err, fault.ErrUnsupported) {
			r.ok("Compact", err)
		}
	case 6:
		if !r.volatile() {
			r.ok("Close", r.s.Close())
			r.open()
		}
	}
}

// meet compares the replicas, and lets one go on from the state of another.
func meet(list []*replica, n int) error {
	var first []byte
	var digest kv.Digest
	for i, r := range list {
		b, _ := r.export()
		d, err := r.s.Digest(r.ctx, kv.Range{})
		r.ok("Digest", err)
		if i == 0 {
			first, digest = b, d
		}
		if r.err == nil && (!bytes.Equal(b, first) || d.Root != digest.Root) {
			where, _ := digest.FirstDifference(d)
			r.failf("its export and digest %v differ from %v of replica 0, first between %q and %q", d, digest, where.Lo, where.Hi)
		}
		if r.err != nil {
			return fmt.Errorf("replica %d: %w", i, r.err)
		}
	}
	if r := list[n%len(list)]; r.canImport() {
		r.imports(first, nil)
	}
	return nil
}

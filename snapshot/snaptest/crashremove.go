package snaptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

type crashReader struct {
	n int
	r *snapshot.Reader
}

type crashPin struct {
	n       int
	release func()
}

// prune removes by a policy what its plan says.
func (p *crashPlayer) prune(by snapshot.Policy) error {
	ctx := context.Background()
	plan, err := p.site.Plan(ctx, by)
	if err != nil {
		return err
	}
	gone := 0
	for _, m := range plan {
		n, err := labelOf(m)
		if err != nil {
			return err
		}
		gone |= 1 << n
	}
	return p.change(0, gone, func() error {
		out, err := p.site.Prune(ctx, by)
		if err == nil && !slices.Equal(ids(out), ids(plan)) {
			err = fmt.Errorf("Prune = %v, want as planned %v", ids(out), ids(plan))
		}
		return err
	})
}

// byEach makes policies, under which some of the snapshots of a script go.
func byEach(s snapshot.Strategy) snapshot.Policy {
	return snapshot.Policy{Strategy: s, KeepCount: 2, MaxAge: 3 * time.Hour, MaxTotalSize: 6000}
}

// sorted lists the labels that can be seen, newest first.
func (p *crashPlayer) sorted() []int {
	var all []int
	for n := range p.ids {
		all = append(all, n)
	}
	slices.SortFunc(all, func(a, b int) int { return p.ids[b].Compare(p.ids[a]) })
	return all
}

// remove removes one that is not the newest, and has that refused.
func (p *crashPlayer) remove() error {
	all := p.sorted()
	if len(all) == 0 || p.recv != nil { // it may hold some
		return nil
	}
	if err := p.site.Remove(context.Background(), p.ids[all[0]], nil); !errors.Is(err, fault.ErrInvalid) {
		return fmt.Errorf("Remove of the newest = %w, want ErrInvalid", err)
	}
	if len(all) == 1 {
		return nil
	}
	return p.removeOne(all[1+p.rng.IntN(len(all)-1)], nil)
}

// force removes the newest.
func (p *crashPlayer) force() error {
	if all := p.sorted(); len(all) > 0 && p.recv == nil {
		return p.removeOne(all[0], &snapshot.RemoveOptions{Force: true})
	}
	return nil
}

func (p *crashPlayer) removeOne(n int, o *snapshot.RemoveOptions) error {
	held := slices.ContainsFunc(p.readers, func(r crashReader) bool { return r.n == n }) ||
		slices.ContainsFunc(p.pins, func(i crashPin) bool { return i.n == n })
	id, gone := p.ids[n], 1<<n
	if held {
		gone = 0
	}
	return p.change(0, gone, func() error {
		err := p.site.Remove(context.Background(), id, o)
		if err == nil && held {
			p.hidden |= 1 << n
		}
		return err
	})
}

// openReader reads the first byte of the oldest.
func (p *crashPlayer) openReader() error {
	all := p.sorted()
	if len(all) == 0 {
		return nil
	}
	n := all[len(all)-1]
	r, err := p.site.Open(context.Background(), p.ids[n])
	if err != nil {
		return err
	}
	p.readers = append(p.readers, crashReader{n, r})
	_, err = r.Read(make([]byte, 1))
	return err
}

// closeReader reads the rest of what was opened first.
func (p *crashPlayer) closeReader() error {
	if len(p.readers) == 0 {
		return nil
	}
	r := p.readers[0]
	got, err := io.ReadAll(r.r)
	if want := p.labels[r.n].content[1:]; err != nil || !bytes.Equal(got, want) {
		return fmt.Errorf("an open reader got %d bytes, %w, want %d", len(got), err, len(want))
	}
	p.readers = slices.Delete(p.readers, 0, 1)
	return p.unhold(r.n, r.r.Close)
}

func (p *crashPlayer) pin() error {
	if all := p.sorted(); len(all) > 0 {
		n := all[p.rng.IntN(len(all))]
		p.pins = append(p.pins, crashPin{n, p.site.Pin(p.ids[n])})
	}
	return nil
}

func (p *crashPlayer) release() error {
	if len(p.pins) == 0 {
		return nil
	}
	pin := p.pins[0]
	p.pins = slices.Delete(p.pins, 0, 1)
	return p.unhold(pin.n, func() error {
		pin.release()
		return nil
	})
}

// unhold ends a hold on n, which deletes it if that was the last one and it was
// removed.
func (p *crashPlayer) unhold(n int, call func() error) error {
	held := slices.ContainsFunc(p.readers, func(r crashReader) bool { return r.n == n }) ||
		slices.ContainsFunc(p.pins, func(i crashPin) bool { return i.n == n })
	if held || p.hidden&(1<<n) == 0 {
		return call()
	}
	return p.change(0, 1<<n, func() error {
		err := errors.Join(call(), p.logged())
		if err == nil {
			p.hidden &^= 1 << n
		}
		return err
	})
}

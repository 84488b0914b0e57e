package kvtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/trimarandb/trimaran/kv"
)

func raceCases() []Case {
	return []Case{
		storeCase("race/increment", "no increment is lost", raceIncrement),
		storeCase("race/cas", "of all who swap the same value one wins", raceSwap),
		storeCase("race/skew", "of two transactions that read what the other writes one sees the other's write", raceSkew),
		storeCase("race/transfer", "readers see transfers between rows whole", raceTransfer),
		storeCase("race/export", "captures taken while writers go on are whole", raceExport),
	}
}

// together runs fn in n goroutines and keeps the first error.
func (p *probe) together(n int, fn func(i int) error) {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = fn(i) })
	}
	wg.Wait()
	p.ok("goroutines", errors.Join(errs...))
}

const (
	racers = 8
	laps   = 25
)

func raceIncrement(p *probe) {
	p.together(racers, func(int) error {
		for range laps {
			if _, err := p.s.Increment(p.ctx, []byte("n"), 1); err != nil {
				return err
			}
		}
		return nil
	})
	n, err := p.s.Increment(p.ctx, []byte("n"), 0)
	p.ok("Increment", err)
	same(p, "sum", n, racers*laps)
}

func raceSwap(p *probe) {
	for lap := range laps {
		var mu sync.Mutex
		winners := 0
		expect := []byte(nil)
		if lap > 0 {
			expect = fmt.Appendf(nil, "lap %d", lap)
		}
		p.together(racers, func(int) error {
			swapped, err := p.s.CompareAndSwap(p.ctx, []byte("k"), expect, fmt.Appendf(nil, "lap %d", lap+1))
			mu.Lock()
			defer mu.Unlock()
			if swapped {
				winners++
			}
			return err
		})
		same(p, fmt.Sprintf("winners of lap %d", lap), winners, 1)
	}
}

// raceSkew has writers who leave as long as another one stays: under snapshot
// isolation alone all of them could.
func raceSkew(p *probe) {
	for lap := range laps {
		p.update(func(t *kv.WriteTx) error {
			return errors.Join(t.Put([]byte("on/0"), nil), t.Put([]byte("on/1"), nil))
		})
		p.together(2, func(i int) error {
			return p.s.Update(p.ctx, func(t *kv.WriteTx) error {
				n, err := t.Count(kv.Prefix([]byte("on/")))
				if err != nil || n < 2 {
					return err
				}
				return t.Delete(fmt.Appendf(nil, "on/%d", i))
			})
		})
		n, err := p.s.Count(p.ctx, kv.Prefix([]byte("on/")))
		p.ok("Count", err)
		same(p, fmt.Sprintf("rows left in lap %d", lap), n, 1)
	}
}

func raceTransfer(p *probe) {
	add := func(t *kv.WriteTx, key string, delta int64) error {
		_, err := t.Increment([]byte(key), delta)
		return err
	}
	p.together(racers, func(i int) error {
		for lap := range laps {
			if i%2 == 0 {
				if err := p.s.Update(p.ctx, func(t *kv.WriteTx) error {
					return errors.Join(add(t, fmt.Sprint("acct", i), 1), add(t, fmt.Sprint("acct", lap%3), -1))
				}); err != nil {
					return err
				}
				continue
			}
			sum := int64(0)
			for pair, err := range p.s.Scan(p.ctx, kv.Prefix([]byte("acct"))) {
				if err != nil {
					return err
				}
				sum += int64(binary.BigEndian.Uint64(pair.Value))
			}
			if sum != 0 {
				return fmt.Errorf("a reader saw half a transfer: the accounts hold %d", sum)
			}
		}
		return nil
	})
}

func raceExport(p *probe) {
	imports := p.canImport()
	p.together(4, func(i int) error {
		for lap := range laps {
			if i > 0 {
				if err := p.s.Update(p.ctx, func(t *kv.WriteTx) error {
					v := fmt.Appendf(nil, "%d/%d", i, lap)
					return errors.Join(t.Put([]byte("first"), v), t.Put(fmt.Appendf(nil, "m%d", lap), v), t.Put([]byte("zlast"), v))
				}); err != nil {
					return err
				}
				continue
			}
			var b bytes.Buffer
			sum, err := p.s.Export(p.ctx, &b)
			if err != nil {
				return err
			}
			if imports && lap%10 == 9 {
				got, err := p.s.Import(p.ctx, &b, nil)
				if err != nil || got.Digest != sum.Digest {
					return fmt.Errorf("import of an export = %v, %w, want digest %v", got.Digest, err, sum.Digest)
				}
			}
			if err := p.s.View(p.ctx, func(t *kv.ReadTx) error {
				pair, err := t.MultiGet([][]byte{[]byte("first"), []byte("zlast")})
				if err == nil && !bytes.Equal(pair[0], pair[1]) {
					err = fmt.Errorf("a snapshot saw %q and %q", pair[0], pair[1])
				}
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

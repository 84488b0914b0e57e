package snaptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/ident"
	"github.com/trimarandb/trimaran/snapshot"
)

// What follows are the steps of crash scripts. Each can be taken again after a
// call of the disk failed in it.

type crashStep = func(*crashPlayer) error

// crashWriter writes label n; the second half of it is missing.
type crashWriter struct {
	n int
	w *snapshot.Writer
}

// letGo gives up what is open.
func (p *crashPlayer) letGo() error {
	var errs error
	for _, w := range p.writers {
		errs = errors.Join(errs, w.w.Close())
	}
	p.writers = nil
	if p.recv != nil {
		errs = errors.Join(errs, p.recv.Close())
		p.recv = nil
	}
	for len(p.readers) > 0 {
		errs = errors.Join(errs, p.closeReader())
	}
	for len(p.pins) > 0 {
		errs = errors.Join(errs, p.release())
	}
	return errs
}

// openWriter writes the first half of one.
func (p *crashPlayer) openWriter() error {
	n, l, err := p.label(0)
	if err != nil {
		return err
	}
	w, err := p.site.Create(context.Background(), l.info, &snapshot.CreateOptions{Codec: l.codec})
	if err != nil {
		return err
	}
	p.writers = append(p.writers, crashWriter{n, w})
	_, err = w.Write(l.content[:len(l.content)/2])
	return err
}

// commitWriter finishes the one that was opened last.
func (p *crashPlayer) commitWriter() error {
	i := len(p.writers) - 1
	if i < 0 {
		return nil
	}
	w, l := p.writers[i], p.labels[p.writers[i].n]
	if _, err := w.w.Write(l.content[len(l.content)/2:]); err != nil {
		return err
	}
	w.w.SetEntries(uint64(len(l.content)))
	p.writers = p.writers[:i]
	return p.publish(w.n, func() error {
		_, err := w.w.Commit()
		return errors.Join(err, w.w.Close())
	})
}

func (p *crashPlayer) write() error {
	if err := p.openWriter(); err != nil {
		return err
	}
	return p.commitWriter()
}

// discardWriter gives up the one that was opened first.
func (p *crashPlayer) discardWriter() error {
	if len(p.writers) == 0 {
		return nil
	}
	w := p.writers[0]
	p.writers = slices.Delete(p.writers, 0, 1)
	return w.w.Close()
}

// overlap opens three, of which the last is published first and the first
// never.
func (p *crashPlayer) overlap() error {
	for range 3 {
		if err := p.openWriter(); err != nil {
			return err
		}
	}
	for range 2 {
		if err := p.commitWriter(); err != nil {
			return err
		}
	}
	return p.discardWriter()
}

// install takes in a whole container, after one that was cut.
func (p *crashPlayer) install() error {
	n, l, err := p.label(1)
	if err != nil {
		return err
	}
	far, err := l.elsewhere()
	if err != nil {
		return err
	}
	ctx := context.Background()
	_, err = p.site.Install(ctx, bytes.NewReader(far.container[:len(far.container)-1-p.rng.IntN(len(far.container)/2)]), nil)
	if !errors.Is(err, fault.ErrCorrupt) {
		if err == nil {
			err = errors.New("a container that was cut is installed")
		}
		return err
	}
	return p.publish(n, func() error {
		_, err := p.site.Install(ctx, bytes.NewReader(far.container), nil)
		return err
	})
}

// transfer begins one, or takes up the one that was broken off.
func (p *crashPlayer) transfer() (*remote, error) {
	if p.half == 0 {
		n, _, err := p.label(1)
		if err != nil {
			return nil, err
		}
		p.half, p.staged = n, nil
	}
	far, err := p.labels[p.half].elsewhere()
	if err != nil || p.recv != nil {
		return far, err
	}
	if p.recv, err = p.site.Receive(context.Background(), far.manifest); err != nil {
		return nil, err
	}
	for _, n := range p.recv.Need() {
		if slices.Contains(p.staged, n) {
			return nil, fmt.Errorf("chunk %d of %d was put and is needed again", n, len(far.chunks))
		}
	}
	return far, nil
}

// put gets one chunk, the last that is needed, so that transfers end as they
// do.
func (p *crashPlayer) put() error {
	far, err := p.transfer()
	if err != nil {
		return err
	}
	need := p.recv.Need()
	if len(need) == 0 {
		return nil
	}
	n := need[len(need)-1]
	if err := p.recv.Put(n, bytes.NewReader(far.chunks[n])); err != nil {
		return err
	}
	p.staged = append(p.staged, n)
	return nil
}

// breakOff stops receiving; what is staged stays.
func (p *crashPlayer) breakOff() error {
	if p.recv == nil {
		return nil
	}
	r := p.recv
	p.recv = nil
	return r.Close()
}

// forsake drops what was received.
func (p *crashPlayer) forsake() error {
	if p.half == 0 {
		return nil
	}
	if _, err := p.transfer(); err != nil {
		return err
	}
	r := p.recv
	p.recv, p.half = nil, 0
	return r.Abort()
}

// supersede leaves a transfer to the next one.
func (p *crashPlayer) supersede() error {
	err := p.breakOff()
	p.half = 0
	return err
}

// receive finishes a transfer.
func (p *crashPlayer) receive() error {
	far, err := p.transfer()
	if err != nil {
		return err
	}
	for _, n := range p.recv.Need() {
		if err := p.recv.Put(n, bytes.NewReader(far.chunks[n])); err != nil {
			return err
		}
	}
	if p.set&(1<<p.half) != 0 {
		p.half = 0 // an attempt that failed has published it
		return p.forsake()
	}
	return p.publish(p.half, func() error {
		_, err := p.recv.Commit()
		if err == nil {
			p.recv, p.half = nil, 0
		}
		return err
	})
}

// setIdentity raises the epoch.
func (p *crashPlayer) setIdentity() error {
	epoch := p.site.Identity().Epoch
	if epoch == epochs {
		return nil
	}
	return p.change(bitsOf(epoch+1)&^bitsOf(epoch), 0, func() error {
		return p.site.SetIdentity(ident.Identity{Node: [16]byte{1}, Epoch: epoch + 1})
	})
}

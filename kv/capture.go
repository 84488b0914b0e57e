package kv

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/trimarandb/trimaran/fault"
)

// Capture is a state held still while writers go on. Taking one costs the
// same whatever the store holds. Release it: the engine keeps old versions
// for it. Several goroutines may use one.
type Capture struct {
	t       *ReadTx
	mark    mark // its clock is the one by which rows are alive
	summary atomic.Pointer[Summary]
}

// Summary says what an export contains.
type Summary struct {
	Rows   uint64
	Bytes  uint64 // keys and values
	Digest Sum    // of rows and index definitions: Digest.Root
	Mark   Mark
}

// Capture holds the committed state still.
func (s *Store) Capture(ctx context.Context) (*Capture, error) {
	t, err := s.BeginRead(ctx)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	m, err := t.mark()
	if err != nil {
		_ = t.Close() // nothing was read
		return nil, fmt.Errorf("capture: %w", err)
	}
	m.clock = max(m.clock, t.wall)
	return &Capture{t: t, mark: m}, nil
}

// Mark is the mark of the state.
func (c *Capture) Mark() Mark { return c.mark.public() }

// Summary says what WriteTo wrote, once it has returned without an error.
func (c *Capture) Summary() (Summary, error) {
	if s := c.summary.Load(); s != nil {
		return *s, nil
	}
	return Summary{}, fmt.Errorf("summary: nothing was exported yet: %w", fault.ErrNotFound)
}

// Release lets go of the state; exports still running end first. It may be
// called twice.
func (c *Capture) Release() error { return c.t.Close() }

// WriteTo exports the state to w: equal states give equal bytes, whichever
// engine holds them. It returns how many bytes it wrote, which is not an
// export unless the error is nil.
func (c *Capture) WriteTo(w io.Writer) (int64, error) {
	return c.export(context.Background(), w)
}

// Export captures the state and writes it to w, until ctx is over.
func (s *Store) Export(ctx context.Context, w io.Writer) (Summary, error) {
	c, err := s.Capture(ctx)
	if err != nil {
		return Summary{}, err
	}
	defer c.Release()
	if _, err := c.export(ctx, w); err != nil {
		return Summary{}, err
	}
	return c.Summary()
}

// Digest computes the digest of the rows of r by walking them. An empty Range
// is the whole state, with the root that an export of it carries.
func (c *Capture) Digest(ctx context.Context, r Range) (Digest, error) {
	if err := c.t.enter("digest"); err != nil {
		return Digest{}, err
	}
	defer c.t.leave()
	e := newExporter(c.t.s, nil)
	err := e.walk(ctx, &c.t.txn, r)
	if err != nil {
		return Digest{}, fmt.Errorf("digest: %w", err)
	}
	return e.finish(c.mark)
}

func (c *Capture) export(ctx context.Context, w io.Writer) (int64, error) {
	if err := c.t.enter("export"); err != nil {
		return 0, err
	}
	defer c.t.leave()
	e := newExporter(c.t.s, w)
	err := e.walk(ctx, &c.t.txn, Range{})
	var d Digest
	if err == nil {
		d, err = e.finish(c.mark)
	}
	if err != nil {
		return e.off, fmt.Errorf("export: %w", err)
	}
	c.summary.Store(&Summary{Rows: d.Rows, Bytes: d.Bytes, Digest: d.Root, Mark: d.Mark})
	return e.off, nil
}

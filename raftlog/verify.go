package raftlog

import (
	"context"
	"errors"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/pace"
)

// VerifyOptions tune Verify. Nil and zero fields mean the defaults.
type VerifyOptions struct {
	// BytesPerSecond bounds the rate of reading. Default: no bound.
	BytesPerSecond int64
	// Progress is called now and then with bytes done and bytes in all.
	Progress func(done, total int64)
}

// VerifyReport says what was read and what was wrong with it.
type VerifyReport struct {
	Entries uint64 // intact
	Bytes   int64  // read
	Damage  []*fault.Corruption
}

// Verify reads everything the driver holds, of all groups, and reports all
// damage it finds; where the driver cannot do that, it reads this log. An
// error says that it could not finish, not that there is damage.
func (l *Log) Verify(ctx context.Context, o *VerifyOptions) (VerifyReport, error) {
	if o == nil {
		o = &VerifyOptions{}
	}
	if v, ok := As[Verifier](l.d); ok {
		if err := l.enter("verify"); err != nil {
			return VerifyReport{}, err
		}
		defer l.gate.Leave()
		return v.Verify(ctx, o)
	}
	return l.readAll(ctx, o)
}

func (l *Log) readAll(ctx context.Context, o *VerifyOptions) (VerifyReport, error) {
	var r VerifyReport
	b, err := l.Bounds()
	if err != nil {
		return r, err
	}
	pacer := pace.New(o.BytesPerSecond)
	for at := b.First(); at <= b.Last; at++ {
		e, err := l.Entry(at)
		var damage *fault.Corruption
		switch {
		case errors.As(err, &damage):
			r.Damage = append(r.Damage, damage)
			continue
		case errors.Is(err, fault.ErrCompacted), errors.Is(err, fault.ErrNotFound):
			continue // dropped meanwhile
		case err != nil:
			return r, err
		}
		r.Entries++
		r.Bytes += int64(e.PayloadSize())
		if err := pacer.Wait(ctx, e.PayloadSize()); err != nil {
			return r, err
		}
	}
	if o.Progress != nil {
		o.Progress(r.Bytes, r.Bytes)
	}
	return r, nil
}

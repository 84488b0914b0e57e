package kvtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// crashUser holds a store open and takes the steps of a script, on the engine
// under test and on a plain one.
type crashUser struct {
	ctx  context.Context
	open func() (kv.Driver, error)
	o    kv.Options

	d       kv.Driver
	s       *kv.Store // nil while it is closed
	stream  []byte    // the last export
	reader  *kv.ReadTx
	pending *kv.PendingImport
}

func (u *crashUser) begin() error {
	d, err := u.open()
	if err != nil {
		return err
	}
	s, err := kv.New(d, &u.o)
	if err != nil {
		return errors.Join(err, d.Close())
	}
	u.d, u.s = d, s
	return nil
}

// end closes the store, with what is pending in it.
func (u *crashUser) end() error {
	if u.s == nil {
		return nil
	}
	s := u.s
	u.s, u.reader, u.pending = nil, nil, nil
	return s.Close()
}

// letGo ends what end would end, and leaves the store open.
func (u *crashUser) letGo() error {
	var errs []error
	if u.reader != nil {
		errs = append(errs, u.reader.Close())
	}
	if u.pending != nil {
		errs = append(errs, u.pending.Abort())
	}
	u.reader, u.pending = nil, nil
	return errors.Join(errs...)
}

// crashStep is a call of a script, or several of which one at most changes
// something. It depends on the state alone, so it can be taken from any.
type crashStep struct {
	name string
	do   func(u *crashUser) error
	// syncs says that the state is durable afterwards under any policy.
	syncs bool
	// closes says that it closes the store on the way.
	closes bool
	// tx is all of a numbered step.
	tx func(t *kv.WriteTx) error
	// beside says that the step, which is a numbered one, and those like it
	// around it are taken by several goroutines.
	beside bool
}

// numbered is a step of one transaction that moves the mark.
func numbered(name string, fn func(t *kv.WriteTx) error) crashStep {
	tx := func(t *kv.WriteTx) error {
		m, err := t.Mark()
		if err != nil {
			return err
		}
		next := kv.Mark{Index: m.Index + 1, Term: 1 + (m.Index+1)/8}
		if err := t.Put([]byte(appliedKey), strconv.AppendUint(nil, next.Index, 10)); err != nil {
			return err
		}
		return errors.Join(fn(t), t.SetMark(next))
	}
	return crashStep{name: name, tx: tx, do: func(u *crashUser) error { return u.s.Update(u.ctx, tx) }}
}

// puts is a transaction that writes the pairs; "-" deletes.
func puts(pairs ...string) crashStep {
	return numbered("put", func(t *kv.WriteTx) error {
		var errs []error
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i+1] == "-" {
				errs = append(errs, t.Delete([]byte(pairs[i])))
			} else {
				errs = append(errs, t.Put([]byte(pairs[i]), []byte(pairs[i+1])))
			}
		}
		return errors.Join(errs...)
	})
}

func syncStep() crashStep {
	return crashStep{name: "sync", syncs: true, do: func(u *crashUser) error { return u.s.Sync() }}
}

// intervalStep waits until the store has synced by itself what it holds.
func intervalStep() crashStep {
	return crashStep{name: "wait for the interval", syncs: true, do: func(u *crashUser) error {
		if u.o.Sync != kv.SyncInterval {
			return u.s.Sync()
		}
		for {
			st, err := u.s.Stats()
			if err != nil || st.Poisoned != nil || !st.Unsynced {
				return errors.Join(err, st.Poisoned)
			}
			time.Sleep(u.o.FlushInterval)
		}
	}}
}

func reopenStep() crashStep {
	return crashStep{name: "reopen", syncs: true, closes: true, do: func(u *crashUser) error {
		if err := u.end(); err != nil {
			return err
		}
		return u.begin()
	}}
}

func exportStep() crashStep {
	return crashStep{name: "export", do: func(u *crashUser) error {
		var b bytes.Buffer
		_, err := u.s.Export(u.ctx, &b)
		u.stream = b.Bytes()
		return err
	}}
}

// importStep loads the last export and switches to it, with another membership
// if that is not empty.
func importStep(membership string) crashStep {
	return crashStep{name: "import", syncs: true, do: func(u *crashUser) error {
		if err := loadStep(membership).do(u); err != nil {
			return err
		}
		return switchStep().do(u)
	}}
}

// loadStep leaves an import that is loaded and not switched to.
func loadStep(membership string) crashStep {
	return crashStep{name: "load", do: func(u *crashUser) (err error) {
		if u.pending, err = u.s.BeginImport(u.ctx); err != nil {
			return err
		}
		sum, err := u.pending.Load(u.ctx, bytes.NewReader(u.stream), nil)
		if err != nil || membership == "" {
			return err
		}
		if err := u.pending.Abort(); err != nil {
			return err
		}
		if u.pending, err = u.s.BeginImport(u.ctx); err != nil {
			return err
		}
		m := sum.Mark
		m.Membership, m.MembershipIndex = []byte(membership), m.Index
		_, err = u.pending.Load(u.ctx, bytes.NewReader(u.stream), &kv.ImportOptions{Mark: &m})
		return err
	}}
}

func switchStep() crashStep {
	return crashStep{name: "switch", syncs: true, do: func(u *crashUser) error {
		p := u.pending
		u.pending = nil
		if err := p.Switch(u.ctx); err != nil {
			return errors.Join(err, p.Abort())
		}
		return nil
	}}
}

func abortStep() crashStep {
	return crashStep{name: "abort", do: func(u *crashUser) error {
		p := u.pending
		u.pending = nil
		return p.Abort()
	}}
}

// cutStep loads an export that ends too early.
func cutStep() crashStep {
	return crashStep{name: "import of a part", do: func(u *crashUser) error {
		_, err := u.s.Import(u.ctx, bytes.NewReader(u.stream[:len(u.stream)-1]), nil)
		switch {
		case err == nil:
			return errors.New("an export without its last byte was imported")
		case errors.Is(err, fault.ErrCorrupt):
			return nil
		}
		return err
	}}
}

// holdStep begins a reader that stays open over the steps after it.
func holdStep() crashStep {
	return crashStep{name: "begin to read", do: func(u *crashUser) (err error) {
		u.reader, err = u.s.BeginRead(u.ctx)
		return err
	}}
}

func letGoStep() crashStep {
	return crashStep{name: "end the reader", do: func(u *crashUser) error {
		r := u.reader
		u.reader = nil
		return r.Close()
	}}
}

func compactStep() crashStep {
	return crashStep{name: "compact", do: func(u *crashUser) error {
		if _, ok := kv.As[kv.Compacter](u.d); !ok {
			return nil
		}
		return u.s.Compact(u.ctx)
	}}
}

// extendStep is how a script goes on after a crash.
func extendStep() crashStep {
	return numbered("go on", func(t *kv.WriteTx) error {
		n, err := t.Increment([]byte("went on"), 1)
		if err != nil {
			return err
		}
		return t.Put(fmt.Appendf(nil, "went on %d", n), []byte("again"))
	})
}

package command

import (
	"bytes"
	"math"
	"strconv"
	"time"
)

func (w *writing) set(o *Op) (Reply, error) {
	key, answer := o.Args[0], OK()
	if o.Flags&Fetch != 0 {
		var err error
		if answer, err = w.get(key); err != nil {
			return Reply{}, err
		}
	}
	if o.Flags&(NX|XX) != 0 {
		has, err := w.tx.Has(key)
		if err != nil {
			return Reply{}, err
		}
		if has != (o.Flags&XX != 0) {
			if o.Flags&Fetch == 0 {
				answer = Reply{}
			}
			return answer, nil
		}
	}
	var deadline time.Time
	switch {
	case o.Flags&Until != 0:
		deadline = instant(uint64(o.N))
	case o.Flags&KeepTTL != 0:
		var err error
		if deadline, _, err = w.deadline(key); err != nil {
			return Reply{}, err
		}
	}
	return answer, w.put(key, o.Args[1], deadline)
}

func (w *writing) getDel(key []byte) (Reply, error) {
	old, err := w.get(key)
	if err != nil || old.Kind == Nil {
		return Reply{}, err
	}
	return old, w.tx.Delete(key)
}

// del answers how many of the keys had a value; one named twice counts once.
func (w *writing) del(keys [][]byte) (Reply, error) {
	n := int64(0)
	for _, key := range keys {
		has, err := w.tx.Has(key)
		if err != nil {
			return Reply{}, err
		}
		if !has {
			continue
		}
		if err := w.tx.Delete(key); err != nil {
			return Reply{}, err
		}
		n++
	}
	return number(n), nil
}

func (w *writing) putAll(pairs [][]byte) error {
	for i := 0; i < len(pairs); i += 2 {
		if err := w.tx.Put(pairs[i], pairs[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (w *writing) msetNX(pairs [][]byte) (Reply, error) {
	for i := 0; i < len(pairs); i += 2 {
		has, err := w.tx.Has(pairs[i])
		if err != nil || has {
			return number(0), err
		}
	}
	return number(1), w.putAll(pairs)
}

// incrBy adds to a decimal number and keeps its deadline; none counts as 0.
func (w *writing) incrBy(key []byte, delta int64) (Reply, error) {
	value, found, err := w.value(key)
	if err != nil {
		return Reply{}, err
	}
	n := int64(0)
	if found {
		var ok bool
		if n, ok = ParseInt(value); !ok {
			return failure(ErrNotInteger), nil
		}
	}
	if delta > 0 && n > math.MaxInt64-delta || delta < 0 && n < math.MinInt64-delta {
		return failure(errOverflow), nil
	}
	deadline, _, err := w.deadline(key)
	if err != nil {
		return Reply{}, err
	}
	n += delta
	return number(n), w.put(key, strconv.AppendInt(nil, n, 10), deadline)
}

// append adds to the end of a value and keeps its deadline.
func (w *writing) append(key, tail []byte) (Reply, error) {
	value, _, err := w.value(key)
	if err != nil {
		return Reply{}, err
	}
	if len(value)+len(tail) > MaxValue {
		return failure(errTooLong), nil
	}
	whole := append(bytes.Clone(value), tail...)
	deadline, _, err := w.deadline(key)
	if err != nil {
		return Reply{}, err
	}
	return number(int64(len(whole))), w.put(key, whole, deadline)
}

// expireAt sets a deadline; one that has passed removes the key.
func (w *writing) expireAt(o *Op) (Reply, error) {
	key, next := o.Args[0], instant(uint64(o.N))
	value, found, err := w.value(key)
	if err != nil || !found {
		return number(0), err
	}
	was, _, err := w.deadline(key)
	if err != nil {
		return Reply{}, err
	}
	never := was.IsZero()
	switch {
	case o.Flags&NX != 0 && !never,
		o.Flags&XX != 0 && never,
		o.Flags&GT != 0 && (never || !next.After(was)),
		o.Flags&LT != 0 && !never && !next.Before(was):
		return number(0), nil
	}
	return number(1), w.put(key, bytes.Clone(value), next)
}

func (w *writing) persist(key []byte) (Reply, error) {
	deadline, _, err := w.deadline(key)
	if err != nil || deadline.IsZero() {
		return number(0), err
	}
	value, _, err := w.value(key)
	if err != nil {
		return Reply{}, err
	}
	return number(1), w.tx.Put(key, bytes.Clone(value))
}

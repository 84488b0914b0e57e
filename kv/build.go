package kv

import (
	"bytes"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
)

// CreateIndex declares an index. Rows written from now on are in it at once;
// for those that exist call [WriteTx.BuildIndex], in this transaction or in
// later ones. A name that is taken is fault.ErrConflict.
func (t *WriteTx) CreateIndex(x Index) error {
	if err := t.begin("create index"); err != nil {
		return err
	}
	defer t.leave()
	return wrap("create index", t.createIndex(x))
}

func (t *WriteTx) createIndex(x Index) error {
	if err := x.check(); err != nil {
		return err
	}
	if _, taken := t.indexes.find(x.Name); taken {
		return fmt.Errorf("index %q exists: %w", x.Name, fault.ErrConflict)
	}
	if len(t.indexes) == maxDefinitions {
		return fmt.Errorf("index %q would be one too many, at most %d: %w", x.Name, maxDefinitions, fault.ErrInvalid)
	}
	extract, err := x.resolve(t.s.o.Extractors)
	if err != nil {
		return err
	}
	return t.define(&definition{Index: x.clone(), id: t.indexes.freeID(), extract: extract})
}

// define writes a definition and uses it from now on.
func (t *WriteTx) define(x *definition) error {
	t.indexes = t.indexes.with(x)
	return t.put(definitionKey(x.Name), storedDefinition(x))
}

// BuildIndex puts the next rows that exist into an index, at most limit of
// them, 1,000 if limit is 0. It reports true when all are in it and queries
// work, also when they did before. How far it has come is part of the state,
// so it may continue in another transaction or on another replica.
func (t *WriteTx) BuildIndex(name string, limit int) (bool, error) {
	if err := t.begin("build index"); err != nil {
		return false, err
	}
	defer t.leave()
	if limit < 0 {
		return false, fmt.Errorf("build index: limit %d: %w", limit, fault.ErrInvalid)
	}
	setDefault(&limit, buildStep)
	i, found := t.indexes.find(name)
	if !found {
		return false, fmt.Errorf("build index: index %q: %w", name, fault.ErrNotFound)
	}
	done, err := t.build(t.indexes[i], limit)
	return done, wrap("build index", err)
}

// build counts only rows that are alive, for when dead ones are removed is
// each replica's own affair.
func (t *WriteTx) build(x *definition, limit int) (bool, error) {
	if x.ready {
		return true, nil
	}
	next := *x
	next.ready = true
	rest := Prefix(x.KeyPrefix)
	if x.built != nil {
		rest = rest.after(x.built)
	}
	for row, err := range t.rows(rest) {
		if err != nil {
			return false, t.broken(err)
		}
		if limit == 0 {
			next.ready = false
			break
		}
		limit--
		next.built = bytes.Clone(row.key)
		if entry := x.entry(row.key, row.value); entry != nil {
			if err := t.put(entry, nil); err != nil {
				return false, err
			}
		}
	}
	if next.ready {
		next.built = nil
	}
	return next.ready, t.define(&next)
}

// DropIndex removes an index and its entries. It fails with fault.ErrNotFound
// if there is none.
func (t *WriteTx) DropIndex(name string) error {
	if err := t.begin("drop index"); err != nil {
		return err
	}
	defer t.leave()
	i, found := t.indexes.find(name)
	if !found {
		return fmt.Errorf("drop index: index %q: %w", name, fault.ErrNotFound)
	}
	return wrap("drop index", t.drops(t.indexes[i]))
}

func (t *WriteTx) drops(x *definition) error {
	t.indexes = t.indexes.without(x.Name)
	if err := t.clear(x.entries(Range{})); err != nil {
		return err
	}
	return t.del(definitionKey(x.Name))
}

// reindex makes every definition fit the registered extractors.
func (t *WriteTx) reindex() error {
	for _, x := range t.indexes {
		if extract, err := x.resolve(t.s.o.Extractors); err == nil {
			x.extract = extract
			continue
		}
		if err := t.drops(x); err != nil {
			return err
		}
		e, registered := latest(t.s.o.Extractors, x.Extractor)
		if !registered {
			continue
		}
		again := &definition{Index: x.Index, id: x.id, extract: e.extract}
		again.Version = e.Version
		if err := t.define(again); err != nil {
			return err
		}
	}
	return nil
}

// Expire removes rows that are dead already, at most limit of them, 1,000 if
// limit is 0, the longest dead first. It returns how many it removed. No read
// shows a difference; the number differs from replica to replica.
func (t *WriteTx) Expire(limit int) (int, error) {
	if err := t.begin("expire"); err != nil {
		return 0, err
	}
	defer t.leave()
	if limit < 0 {
		return 0, fmt.Errorf("expire: limit %d: %w", limit, fault.ErrInvalid)
	}
	setDefault(&limit, defaultLimit)
	n, err := t.expire(limit)
	return n, wrap("expire", err)
}

func (t *WriteTx) expire(limit int) (int, error) {
	now, err := t.now()
	if err != nil {
		return 0, err
	}
	n := 0
	lo := []byte{spaceDeadline}
	if len(t.swept) > 0 {
		lo = t.swept
	}
	for p, err := range t.d.Scan(Range{Lo: lo, Hi: []byte{spaceDeadline + 1}}) {
		if err != nil {
			return n, t.broken(err)
		}
		deadline, key, err := parseDeadlineKey(p.Key)
		if err != nil {
			return n, t.broken(err)
		}
		if deadline > now || n == limit {
			// Whatever comes below is later than now, and there is nothing else.
			t.swept = bytes.Clone(p.Key)
			if floor := deadlineKey(now+1, nil); bytes.Compare(floor, t.swept) < 0 {
				t.swept = floor
			}
			return n, nil
		}
		old, found, err := t.previous(key)
		if err == nil && (!found || old.deadline != deadline) {
			err = t.broken(damaged("deadline %d in the queue of a row that does not have it", deadline))
		}
		if err != nil {
			return n, err
		}
		if err := t.remove(key, old); err != nil {
			return n, err
		}
		n++
		t.tally.expired++
	}
	t.timed = false // the queue is empty
	return n, nil
}

package kvtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// crashState is all that a store may be in after a step.
type crashState struct {
	pairs []kv.Pair // what the engine holds, to the byte
	shown string    // what the store shows of it
}

// pairsOf reads everything that an engine holds.
func pairsOf(ctx context.Context, d kv.Driver) (pairs []kv.Pair, err error) {
	tx, err := d.Begin(ctx, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	for p, err := range tx.Scan(kv.Range{}) {
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, kv.Pair{Key: bytes.Clone(p.Key), Value: bytes.Clone(p.Value)})
	}
	return pairs, nil
}

// differ describes the first difference, "" if there is none.
func differ(got, want []kv.Pair) string {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Sprintf("%q is missing", want[i].Key)
		case i >= len(want):
			return fmt.Sprintf("%q is too much", got[i].Key)
		case !bytes.Equal(got[i].Key, want[i].Key):
			return fmt.Sprintf("%q is there, want %q", got[i].Key, want[i].Key)
		case !bytes.Equal(got[i].Value, want[i].Value):
			return fmt.Sprintf("%q holds %s, want %s", got[i].Key, short(got[i].Value), short(want[i].Value))
		}
	}
	return ""
}

// short is a value, or a sum of a long one.
func short(v []byte) string {
	if len(v) <= 40 {
		return strconv.Quote(string(v))
	}
	return fmt.Sprintf("%d bytes with sum %08x", len(v), crc32.ChecksumIEEE(v))
}

// appliedKey is a row that every numbered transaction writes: the index of the
// mark that it sets.
const appliedKey = "applied"

// show renders what every kind of read says of one state, and fails where they
// do not agree with each other.
func show(ctx context.Context, s *kv.Store) (string, error) {
	var b strings.Builder
	err := s.View(ctx, func(t *kv.ReadTx) error {
		m, err := t.Mark()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "mark %d of term %d, membership %q of %d, clock %v\n", m.Index, m.Term, m.Membership, m.MembershipIndex, m.Clock)
		return errors.Join(showApplied(t, m), showRows(&b, t), showIndexes(&b, t))
	})
	if err != nil {
		return "", err
	}
	d, err := s.Digest(ctx, kv.Range{})
	if err != nil {
		return "", fmt.Errorf("digest: %w", err)
	}
	fmt.Fprintf(&b, "digest %v of %d rows, identity %v\n", d.Root, d.Rows, s.Identity())
	return b.String(), nil
}

// showApplied holds the mark against the row that was written with it.
func showApplied(t *kv.ReadTx, m kv.Mark) error {
	v, err := t.Get([]byte(appliedKey))
	if errors.Is(err, fault.ErrNotFound) {
		v, err = []byte("0"), nil
	}
	if err != nil {
		return err
	}
	if string(v) != strconv.FormatUint(m.Index, 10) {
		return fmt.Errorf("the mark is at %d, the rows are those of %s", m.Index, v)
	}
	return nil
}

func showRows(b *strings.Builder, t *kv.ReadTx) error {
	for p, err := range t.Scan(kv.Range{}) {
		if err != nil {
			return err
		}
		end, err := t.Deadline(p.Key)
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "row %q %s until %v\n", p.Key, short(p.Value), end)
	}
	next, err := t.NextDeadline()
	fmt.Fprintf(b, "next deadline %v\n", next)
	return err
}

func showIndexes(b *strings.Builder, t *kv.ReadTx) error {
	list, err := t.Indexes()
	if err != nil {
		return err
	}
	for _, x := range list {
		page, err := t.Query(kv.Query{Index: x.Name, Limit: 10_000, MaxBytes: 1 << 30})
		if !x.Built && errors.Is(err, fault.ErrInvalid) {
			err = nil
		}
		if err != nil {
			return fmt.Errorf("query of %q: %w", x.Name, err)
		}
		fmt.Fprintf(b, "index %q, built %v: %s\n", x.Name, x.Built, pageKeys(page))
	}
	return nil
}

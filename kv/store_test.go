package kv_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

func TestNewRefusesWhatIsNotAStore(t *testing.T) {
	for name, tc := range map[string]struct {
		pairs [][]byte
		want  error
	}{
		"foreign keys":     {[][]byte{[]byte("hello"), []byte("world")}, fault.ErrCorrupt},
		"a newer format":   {[][]byte{[]byte("\x00format"), {2}}, fault.ErrUnsupported},
		"no version":       {[][]byte{[]byte("\x00format"), {}}, fault.ErrCorrupt},
		"a damaged mark":   {[][]byte{[]byte("\x00format"), {1}, []byte("\x00mark"), []byte("nonsense")}, fault.ErrCorrupt},
		"a bad membership": {[][]byte{[]byte("\x00format"), {1}, []byte("\x00membership"), []byte("nonsense")}, fault.ErrCorrupt},
		"a bad identity":   {[][]byte{[]byte("\x00format"), {1}, []byte("\x00identity"), []byte("nonsense")}, fault.ErrCorrupt},
		"a bad definition": {[][]byte{[]byte("\x00format"), {1}, []byte("\x03x"), []byte("nonsense")}, fault.ErrCorrupt},
	} {
		e := newEngine(t)
		raw(t, e, tc.pairs...)
		if _, err := kv.New(e, nil); !errors.Is(err, tc.want) {
			t.Errorf("New over %s = %v, want %v", name, err, tc.want)
		}
	}
}

func TestNewRefusesBadOptions(t *testing.T) {
	extract := func(_, v []byte) ([]byte, bool) { return v, true }
	for name, o := range map[string]kv.Options{
		"sync":            {Sync: 9},
		"interval":        {FlushInterval: -1},
		"longest key":     {MaxKey: kv.MaxKey + 1},
		"longest value":   {MaxValue: 1<<30 + 1},
		"nameless":        {Extractors: []kv.Extractor{{Extract: extract}}},
		"no function":     {Extractors: []kv.Extractor{{Name: "e"}}},
		"the same twice":  {Extractors: []kv.Extractor{{Name: "e", Extract: extract}, {Name: "e", Extract: extract}}},
		"a negative size": {MaxValue: -1},
	} {
		if _, err := kv.New(newEngine(t), &o); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("New with bad options (%s) = %v, want invalid", name, err)
		}
	}
}

// What an engine gives back damaged is never an answer.
func TestDamageIsNoticed(t *testing.T) {
	e := newEngine(t)
	s := open(t, e, nil)
	put(t, s, "a", "1", "b", "2")
	if err := s.CreateIndex(t.Context(), kv.Index{Name: "x", Bytes: &kv.ByteRange{Len: 1}}); err != nil {
		t.Fatal(err)
	}
	raw(t, e, []byte("\x01a"), nil)
	if _, err := s.Query(t.Context(), kv.Query{Index: "x"}); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Query of an entry without a row = %v, want corrupt", err)
	}
	raw(t, e, []byte("\x01a"), []byte{0x77})
	_, err := s.Get(t.Context(), []byte("a"))
	if _, ok := errors.AsType[*fault.Corruption](err); !ok {
		t.Errorf("Get of a damaged row = %v, want corruption", err)
	}
	_, count := s.Count(t.Context(), kv.Range{})
	_, page := s.Page(t.Context(), kv.PageOptions{})
	_, query := s.Query(t.Context(), kv.Query{Index: "x"})
	_, export := s.Export(t.Context(), &bytes.Buffer{})
	for what, err := range map[string]error{
		"Count": count, "Page": page, "Query": query, "Export": export,
		"Put": s.Put(t.Context(), []byte("a"), nil), "DeleteRange": s.DeleteRange(t.Context(), kv.Range{}),
	} {
		if !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("%s over a damaged row = %v, want corrupt", what, err)
		}
	}
	raw(t, e, []byte("\x02\x00\x00\x00\x00\x00\x00\x00\x01b"), []byte{})
	err = s.Update(t.Context(), func(tx *kv.WriteTx) error {
		if err := tx.Advance(at(0)); err != nil {
			return err
		}
		_, err := tx.Expire(10)
		return err
	})
	if !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Expire of a row without that deadline = %v, want corrupt", err)
	}
	if v, err := s.Get(t.Context(), []byte("b")); string(v) != "2" || err != nil {
		t.Errorf("Get(b) = %q, %v, want 2", v, err)
	}
}

// After the engine failed inside a call, nothing of the transaction is kept.
func TestAFailedCallSpoilsItsTransaction(t *testing.T) {
	e := newEngine(t)
	s := open(t, e, nil)
	put(t, s, "a", "1")
	if err := s.CreateIndex(t.Context(), kv.Index{Name: "x", Bytes: &kv.ByteRange{Len: 1}}); err != nil {
		t.Fatal(err)
	}
	raw(t, e, []byte("\x01bad"), []byte{0x77})
	tx, err := s.BeginWrite(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Put([]byte("c"), []byte("3")); err != nil {
		t.Fatal(err)
	}
	if err := tx.Put(nil, nil); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("Put of no key = %v, want invalid", err)
	}
	if err := tx.Put([]byte("d"), []byte("4")); err != nil {
		t.Errorf("Put after the caller's mistake = %v, want nil", err)
	}
	if err := tx.Delete([]byte("bad")); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Delete of a damaged row = %v, want corrupt", err)
	}
	if err := tx.Put([]byte("e"), nil); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Put afterwards = %v, want corrupt", err)
	}
	if err := tx.Commit(); !errors.Is(err, fault.ErrCorrupt) {
		t.Errorf("Commit afterwards = %v, want corrupt", err)
	}
	put(t, s, "f", "6")
	if _, err := s.Get(t.Context(), []byte("c")); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("Get(c) = %v, want not found", err)
	}
}

// Plain rows are removed by the engine's own means, others one by one.
func TestDeleteRangeUsesTheEngine(t *testing.T) {
	e := newEngine(t)
	s := open(t, e, nil)
	put(t, s, "a", "1", "b", "2", "c", "3")
	if err := s.DeleteRange(t.Context(), kv.Range{Lo: []byte("b")}); err != nil {
		t.Fatal(err)
	}
	if got := keys(t, s.Scan(t.Context(), kv.Range{})); got != "a " || e.rangeDels != 1 {
		t.Errorf("rows = %q after %d range deletes, want a after 1", got, e.rangeDels)
	}
	if err := s.PutUntil(t.Context(), []byte("d"), nil, at(1)); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteRange(t.Context(), kv.Range{}); err != nil {
		t.Fatal(err)
	}
	if next, err := s.NextDeadline(t.Context()); e.rangeDels != 1 || err != nil || !next.IsZero() {
		t.Errorf("%d range deletes, next deadline %v, %v, want 1 and none", e.rangeDels, next, err)
	}
}

func TestTextForms(t *testing.T) {
	for _, p := range []kv.SyncPolicy{kv.SyncBatch, kv.SyncAlways, kv.SyncInterval, kv.SyncNever} {
		if got, err := kv.ParseSyncPolicy(p.String()); got != p || err != nil {
			t.Errorf("ParseSyncPolicy(%v) = %v, %v", p, got, err)
		}
	}
	if _, err := kv.ParseSyncPolicy("sometimes"); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("ParseSyncPolicy(sometimes) = %v, want invalid", err)
	}
	s := openMemory(t, nil)
	put(t, s, "a", "1")
	d, err := s.Digest(t.Context(), kv.Range{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var again kv.Digest
	if err := json.Unmarshal(b, &again); err != nil || again.Root != d.Root {
		t.Errorf("digest through JSON = %v, %v, want %v", again, err, d)
	}
	if _, differs := again.FirstDifference(d); differs {
		t.Error("digest through JSON differs")
	}
	if err := again.Root.UnmarshalText([]byte("12")); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("UnmarshalText(12) = %v, want invalid", err)
	}
}

// An import replaces the clock too, and a later Advance goes on from there.
func TestAnImportMayTurnTheClockBack(t *testing.T) {
	s := openMemory(t, nil)
	stream := export(t, sample(t))
	if err := s.Update(t.Context(), func(tx *kv.WriteTx) error { return tx.Advance(at(500)) }); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Import(t.Context(), bytes.NewReader(stream), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.PutTTL(t.Context(), []byte("z"), nil, time.Minute); err != nil {
		t.Fatal(err)
	}
	if end, err := s.Deadline(t.Context(), []byte("z")); err != nil || !end.Equal(at(1)) {
		t.Errorf("Deadline = %v, %v, want %v", end, err, at(1))
	}
}

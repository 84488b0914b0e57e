package trimaran_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
)

// Maintain removes dead rows in transactions so short that Apply gets its turn
// between them.
func TestMaintainRemovesDeadRows(t *testing.T) {
	const rows = 1000
	n := newNode(t, trimaran.Options{ExpireBatch: 700, MaintainInterval: time.Millisecond})
	start := time.Unix(1_700_000_000, 0)
	write := func(i uint64, fn func(tx *kv.WriteTx) error) {
		e := raftlog.Entry{Index: i, Term: 1, Data: []byte("command")}
		n.check(n.Log().Append(e))
		n.check(n.Apply(t.Context(), []raftlog.Entry{e}, func(tx *kv.WriteTx, _ raftlog.Entry) error { return fn(tx) }))
	}
	write(1, func(tx *kv.WriteTx) error {
		for i := range rows {
			if err := tx.PutUntil(fmt.Append(nil, i), nil, start.Add(time.Second)); err != nil {
				return err
			}
		}
		return tx.Put([]byte("stays"), nil)
	})
	commits := func() uint64 {
		st, err := n.KV().Stats()
		n.check(err)
		return st.Commits
	}
	write(2, func(tx *kv.WriteTx) error { return tx.Advance(start.Add(time.Minute)) })
	before := commits()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- n.Maintain(ctx) }()
	for gone := uint64(0); gone < rows; runtime.Gosched() {
		st, err := n.KV().Stats()
		n.check(err)
		gone = st.Expired
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Maintain = %v, want canceled", err)
	}
	if got := commits() - before; got < 4 {
		t.Errorf("%d dead rows went in %d transactions, want more and shorter ones", rows, got)
	}
	if left, err := n.KV().Count(t.Context(), kv.Range{}); err != nil || left != 1 {
		t.Errorf("%d rows are left, %v, want 1", left, err)
	}
}

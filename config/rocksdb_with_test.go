//go:build rocksdb

package config_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/raftlog"
)

// With the tag the seed's fast configuration opens as it is, keeps what is
// applied, and says that its engine is RocksDB.
func TestHighPerformanceOpens(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		c, err := config.Load("../examples/high-performance.yaml")
		if err != nil {
			t.Fatal(err)
		}
		c.Options.NoMembership = true
		st, err := c.Open(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		stats, err := st.KV().Stats()
		if err != nil || stats.Engine != "rocksdb" {
			t.Errorf("engine = %q, %v, want rocksdb", stats.Engine, err)
		}
		mark, err := st.KV().Mark(t.Context())
		if err != nil || mark.Index != uint64(round*10) {
			t.Fatalf("round %d: mark = %+v, %v", round, mark, err)
		}
		var es []raftlog.Entry
		for i := range 10 {
			es = append(es, raftlog.Entry{Index: mark.Index + 1 + uint64(i), Term: 1, Data: fmt.Appendf(nil, "key %d", i)})
		}
		if err := st.Log().Append(es...); err != nil {
			t.Fatal(err)
		}
		put := func(tx *kv.WriteTx, e raftlog.Entry) error { return tx.Put(e.Data, fmt.Appendf(nil, "%d", e.Index)) }
		if err := st.Apply(t.Context(), es, put); err != nil {
			t.Fatal(err)
		}
		if _, err := st.Snapshot(context.Background(), 0); err != nil {
			t.Fatal(err)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

package config

import (
	"testing"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/kvtest"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/logtest"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/snaptest"
)

// The example files choose drivers and options; as they choose them, each
// layer keeps its contract. A file that names an engine which this build lacks
// is tested as far as it goes.
func TestExamplesKeepTheContracts(t *testing.T) {
	for _, file := range []string{"high-performance.yaml", "memory-optimized.yaml"} {
		c, err := Load("../examples/" + file)
		if err != nil {
			t.Fatal(err)
		}
		at := func(t testing.TB) place { return place{o: &c.Options, dir: t.TempDir()} }
		t.Run(file+"/log", func(t *testing.T) {
			logtest.Run(t, func(t testing.TB) logtest.Open {
				at := at(t)
				return func() (raftlog.Driver, error) { return logs.open(t.Context(), at, &c.Log.Layer, &c.Log) }
			})
		})
		t.Run(file+"/snapshots", func(t *testing.T) {
			snaptest.Run(t, func(t testing.TB) snaptest.Open {
				at := at(t)
				return func() (snapshot.Bucket, error) {
					b, err := buckets.open(t.Context(), at, &c.Snapshots.Layer, &c.Snapshots)
					return b.Bucket, err
				}
			})
		})
		if err := c.Check(); err != nil {
			t.Logf("%s: data not tested: %v", file, err)
			continue
		}
		t.Run(file+"/data", func(t *testing.T) {
			kvtest.Run(t, func(t testing.TB) kvtest.Place {
				at := at(t)
				return func() (kv.Driver, error) { return engines.open(t.Context(), at, &c.Data.Layer, &c.Data) }
			})
		})
	}
}

package prom_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/metrics/prom"
)

type source struct{}

func (source) Metrics() trimaran.Metrics {
	m := trimaran.Metrics{SnapshotsCreated: 3, AppliedIndex: 17}
	m.Log.SyncTime = 1500 * time.Millisecond
	m.Log.SyncTimes.Add(500_000)
	m.Log.SyncTimes.Add(1_000_000)
	m.Log.SyncSizes.Add(7)
	m.Log.Synced = 7
	m.Data.Puts = 9
	return m
}

func TestCollector(t *testing.T) {
	r := prometheus.NewPedanticRegistry() // refuses names and types that do not fit
	if err := r.Register(prom.New(source{})); err != nil {
		t.Fatal(err)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		m := f.GetMetric()[0]
		got[f.GetName()] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
	}
	for name, want := range map[string]float64{
		"trimaran_snapshots_created_total": 3, "trimaran_applied_index": 17,
		"trimaran_data_puts_total": 9, "trimaran_log_poisoned": 0,
	} {
		if v, there := got[name]; !there || v != want {
			t.Errorf("%s is %v (there: %v), want %v", name, v, there, want)
		}
	}
	for _, c := range []struct {
		name  string
		count uint64
		sum   float64
		upTo  float64 // a bucket
		there uint64
	}{
		{"trimaran_log_sync_seconds", 2, 1.5, 1 << 19 * 1e-6, 1},
		{"trimaran_log_sync_seconds", 2, 1.5, 1 << 20 * 1e-6, 2},
		{"trimaran_log_sync_entries", 1, 7, 4, 0},
		{"trimaran_log_sync_entries", 1, 7, 8, 1},
	} {
		found := false
		for _, f := range families {
			if f.GetName() != c.name {
				continue
			}
			h := f.GetMetric()[0].GetHistogram()
			if h.GetSampleCount() != c.count || h.GetSampleSum() != c.sum {
				t.Errorf("%s has %d values of %v, want %d of %v", c.name, h.GetSampleCount(), h.GetSampleSum(), c.count, c.sum)
			}
			for _, b := range h.GetBucket() {
				found = found || b.GetUpperBound() == c.upTo && b.GetCumulativeCount() == c.there
			}
		}
		if !found {
			t.Errorf("%s does not have %d values up to %v", c.name, c.there, c.upTo)
		}
	}
}

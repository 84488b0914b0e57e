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
		"trimaran_log_sync_seconds_total": 1.5, "trimaran_data_puts_total": 9, "trimaran_log_poisoned": 0,
	} {
		if v, there := got[name]; !there || v != want {
			t.Errorf("%s is %v (there: %v), want %v", name, v, there, want)
		}
	}
}

package prom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/raftlog"
)

// Source is what is collected from: a *trimaran.Storage.
type Source interface{ Metrics() trimaran.Metrics }

// metric is one number and where it comes from.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*trimaran.Metrics) float64
}

func counter(name, help string, value func(*trimaran.Metrics) float64) metric {
	return metric{prometheus.NewDesc("trimaran_"+name+"_total", help, nil, nil), prometheus.CounterValue, value}
}

func gauge(name, help string, value func(*trimaran.Metrics) float64) metric {
	return metric{prometheus.NewDesc("trimaran_"+name, help, nil, nil), prometheus.GaugeValue, value}
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// histogram is what a raftlog.Histogram counted, whose values are in units of
// the metric's.
type histogram struct {
	desc   *prometheus.Desc
	unit   float64
	counts func(*trimaran.Metrics) *raftlog.Histogram
	sum    func(*trimaran.Metrics) float64
}

func (h *histogram) collect(m *trimaran.Metrics) prometheus.Metric {
	counts := h.counts(m)
	below, buckets := uint64(0), make(map[float64]uint64, len(counts))
	for i, n := range counts[:len(counts)-1] {
		below += n
		buckets[h.unit*float64(uint64(1)<<i)] = below
	}
	return prometheus.MustNewConstHistogram(h.desc, counts.Count(), h.sum(m), buckets)
}

// histograms are those of the log's syncs, of which one carries what several
// callers wrote meanwhile.
func histograms() []histogram {
	type m = trimaran.Metrics
	return []histogram{
		{
			prometheus.NewDesc("trimaran_log_sync_seconds", "How long syncs of the log took.", nil, nil), 1e-6,
			func(m *m) *raftlog.Histogram { return &m.Log.SyncTimes }, func(m *m) float64 { return m.Log.SyncTime.Seconds() },
		},
		{
			prometheus.NewDesc("trimaran_log_sync_entries", "How many entries each sync of the log made durable.", nil, nil), 1,
			func(m *m) *raftlog.Histogram { return &m.Log.SyncSizes }, func(m *m) float64 { return float64(m.Log.Synced) },
		},
	}
}

// Collector is a prometheus.Collector. Collecting reads counters and walks
// nothing; it may be done by several goroutines.
type Collector struct {
	s          Source
	metrics    []metric
	histograms []histogram
}

// New returns a collector over s. Names begin with trimaran_.
func New(s Source) *Collector {
	type m = trimaran.Metrics
	return &Collector{s: s, histograms: histograms(), metrics: []metric{
		counter("snapshots_created", "Snapshots published.", func(m *m) float64 { return float64(m.SnapshotsCreated) }),
		counter("snapshots_restored", "Snapshots that became the data.", func(m *m) float64 { return float64(m.SnapshotsRestored) }),
		counter("log_compactions", "Compactions of the log by the storage itself.", func(m *m) float64 { return float64(m.LogCompactions) }),
		counter("operations", "Log batches acknowledged plus batches applied.", func(m *m) float64 { return float64(m.TotalOperations) }),
		counter("applied_batches", "Batches applied to the data.", func(m *m) float64 { return float64(m.AppliedBatches) }),
		counter("applied_entries", "Entries applied to the data.", func(m *m) float64 { return float64(m.AppliedEntries) }),
		gauge("applied_index", "The last log entry that the data contains.", func(m *m) float64 { return float64(m.AppliedIndex) }),
		gauge("leases", "Leases that keep log.", func(m *m) float64 { return float64(m.Leases) }),
		counter("leases_ended", "Leases that ended before they were released.", func(m *m) float64 { return float64(m.LeasesEnded) }),
		gauge("disk_used_bytes", "Bytes of the disk budget that are used.", func(m *m) float64 { return float64(m.DiskUsed) }),
		gauge("full", "1 while nothing that takes room is admitted.", func(m *m) float64 { return flag(m.Full) }),

		gauge("log_first_index", "The oldest entry of the log.", func(m *m) float64 { return float64(m.Log.First()) }),
		gauge("log_last_index", "The newest entry of the log.", func(m *m) float64 { return float64(m.Log.Last) }),
		counter("log_writes", "Batches that the log acknowledged.", func(m *m) float64 { return float64(m.Log.Writes) }),
		gauge("log_segments", "Files of the log.", func(m *m) float64 { return float64(m.Log.Segments) }),
		gauge("log_live_bytes", "Bytes of entries that can be read.", func(m *m) float64 { return float64(m.Log.LiveBytes) }),
		gauge("log_dead_bytes", "Bytes of the log's files that can not.", func(m *m) float64 { return float64(m.Log.DeadBytes) }),
		gauge("log_sync_max_seconds", "The longest sync of the log.", func(m *m) float64 { return m.Log.SyncMax.Seconds() }),
		gauge("log_poisoned", "1 if the log refuses writes until it is reopened.", func(m *m) float64 { return flag(m.Log.Poisoned != nil) }),

		gauge("data_pairs", "Pairs stored, indexes and dead rows included.", func(m *m) float64 { return float64(m.Data.Size.Pairs) }),
		gauge("data_bytes", "Bytes of keys and values stored.", func(m *m) float64 { return float64(m.Data.Size.Bytes) }),
		gauge("data_memory_bytes", "Memory taken by the engine.", func(m *m) float64 { return float64(m.Data.Size.Memory) }),
		gauge("data_disk_bytes", "Disk taken by the engine.", func(m *m) float64 { return float64(m.Data.Size.Disk) }),
		counter("data_commits", "Transactions that changed something.", func(m *m) float64 { return float64(m.Data.Commits) }),
		counter("data_puts", "Rows written.", func(m *m) float64 { return float64(m.Data.Puts) }),
		counter("data_deletes", "Rows and ranges deleted.", func(m *m) float64 { return float64(m.Data.Deletes) }),
		counter("data_expired", "Dead rows removed.", func(m *m) float64 { return float64(m.Data.Expired) }),
		counter("data_syncs", "Syncs of the data.", func(m *m) float64 { return float64(m.Data.Syncs) }),
		gauge("data_open_transactions", "Transactions and captures that have not ended.", func(m *m) float64 { return float64(m.Data.OpenTxns) }),
		gauge("data_clock_behind", "1 if the last command's clock was held back.", func(m *m) float64 { return flag(m.Data.ClockBehind) }),
		gauge("data_poisoned", "1 if the data refuses writes until it is reopened.", func(m *m) float64 { return flag(m.Data.Poisoned != nil) }),
	}}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(to chan<- *prometheus.Desc) {
	for i := range c.metrics {
		to <- c.metrics[i].desc
	}
	for i := range c.histograms {
		to <- c.histograms[i].desc
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(to chan<- prometheus.Metric) {
	m := c.s.Metrics()
	for i := range c.metrics {
		to <- prometheus.MustNewConstMetric(c.metrics[i].desc, c.metrics[i].kind, c.metrics[i].value(&m))
	}
	for i := range c.histograms {
		to <- c.histograms[i].collect(&m)
	}
}

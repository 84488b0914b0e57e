package server

import (
	"net/http"

	"github.com/hashicorp/raft"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/trimarandb/trimaran/metrics/prom"
)

// metrics shows the storage, Raft and the process, from a registry of this
// node's own.
func (n *Node) metrics() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(prom.New(n.s), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, g := range []struct {
		name, help string
		value      func() float64
	}{
		{"raft_leader", "1 while this node leads.", func() float64 { return flag(n.raft.State() == raft.Leader) }},
		{"raft_term", "The current term.", func() float64 { return float64(n.raft.CurrentTerm()) }},
		{"raft_commit_index", "The last entry known to be committed.", func() float64 { return float64(n.raft.CommitIndex()) }},
		{"raft_last_index", "The last entry of the log, or of the newest snapshot.", func() float64 { return float64(n.raft.LastIndex()) }},
		{"halted", "1 if the state machine halted and the node must be restarted.", func() float64 { return flag(n.adapter.Err() != nil) }},
	} {
		r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "trimaran_" + g.name, Help: g.help}, g.value))
	}
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

func flag(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

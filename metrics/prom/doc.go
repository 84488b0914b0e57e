// Package prom shows the metrics of a storage to Prometheus.
//
//	registry := prometheus.NewRegistry()
//	registry.MustRegister(prom.New(storage))
//
// A collector belongs to one storage and is registered by the program, on a
// registry and with labels of its own choice; nothing is registered globally.
package prom

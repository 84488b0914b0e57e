package server

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

// maxBody bounds what a request may bring along; none needs anything.
const maxBody = 64 << 10

// newHTTP is the operator's interface:
//
//	GET  /healthz      200 unless the node has to be restarted
//	GET  /readyz       200 if it can serve, or knows who does
//	GET  /metrics      Prometheus text
//	GET  /v1/status    Status as JSON
//	POST /v1/snapshot  takes a snapshot
func (n *Node) newHTTP() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { answer(w, n.healthy(r.Context())) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { answer(w, n.Ready(r.Context())) })
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) { writeJSON(w, http.StatusOK, n.Status(r.Context())) })
	mux.HandleFunc("POST /v1/snapshot", n.postSnapshot)
	mux.Handle("GET /metrics", n.metrics())
	return &http.Server{
		Handler:           http.MaxBytesHandler(http.NewCrossOriginProtection().Handler(mux), maxBody),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(n.o.Logger.Handler(), slog.LevelWarn),
	}
}

// answer says ok, or why not.
func answer(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	text := "ok"
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		text = err.Error()
	}
	_, _ = io.WriteString(w, text+"\n") // the client may be gone
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // the client may be gone
}

// taken answers POST /v1/snapshot. New is false if the newest snapshot had it
// all; that one is described then.
type taken struct {
	New      bool           `json:"new"`
	Snapshot SnapshotStatus `json:"snapshot"`
}

// failed answers what went wrong.
type failed struct {
	Error string `json:"error"`
}

func (n *Node) postSnapshot(w http.ResponseWriter, r *http.Request) {
	// A large snapshot takes longer than other answers may.
	if err := http.NewResponseController(w).SetWriteDeadline(time.Time{}); err != nil {
		writeJSON(w, http.StatusInternalServerError, failed{err.Error()})
		return
	}
	meta, err := n.Snapshot(r.Context())
	isNew := err == nil
	if errors.Is(err, fault.ErrNothingNew) {
		meta, err = n.newest(r)
	}
	if err != nil {
		writeJSON(w, http.StatusServiceUnavailable, failed{err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, taken{New: isNew, Snapshot: describe(meta)})
}

// newest describes the newest snapshot, nothing if there is none yet.
func (n *Node) newest(r *http.Request) (snapshot.Meta, error) {
	meta, err := n.s.Snapshots().Latest(r.Context())
	if errors.Is(err, fault.ErrNotFound) {
		return snapshot.Meta{}, errors.New("nothing was applied yet, or the node still replays its log: there is nothing to take a snapshot of")
	}
	return meta, err
}

package httptransfer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

// headerID tells which snapshot "latest" was.
const headerID = "Trimaran-Snapshot"

// HandlerOptions tune a Handler. Nil and zero fields mean the defaults.
type HandlerOptions struct {
	// Hold is how long after a request for it a snapshot is kept from being
	// removed, so that whoever is fetching it can go on. Default 10 minutes.
	Hold time.Duration
}

// Handler serves the snapshots of a store. It is an http.Handler for any number
// of requests at once; each holds one chunk in memory.
type Handler struct {
	s    *snapshot.Store
	hold time.Duration
	mux  *http.ServeMux

	mu   sync.Mutex
	held map[snapshot.ID]*held // nil when closed
}

type held struct {
	release func()
	timer   *time.Timer
}

// NewHandler returns a Handler. Close it before the store.
func NewHandler(s *snapshot.Store, o *HandlerOptions) *Handler {
	h := &Handler{s: s, hold: 10 * time.Minute, mux: http.NewServeMux(), held: map[snapshot.ID]*held{}}
	if o != nil && o.Hold > 0 {
		h.hold = o.Hold
	}
	h.mux.HandleFunc("GET /snapshots", h.list)
	h.mux.HandleFunc("GET /snapshots/{id}/manifest", h.manifest)
	h.mux.HandleFunc("GET /snapshots/{id}/chunks/{n}", h.chunk)
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

// Close lets go of all snapshots that are held; later requests are answered
// with 503. It may be called twice.
func (h *Handler) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range h.held {
		k.timer.Stop()
		k.release()
	}
	h.held = nil
	return nil
}

// keep holds a snapshot, from now on for the time that the options say.
func (h *Handler) keep(id snapshot.ID) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.held == nil {
		return fault.ErrClosed
	}
	if k := h.held[id]; k != nil {
		k.timer.Reset(h.hold)
		return nil
	}
	k := &held{release: h.s.Pin(id)}
	k.timer = time.AfterFunc(h.hold, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.held[id] == k {
			delete(h.held, id)
			k.release()
		}
	})
	h.held[id] = k
	return nil
}

// find reads the id in the path and holds the snapshot.
func (h *Handler) find(r *http.Request) (id snapshot.ID, err error) {
	text := r.PathValue("id")
	if text == "latest" {
		m, err := h.s.Latest(r.Context())
		if err != nil {
			return id, err
		}
		return m.ID, h.keep(m.ID)
	}
	if id, err = snapshot.ParseID(text); err != nil {
		return id, err
	}
	if _, err := h.s.Stat(r.Context(), id); err != nil {
		return id, err
	}
	return id, h.keep(id)
}

// Listed is one snapshot in the list of a Handler.
type Listed struct {
	ID         snapshot.ID `json:"id"`
	Index      uint64      `json:"index"`
	Term       uint64      `json:"term"`
	Size       int64       `json:"size_bytes"`
	StoredSize int64       `json:"stored_bytes"`
	Entries    uint64      `json:"entries"`
	Created    time.Time   `json:"created"`
	Codec      string      `json:"codec"`
	Digest     string      `json:"digest"`
	Damaged    string      `json:"damaged,omitempty"`
}

func (h *Handler) list(w http.ResponseWriter, r *http.Request) {
	all := []Listed{}
	for m, err := range h.s.All(r.Context()) {
		if err != nil {
			refuse(w, err)
			return
		}
		l := Listed{ID: m.ID, Index: m.Index, Term: m.Term, Size: m.Size, StoredSize: m.StoredSize, Entries: m.Entries,
			Created: m.Created, Codec: m.Codec.String(), Digest: m.Digest}
		if m.Damaged != nil {
			l.Damaged = m.Damaged.Error()
		}
		all = append(all, l)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(all) // to a client that went away
}

func (h *Handler) manifest(w http.ResponseWriter, r *http.Request) {
	id, err := h.find(r)
	if err != nil {
		refuse(w, err)
		return
	}
	m, err := h.s.Manifest(r.Context(), id)
	if err != nil {
		refuse(w, err)
		return
	}
	b, err := m.MarshalBinary()
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set(headerID, id.String())
	serve(w, r, id.String(), b)
}

func (h *Handler) chunk(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.PathValue("n"))
	if err != nil {
		refuse(w, fmt.Errorf("chunk %q: want a number: %w", r.PathValue("n"), fault.ErrInvalid))
		return
	}
	id, err := h.find(r)
	if err != nil {
		refuse(w, err)
		return
	}
	c, err := h.s.Chunk(r.Context(), id, n)
	if err != nil {
		refuse(w, err)
		return
	}
	b, err := io.ReadAll(c) // it is in memory already
	if err = errors.Join(err, c.Close()); err != nil {
		refuse(w, err)
		return
	}
	serve(w, r, fmt.Sprintf("%v-%d", id, n), b)
}

// serve answers with b, or the range of it that was asked for. What has a name
// never changes, so the name is its tag.
func serve(w http.ResponseWriter, r *http.Request, name string, b []byte) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", strconv.Quote(name))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
}

// refuse answers with what went wrong.
func refuse(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	switch {
	case errors.Is(err, fault.ErrNotFound):
		code = http.StatusNotFound
	case errors.Is(err, fault.ErrInvalid):
		code = http.StatusBadRequest
	case errors.Is(err, fault.ErrClosed):
		code = http.StatusServiceUnavailable
	}
	http.Error(w, err.Error(), code)
}

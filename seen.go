package trimaran

import (
	"context"
	"sync"

	"github.com/trimarandb/trimaran/snapshot"
)

// seen remembers what was read of the snapshots for as long as the store has
// not changed since, so that a round of Maintain reads nothing of the bucket.
type seen[T any] struct {
	mu    sync.Mutex
	known bool
	at    uint64 // Changes of the store before it was read
	value T
}

func (m *seen[T]) get(ctx context.Context, s *snapshot.Store, read func(context.Context) (T, error)) (T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := s.Changes()
	if m.known && m.at == at {
		return m.value, nil
	}
	v, err := read(ctx)
	if err == nil {
		m.known, m.at, m.value = true, at, v
	}
	return v, err
}

package hashiraft

import (
	"errors"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

// discard removes the snapshot behind r if it came from elsewhere since the
// start and its content was the reason why it could not be restored.
func (a *Adapter) discard(r *reader, why error) error {
	if !errors.Is(why, fault.ErrCorrupt) && !errors.Is(why, fault.ErrInvalid) {
		return nil
	}
	id := r.Meta().ID
	a.mu.Lock()
	received := a.received == id
	a.mu.Unlock()
	if !received {
		return nil
	}
	a.logger.Warn("received snapshot cannot be restored and is removed", "id", id.String(), "error", why)
	if err := a.s.Snapshots().Remove(a.ctx, id, &snapshot.RemoveOptions{Force: true}); err != nil && !errors.Is(err, fault.ErrNotFound) {
		return err
	}
	return a.findNewest(a.ctx)
}

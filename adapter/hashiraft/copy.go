package hashiraft

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// copyKey is in the log while CopyFrom is under way. Frozen.
const copyKey = "hashiraft/copying"

// copyBytes is how much payload CopyFrom writes at once.
const copyBytes = 1 << 20

// CopyFrom fills an empty LogStore with what another store holds: all entries,
// and the term and vote that raft keeps in a stable store. Whatever else is in
// there, raft did not put there, and the interface cannot list it. All is
// durable on return. A copy that was cut short is refused by NewLog and OpenLog:
// remove it and begin again. The other store must not be used by a node again
// once this one is.
func (s *LogStore) CopyFrom(ctx context.Context, logs raft.LogStore, stable raft.StableStore) error {
	b, err := s.log.Bounds()
	if err != nil {
		return fmt.Errorf("copy a log: %w", err)
	}
	if _, err := s.log.Stable(TermKey); !b.Empty() || !errors.Is(err, fault.ErrNotFound) {
		return fmt.Errorf("copy a log: this one is not empty: %w", fault.ErrInvalid)
	}
	if err := s.log.Write(raftlog.Batch{Stable: []raftlog.StableKV{{Key: copyKey, Value: []byte{}}}}); err != nil {
		return fmt.Errorf("copy a log: %w", err)
	}
	if err := s.copyEntries(ctx, logs); err != nil {
		return fmt.Errorf("copy a log: %w", err)
	}
	last, err := votes(stable)
	if err != nil {
		return fmt.Errorf("copy a log: %w", err)
	}
	last.Stable = append(last.Stable, raftlog.StableKV{Key: copyKey}) // gone
	if err := s.log.Write(last); err != nil {
		return fmt.Errorf("copy a log: %w", err)
	}
	return nil
}

func (s *LogStore) copyEntries(ctx context.Context, from raft.LogStore) error {
	first, err := from.FirstIndex()
	if err != nil {
		return err
	}
	last, err := from.LastIndex()
	if err != nil || last == 0 {
		return err
	}
	var batch []*raft.Log
	size := 0
	for i := first; i <= last; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		l := new(raft.Log)
		if err := from.GetLog(i, l); err != nil {
			return fmt.Errorf("entry %d of [%d, %d]: %w", i, first, last, err)
		}
		batch = append(batch, l)
		if size += len(l.Data) + len(l.Extensions); size < copyBytes && i < last {
			continue
		}
		if err := s.StoreLogs(batch); err != nil {
			return err
		}
		batch, size = batch[:0], 0
	}
	return nil
}

// votes reads the three keys of raft.
func votes(stable raft.StableStore) (b raftlog.Batch, err error) {
	candidate, err := stable.Get([]byte("LastVoteCand"))
	if err = present(err); err != nil {
		return b, fmt.Errorf("stable key LastVoteCand: %w", err)
	}
	if len(candidate) > 0 {
		b.Stable = append(b.Stable, raftlog.StableKV{Key: stablePrefix + "LastVoteCand", Value: candidate})
	}
	for _, key := range []string{"LastVoteTerm", "CurrentTerm"} {
		n, err := stable.GetUint64([]byte(key))
		if err = present(err); err != nil {
			return b, fmt.Errorf("stable key %s: %w", key, err)
		}
		if n > 0 {
			b.Stable = append(b.Stable, raftlog.StableKV{Key: stablePrefix + key, Value: binary.BigEndian.AppendUint64(nil, n)})
		}
	}
	return b, nil
}

// present forgives a key that is not there: raft itself knows that by the text.
func present(err error) error {
	if err != nil && err.Error() == "not found" {
		return nil
	}
	return err
}

// copied refuses a log that CopyFrom has begun to fill and not completed.
func (s *LogStore) copied() error {
	_, err := s.log.Stable(copyKey)
	switch {
	case errors.Is(err, fault.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("a copy of another store into this log was cut short; remove it and copy again: %w", fault.ErrInvalid)
}

package hashiraft

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

// SnapshotStore is the snapshot layer as raft sees it. Its methods may be called
// by several goroutines.
type SnapshotStore struct {
	snaps   *snapshot.Store
	ctx     context.Context // raft's interfaces have no place for one
	logger  *slog.Logger
	told    func(m snapshot.Meta, own bool) // of each snapshot that was published
	closers []io.Closer                     // what OpenSnapshots opened, in the order to close it
}

var _ raft.SnapshotStore = (*SnapshotStore)(nil)

// Create begins a snapshot, labelled as raft says. Nothing of it can be seen
// before the sink is closed.
func (s *SnapshotStore) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	if version != raft.SnapshotVersionMax {
		return nil, fmt.Errorf("create snapshot: version %d, only %d is written: %w", version, raft.SnapshotVersionMax, fault.ErrUnsupported)
	}
	info := snapshot.Info{Index: index, Term: term, Membership: raft.EncodeConfiguration(configuration), MembershipIndex: configurationIndex}
	w, err := s.snaps.Create(s.ctx, info, nil)
	if err != nil {
		return nil, err
	}
	return &sink{s: s, w: w}, nil
}

// List describes the snapshots, newest first. Damaged ones are left out: raft
// counts what it is shown as applied.
func (s *SnapshotStore) List() ([]*raft.SnapshotMeta, error) {
	var list []*raft.SnapshotMeta
	for meta, err := range s.snaps.All(s.ctx) {
		if err != nil {
			return nil, fmt.Errorf("list snapshots: %w", err)
		}
		if meta.Damaged != nil {
			s.logger.Warn("damaged snapshot left out", "id", meta.ID.String(), "error", meta.Damaged)
			continue
		}
		m, err := describe(meta)
		if err != nil {
			return nil, fmt.Errorf("list snapshots: %w", err)
		}
		list = append(list, m)
	}
	slices.SortStableFunc(list, func(a, b *raft.SnapshotMeta) int {
		switch {
		case a.Index > b.Index:
			return -1
		case a.Index < b.Index:
			return 1
		}
		return 0
	})
	return list, nil
}

// Open reads a snapshot, which then outlives removal. Each chunk is verified
// before its bytes are handed out; *fault.Corruption comes before io.EOF.
func (s *SnapshotStore) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	parsed, err := snapshot.ParseID(id)
	if err != nil {
		return nil, nil, err
	}
	r, err := s.snaps.Open(s.ctx, parsed)
	if err != nil {
		return nil, nil, err
	}
	meta, err := describe(r.Meta())
	if err != nil {
		_ = r.Close() // only read
		return nil, nil, fmt.Errorf("open snapshot %s: %w", id, err)
	}
	return meta, &reader{r}, nil
}

// reader is what Open hands out and FSM.Restore looks for.
type reader struct{ *snapshot.Reader }

func describe(m snapshot.Meta) (*raft.SnapshotMeta, error) {
	configuration, err := decodeConfiguration(m.Membership)
	if err != nil {
		return nil, fmt.Errorf("snapshot %s: %w", m.ID, err)
	}
	return &raft.SnapshotMeta{
		Version: raft.SnapshotVersionMax, ID: m.ID.String(), Index: m.Index, Term: m.Term,
		Configuration: configuration, ConfigurationIndex: m.MembershipIndex,
		Size: m.Size, // what Open yields: raft compares
	}, nil
}

// decodeConfiguration turns raft's panic over bytes that are no configuration
// into an error.
func decodeConfiguration(b []byte) (c raft.Configuration, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("membership of %d bytes is none of hashicorp/raft: %v: %w", len(b), p, fault.ErrInvalid)
		}
	}()
	if len(b) == 0 {
		return c, fmt.Errorf("no membership: %w", fault.ErrInvalid)
	}
	return raft.DecodeConfiguration(b), nil
}

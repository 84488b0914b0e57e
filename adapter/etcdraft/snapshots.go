package etcdraft

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

// infoOf checks what a snapshot says of itself.
func infoOf(snap *raftpb.Snapshot) (info snapshot.Info, err error) {
	m := snap.GetMetadata()
	info = snapshot.Info{Index: m.GetIndex(), Term: m.GetTerm()}
	if info.Term == 0 {
		return info, fmt.Errorf("term 0, terms start at 1: %w", fault.ErrInvalid)
	}
	info.Membership, err = encodeConfState(m.GetConfState())
	return info, err
}

// newestOf returns the newest valid snapshot that fits, the zero Meta if none
// does.
func (s *Storage) newestOf(fits func(snapshot.Meta) (bool, error)) (snapshot.Meta, error) {
	for meta, err := range s.snaps.All(context.Background()) {
		if err != nil {
			return snapshot.Meta{}, fmt.Errorf("list snapshots: %w", err)
		}
		if meta.Damaged != nil {
			s.logger.Warn("damaged snapshot passed over", "id", meta.ID.String(), "error", meta.Damaged)
			continue
		}
		if ok, err := fits(meta); ok || err != nil {
			return meta, err
		}
	}
	return snapshot.Meta{}, nil
}

// holds reports that the log continues the snapshot.
func (s *Storage) holds(m snapshot.Meta) (bool, error) {
	term, err := s.log.Term(m.Index)
	if errors.Is(err, fault.ErrCompacted) || errors.Is(err, fault.ErrNotFound) {
		return false, nil
	}
	return term == m.Term, err
}

// newest returns the newest valid snapshot that the log continues, and its
// membership; without one, the zero Meta and the members that the log began
// with. One that was received, and that raft has not taken, is not it.
func (s *Storage) newest() (snapshot.Meta, *raftpb.ConfState, error) {
	meta, err := s.newestOf(s.holds)
	if err != nil || meta.Index == 0 {
		return meta, s.members(), err
	}
	cs, err := decodeConfState(meta.Membership)
	if err != nil {
		return meta, nil, fmt.Errorf("snapshot %s: %w", meta.ID, err)
	}
	return meta, cs, nil
}

// members are those that the log began with.
func (s *Storage) members() *raftpb.ConfState {
	return proto.Clone(s.boot.Load()).(*raftpb.ConfState)
}

// Snapshot returns the newest snapshot, an empty one with the members that the
// log began with if there is none yet. Its Data is what CreateSnapshot or Save
// was given; that of a KV is a reference, see OpenSnapshot. While none can be
// read that holds what is compacted, it is
// raft.ErrSnapshotTemporarilyUnavailable.
func (s *Storage) Snapshot() (*raftpb.Snapshot, error) {
	const tries = 3 // retention may remove one that was just found, and damage shows late
	for range tries {
		meta, cs, err := s.newest()
		if err != nil {
			return nil, err
		}
		b, err := s.log.Bounds()
		if err != nil {
			return nil, err
		}
		if meta.Index < b.Base.Index {
			break
		}
		snap := &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{Index: &meta.Index, Term: &meta.Term, ConfState: cs}}
		switch {
		case meta.Index == 0: // nothing to read
		case s.machine != nil:
			snap.Data = []byte(meta.ID.String())
		default:
			snap.Data, err = s.payload(meta)
		}
		if err == nil {
			return snap, nil
		}
		if !errors.Is(err, fault.ErrNotFound) && !errors.Is(err, fault.ErrCorrupt) {
			return nil, err
		}
		s.logger.Error("snapshot cannot be read", "id", meta.ID.String(), "error", err)
	}
	return nil, raft.ErrSnapshotTemporarilyUnavailable
}

func (s *Storage) payload(meta snapshot.Meta) (data []byte, err error) {
	if meta.Size > math.MaxInt {
		return nil, fmt.Errorf("snapshot %s of %d bytes: %w", meta.ID, meta.Size, fault.ErrUnsupported)
	}
	r, err := s.snaps.Open(context.Background(), meta.ID)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	data, err = io.ReadAll(r)
	if len(data) == 0 {
		data = nil
	}
	return data, err
}

// CreateSnapshot publishes what the state machine holds as of index as the
// newest snapshot; it is durable, and was read back, on return. A nil cs says
// that the members are those of the snapshot before. Older ones go as the
// snapshot store's retention says. An index that is not above the newest
// snapshot's is raft.ErrSnapOutOfDate, one above the last entry
// fault.ErrInvalid. A KV takes its snapshots itself: fault.ErrUnsupported.
func (s *Storage) CreateSnapshot(index uint64, cs *raftpb.ConfState, data []byte) (*raftpb.Snapshot, error) {
	if s.machine != nil {
		return nil, fmt.Errorf("create snapshot: the data is a trimaran.Storage, which takes them: %w", fault.ErrUnsupported)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	newest, members, err := s.newest()
	if err != nil {
		return nil, fmt.Errorf("create snapshot: %w", err)
	}
	if index <= newest.Index {
		return nil, raft.ErrSnapOutOfDate
	}
	term, err := s.log.Term(index)
	if errors.Is(err, fault.ErrNotFound) {
		err = fmt.Errorf("no entry is there: %w", fault.ErrInvalid)
	}
	if err != nil {
		return nil, fmt.Errorf("create snapshot of index %d: %w", index, err)
	}
	if cs == nil {
		cs = members
	}
	snap := &raftpb.Snapshot{Data: data, Metadata: &raftpb.SnapshotMetadata{Index: &index, Term: &term, ConfState: cs}}
	info, err := infoOf(snap)
	if err == nil {
		err = s.publish(info, data)
	}
	if err != nil {
		return nil, fmt.Errorf("create snapshot of index %d: %w", index, err)
	}
	return proto.Clone(snap).(*raftpb.Snapshot), nil
}

// publish makes a snapshot durable.
func (s *Storage) publish(info snapshot.Info, data []byte) error {
	w, err := s.snaps.Create(context.Background(), info, nil)
	if err != nil {
		return err
	}
	defer w.Close() // discards unless committed
	if _, err := w.Write(data); err != nil {
		return err
	}
	_, err = w.Commit()
	return err
}

// OpenSnapshot opens what the snapshot of a KV refers to, whole and compressed,
// for a transport that sends a MsgSnap: the message goes first, the stream
// beside it. The snapshot outlives removal while the stream is open; one that is
// gone already is fault.ErrNotFound, which raft wants to hear as a
// ReportSnapshot with SnapshotFailure.
func (s *Storage) OpenSnapshot(ctx context.Context, snap *raftpb.Snapshot) (io.ReadCloser, error) {
	meta, err := s.referred(snap)
	if err != nil {
		return nil, fmt.Errorf("open snapshot: %w", err)
	}
	return s.snaps.Stream(ctx, meta.ID)
}

// ReceiveSnapshot takes in what another node's OpenSnapshot opened, and returns
// the snapshot to put into the message before it is given to Step. It is
// verified and durable on return, and not the newest one before raft takes it. A
// stream that is not what snap says is fault.ErrInvalid, a damaged one
// *fault.Corruption; neither leaves anything behind.
func (s *Storage) ReceiveSnapshot(ctx context.Context, snap *raftpb.Snapshot, r io.Reader) (*raftpb.Snapshot, error) {
	if s.machine == nil {
		return nil, fmt.Errorf("receive snapshot: its payload is in the message: %w", fault.ErrUnsupported)
	}
	meta, err := s.snaps.Install(ctx, r, nil)
	if err != nil {
		return nil, fmt.Errorf("receive snapshot: %w", err)
	}
	local := proto.Clone(snap).(*raftpb.Snapshot)
	local.Data = []byte(meta.ID.String())
	if _, err := s.referred(local); err != nil {
		return nil, errors.Join(fmt.Errorf("receive snapshot: %w", err), s.snaps.Remove(ctx, meta.ID, &snapshot.RemoveOptions{Force: true}))
	}
	return local, nil
}

// referred finds the snapshot that Data names, and checks that it is the one
// that the metadata describes.
func (s *Storage) referred(snap *raftpb.Snapshot) (snapshot.Meta, error) {
	if s.machine == nil {
		return snapshot.Meta{}, fmt.Errorf("snapshots of this storage are no references: %w", fault.ErrUnsupported)
	}
	id, err := snapshot.ParseID(string(snap.GetData()))
	if err != nil {
		return snapshot.Meta{}, err
	}
	meta, err := s.snaps.Stat(context.Background(), id)
	if err != nil {
		return meta, err
	}
	cs, err := decodeConfState(meta.Membership)
	if err != nil {
		return meta, err
	}
	m := snap.GetMetadata()
	if meta.Index != m.GetIndex() || meta.Term != m.GetTerm() || !equal(cs, m.GetConfState()) {
		return meta, fmt.Errorf("snapshot %s is at index %d of term %d with members %v, not at %d of %d with %v: %w",
			id, meta.Index, meta.Term, cs.GetVoters(), m.GetIndex(), m.GetTerm(), m.GetConfState().GetVoters(), fault.ErrInvalid)
	}
	return meta, nil
}

// equal compares what two memberships say, however they say it.
func equal(a, b *raftpb.ConfState) bool {
	x, errX := encodeConfState(a)
	y, errY := encodeConfState(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

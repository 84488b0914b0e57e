package trimaran

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
)

// part is one of the three layers, as far as its identity goes.
type part struct {
	name  string
	id    raftlog.Identity
	blank bool // it holds nothing, so that it may have come new
	set   func(raftlog.Identity) error
}

// identify refuses parts that do not belong together. It returns what all of
// them are to carry from now on (the same node, an epoch one higher than the
// log's; after an open that was cut short what that one began to give), and
// the parts beside the log.
func (s *Storage) identify(ctx context.Context) (id raftlog.Identity, others []part, err error) {
	id = s.log.Identity()
	opening, err := s.opening()
	if err != nil {
		return id, nil, err
	}
	if others, err = s.others(ctx); err != nil {
		return id, nil, err
	}
	if !s.o.Adopt {
		if err := belong(id, opening, s.log.Volatile(), others); err != nil {
			return id, nil, err
		}
	}
	for _, from := range []raftlog.Identity{opening, others[0].id, others[1].id} {
		if id.Node == [16]byte{} {
			id.Node = from.Node
		}
	}
	if id.Node == [16]byte{} {
		if _, err := io.ReadFull(s.o.Rand, id.Node[:]); err != nil {
			return id, nil, fmt.Errorf("make an identity: %w", err)
		}
	}
	if s.o.Adopt || s.log.Volatile() {
		id.Epoch = max(id.Epoch, others[0].id.Epoch, others[1].id.Epoch)
	}
	id.Epoch++
	return id, others, nil
}

// others describes data and snapshots.
func (s *Storage) others(ctx context.Context) ([]part, error) {
	mark, err := s.data.Mark(ctx)
	if err != nil {
		return nil, err
	}
	none := true
	for _, err := range s.snaps.All(ctx) {
		if err != nil {
			return nil, err
		}
		none = false
		break
	}
	return []part{
		{"data", s.data.Identity(), mark.Index == 0, s.data.SetIdentity},
		{"snapshots", s.snaps.Identity(), none, s.snaps.SetIdentity},
	}, nil
}

// belong reports which part is not the log's. A part may carry what the log
// carries, or what an open that was cut short began to give it.
func belong(log, opening raftlog.Identity, volatile bool, others []part) error {
	if log.IsZero() && volatile {
		return alike(others) // it came new, as at every open
	}
	for _, p := range others {
		switch {
		case p.id == log, !opening.IsZero() && p.id == opening, p.id.IsZero() && p.blank:
		case log.IsZero():
			return foreign("the %s belong to node %s and the log to none: the log was replaced or lost, and with it the votes", p.name, node(p.id))
		case p.id.IsZero():
			return foreign("the %s carry no identity, the log that of node %s", p.name, node(log))
		case p.id.Node != log.Node:
			return foreign("the %s belong to node %s, the log to node %s", p.name, node(p.id), node(log))
		case p.id.Epoch < log.Epoch:
			return foreign("the %s are of epoch %d, the log of %d: they are an older copy", p.name, p.id.Epoch, log.Epoch)
		default:
			return foreign("the log is of epoch %d, the %s of %d: the log is an older copy, and its votes with it", log.Epoch, p.name, p.id.Epoch)
		}
	}
	return nil
}

// alike refuses parts of different nodes.
func alike(parts []part) error {
	var first part
	for _, p := range parts {
		switch {
		case p.id.IsZero():
		case first.id.IsZero():
			first = p
		case p.id.Node != first.id.Node:
			return foreign("the %s belong to node %s, the %s to node %s", p.name, node(p.id), first.name, node(first.id))
		}
	}
	return nil
}

func foreign(format string, args ...any) error {
	return &fault.Corruption{Offset: -1, Class: fault.Foreign, Reason: fmt.Sprintf(format, args...),
		Err: errors.New("bring back the part that belongs here, or adopt this one")}
}

func node(id raftlog.Identity) string { return hex.EncodeToString(id.Node[:4]) }

// carry makes every part carry id. The log says first what is being done and
// carries it last, so that a crash in between is told from a foreign part. On
// a full disk the parts go on to carry what they do.
func (s *Storage) carry(id raftlog.Identity, others []part) error {
	value, err := id.AppendBinary(nil)
	if err != nil {
		return err
	}
	if err = s.log.Write(raftlog.Batch{Stable: []raftlog.StableKV{{Key: openingKey, Value: value}}}); err != nil {
		err = fmt.Errorf("log: %w", err)
	}
	for _, p := range append(others, part{name: "log", set: s.log.SetIdentity}) {
		if err == nil && p.id != id {
			if err = p.set(id); err != nil {
				err = fmt.Errorf("%s: %w", p.name, err)
			}
		}
	}
	if errors.Is(err, fault.ErrFull) {
		s.o.Logger.Warn("epoch not raised: no room", "error", err)
		return nil
	}
	return err
}

// opening is the identity that an open which was cut short began to give to all
// parts, zero if none was.
func (s *Storage) opening() (id raftlog.Identity, err error) {
	b, err := s.log.Stable(openingKey)
	if errors.Is(err, fault.ErrNotFound) {
		return id, nil
	}
	if err != nil {
		return id, err
	}
	if err := id.UnmarshalBinary(b); err != nil {
		return id, &fault.Corruption{Offset: -1, Class: fault.Committed, Reason: "stable key " + openingKey, Err: err}
	}
	if log := s.log.Identity(); id.Epoch != log.Epoch+1 || !log.IsZero() && id.Node != log.Node {
		return raftlog.Identity{}, nil // it came to its end, or is a foreign log's
	}
	return id, nil
}

package server

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"github.com/trimarandb/trimaran/fault"
)

// ErrUncertain says that nobody knows yet whether a command will be applied:
// the node lost its leadership, stopped, or the caller did not wait.
var ErrUncertain = errors.New("outcome not known")

// NotLeaderError says who may be asked instead. The command was not proposed.
type NotLeaderError struct {
	ID, Address string // empty while no leader is known; Address is that for Raft
}

func (e *NotLeaderError) Error() string {
	if e.ID == "" {
		return "not the leader, and none is known"
	}
	return fmt.Sprintf("not the leader: that is %s at %s", e.ID, e.Address)
}

func (n *Node) notLeader() error {
	address, id := n.raft.LeaderWithID()
	if string(id) == n.o.ID { // it has just lost or won it
		return &NotLeaderError{}
	}
	return &NotLeaderError{ID: string(id), Address: string(address)}
}

// translate turns raft's errors into ours.
func (n *Node) translate(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return n.notLeader()
	case errors.Is(err, raft.ErrEnqueueTimeout):
		return fmt.Errorf("too many commands wait: %w", err)
	case errors.Is(err, raft.ErrRaftShutdown):
		if halted := n.adapter.Err(); halted != nil {
			return fmt.Errorf("%w: %w", ErrUncertain, halted)
		}
		return fmt.Errorf("node: %w: %w", ErrUncertain, fault.ErrClosed)
	case errors.Is(err, fault.ErrFull):
		return err // the log took nothing
	}
	return fmt.Errorf("%w: %w", ErrUncertain, err)
}

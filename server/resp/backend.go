package resp

import (
	"context"
	"fmt"
	"time"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/server/command"
)

// Backend is the replicated state below a server. All methods may be called by
// several goroutines.
type Backend interface {
	// Propose replicates an encoded command and returns what [command.Apply]
	// answered here, after it is committed and applied here. It owns cmd. A
	// *NotLeaderError says that the command was not accepted and has no effect;
	// after any other error nobody knows whether it will have one.
	Propose(ctx context.Context, cmd []byte) (command.Result, error)
	// Linearizable returns when the state that KV reads contains everything
	// acknowledged before the call, and no key whose deadline Now has passed is
	// still alive. It fails with *NotLeaderError where that is not known.
	Linearizable(ctx context.Context) error
	// KV is the state.
	KV() kv.Reader
	// Now is the wall clock from which relative deadlines are counted and that
	// commands carry.
	Now() time.Time
	// Info describes the node for the command INFO, in the order to print.
	Info() []InfoSection
}

// InfoSection is a section of the reply to INFO.
type InfoSection struct {
	Name   string // as printed: "Replication"
	Fields []InfoField
}

// InfoField is a line of the reply to INFO. The value has no line breaks.
type InfoField struct{ Name, Value string }

// NotLeaderError says that this node does not serve requests, because it is
// not the leader. Nothing was done.
type NotLeaderError struct {
	// Leader is where Redis clients reach the leader, "" if that is not known.
	Leader string
}

// Error names the leader.
func (e *NotLeaderError) Error() string {
	if e.Leader == "" {
		return "not the leader, and no leader is known"
	}
	return fmt.Sprintf("not the leader, which is at %s", e.Leader)
}

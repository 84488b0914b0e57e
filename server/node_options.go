package server

import (
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/server/command"
)

// Where a node listens if nothing else is said.
const (
	DefaultRaftAddress = "127.0.0.1:7380"
	DefaultHTTPAddress = "127.0.0.1:8380"
)

// Peer is a voter of a new cluster.
type Peer struct{ ID, Address string }

// Options describe a node. Nil and zero fields mean the defaults.
type Options struct {
	// ID names the node among its peers, for good. Default "node".
	ID string
	// RaftAddress is where other nodes reach this one, HTTPAddress where
	// operators do; port 0 takes a free one. HTTPAddress "-" is none.
	RaftAddress, HTTPAddress string
	// Advertise is the address that peers are told, if RaftAddress is none that
	// they could use.
	Advertise string
	// Peers are the voters of a new cluster, this node included; all of them are
	// started with the same ones. Empty: this node alone. They are ignored once
	// the storage holds anything.
	Peers []Peer
	// Insecure allows addresses off loopback, where everyone who reaches them
	// may do everything.
	Insecure bool

	// Apply applies one committed command in the transaction that also moves the
	// mark, the same on every node, and returns the response. data is lent. A
	// command that fails is a response; an error means that this node cannot go
	// on: nothing of the batch is applied, and it stops. Default command.Apply.
	Apply func(tx *kv.WriteTx, index uint64, data []byte) (response any, err error)
	// Tick makes a command that does nothing but advance the clock of the data
	// to now. Default command.Tick if Apply is the default; without it time moves
	// only with other commands.
	Tick func(now time.Time) ([]byte, error)

	// Grows is how many bytes of data a command may add at most, 0 for one that
	// takes no room: those are proposed also when there is none. Default
	// command.Growth if Apply is the default, else the command's own bytes.
	Grows func(data []byte) int64
	// DataRoom is how many bytes the data has room for, if it is bounded. When
	// nine tenths are used, no more is proposed: the rest is for what replicas
	// differ in. Default: not bounded.
	DataRoom int64

	// SnapshotEntries is how many new entries make a snapshot due. Default
	// 10,000. TrailingEntries stay in the log behind it, for followers that lag.
	// Default 1,000.
	SnapshotEntries, TrailingEntries uint64
	// LogRoom is how many entries the log has room for, if it is bounded: a
	// snapshot is taken when half of it is used. Default: not bounded.
	LogRoom uint64
	// MaxCommand bounds the bytes of one command. Default 32 MiB, at most 63.
	MaxCommand int
	// Election is how long a follower waits for its leader before it stands for
	// election. Default 1 s, or 200 ms for a node alone.
	Election time.Duration
	// Logger hears what the node does. Default: nobody.
	Logger *slog.Logger
	// Now is the clock behind deadlines. Default time.Now.
	Now func() time.Time
}

const maxMaxCommand = 63 << 20 // an entry of the log is 64 MiB at most

func (o *Options) withDefaults() (Options, error) {
	var out Options
	if o != nil {
		out = *o
	}
	setDefault(&out.ID, "node")
	setDefault(&out.RaftAddress, DefaultRaftAddress)
	setDefault(&out.HTTPAddress, DefaultHTTPAddress)
	setDefault(&out.SnapshotEntries, 10_000)
	setDefault(&out.TrailingEntries, 1_000)
	setDefault(&out.MaxCommand, 32<<20)
	if setDefault(&out.Election, time.Second); len(out.Peers) < 2 && (o == nil || o.Election == 0) {
		out.Election = 200 * time.Millisecond
	}
	if out.Apply == nil {
		out.Apply, out.Tick = applyCommand, command.Tick
		if out.Grows == nil {
			out.Grows = command.Growth
		}
	}
	if out.Grows == nil {
		out.Grows = func(data []byte) int64 { return int64(len(data)) }
	}
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	if out.Now == nil {
		out.Now = time.Now
	}
	return out, out.check()
}

// applyCommand answers with a command.Result.
func applyCommand(tx *kv.WriteTx, _ uint64, data []byte) (any, error) {
	return command.Apply(tx, data)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (o *Options) check() error {
	switch {
	case o.MaxCommand < 0 || o.MaxCommand > maxMaxCommand:
		return fmt.Errorf("options: commands of %d bytes, at most %d: %w", o.MaxCommand, maxMaxCommand, fault.ErrInvalid)
	case o.Election < 20*time.Millisecond:
		return fmt.Errorf("options: election timeout of %v, at least 20ms: %w", o.Election, fault.ErrInvalid)
	}
	for _, a := range []struct{ what, address string }{{"raft", o.RaftAddress}, {"http", o.HTTPAddress}} {
		if a.what == "http" && a.address == "-" {
			continue
		}
		if err := CheckAddress(a.address, o.Insecure); err != nil {
			return fmt.Errorf("options: %s address: %w", a.what, err)
		}
	}
	seen := map[string]bool{}
	for _, p := range o.Peers {
		if p.ID == "" || p.Address == "" || seen[p.ID] {
			return fmt.Errorf("options: peer %q at %q: empty or there twice: %w", p.ID, p.Address, fault.ErrInvalid)
		}
		seen[p.ID] = true
	}
	if len(o.Peers) > 0 && !seen[o.ID] {
		return fmt.Errorf("options: node %q is not among its peers: %w", o.ID, fault.ErrInvalid)
	}
	return nil
}

// CheckAddress refuses what is no host and port, and, unless insecure is said,
// what others than this machine could reach. Both are fault.ErrInvalid.
func CheckAddress(address string, insecure bool) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is no host:port: %w: %w", address, err, fault.ErrInvalid)
	}
	if insecure || host == "localhost" {
		return nil
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%q can be reached from other machines, and nobody is asked for a password (say insecure to allow it): %w", address, fault.ErrInvalid)
	}
	return nil
}

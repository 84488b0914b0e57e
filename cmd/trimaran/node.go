package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/server"
)

// nodeConfig is what a node's file says, and the flags after it.
type nodeConfig struct {
	id               string
	data             string
	resp, raft, http string
	insecure         bool
	adopt            bool // of the command line alone
	snapshotEntries  uint64
	peers            []server.Peer // the voters of a new cluster; none: this node alone
	storage          *config.Config
	notes            []config.Note
}

// defaultNode is a single node on loopback.
func defaultNode() *nodeConfig {
	return &nodeConfig{
		id:              "node-1",
		data:            "trimaran-data",
		resp:            "127.0.0.1:6380",
		raft:            "127.0.0.1:7380",
		http:            "127.0.0.1:8380",
		snapshotEntries: 10_000,
		storage:         config.Default(),
	}
}

// loadNode reads a file with the sections node and raft_storage; either may be
// absent. All mistakes of both come back at once, as config.Mistakes.
func loadNode(file string) (*nodeConfig, error) {
	d, err := config.ReadFile(file)
	if err != nil {
		return nil, err
	}
	n := readNode(d)
	if err := d.Finish(); err != nil {
		return nil, err
	}
	n.notes = d.Notes()
	return n, nil
}

// readNode reads both sections. What it returns is of use if d has no mistakes.
func readNode(d *config.Document) *nodeConfig {
	n := defaultNode()
	s := d.Root().Section("node")
	n.id = s.Text("id", n.id)
	n.data = s.Text("data", n.data)
	n.resp = address(s, "resp_address", n.resp)
	n.raft = address(s, "raft_address", n.raft)
	n.http = address(s, "http_address", n.http)
	n.insecure = s.Bool("insecure", false)
	n.snapshotEntries = uint64(s.Int("snapshot_entries", int64(n.snapshotEntries), 1, 1<<40))
	for _, p := range s.Sections("peers") {
		peer := server.Peer{ID: p.Text("id", ""), Address: address(p, "raft_address", n.raft)}
		if peer.ID == "" {
			p.Fail("id", "a peer needs one")
		}
		n.peers = append(n.peers, peer)
	}
	if d.Root().Has("raft_storage") {
		n.storage = d.Storage()
	}
	return n
}

// String is a file that says the same with every default written out, in the
// form that loadNode reads. Secrets are left out.
func (n *nodeConfig) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "node:\n  id: %q\n  data: %q\n  resp_address: %q\n  raft_address: %q\n  http_address: %q\n  insecure: %v\n  snapshot_entries: %d\n",
		n.id, n.data, n.resp, n.raft, n.http, n.insecure, n.snapshotEntries)
	if len(n.peers) > 0 {
		b.WriteString("  peers:\n")
	}
	for _, p := range n.peers {
		fmt.Fprintf(&b, "    - id: %q\n      raft_address: %q\n", p.ID, p.Address)
	}
	return b.String() + n.storage.String()
}

// address reads host:port.
func address(s *config.Section, key, otherwise string) string {
	a := s.Text(key, otherwise)
	if err := checkAddress(a, true); err != nil { // how far it may be reached is checked after the flags
		s.Fail(key, "%v", err)
	}
	return a
}

// checkAddress refuses what is no address and, unless insecure is said, what
// other machines can reach: there is no encryption and no authentication yet.
func checkAddress(a string, insecure bool) error {
	if err := server.CheckAddress(a, true); err != nil {
		return err
	}
	if _, port, err := net.SplitHostPort(a); err != nil {
		return err
	} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("address %q: port %q is no number up to 65535: %w", a, port, fault.ErrInvalid)
	}
	if server.CheckAddress(a, insecure) != nil {
		return fmt.Errorf("address %q can be reached from other machines, without encryption or a password: bind to loopback, or say --insecure: %w", a, fault.ErrInvalid)
	}
	return nil
}

// check refuses what flags may have made of a node.
func (n *nodeConfig) check() error {
	if n.data == "" {
		return fmt.Errorf("--data: the name of a directory is needed: %w", fault.ErrInvalid)
	}
	for _, a := range []string{n.resp, n.raft, n.http} {
		if err := checkAddress(a, n.insecure); err != nil {
			return err
		}
	}
	return n.storage.Check()
}

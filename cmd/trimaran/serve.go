package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/trimarandb/trimaran"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/server"
	"github.com/trimarandb/trimaran/server/resp"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run a replicated key-value node",
		Long: `Runs a node that any Redis client can talk to. Without flags it is a single node on
loopback with its data in ./trimaran-data. Writes are acknowledged when they are
committed and applied; reads are linearizable. SIGINT and SIGTERM stop it cleanly.`,
		Example: `  trimaran serve
  trimaran serve --data /var/lib/trimaran --resp 127.0.0.1:6379
  trimaran serve --config node.yaml
  redis-cli -p 6380 SET greeting hello`,
		Args: cobra.NoArgs,
	}
	out := outputFlag(cmd)
	f := cmd.Flags()
	file := f.String("config", "", "file with the sections node and raft_storage")
	n := defaultNode()
	f.StringVar(&n.id, "id", n.id, "name of the node, for good")
	f.StringVar(&n.data, "data", n.data, "directory of the data")
	f.StringVar(&n.resp, "resp", n.resp, "address for Redis clients")
	f.StringVar(&n.raft, "raft", n.raft, "address for other nodes")
	f.StringVar(&n.http, "http", n.http, "address for operators")
	f.BoolVar(&n.adopt, "adopt", false, "accept parts of another node, or older ones, and make them this node's, once: answer for the votes yourself")
	f.BoolVar(&n.insecure, "insecure", false, "allow addresses that other machines can reach, without encryption or authentication")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := n.merge(cmd, *file); err != nil {
			return err
		}
		return serve(cmd.Context(), n, out, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

// merge puts what a file says under what the flags say.
func (n *nodeConfig) merge(cmd *cobra.Command, file string) error {
	if file == "" {
		return n.check()
	}
	said, err := loadNode(file)
	if err != nil {
		return err
	}
	flags := *n
	*n = *said
	for name, field := range map[string][2]*string{
		"id": {&n.id, &flags.id}, "data": {&n.data, &flags.data},
		"resp": {&n.resp, &flags.resp}, "raft": {&n.raft, &flags.raft}, "http": {&n.http, &flags.http},
	} {
		if cmd.Flags().Changed(name) {
			*field[0] = *field[1]
		}
	}
	n.insecure = n.insecure || flags.insecure
	n.adopt = flags.adopt
	return n.check()
}

// serve runs a node until ctx is over.
func serve(ctx context.Context, n *nodeConfig, out *output, stdout, stderr io.Writer) (err error) {
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	listener, err := net.Listen("tcp", n.resp)
	if err != nil {
		return err
	}
	defer listener.Close() // Serve closes it; this is for failures before
	n.storage.Options.Storage = trimaran.Options{Owner: trimaran.OwnerLibrary, SkipsNonCommands: true, Adopt: n.adopt}
	n.storage.Options.Logger = logger
	storage, err := n.storage.Open(ctx, n.data)
	if errors.Is(err, fault.ErrCorrupt) {
		return fmt.Errorf("%w\nThe node was not started. What is broken, and what can be done: trimaran doctor %s", err, n.data)
	}
	if err != nil {
		return err
	}
	node, err := server.Start(ctx, storage, &server.Options{
		ID: n.id, RaftAddress: n.raft, HTTPAddress: n.http, Insecure: n.insecure,
		Peers:           n.peers,
		SnapshotEntries: n.atMost(n.snapshotEntries), TrailingEntries: n.atMost(trailingEntries),
		LogRoom: uint64(n.storage.Log.MaxEntries), DataRoom: n.storage.Data.MaxSize, MaxCommand: maxCommand, Logger: logger,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, node.Close()) }()
	ctx, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { watch(ctx, node.Storage(), n.storage.HealthCheckInterval, logger) })
	defer watching.Wait()
	defer stop()
	front := resp.New(backend{node}, &resp.Options{Version: buildVersion().Version, MaxRequest: maxCommand - 1<<10})
	failed := make(chan error, 1)
	go func() { failed <- front.Serve(listener) }()
	if err := waitReady(ctx, node, logger); err != nil {
		return errors.Join(front.Close(), ignoreStop(ctx, err))
	}
	if err := n.announce(node, listener.Addr().String(), out, stdout); err != nil {
		return err
	}
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	return errors.Join(err, front.Close())
}

// maxCommand bounds one command, in bytes; a request is a little less, so that
// what the front accepts the node does too.
const maxCommand = 63 << 20

// trailingEntries stay in the log behind a snapshot.
const trailingEntries = 1000

// atMost bounds a number of entries by what a log in memory has room for, so
// that a snapshot makes room before it is full.
func (n *nodeConfig) atMost(entries uint64) uint64 {
	if room := n.storage.Log.MaxEntries; room > 0 {
		return max(1, min(entries, uint64(room)/4))
	}
	return entries
}

// waitReady returns when the node serves requests. A node alone elects itself
// in a moment; one that waits for others says so while it does.
func waitReady(ctx context.Context, node *server.Node, logger *slog.Logger) error {
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	remind := time.NewTicker(5 * time.Second)
	defer remind.Stop()
	for {
		err := node.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-remind.C:
			logger.Warn("not ready yet", "reason", err)
		case <-poll.C:
		}
	}
}

// ignoreStop drops the error of being asked to stop.
func ignoreStop(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// watch logs each change of the storage's health.
func watch(ctx context.Context, s *trimaran.Storage, every time.Duration, logger *slog.Logger) {
	last := trimaran.Healthy
	for h := range s.Watch(ctx, every) {
		if ctx.Err() == nil && h.Overall != last {
			logger.Warn("health changed", "overall", h.Overall.String(), "log", h.Log.Reason, "snapshots", h.Snapshots.Reason, "data", h.Data.Reason, "maintenance", h.Maintenance.Reason)
			last = h.Overall
		}
	}
}

// running is what serve prints when it is ready.
type running struct {
	ID       string `json:"id"`
	Data     string `json:"data"`
	RESP     string `json:"resp"`
	Raft     string `json:"raft"`
	HTTP     string `json:"http"`
	Volatile bool   `json:"volatile"`
}

func (n *nodeConfig) announce(node *server.Node, addr string, out *output, w io.Writer) error {
	r := running{ID: n.id, Data: n.data, RESP: addr, Raft: node.RaftAddress(), HTTP: node.HTTPAddress(), Volatile: node.Volatile()}
	return out.print(w, r, r.text)
}

func (r running) text(w io.Writer) {
	fmt.Fprintf(w, "trimaran node %s, data in %s\n", r.ID, r.Data)
	if r.Volatile {
		fmt.Fprintln(w, "  everything is in memory: NOTHING survives the end of this process")
	}
	host, port, err := net.SplitHostPort(r.RESP)
	if err != nil {
		host, port = r.RESP, ""
	}
	fmt.Fprintf(w, "  Redis clients  %s\n  other nodes    %s\n  operators      http://%s/v1/status\n", r.RESP, r.Raft, r.HTTP)
	fmt.Fprintf(w, "Try: redis-cli -h %s -p %s SET greeting hello\nStop with Ctrl-C.\n", host, port)
}

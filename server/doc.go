// Package server is a replicated key-value node: a [trimaran.Storage] driven by
// hashicorp/raft over TCP, with an operator's HTTP interface beside it.
//
//	node, err := server.Start(ctx, storage, &server.Options{ID: "a"})
//	response, err := node.Propose(ctx, command) // committed and applied
//	err = node.Linearizable(ctx)                // then read node.KV()
//
// The state machine is that of package command unless Options.Apply names
// another. What speaks a protocol to clients stands above Propose and
// Linearizable.
//
// # What holds
//
// When Propose returns a response, the command is in the log of a majority,
// durably as their sync policies say, and in this node's data. An error that is
// ErrUncertain leaves open whether it will be; any other means that it will not.
//
// A read of KV after Linearizable returned nil sees every command that was
// acknowledged, by whichever node, before Linearizable was called, and no row
// whose deadline had passed.
package server

// Package resp lets Redis clients use a replicated key-value state: it speaks
// RESP2 on a listener and turns requests into commands of package command.
//
// A [Server] stands on a [Backend], which replicates. A write is answered when
// its command is committed and applied. A read waits until the state contains
// every write acknowledged before it, and then reads a snapshot; so all
// requests together are linearizable. Replies and errors are those of Redis
// 7.0; what differs is listed below.
//
// Requests of one connection are answered in order. Writes that a client sent
// without waiting for answers are proposed together, as one log entry, up to
// 1,024 of them; each still succeeds or fails by itself. MULTI to EXEC
// is one log entry too, with what WATCH saw checked when it is applied.
//
// Requests are read by this package and replies written with redcon: redcon's
// reader has no bound for a request and fails on lengths near 2^63. Memory per
// connection is bounded by [Options.MaxRequest] for the request and as much for
// what MULTI has queued, and by command.MaxReply for a reply.
//
// # Differences from Redis
//
//   - A line without RESP framing has at most 16 KiB, a pattern 1 KiB.
//   - A key has 1 to 65,536 bytes, and a value up to 64 MiB.
//   - Time is the replicated clock, in nanoseconds, up to the year 2262.
//   - WATCH compares what keys hold: one that was changed back has not changed.
//   - SCAN walks in key order and refuses a cursor that this server no longer
//     knows, instead of missing keys. It is not allowed inside MULTI.
//   - KEYS and MGET refuse to answer more than 64 MiB.
//   - DBSIZE never counts a key whose deadline has passed. It counts by walking,
//     unless the data is in memory.
//   - There is one database, and RESP3 is refused.
package resp

// Package hashiraft lets hashicorp/raft keep everything it must not forget in
// Trimaran: log, votes and terms, snapshots, and the data too if wanted.
//
// A program that has a state machine of its own takes log and snapshots:
//
//	snaps, err := hashiraft.OpenSnapshots(dir, 2, nil)
//	logs, err := hashiraft.OpenLog(dir, &hashiraft.Options{Snapshots: snaps})
//	node, err := raft.NewRaft(raftConfig, fsm, logs, logs, snaps, transport)
//
// [LogStore] is LogStore, StableStore, MonotonicLogStore and
// CommitTrackingLogStore in one value. One whose commands read and write keys
// also leaves the data to a [trimaran.Storage]:
//
//	storage, err := config.OpenDir(dir, &config.Options{...}) // Owner: trimaran.OwnerLibrary
//	adapter, err := hashiraft.New(ctx, storage, apply, nil)
//	node, err := adapter.NewRaft(raftConfig, transport)
//
// The storage is opened with Options.Owner OwnerLibrary, because hashicorp/raft
// takes snapshots and deletes log entries itself, and with SkipsNonCommands,
// because it never shows no-ops and barriers to a state machine.
//
// # How the two meet
//
// The log has no gaps ([LogStore.IsMonotonic]), so raft empties it after a
// restore. An empty log answers 0, 0; the write that continues it elsewhere
// moves its base in the same atomic batch.
//
// The data is durable by itself and knows which entry it contains. Raft
// therefore does not load a snapshot at start ([Adapter.Configure]); it delivers
// what follows its newest snapshot again, and what the data contains already
// is skipped. While the data is ahead of what was delivered since the start,
// no snapshot is taken: raft would label it with an index below its content.
//
// A state machine that failed to apply halts: see [Halted].
//
// # Bytes
//
// A log entry is a [raftlog.Entry] whose Data, Term and Time are raft's. A
// command, a no-op and a configuration without Extensions have the Kind of that
// name and no Ext. Anything else has in Ext (frozen: part of format v1)
//
//	0       version, 1
//	1       raft.LogType
//	2       0: Extensions is nil; 1: the rest is Extensions
//	3 ...   Extensions
//
// and the Kind NoOp, unless it is one of the three. Stable keys of raft are kept
// under "hashiraft/stable/", numbers as eight bytes, big endian;
// "hashiraft/commit" is the commit index that raft staged last, and
// "hashiraft/copying" is there while [LogStore.CopyFrom] has not completed.
package hashiraft

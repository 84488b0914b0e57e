// Package etcdraft lets etcd-io/raft keep everything it must not forget in
// Trimaran: entries, hard state, membership and snapshots, and the data too if
// wanted.
//
//	storage, err := etcdraft.Open(dir, nil)
//	...
//	runner, err := etcdraft.Start(raftConfig, storage, machine, transport, nil)
//
// [Storage] is a raft.Storage with the calls that a program makes to write:
// [Storage.Save] for what a Ready holds, in one sync, [Storage.CreateSnapshot],
// [Storage.ApplySnapshot] and [Storage.Compact]. A program that has a loop of
// its own uses it in the place of MemoryStorage and a write-ahead log.
//
// [Runner] is that loop, with AsyncStorageWrites: what is left to write is a
// [Transport] and a [Machine]. [KV] is a Machine over a [trimaran.Storage],
// whose data is durable by itself and whose snapshots are streams.
//
// # What is durable when
//
// Save is durable on return, as the log's sync policy says, with one exception
// that the library makes itself (raft.MustSync): a commit index that moved alone
// waits for the next write, or for Close. A hard state is durable on return
// under every sync policy.
//
// A snapshot is published before the log follows it, in one write that also
// holds the hard state. A crash in between is finished by the next open: what a
// snapshot holds was committed, so a log without its last entry gives way.
//
// The hard state that [Storage.InitialState] returns is never behind the log: a
// commit index below the last compacted or applied entry is raised to it, a
// term below the last entry's too, without a vote.
//
// # Bytes
//
// An entry is a [raftlog.Entry] whose Data, Term and Index are the library's. A
// command without a Type has Kind Normal, one without data too Kind NoOp, a
// ConfChange Kind Configuration, and none of them has an Ext. Anything else has
// in Ext (frozen: part of format v1)
//
//	0       version, 1
//	1 ...   the raftpb.Entry without Term, Index and Data, in protobuf
//
// and the Kind Configuration if its Type is ConfChangeV2 or ConfChange, else
// Normal. Stable keys: "etcdraft/hardstate" holds version 1 and term, vote and
// commit as eight bytes each, big endian; "etcdraft/confstate" the membership
// of a log that begins without a snapshot. A membership, there, in snapshots and
// in the mark of the data, is version 1 and a raftpb.ConfState in protobuf.
package etcdraft

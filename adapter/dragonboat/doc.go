// Package dragonboat lets dragonboat keep everything it must not forget in
// Trimaran: the logs, votes, membership and snapshots' metadata of all replicas
// of a NodeHost in one log with one sync, and the data of on-disk state machines
// in the key-value store.
//
//	hostConfig.Expert.LogDBFactory = dragonboat.NewFactory(nil)
//	host, err := dragonboat.NewNodeHost(hostConfig) // dragonboat's own
//	...
//	machines := dragonboat.OpenMachines(dir, apply, lookup, nil)
//	err = host.StartOnDiskReplica(members, false, machines, shardConfig)
//
// [LogDB] is a raftio.ILogDB, and can be used without [Machine]: state machines
// of every kind work above it. [Machine] is a statemachine.IOnDiskStateMachine,
// and can be used above every LogDB.
//
// It is a module of its own, so that nobody else's build has dragonboat's
// requirements. Of dragonboat it imports config, raftio, raftpb, statemachine
// and, for [NewLoggerFactory], logger.
//
// # What is durable when
//
// Every call of LogDB that writes is durable on return and atomic over all the
// replicas that it is given, with one exception: a commit index that moved alone
// waits for the next write of its replica, or for Close. Raft does not rely on it.
//
// A Machine's updates are durable after Sync, which dragonboat calls before it
// drops what they came from; until then the entries are, in the log. A snapshot
// that was recovered from is durable at once.
//
// An error of the disk, also that it is full, ends the process: that is what
// dragonboat does with every error of a LogDB or of a state machine.
//
// # How the two meet
//
// Dragonboat keeps the files of snapshots itself. Those of a Machine are exports
// of the store, made only for replicas that need one: dragonboat's own periodic
// snapshot of an on-disk state machine holds no data.
//
// The data knows which entry it contains. Configuration changes and no-ops are
// not shown to a state machine, so its index may be behind the one that a
// snapshot is labelled with; dragonboat knows of both.
//
// The data's clock, by which keys with a deadline expire, moves only when
// [ApplyFunc] calls kv.WriteTx.Advance with a time that the command carries:
// dragonboat's entries have none.
//
// # Bytes
//
// docs/format/dragonboat.md draws them: the replica R of shard S is the group
// {Shard: S, Replica: R} of the log.
package dragonboat

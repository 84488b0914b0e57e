// Package raftlog is the log layer: what a Raft node appends, and the term,
// vote and commit index it must never forget.
//
// A [Log] is one group's log. It is held by users and adapters; below it is a
// [Driver], which keeps many groups and owns the commit, so that groups share
// a sync. [Batch] is one atomic write. Package seglog keeps logs in segment
// files, package memlog in bounded memory; package logtest has the contract
// that every driver meets.
//
// # Positions
//
// Indexes start at 1 and terms at 1; 0 means none or unknown. Entries up to
// the base were compacted away: the base's index and term are kept, so that
// first = base + 1 always holds and Term(base) still answers. An emptied log
// reports its base's index as the last. Ranges are half open.
//
// # Rules of a write
//
// The entries of a batch are contiguous and begin right after the last one,
// after Reset and TruncateFrom of the same batch; terms never fall. Whatever
// breaks a rule is refused as a whole with [fault.ErrInvalid] and changes
// nothing. [Shape] holds the rules, once for all drivers.
//
// # Durability
//
// A write that returned nil is durable, unless the driver was opened with a
// sync policy that says otherwise or is volatile. Stable keys are durable
// under every policy of a driver that is not volatile. After a failed sync
// every write fails with [fault.ErrPoisoned] until the driver is reopened.
package raftlog

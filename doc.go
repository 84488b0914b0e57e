// Package trimaran keeps the three layers of a Raft node consistent with each
// other: its log, its snapshots and its data.
//
// A [Storage] owns every step that touches more than one layer: applying
// entries to the data, taking a snapshot and compacting the log behind it,
// restoring one, and finding out at open how the three stand to each other.
// It sees layers, never drivers; package config opens drivers and puts them
// together.
//
// # Who drives
//
// Options.Owner says who decides when snapshots are taken and the log is
// compacted: the composite, through [Storage.Maintain], or a Raft library that
// insists on doing it itself. Both go through the same public steps:
//
//	BeginSnapshot  ->  WriteTo  ->  Commit       (Snapshot is these in a row)
//	BeginRestore   ->  Load  ->  Switch  ->  FinishLog     (Restore, Install)
//
// # What holds
//
// The applied mark (index, term, membership, clock) moves in the transaction
// that moves the data. The log is compacted only behind a snapshot that was
// published, read back whole and verified, and after the data that it covers is
// durable. A restore replaces the data in one durable step, after everything
// that can fail on bad input. Where the log has to follow, an intent in its
// stable keys says so from before that step until the log has followed, in the
// same write that clears it: New finishes what a crash cut short, or undoes it.
//
// All parts carry one identity and one epoch, which each open raises: a part
// of another node, or an older copy, is refused unless adopted.
//
// What an open does in which situation, and the bytes of the intent, stand in
// docs/format/recovery.md.
package trimaran

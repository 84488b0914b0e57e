// Package crashtest finds out what a store loses in a crash.
//
// A [Workload] is a script of calls to a store on a simulated disk, and an
// oracle that knows which states the store may be in afterwards. [Run] plays
// it, cuts the power after each operation that the disk recorded, lets what was
// not synced survive in every way that the disk allows (package simdisk), opens
// the store on each outcome, and asks the oracle. Then it opens the store a
// second time, goes on writing, and cuts the power within the recovery too, to
// a depth of two.
//
// Outcomes are counted as distinct disk images. A run prints its seed; a
// [Failure] has an ID from which [Replay] makes the same image again, and can
// be saved with the disk's history where the store's own goroutines do not
// repeat themselves.
package crashtest

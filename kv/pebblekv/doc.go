// Package pebblekv is the default engine: a [kv.Driver] on
// github.com/cockroachdb/pebble, a log-structured merge tree in pure Go.
//
// A readable transaction is a Pebble snapshot, a writable one an indexed batch.
// Commit writes to the write-ahead log without waiting for the disk; Sync
// syncs the log, and with it every commit before.
//
// # On disk
//
//	dir/
//	  LOCK              held while the engine is open
//	  GENERATION        which generation is the content: see internal/gendir
//	  gen-00000001/     a generation: one Pebble store
//	    load-*          a table that is being loaded
//
// An import is loaded into a generation of its own and is the content when
// GENERATION says so: a crash leaves the old content or the new one. The old
// one is removed after its last reader; what a crash leaves of either is
// removed by the next Open. GENERATION is durable before the directory that it
// names first, so a directory without it is damage, never a new store.
//
// # Failures
//
// All of Pebble's files are reached through [vfs.FS], also on the real disk.
// The layer between decides at the first write, sync or rename that fails:
// from then on nothing reaches the disk, commits and Sync are
// fault.ErrPoisoned, and reads go on. Pebble by itself would end the process
// when its log or manifest fails, and try for ever when a table does. It also
// syncs a directory before names that Pebble makes or removes in reliance on
// others, so nothing depends on the order in which a file system keeps names.
//
// A full disk: a commit is fault.ErrFull, and changes nothing, while there is
// less room than the tables need that are in memory (two write buffers, or a
// tenth of the disk if that is less). A table that finds no room all the same
// is tried again; commits wait for it when MaxWriteBuffers are full, and are
// fault.ErrFull, having changed nothing, after a second or so of tries. Open
// does not wait, and is fault.ErrFull. A log that finds no room poisons.
//
// Damage that Pebble finds is *fault.Corruption, from the call that met it. Met
// by background work it poisons. Pebble finds damage in its log if the log went
// on for a block of 32 KiB after the sync that covered the place. At the very
// end damage looks like the end, and a log that is gone like one that never
// was: after a crash the state is then an older one. Close leaves nothing in
// the log.
//
// What still ends the process: a broken invariant that Pebble finds in a
// goroutine of its own is a panic there. What a failed engine held, such as a
// commit that waited for a table, stays with the process until that ends; it
// cannot reach the disk any more, so the store can be opened again beside it.
package pebblekv

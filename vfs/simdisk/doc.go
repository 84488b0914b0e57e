// Package simdisk is a disk that remembers: it records every operation, and
// tells what a crash after any of them may leave behind.
//
// A [Disk] is a file tree ([vfs.FS]) that behaves as a kernel does while
// nothing goes wrong. [Disk.Point] is a moment in its history; what was synced
// by then is there in every state after it, all else is loose. A [Choice] says
// what of that survived a power cut, and [Point.Crash] makes an [Image] of it,
// which shares with others all in which it does not differ. [Point.Kill] is the
// disk after the process died alone.
//
// # What may happen
//
// Bytes. Between two syncs of a file each of its 512-byte sectors is, on its
// own, as it was at the last sync or after any write since. A sector may be
// torn: the first bytes new and the rest old. Bytes that were being written
// may be garbage, from the first one that changed, and so may be the sectors by
// which a file grew, where the write did not arrive.
//
// Sizes. The length is separate from the bytes: it is what it was at the last
// sync or after any write or truncation since, or, with [Short], within the
// last write. What lies beyond it is lost.
//
// Names. A name that was created, removed or renamed is durable after a sync
// of its directory; until then each such change happened or did not, each on
// its own. A rename shows the old name or the new, and with [Both] both; one
// from a directory to another is durable after a sync of either. A directory
// is never in two places. File syncs do nothing for names.
//
// Failed syncs. What was not on disk by then may never come there, though
// reads show it and later syncs succeed: it stays loose until it is written
// again and synced. Names stay as they were, loose until a sync of their
// directory succeeds: they are in a journal, which a file system either commits
// later or stops at, read-only. With [Options.LoseNames] they are lost as bytes
// are.
//
// Full disks. With [Options.Capacity] writes stop short, and what needs a new
// block is refused; with [Options.LateFull] it is the sync that fails.
//
// Silent faults. [Image.Flip], [Image.Zero], [Image.Stale], [Image.Misdirect],
// [Image.Resize], [Image.Lose], [Image.Swap] and [Image.Duplicate] return a disk
// on which bytes or files changed behind everybody's back.
//
// The model is weaker than any file system in use, which order more than it
// says. It follows the studies of what applications may rely on (Pillai et
// al., All File Systems Are Not Created Equal, OSDI 2014; Rebello et al., Can
// Applications Recover from fsync Failures?, ATC 2020).
package simdisk

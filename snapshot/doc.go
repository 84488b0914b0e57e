// Package snapshot keeps the snapshots of a Raft node: whole states of the
// machine at one index, compressed, checksummed, published at once or not at
// all.
//
// # Model
//
// A [Store] is what users hold. It writes snapshots into containers, checks
// every byte it reads, applies retention and moves snapshots between nodes. A
// [Bucket] is where containers are kept: a flat set of named objects, each of
// them invisible until it is complete. Package membucket keeps them in memory;
// package snaptest holds the rules for buckets and stores and checks them.
//
// A snapshot is three things. [Info] is what the caller knows: index and term
// of the last entry it contains, the membership at that entry and the logical
// clock. [Meta] adds what the store knows: [ID], sizes, digest, codec, time.
// The payload is a stream of bytes that means something to the caller only.
//
// The container is cut into chunks where the content says so, each compressed
// and checksummed alone, so that damage is found before the first wrong byte
// is handed out, a transfer goes on where it stopped, and two snapshots that
// are alike share most of their chunks. The bytes are drawn in
// docs/format/snapshot.md.
//
// # What holds
//
// A snapshot that [Writer.Commit], [Receiver.Commit] or [Store.Install]
// returned is whole, durable as far as its bucket is, and has been read back.
// Before that it does not exist: no listing shows it, and a crash leaves
// nothing of it behind that anyone sees.
//
// No policy removes the newest valid snapshot, and [Store.Remove] does so only
// when forced. Open readers and pins outlive removal.
//
// Damage is always a [*fault.Corruption]. A reader that returned [io.EOF] has
// delivered exactly what was written; anything else is an error before that.
//
// Memory is bounded by a few chunks for each open handle, as many as
// Options.Workers says and two more, whatever the size of the snapshot; writing
// and receiving add 48 bytes for each chunk, about 5 MB for 100 GiB. Lengths found in a container or manifest are limits while
// reading and never the size of an allocation before they were compared with
// the limits of the format.
//
// # Two ways to move a snapshot
//
// [Store.Stream] and [Store.Install] move a whole container through a pipe.
// [Store.Manifest], [Store.Chunk] and [Store.Receive] move it in pieces: the
// receiver says what it lacks, takes chunks in any order from any source that
// has the snapshot, survives restarts in between, and copies what it already
// holds in other snapshots.
//
// # Processors
//
// Chunks are compressed, expanded and hashed by Options.Workers goroutines at
// once, and written, read and handed out in order by the goroutine that calls.
// Handles leave no goroutine behind when they are closed.
//
// All methods of a Store may be called by several goroutines.
package snapshot

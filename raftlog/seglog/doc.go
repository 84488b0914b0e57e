// Package seglog keeps the logs of many groups in one append-only log of
// segment files.
//
// A durable write is one sequential write and one fdatasync, for all groups
// and their votes together. Every entry has a checksum of its own, verified on
// every read.
//
//	dir/
//	  LOCK                      flock while open; says pid
//	  IDENTITY                  format version, log identity; created last
//	  CLEAN                     where the log ended when it was last closed
//	  00000000000000000001.seg  sealed: header, checkpoint, frames, seal
//	  00000000000000000002.seg  active: header, checkpoint, frames
//	  *.tmp                     not finished when a process died; removed at open
//
// # Format v1
//
// Integers are little endian, uv is an unsigned varint in its shortest form,
// v a zig-zag one. Frames are those of internal/frame, padded with zeros to 8
// bytes. A checksum starts from a seed of the place: log identity, segment
// sequence and offset. Old, foreign and misdirected blocks never verify.
//
//	segment   0  "TRIMLOG\n" | version u32 | 0 u32
//	          16 frame header{version u32, identity 16, segment u64, headEnd u64,
//	                          prevEnd u64, firstSeq u64, prevSum u32}
//	          .. frame checkpoint, frame batch ..., frame seal
//
// headEnd is where the bytes end that were durable before the segment got its
// name; prevEnd where the frames of the segment before end, whatever lies
// behind them there; prevSum the header checksum of the last of those frames.
//
//	frame     len u32 | kind u8 | 0 u24 | sum u32 | head u32 | payload
//	payload   seq u64 | durableTo u64 | prev u32 | body
//
// seq counts the frames of the log. durableTo is the offset up to which this
// segment had been synced when the frame was written. prev is the header
// checksum of the frame before.
//
//	checkpoint { shard uv, replica uv, base uv, base term uv, last uv,
//	             runs uv, {first uv, term uv} ..., keys uv, {key, value} ... } ...
//	batch      { group, records } ...
//	seal       empty: a successor exists
//
//	group      1 | shard uv | replica uv
//	remove     2
//	reset      3 | index uv | term uv
//	truncate   4 | from uv
//	entry      5 | size uv | crc u32 | kind u8 | flags u8 | index uv | term uv |
//	           [seconds v | nanoseconds uv] | [length uv | ext] | data
//	stable set 6 | length uv | key | length uv | value
//	delete     7 | length uv | key
//	compact    8 | to uv
//
// One submission is one frame, so it is there as a whole or not at all.
//
// # Recovery
//
// Open reads the whole log; Store.recover says how a torn tail is told from
// damage. Bytes that were read after a crash are not taken for durable: what
// was not known to be synced is written again, into a new segment, before
// anything else is acknowledged.
//
// # Assumptions
//
// A sync that returned without error made the bytes before it durable. Bytes
// outside a written range survive the write. A rename is atomic. Everything
// else in the fault model of a disk (lost, torn and reordered unsynced
// sectors, names that vanish or come back until the directory is synced,
// flipped bits, stale or misdirected blocks) is either recovered from or
// reported as *fault.Corruption.
package seglog

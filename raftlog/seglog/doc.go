// Package seglog keeps the logs of many groups in one append-only log of
// segment files.
//
// A durable write is one sequential write and one fdatasync into blocks that
// were written before, for all groups and their votes together. Every entry has
// a checksum of its own, verified on every read.
//
//	dir/
//	  LOCK                      flock while open; says pid
//	  IDENTITY                  format version, log identity; created last
//	  CLEAN                     how the log ended when it was last closed
//	  00000000000000000001.seg  sealed: header, checkpoint, frames, seal with index
//	  00000000000000000003.seg  active: header, checkpoint, frames, unused blocks
//	  spare-000002.seg          written blocks for a later segment
//	  *.torn                    what the last recovery cut off, for people
//	  *.tmp                     not finished when a process died; removed at open
//
// docs/format/log.md draws the bytes.
//
// # What says what the log is
//
// A segment begins with a checkpoint: per group its base, last index, term
// runs, stable keys, and in which segments its entries lie. So the last segment
// alone says what the log is: its checkpoint, and what its frames did to that.
// Older segments are looked at for their entries only, by the index in their
// seal. A segment that the state does not refer to is dead, whatever it holds:
// nothing stale comes back when its neighbours go.
//
// # What a crash can leave
//
// Each step is durable before the next one begins.
//
//	creation     segment 1, then IDENTITY. Without IDENTITY it is begun anew.
//	rotation     the old segment is synced; the new one, with its checkpoint, is
//	             written and synced under another name, renamed, the directory
//	             synced. Until then the old one is the last, and complete.
//	seal         behind the frames of a segment that has a successor. Without it,
//	             or with half of it, the index is made anew from the frames.
//	compaction   the frame that says so is synced before a segment dies of it.
//	recycling    the dead segment is renamed to a spare and the directory synced
//	             before anything is written to it. If the rename is undone it is a
//	             dead segment again.
//	moving       live entries of a sparse segment are copied into a frame of the
//	             active one; when that is synced they live there. Until then, and
//	             if they were truncated meanwhile, the copy means nothing.
//	removal      a record in a frame, as a truncation or a reset is.
//	recovery     another segment is begun, as in a rotation. What was not known to
//	             be synced in the last one is in its checkpoint and moved into it.
//	clean close  everything is synced before CLEAN is written. It is removed, and
//	             the directory synced, before the first write of the next open.
//
// # Recovery
//
// Store.recover says how a torn tail is told from damage. Bytes that were read
// after a crash are not taken for durable: what was not known to be synced is
// written again, into a new segment, before anything else is acknowledged.
//
// # Inspection
//
// Inspect reads a log without opening it, also one that a process writes to: it
// looks for the end as recovery does, and leaves everything as it is. Frames
// appear in order and names change before files are used again, so what it
// reads is the log as of some write; what does not fit is looked at again.
//
// # Space
//
// Files of ended segments occupy at most twice what lives in them, and one
// segment more; the active segment and up to four spares come on top. Live
// entries of the sparsest segment are moved to keep it so.
//
// # Assumptions
//
// A sync that returned without error made the bytes before it durable. Bytes
// outside a written range survive the write, and so do those in the range that
// are written again with the same value (Options.AlignCommits does without the
// latter). A rename is atomic. Everything else in the fault model of a disk
// (lost, torn and reordered unsynced sectors, names that vanish or come back
// until the directory is synced, flipped bits, stale or misdirected blocks) is
// either recovered from or reported as *fault.Corruption.
package seglog

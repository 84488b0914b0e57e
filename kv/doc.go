// Package kv is the key-value layer: transactions, deadlines, counters,
// compare-and-swap, declared indexes, pages, and export and import of the
// whole state, written once above a small engine interface, [Driver].
//
// A [Store] is what callers hold. It has one writer at a time and any number
// of readers, each on a snapshot that no writer disturbs, so transactions are
// serialisable and cannot deadlock or conflict.
//
// # Replicas
//
// Equal commands in equal order give equal bytes on every replica. Therefore
// the store has a clock of its own, part of its [Mark], which moves only with
// [WriteTx.Advance]; deadlines are absolute times on that clock, and a row
// whose deadline the clock has reached is in no read, count, export or digest,
// whether or not it was removed yet. The mark says which log entry the state
// contains and is written in the same transaction as the data. A program
// without replicas sets [Options.Clock] and gets a wall clock that never goes
// back instead.
//
// # Bytes on disk
//
// docs/format/kv.md draws them: rows, the deadline queue and index entries
// live in name spaces of one byte; an export is a stream of checksummed
// frames whose boundaries depend on the keys.
package kv

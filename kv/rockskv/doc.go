// Package rockskv is the RocksDB engine: a [kv.Driver] on the real thing, in
// C++, through github.com/linxGnu/grocksdb. It does what package pebblekv does,
// in the same layout, and takes the compaction styles that Pebble has not.
//
// # Building
//
// It needs cgo, the build tag rocksdb, and RocksDB 7.8 with its headers, which
// Debian 12 has as librocksdb-dev:
//
//	apt-get install librocksdb-dev
//	CGO_ENABLED=1 go build -tags rocksdb ./...
//
// Nothing else: grocksdb says by itself what to link (rocksdb, snappy, lz4,
// zstd, z, stdc++). For a RocksDB elsewhere set CGO_CFLAGS=-I... and
// CGO_LDFLAGS=-L... . Without the tag the package compiles to an [Open] that
// fails with fault.ErrUnsupported and says what to do.
//
// # On disk
//
//	dir/
//	  LOCK              held while the engine is open
//	  GENERATION        which generation is the content: see internal/gendir
//	  gen-00000001/     a generation: one RocksDB store
//
// An import is loaded into a generation of its own and is the content when
// GENERATION says so: a crash leaves the old content or the new one. The old
// one is removed after its last reader; what a crash leaves of either is
// removed by the next Open.
//
// # Failures
//
// After a commit or sync has failed nothing is written any more: commits and
// Sync are fault.ErrPoisoned until the engine is opened again, and reads go on.
// A commit is fault.ErrFull, and changes nothing, while there is less room than
// what is in memory needs. RocksDB tells its errors as text only, so damage and
// a full disk are recognised by how the text begins. After a crash it takes
// damage in its log for the end of it; Close leaves nothing in the log. A
// manifest that was cut it takes for an older one.
//
// RocksDB opens its files by itself, so no package vfs can make them fail or
// keep them elsewhere than on the real disk.
package rockskv

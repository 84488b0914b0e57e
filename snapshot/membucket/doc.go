// Package membucket keeps snapshots in memory. Nothing survives the process:
// [Bucket.Volatile] says so.
package membucket

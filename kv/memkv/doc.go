// Package memkv is the engine that keeps everything in memory: a copy-on-write
// B-tree, so that a snapshot costs the same whatever the tree holds. It forgets
// everything when it is closed.
package memkv

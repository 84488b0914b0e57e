//go:build !rocksdb

package main

// tags are those that the tested program is built with: the test's own.
const tags = ""

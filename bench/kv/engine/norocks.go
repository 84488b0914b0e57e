//go:build !(rocksdb && cgo)

package engine

// Tags are what the program was built with.
const Tags = ""

func rocks() []Kind { return nil }

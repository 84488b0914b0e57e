//go:build !(rocksdb && cgo)

package engine

func rocks() []Kind { return nil }

//go:build !race

package crashtest

const defaultStride = 1

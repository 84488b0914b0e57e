//go:build race

package kvtest

const crashStride = 96 // the detector makes everything so much slower

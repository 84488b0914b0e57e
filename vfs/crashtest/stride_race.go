//go:build race

package crashtest

const defaultStride = 8 // the detector makes everything so much slower

//go:build !race

package kvtest

// crashStride is how many operations lie from one cut to the next: to open an
// engine takes a millisecond, to crash it everywhere a thousand of them. The
// next round cuts elsewhere.
const crashStride = 16

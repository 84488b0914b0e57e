// Package race tells tests whether the race detector watches. It makes
// everything about ten times slower, and finds in repetitions of one goroutine
// what it found in the first: they are thinned out under it.
package race

// Either returns watched under the race detector, and alone without.
func Either[T any](alone, watched T) T {
	if Enabled {
		return watched
	}
	return alone
}

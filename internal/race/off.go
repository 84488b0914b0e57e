//go:build !race

package race

// Enabled reports that the race detector watches.
const Enabled = false

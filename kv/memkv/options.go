package memkv

// Options configure [New].
type Options struct {
	// MaxSize bounds what the engine holds, in bytes: keys, values and an
	// estimate of what each pair costs beside them. 0 is no bound. What open
	// snapshots still hold of older states, and a state being imported beside
	// the live one, do not count against it; the latter has the same bound for
	// itself.
	MaxSize int64
}

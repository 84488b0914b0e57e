package command

// Growth is how many bytes an encoded command may add to a state at most, the
// store's own costs included: 0 for one that only reads or removes, and for
// what cannot be decoded, which Apply refuses.
func Growth(data []byte) (n int64) {
	c, err := Decode(data)
	if err != nil {
		return 0
	}
	for i := range c.Ops {
		n += c.Ops[i].growth()
	}
	return n
}

// overhead is what a row costs beside its bytes, and its deadline with it.
const overhead = 512

func (o *Op) growth() (n int64) {
	switch o.Code {
	case Set, MSet, MSetNX, IncrBy, Append, ExpireAt:
	default:
		return 0
	}
	for _, arg := range o.Args { // keys and values; a key is in the queue of deadlines too
		n += 2*int64(len(arg)) + overhead
	}
	return n
}

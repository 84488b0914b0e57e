package resp

import "io"

// SplitLine is splitLine for the tests, whose scripts are such lines.
func SplitLine(line []byte) ([][]byte, error) { return splitLine(line) }

// Requests reads the requests of r up to an error and returns both.
func Requests(r io.Reader, limit int) (all [][][]byte, err error) {
	in := newRequests(r, limit)
	for {
		args, err := in.next()
		if err != nil {
			return all, err
		}
		all = append(all, args)
	}
}

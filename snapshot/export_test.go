package snapshot

import (
	"bytes"

	"github.com/trimarandb/trimaran/internal/frame"
)

// WithVersion returns the container as another version would begin it.
func WithVersion(b []byte, v uint32) []byte {
	b = bytes.Clone(b)
	le.PutUint32(b[8:], v)
	le.PutUint32(b[28:], frame.Sum(0, b[:28]))
	return b
}

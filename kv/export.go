package kv

import "github.com/trimarandb/trimaran/internal/frame"

// exporter writes an export. It holds one frame in memory.
type exporter struct {
	out  *frame.Writer
	sums *digester
	rows []byte // the open frame
}

func (e *exporter) begin() error { return e.out.Write(frameHeader, streamHeader()) }

func (e *exporter) index(definition []byte) error {
	if err := e.sums.index(definition); err != nil {
		return err
	}
	return e.out.Write(frameIndex, definition)
}

func (e *exporter) row(x *stored, encoded []byte) error {
	if cutBefore(len(e.rows), x.key) {
		if err := e.flush(); err != nil {
			return err
		}
	}
	e.rows = append(e.rows, encoded...)
	return e.sums.row(x, encoded)
}

func (e *exporter) flush() error {
	if len(e.rows) == 0 {
		return nil
	}
	err := e.out.Write(frameRows, e.rows)
	e.rows = e.rows[:0]
	return err
}

// finish writes the last rows and the trailer, and returns the digest.
func (e *exporter) finish(m mark) (Digest, error) {
	if err := e.flush(); err != nil {
		return Digest{}, err
	}
	d := e.sums.finish(m.public())
	end := trailer{rows: d.Rows, bytes: d.Bytes, root: d.Root, mark: m}
	return d, e.out.Write(frameTrailer, end.appendTo(nil))
}

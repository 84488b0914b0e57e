package resp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/trimarandb/trimaran/server/command"
)

// protocolError says what is wrong with the framing of a request. The
// connection cannot go on: nobody knows where the next request begins.
type protocolError string

func (e protocolError) Error() string { return "protocol error: " + string(e) }

// requests reads requests: arrays of bulk strings, or lines of words. It keeps
// no more than limit bytes of one, and takes no memory for what a length
// promises before it comes.
type requests struct {
	br    *bufio.Reader
	limit int
	chunk []byte // from which short arguments are cut
}

const (
	chunkSize = 8 << 10  // of memory for short arguments
	stepSize  = 64 << 10 // first of the steps in which a long one is read
	argCost   = 24       // that an argument counts beside its bytes
)

func newRequests(r io.Reader, limit int) *requests {
	return &requests{br: bufio.NewReaderSize(r, maxInline), limit: limit}
}

// next returns the arguments of the next request, which the caller keeps; there
// is at least one.
func (r *requests) next() ([][]byte, error) {
	for {
		line, err := r.line("too big inline request")
		if err != nil {
			return nil, err
		}
		var args [][]byte
		if len(line) > 0 && line[0] == '*' {
			args, err = r.array(line[1:])
		} else {
			args, err = splitLine(line)
		}
		if err != nil || len(args) > 0 {
			return args, err
		}
	}
}

// line reads up to a line feed, without it and a carriage return before it.
func (r *requests) line(tooLong protocolError) ([]byte, error) {
	line, err := r.br.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		if line[0] == '*' {
			tooLong = "too big mbulk count string"
		}
		return nil, tooLong
	}
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte{'\r'}), nil
}

func (r *requests) array(count []byte) ([][]byte, error) {
	n, ok := command.ParseInt(count)
	if !ok || n > command.MaxArgs {
		return nil, protocolError("invalid multibulk length")
	}
	if n <= 0 {
		return nil, nil
	}
	args := make([][]byte, 0, min(n, 64))
	left := r.limit
	for range n {
		size, err := r.length()
		if err != nil {
			return nil, err
		}
		if left -= size + argCost; left < 0 {
			return nil, protocolError(fmt.Sprintf("request of more than %d bytes", r.limit))
		}
		arg, err := r.bulk(size)
		if err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
	return args, nil
}

func (r *requests) length() (int, error) {
	line, err := r.line("too big bulk count string")
	if err != nil {
		return 0, err
	}
	if len(line) == 0 || line[0] != '$' {
		got := byte('\r')
		if len(line) > 0 {
			got = line[0]
		}
		return 0, protocolError(fmt.Sprintf("expected '$', got '%c'", got))
	}
	n, ok := command.ParseInt(line[1:])
	if !ok || n < 0 || n > command.MaxValue {
		return 0, protocolError("invalid bulk length")
	}
	return int(n), nil
}

// bulk reads a string and the end of its line.
func (r *requests) bulk(size int) ([]byte, error) {
	arg, err := r.room(size)
	if err != nil {
		return nil, err
	}
	var end [2]byte
	if _, err := io.ReadFull(r.br, end[:]); err != nil {
		return nil, err
	}
	if end != [2]byte{'\r', '\n'} {
		return nil, protocolError("bulk string without its end")
	}
	return arg, nil
}

// room reads size bytes: short ones into a shared chunk, long ones in steps
// that double as the bytes come.
func (r *requests) room(size int) ([]byte, error) {
	if size <= chunkSize/8 {
		if len(r.chunk) < size {
			r.chunk = make([]byte, chunkSize)
		}
		arg := r.chunk[:size:size]
		r.chunk = r.chunk[size:]
		_, err := io.ReadFull(r.br, arg)
		return arg, err
	}
	arg := make([]byte, 0, min(size, stepSize))
	for len(arg) < size {
		if len(arg) == cap(arg) {
			grown := make([]byte, len(arg), min(size, 2*cap(arg)))
			copy(grown, arg)
			arg = grown
		}
		n, err := io.ReadFull(r.br, arg[len(arg):cap(arg)])
		if err != nil {
			return nil, err
		}
		arg = arg[:len(arg)+n]
	}
	return arg, nil
}

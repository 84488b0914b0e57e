package resp

import (
	"bytes"
	"encoding/hex"
)

const errQuotes = protocolError("unbalanced quotes in request")

// splitLine splits a request of one line into words, as a person types it.
// Words stand in no quotes, in double quotes with escapes, or in single quotes.
func splitLine(line []byte) (args [][]byte, err error) {
	for {
		line = bytes.TrimLeft(line, " \t\r\n\v\f\x00")
		if len(line) == 0 {
			return args, nil
		}
		var arg []byte
		if arg, line, err = word(line); err != nil {
			return nil, err
		}
		args = append(args, arg)
	}
}

// word reads one word and returns what follows it.
func word(line []byte) (arg, rest []byte, err error) {
	arg = []byte{}
	for len(line) > 0 {
		switch line[0] {
		case ' ', '\t', '\r', '\n', 0:
			return arg, line, nil
		case '"', '\'':
			quote := line[0]
			if arg, line, err = quoted(arg, line[1:], quote); err != nil {
				return nil, nil, err
			}
			if len(line) > 0 && !bytes.ContainsRune([]byte(" \t\r\n\v\f"), rune(line[0])) {
				return nil, nil, errQuotes
			}
			return arg, line, nil
		default:
			arg, line = append(arg, line[0]), line[1:]
		}
	}
	return arg, nil, nil
}

// quoted appends what is inside quotes to arg.
func quoted(arg, line []byte, quote byte) (_, rest []byte, err error) {
	for len(line) > 0 {
		switch {
		case line[0] == quote:
			return arg, line[1:], nil
		case line[0] != '\\' || len(line) < 2:
			arg, line = append(arg, line[0]), line[1:]
		case quote == '\'':
			if line[1] == '\'' {
				line = line[1:]
			}
			arg, line = append(arg, line[0]), line[1:]
		default:
			var b byte
			b, line = escape(line[1:])
			arg = append(arg, b)
		}
	}
	return nil, nil, errQuotes
}

// escape reads what follows a backslash.
func escape(line []byte) (b byte, rest []byte) {
	if line[0] == 'x' && len(line) > 2 {
		var out [1]byte
		if _, err := hex.Decode(out[:], line[1:3]); err == nil {
			return out[0], line[3:]
		}
	}
	switch line[0] {
	case 'n':
		return '\n', line[1:]
	case 'r':
		return '\r', line[1:]
	case 't':
		return '\t', line[1:]
	case 'b':
		return '\b', line[1:]
	case 'a':
		return '\a', line[1:]
	default:
		return line[0], line[1:]
	}
}

package command

import "strconv"

// Kind is the type of a reply, one of those that RESP2 has.
type Kind uint8

// The kinds of replies.
const (
	Nil    Kind = iota // no value
	Status             // a word, in Text
	Int                // a number, in Int
	Bulk               // a value, in Bulk
	Array              // a list, in Array
	Error              // a client's mistake: its code and text, in Text
)

// Reply is what one operation answers.
type Reply struct {
	Kind  Kind
	Int   int64
	Text  string
	Bulk  []byte
	Array []Reply
}

// Result is what a command answers. It belongs to the caller.
type Result struct {
	// Aborted says that a watched key had changed; nothing was done.
	Aborted bool
	// Replies are those of the operations, in their order.
	Replies []Reply
}

// OK is the reply of operations that have nothing else to say.
func OK() Reply { return Reply{Kind: Status, Text: "OK"} }

// Texts of errors, as Redis words them.
const (
	ErrNotInteger = "ERR value is not an integer or out of range"
	errOverflow   = "ERR increment or decrement would overflow"
	errTooLong    = "ERR string exceeds maximum allowed size (proto-max-bulk-len)"
	errReplySize  = "ERR replies exceed the limit of one request, read less at a time"
)

func number(n int64) Reply      { return Reply{Kind: Int, Int: n} }
func failure(text string) Reply { return Reply{Kind: Error, Text: text} }

// ParseInt reads a decimal number the way Redis does: in 64 bits, and in the
// one form in which it is also written.
func ParseInt(b []byte) (int64, bool) {
	if len(b) == 0 || len(b) > len("-9223372036854775808") {
		return 0, false
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0, false
	}
	var buf [20]byte
	return n, string(strconv.AppendInt(buf[:0], n, 10)) == string(b)
}

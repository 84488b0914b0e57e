package resp

import (
	"bytes"
	"math"
	"strings"
	"time"

	"github.com/trimarandb/trimaran/server/command"
)

// replyError is the text of an error reply.
type replyError string

func (e replyError) Error() string { return string(e) }

const (
	errSyntax    replyError = "ERR syntax error"
	errInteger   replyError = command.ErrNotInteger
	errDecrement replyError = "ERR decrement would overflow"
	errOneOption replyError = "ERR NX and XX, GT or LT options at the same time are not compatible"
	errGTorLT    replyError = "ERR GT and LT options at the same time are not compatible"
)

// request is a request for data being turned into an operation.
type request struct {
	name    string
	now     time.Time
	args    [][]byte
	problem replyError // the first one found, "" if there is none
}

// refuse notes a problem; the operation returned does not matter then.
func (r *request) refuse(e replyError) command.Op {
	if r.problem == "" {
		r.problem = e
	}
	return command.Op{}
}

func (r *request) int(i int) int64 {
	n, ok := command.ParseInt(r.args[i])
	if !ok {
		r.refuse(errInteger)
	}
	return n
}

// word is an option in capitals.
func (r *request) word(i int) string {
	if len(r.args[i]) > 16 {
		return ""
	}
	return strings.ToUpper(string(r.args[i]))
}

// plain is an operation whose arguments are those of the request.
func plain(code command.Code) func(*request) command.Op {
	return func(r *request) command.Op { return command.Op{Code: code, Args: r.args[1:]} }
}

func parsePairs(code command.Code) func(*request) command.Op {
	return func(r *request) command.Op {
		if len(r.args)%2 == 0 {
			return r.refuse(replyError(wrongNumber(r.name)))
		}
		return command.Op{Code: code, Args: r.args[1:]}
	}
}

func parseGetSet(r *request) command.Op {
	return command.Op{Code: command.Set, Flags: command.Fetch, Args: r.args[1:]}
}

// parseSetNX answers 1 or 0 where SET NX answers OK or nil, as MSETNX does.
func parseSetNX(r *request) command.Op {
	return command.Op{Code: command.MSetNX, Args: r.args[1:]}
}

func parseSetEX(r *request) command.Op {
	unit := time.Second
	if r.name == "psetex" {
		unit = time.Millisecond
	}
	return command.Op{
		Code: command.Set, Flags: command.Until, N: r.until(r.int(2), unit, false),
		Args: [][]byte{r.args[1], r.args[3]},
	}
}

func parseSet(r *request) command.Op {
	op := command.Op{Code: command.Set, Args: r.args[1:3]}
	amount, unit, absolute := 0, time.Duration(0), false
	for i := 3; i < len(r.args); i++ {
		word, flag := r.word(i), command.Flags(0)
		switch word {
		case "NX":
			flag = command.NX
		case "XX":
			flag = command.XX
		case "GET":
			flag = command.Fetch
		case "KEEPTTL":
			flag = command.KeepTTL
		case "EX", "PX", "EXAT", "PXAT":
			if amount > 0 || i+1 == len(r.args) {
				return r.refuse(errSyntax)
			}
			i++
			flag, amount, unit, absolute = command.Until, i, time.Millisecond, strings.HasSuffix(word, "AT")
			if word[0] == 'E' {
				unit = time.Second
			}
		default:
			return r.refuse(errSyntax)
		}
		op.Flags |= flag
	}
	both := func(a, b command.Flags) bool { return op.Flags&a != 0 && op.Flags&b != 0 }
	if both(command.NX, command.XX) || both(command.KeepTTL, command.Until) {
		return r.refuse(errSyntax)
	}
	if amount > 0 {
		op.N = r.until(r.int(amount), unit, absolute)
	}
	return op
}

// until is the deadline of a value being set, which is not before now.
func (r *request) until(n int64, unit time.Duration, absolute bool) int64 {
	if n <= 0 {
		r.refuse(r.invalidExpire())
		return 0
	}
	return r.deadline(n, unit, absolute)
}

// deadline is n units from 1970, or from now, in nanoseconds: at least 1, which
// is long ago.
func (r *request) deadline(n int64, unit time.Duration, absolute bool) int64 {
	base := r.now.UnixNano()
	if absolute {
		base = 0
	}
	if n > (math.MaxInt64-base)/int64(unit) || n < math.MinInt64/1000 && unit == time.Second {
		r.refuse(r.invalidExpire())
		return 0
	}
	if n < -base/int64(unit) {
		return 1
	}
	return max(1, base+n*int64(unit))
}

func (r *request) invalidExpire() replyError {
	return replyError("ERR invalid expire time in '" + r.name + "' command")
}

func parseIncr(r *request) command.Op {
	n := int64(1)
	if len(r.args) == 3 {
		n = r.int(2)
	}
	if r.name[0] == 'd' {
		if n == math.MinInt64 {
			return r.refuse(errDecrement)
		}
		n = -n
	}
	return command.Op{Code: command.IncrBy, N: n, Args: r.args[1:2]}
}

// parseExpire serves the four commands that set a deadline.
func parseExpire(r *request) command.Op {
	op := command.Op{Code: command.ExpireAt, Args: r.args[1:2]}
	for i := 3; i < len(r.args); i++ {
		switch r.word(i) {
		case "NX":
			op.Flags |= command.NX
		case "XX":
			op.Flags |= command.XX
		case "GT":
			op.Flags |= command.GT
		case "LT":
			op.Flags |= command.LT
		default:
			return r.refuse(replyError("ERR Unsupported option " + string(clip(r.args[i], 128))))
		}
	}
	switch {
	case op.Flags&command.NX != 0 && op.Flags != command.NX:
		return r.refuse(errOneOption)
	case op.Flags&command.GT != 0 && op.Flags&command.LT != 0:
		return r.refuse(errGTorLT)
	}
	unit := time.Second
	if r.name[0] == 'p' {
		unit = time.Millisecond
	}
	op.N = r.deadline(r.int(2), unit, strings.HasSuffix(r.name, "at"))
	return op
}

func parseFlush(r *request) command.Op {
	if len(r.args) > 2 || len(r.args) == 2 && !bytes.EqualFold(r.args[1], []byte("sync")) && !bytes.EqualFold(r.args[1], []byte("async")) {
		return r.refuse(errSyntax)
	}
	return command.Op{Code: command.Flush}
}

package resp

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/trimarandb/trimaran/server/command"
)

// entry is one command: what COMMAND says of it and what runs it.
type entry struct {
	name              string
	arity             int    // arguments with the name; at least so many if negative
	flags             string // as COMMAND prints them
	first, last, step int    // positions of keys
	mode              mode
	op                func(r *request) command.Op // of a command for data
	run               func(c *client, args [][]byte)
	subs              []*entry
}

// mode says what happens to a command between MULTI and EXEC.
type mode uint8

const (
	queued  mode = iota
	direct       // is run at once
	refused      // is an error
)

// table lists every command.
func table() map[string]*entry {
	byName := map[string]*entry{}
	for _, list := range [][]*entry{writeCommands(), readCommands(), sessionCommands(), adminCommands()} {
		for _, e := range list {
			byName[e.name] = e
		}
	}
	return byName
}

const (
	isWrite = "write denyoom"
	isRead  = "readonly fast"
	isPlain = "noscript loading stale fast"
)

func writeCommands() []*entry {
	return []*entry{
		{name: "set", arity: -3, flags: isWrite, first: 1, last: 1, step: 1, op: parseSet},
		{name: "setnx", arity: 3, flags: isWrite, first: 1, last: 1, step: 1, op: parseSetNX},
		{name: "setex", arity: 4, flags: isWrite, first: 1, last: 1, step: 1, op: parseSetEX},
		{name: "psetex", arity: 4, flags: isWrite, first: 1, last: 1, step: 1, op: parseSetEX},
		{name: "getset", arity: 3, flags: isWrite, first: 1, last: 1, step: 1, op: parseGetSet},
		{name: "getdel", arity: 2, flags: isWrite, first: 1, last: 1, step: 1, op: plain(command.GetDel)},
		{name: "del", arity: -2, flags: "write", first: 1, last: -1, step: 1, op: plain(command.Del)},
		{name: "unlink", arity: -2, flags: "write fast", first: 1, last: -1, step: 1, op: plain(command.Del)},
		{name: "mset", arity: -3, flags: isWrite, first: 1, last: -1, step: 2, op: parsePairs(command.MSet)},
		{name: "msetnx", arity: -3, flags: isWrite, first: 1, last: -1, step: 2, op: parsePairs(command.MSetNX)},
		{name: "incr", arity: 2, flags: isWrite, first: 1, last: 1, step: 1, op: parseIncr},
		{name: "decr", arity: 2, flags: isWrite, first: 1, last: 1, step: 1, op: parseIncr},
		{name: "incrby", arity: 3, flags: isWrite, first: 1, last: 1, step: 1, op: parseIncr},
		{name: "decrby", arity: 3, flags: isWrite, first: 1, last: 1, step: 1, op: parseIncr},
		{name: "append", arity: 3, flags: isWrite, first: 1, last: 1, step: 1, op: plain(command.Append)},
		{name: "expire", arity: -3, flags: "write fast", first: 1, last: 1, step: 1, op: parseExpire},
		{name: "pexpire", arity: -3, flags: "write fast", first: 1, last: 1, step: 1, op: parseExpire},
		{name: "expireat", arity: -3, flags: "write fast", first: 1, last: 1, step: 1, op: parseExpire},
		{name: "pexpireat", arity: -3, flags: "write fast", first: 1, last: 1, step: 1, op: parseExpire},
		{name: "persist", arity: 2, flags: "write fast", first: 1, last: 1, step: 1, op: plain(command.Persist)},
		{name: "flushdb", arity: -1, flags: "write", op: parseFlush},
	}
}

func readCommands() []*entry {
	return []*entry{
		{name: "get", arity: 2, flags: isRead, first: 1, last: 1, step: 1, op: plain(command.Get)},
		{name: "mget", arity: -2, flags: isRead, first: 1, last: -1, step: 1, op: plain(command.MGet)},
		{name: "exists", arity: -2, flags: isRead, first: 1, last: -1, step: 1, op: plain(command.Exists)},
		{name: "strlen", arity: 2, flags: isRead, first: 1, last: 1, step: 1, op: plain(command.Strlen)},
		{name: "ttl", arity: 2, flags: isRead, first: 1, last: 1, step: 1, op: plain(command.TTL)},
		{name: "pttl", arity: 2, flags: isRead, first: 1, last: 1, step: 1, op: plain(command.PTTL)},
		{name: "type", arity: 2, flags: isRead, first: 1, last: 1, step: 1, op: plain(command.Type)},
		{name: "keys", arity: 2, flags: "readonly", op: plain(command.Keys)},
		{name: "dbsize", arity: 1, flags: "readonly", op: plain(command.DBSize)},
		{name: "scan", arity: -2, flags: "readonly", mode: refused, run: (*client).scan},
	}
}

func sessionCommands() []*entry {
	return []*entry{
		{name: "multi", arity: 1, flags: isPlain, mode: direct, run: (*client).multi},
		{name: "exec", arity: 1, flags: isPlain, mode: direct, run: (*client).exec},
		{name: "discard", arity: 1, flags: isPlain, mode: direct, run: (*client).discard},
		{name: "watch", arity: -2, flags: isPlain, first: 1, last: -1, step: 1, mode: direct, run: (*client).watch},
		{name: "unwatch", arity: 1, flags: isPlain, run: (*client).unwatch},
		{name: "quit", arity: -1, flags: isPlain, mode: direct, run: (*client).leave},
		{name: "ping", arity: -1, flags: "fast", run: (*client).ping},
		{name: "echo", arity: 2, flags: "fast", run: (*client).echo},
		{name: "select", arity: 2, flags: isPlain, run: (*client).selectDB},
		{name: "hello", arity: -1, flags: isPlain, run: (*client).hello},
		{name: "client", arity: -2, flags: isPlain, subs: []*entry{
			{name: "client|id", arity: 2, flags: isPlain, run: (*client).clientID},
			{name: "client|getname", arity: 2, flags: isPlain, run: (*client).clientGetName},
			{name: "client|setname", arity: 3, flags: isPlain, run: (*client).clientSetName},
			{name: "client|setinfo", arity: 4, flags: isPlain, run: (*client).clientSetInfo},
		}},
	}
}

func adminCommands() []*entry {
	return []*entry{
		{name: "info", arity: -1, flags: "loading stale", run: (*client).info},
		{name: "config", arity: -2, flags: "admin noscript loading stale", subs: []*entry{
			{name: "config|get", arity: -3, flags: "admin noscript loading stale", run: (*client).configGet},
		}},
		{name: "command", arity: -1, flags: "loading stale", run: (*client).listCommands, subs: []*entry{
			{name: "command|count", arity: 2, flags: "loading stale", run: (*client).countCommands},
			{name: "command|docs", arity: -2, flags: "loading stale", run: (*client).commandDocs},
			{name: "command|info", arity: -2, flags: "loading stale", run: (*client).commandInfo},
		}},
	}
}

// find returns the entry for a request, and the error that Redis has for it if
// it cannot be run.
func (s *Server) find(args [][]byte) (e *entry, problem string) {
	if e = s.lookup(args[0]); e == nil {
		return nil, unknown(args)
	}
	if len(e.subs) > 0 && len(args) > 1 {
		sub := e.sub(args[1])
		if sub == nil {
			return nil, fmt.Sprintf("ERR unknown subcommand '%s'. Try %s HELP.", clip(args[1], 128), strings.ToUpper(e.name))
		}
		e = sub
	}
	if e.arity >= 0 && len(args) != e.arity || len(args) < -e.arity {
		return e, wrongNumber(e.name)
	}
	return e, ""
}

func (s *Server) lookup(name []byte) *entry {
	var lower [16]byte
	if len(name) > len(lower) {
		return nil
	}
	for i, b := range name {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		lower[i] = b
	}
	return s.commands[string(lower[:len(name)])]
}

func (e *entry) sub(name []byte) *entry {
	for _, sub := range e.subs {
		if strings.EqualFold(sub.name[len(e.name)+1:], string(name)) {
			return sub
		}
	}
	return nil
}

func wrongNumber(name string) string {
	return fmt.Sprintf("ERR wrong number of arguments for '%s' command", name)
}

// unknown words the error as Redis does, which shows 128 bytes of arguments.
func unknown(args [][]byte) string {
	var b strings.Builder
	for _, arg := range args[1:] {
		left := 128 - b.Len()
		if left <= 0 {
			break
		}
		fmt.Fprintf(&b, "'%s' ", clip(arg, left))
	}
	return fmt.Sprintf("ERR unknown command '%s', with args beginning with: %s", clip(args[0], 128), b.String())
}

// clip ends a text for people after n bytes, or at a zero byte as C does.
func clip(b []byte, n int) []byte {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return b[:min(n, len(b))]
}

// parse turns a request for data into an operation. An error is the text of
// the reply.
func (e *entry) parse(now time.Time, args [][]byte) (command.Op, error) {
	r := &request{name: e.name, now: now, args: args}
	op := e.op(r)
	if r.problem != "" {
		return command.Op{}, r.problem
	}
	if err := op.Check(); err != nil {
		return command.Op{}, replyError("ERR " + err.Error())
	}
	return op, nil
}

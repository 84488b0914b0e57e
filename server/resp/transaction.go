package resp

import (
	"bytes"
	"fmt"

	"github.com/tidwall/redcon"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/server/command"
)

// queue is what came since MULTI.
type queue struct {
	list    []queuedRequest
	bytes   int
	args    int
	spoiled bool // EXEC is going to refuse
}

type queuedRequest struct {
	e    *entry
	args [][]byte
}

func (c *client) enqueue(e *entry, args [][]byte) {
	if e.mode == refused {
		c.reject(e, "ERR Command not allowed inside a transaction")
		return
	}
	q := c.queue
	for _, arg := range args {
		q.bytes += len(arg) + argCost
	}
	if q.args += len(args); q.bytes > c.s.o.MaxRequest || q.args > command.MaxArgs/2 {
		q.list = nil
		c.reject(e, fmt.Sprintf("ERR transaction of more than %d bytes or %d arguments", c.s.o.MaxRequest, command.MaxArgs/2))
		return
	}
	if !q.spoiled {
		q.list = append(q.list, queuedRequest{e, args})
	}
	c.out = redcon.AppendString(c.out, "QUEUED")
}

func (c *client) multi([][]byte) {
	if c.queue != nil {
		c.fail("ERR MULTI calls can not be nested")
		return
	}
	c.queue = &queue{}
	c.ok()
}

func (c *client) discard([][]byte) {
	if c.queue == nil {
		c.fail("ERR DISCARD without MULTI")
		return
	}
	c.forget()
	c.ok()
}

// forget ends a transaction and the watching of keys for it.
func (c *client) forget() { c.queue, c.watches, c.watchBytes = nil, nil, 0 }

func (c *client) unwatch([][]byte) {
	c.watches, c.watchBytes = nil, 0
	c.ok()
}

// watch notes what keys hold now, for EXEC.
func (c *client) watch(args [][]byte) {
	if c.queue != nil {
		c.fail("ERR WATCH inside MULTI is not allowed")
		return
	}
	if len(c.watches)+len(args) > maxWatches {
		c.fail(fmt.Sprintf("ERR more than %d watched keys", maxWatches))
		return
	}
	size := c.watchBytes
	for _, key := range args[1:] {
		size += len(key) + argCost
		if op := (command.Op{Code: command.Get, Args: [][]byte{key}}); op.Check() != nil {
			c.fail("ERR " + op.Check().Error())
			return
		}
	}
	if size > c.s.o.MaxRequest {
		c.fail(fmt.Sprintf("ERR watched keys of more than %d bytes", c.s.o.MaxRequest))
		return
	}
	more := make([]command.Watch, len(args)-1)
	err := c.view(func(tx *kv.ReadTx) error {
		for i, key := range args[1:] {
			was, err := command.FingerprintOf(tx, key)
			if err != nil {
				return err
			}
			more[i] = command.Watch{Key: bytes.Clone(key), Was: was} // it outlives what came with it
		}
		return nil
	})
	if err != nil {
		c.fail(errorText(err))
		return
	}
	c.watches = append(c.watches, more...) // a key may be there twice; then both must hold, and the older decides
	c.watchBytes = size
	c.ok()
}

// exec runs what was queued as one command. What needs no data, such as PING,
// is answered in its place.
func (c *client) exec([][]byte) {
	if c.queue == nil {
		c.fail("ERR EXEC without MULTI")
		return
	}
	q, watches := c.queue, c.watches
	c.forget()
	if q.spoiled {
		c.fail("EXECABORT Transaction discarded because of previous errors.")
		return
	}
	cmd := command.Command{Watches: watches}
	problems := make([]error, len(q.list))
	now := c.s.b.Now()
	for i, r := range q.list {
		if r.e.op == nil {
			continue
		}
		op, err := r.e.parse(now, r.args)
		if problems[i] = err; err == nil {
			cmd.Ops = append(cmd.Ops, op)
		}
	}
	var result command.Result
	if len(cmd.Ops)+len(cmd.Watches) > 0 {
		var err error
		if result, err = c.propose(&cmd); err != nil {
			c.fail(errorText(err))
			return
		}
	}
	if result.Aborted {
		c.out = append(c.out, "*-1\r\n"...)
		return
	}
	c.array(len(q.list))
	next := 0
	for i, r := range q.list {
		c.spill()
		switch {
		case problems[i] != nil:
			c.fail(problems[i].Error())
		case r.e.op == nil:
			r.e.run(c, r.args)
		default:
			c.reply(&result.Replies[next])
			next++
		}
	}
}

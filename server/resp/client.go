package resp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/tidwall/redcon"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/server/command"
)

// client is one connection. Its goroutine reads a request, runs it, and goes on
// with the next; what it owes the client it pays before it waits for input.
type client struct {
	s    *Server
	nc   net.Conn
	in   *requests
	id   int64
	name string

	out        []byte       // replies not sent yet
	batch      []command.Op // writes whose replies come next
	batchBytes int
	fresh      bool // a read now needs no barrier: one began after all input had come
	quit       bool

	queue      *queue // since MULTI, nil outside
	watches    []command.Watch
	watchBytes int // of their keys
}

func newClient(s *Server, nc net.Conn, id int64) *client {
	c := &client{s: s, nc: nc, id: id}
	c.in = newRequests(input{c}, s.o.MaxRequest)
	return c
}

// input reads from the connection of a client after paying what it is owed.
type input struct{ c *client }

func (in input) Read(p []byte) (int, error) {
	c := in.c
	c.settle()
	if err := c.flush(); err != nil {
		return 0, err
	}
	if err := c.s.await(c.nc); err != nil {
		return 0, err
	}
	c.fresh = false
	return c.nc.Read(p)
}

// serve runs requests until the client leaves, fails or is idle for too long.
func (c *client) serve() {
	defer c.nc.Close()
	for !c.quit {
		args, err := c.in.next()
		if err != nil {
			if bad, ok := errors.AsType[protocolError](err); ok {
				c.settle()
				c.fail("ERR Protocol error: " + string(bad))
			}
			break
		}
		c.dispatch(args)
		c.spill()
	}
	c.settle()
	_ = c.flush() // the connection is closed next, whatever came of it
}

// spill sends replies when there are many. If that fails the client is gone.
func (c *client) spill() {
	if len(c.out) >= maxOutput && c.flush() != nil {
		c.quit = true
	}
}

// flush sends what the client is owed. What could not be sent is dropped.
func (c *client) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	err := c.nc.SetWriteDeadline(time.Now().Add(c.s.o.WriteTimeout))
	if err == nil {
		_, err = c.nc.Write(c.out)
	}
	if cap(c.out) > maxOutput {
		c.out = nil
	}
	c.out = c.out[:0]
	return err
}

// dispatch runs one request, or queues it inside MULTI.
func (c *client) dispatch(args [][]byte) {
	e, problem := c.s.find(args)
	switch {
	case problem != "":
		c.settle()
		c.reject(e, problem)
	case c.queue != nil && e.mode != direct:
		c.enqueue(e, args)
	case e.op != nil:
		c.data(e, args)
	default:
		c.settle()
		e.run(c, args)
	}
}

// reject refuses a request that cannot be run, which spoils a transaction. If
// that request is its EXEC, it ends here.
func (c *client) reject(e *entry, text string) {
	switch {
	case e != nil && e.name == "exec":
		c.forget()
		text = "EXECABORT Transaction discarded because of: " + strings.TrimPrefix(text, "ERR ")
	case c.queue != nil:
		c.queue.spoiled = true
	}
	c.fail(text)
}

// data runs a request for data: a write joins the batch, a read is done.
func (c *client) data(e *entry, args [][]byte) {
	op, err := e.parse(c.s.b.Now(), args)
	switch {
	case err != nil:
		c.settle()
		c.fail(err.Error())
	case !op.Writes():
		c.settle()
		c.read(&op)
	case op.Flags&command.Fetch != 0 || op.Code == command.GetDel:
		c.settle() // its reply may be as long as a value, so it goes alone
		c.batch = append(c.batch, op)
		c.settle()
	default:
		c.join(op)
	}
}

// join adds a write to the batch, or to the next one if this one is full.
func (c *client) join(op command.Op) {
	size := 0
	for _, arg := range op.Args {
		size += len(arg) + argCost
	}
	if len(c.batch) == maxBatchOps || c.batchBytes+size > maxBatch {
		c.settle()
	}
	c.batch = append(c.batch, op)
	c.batchBytes += size
}

// settle proposes the batch and writes its replies.
func (c *client) settle() {
	if len(c.batch) == 0 {
		return
	}
	r, err := c.propose(&command.Command{Ops: c.batch})
	for i := range c.batch {
		if err != nil {
			c.fail(errorText(err))
		} else {
			c.reply(&r.Replies[i])
		}
	}
	clear(c.batch)
	c.batch, c.batchBytes = c.batch[:0], 0
}

// propose replicates a command and returns as many replies as it has
// operations, unless it was aborted.
func (c *client) propose(cmd *command.Command) (command.Result, error) {
	cmd.Clock = c.s.b.Now()
	data, err := cmd.AppendTo(nil)
	if err != nil {
		return command.Result{}, err
	}
	ctx, cancel := c.s.request()
	defer cancel()
	r, err := c.s.b.Propose(ctx, data)
	if err == nil && !r.Aborted && len(r.Replies) != len(cmd.Ops) {
		err = fmt.Errorf("%d replies to %d operations", len(r.Replies), len(cmd.Ops))
	}
	return r, err
}

// request is the context of one request.
func (s *Server) request() (context.Context, context.CancelFunc) {
	return context.WithTimeout(s.ctx, s.o.RequestTimeout)
}

func (c *client) read(op *command.Op) {
	var r command.Reply
	err := c.view(func(tx *kv.ReadTx) (err error) {
		r, err = command.Read(tx, c.s.b.Now(), op)
		return err
	})
	if err != nil {
		c.fail(errorText(err))
		return
	}
	c.reply(&r)
}

// view calls fn with a state that contains what was acknowledged before the
// request came. Requests that had come together share the wait for it.
func (c *client) view(fn func(*kv.ReadTx) error) error {
	ctx, cancel := c.s.request()
	defer cancel()
	if !c.fresh {
		if err := c.s.b.Linearizable(ctx); err != nil {
			return err
		}
		c.fresh = true
	}
	return c.s.b.KV().View(ctx, fn)
}

func (c *client) fail(text string) { c.out = redcon.AppendError(c.out, text) }
func (c *client) ok()              { c.out = redcon.AppendOK(c.out) }
func (c *client) bulk(s string)    { c.out = redcon.AppendBulkString(c.out, s) }
func (c *client) array(n int)      { c.out = redcon.AppendArray(c.out, n) }
func (c *client) number(n int64)   { c.out = redcon.AppendInt(c.out, n) }

// reply writes what an operation answered.
func (c *client) reply(r *command.Reply) {
	switch r.Kind {
	case command.Nil:
		c.out = redcon.AppendNull(c.out)
	case command.Status:
		c.out = redcon.AppendString(c.out, r.Text)
	case command.Int:
		c.number(r.Int)
	case command.Bulk:
		c.out = redcon.AppendBulk(c.out, r.Bulk)
	case command.Array:
		c.array(len(r.Array))
		for i := range r.Array {
			c.reply(&r.Array[i])
		}
	case command.Error:
		c.fail(r.Text)
	}
}

// errorText is what a client reads when the backend failed.
func errorText(err error) string {
	var other *NotLeaderError
	switch {
	case errors.As(err, &other) && other.Leader == "":
		return "CLUSTERDOWN no leader is known, try again later"
	case errors.As(err, &other):
		return "NOTLEADER this node does not serve requests, the leader is " + other.Leader
	case errors.Is(err, fault.ErrFull):
		return "OOM no room, nothing was done: " + err.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "ERR request timed out, a write may still take effect"
	default:
		return "ERR " + err.Error()
	}
}

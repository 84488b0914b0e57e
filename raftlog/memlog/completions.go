package memlog

import "sync"

// completions calls done functions in order, one at a time, on a goroutine of
// its own: a done function may then submit again, and a slow one keeps nobody
// but its successors.
type completions struct {
	mu      sync.Mutex
	queue   []func(error)
	running sync.WaitGroup
	busy    bool
}

// add queues done, which is called with nil.
func (c *completions) add(done func(error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, done)
	if !c.busy {
		c.busy = true
		c.running.Go(c.run)
	}
}

func (c *completions) run() {
	for {
		c.mu.Lock()
		queue := c.queue
		c.queue = nil
		c.busy = len(queue) > 0
		c.mu.Unlock()
		if len(queue) == 0 {
			return
		}
		for _, done := range queue {
			done(nil)
		}
	}
}

func (c *completions) wait() { c.running.Wait() }

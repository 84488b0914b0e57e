package snapshot

// crew works on tasks side by side and hands them back in the order in which
// they were begun, so that whoever reads and writes around it does so in order
// and on one goroutine. At most as many tasks run at once as there are tools.
// A task is used again for its buffers. One goroutine uses a crew.
type crew[Tool, Task any] struct {
	tools chan Tool
	work  func(Tool, *Task)
	ring  []duty[Task]
	ends  chan *duty[Task]
	begun int // tasks so far
	taken int // of them; the last one is lent to the caller
}

type duty[Task any] struct {
	task  Task
	ended bool
}

// newCrew makes a crew of which at most so many tasks are begun and not taken.
// More than there are tools, so that work goes on while the caller reads or
// writes, or waits for an old task that takes longer than those behind it.
func newCrew[Tool, Task any](tools []Tool, most int, work func(Tool, *Task)) *crew[Tool, Task] {
	c := &crew[Tool, Task]{
		tools: make(chan Tool, len(tools)), work: work,
		ring: make([]duty[Task], most+1), ends: make(chan *duty[Task], most),
	}
	for _, t := range tools {
		c.tools <- t
	}
	return c
}

// full reports whether a task has to be taken before another is begun.
func (c *crew[Tool, Task]) full() bool { return c.begun-c.taken >= len(c.ring)-1 }

// idle reports whether all tasks were taken.
func (c *crew[Tool, Task]) idle() bool { return c.begun == c.taken }

// next is the task that begin will begin, to be filled by the caller. The crew
// must not be full.
func (c *crew[Tool, Task]) next() *Task { return &c.ring[c.begun%len(c.ring)].task }

// begin gives next away until it is taken.
func (c *crew[Tool, Task]) begin() {
	d := &c.ring[c.begun%len(c.ring)]
	d.ended = false
	c.begun++
	go func() {
		tool := <-c.tools
		c.work(tool, &d.task)
		c.tools <- tool
		c.ends <- d
	}()
}

// take waits for the oldest task and lends it until the next take. It returns
// nil when all were taken.
func (c *crew[Tool, Task]) take() *Task {
	if c.idle() {
		return nil
	}
	for !c.ready() {
		c.end()
	}
	d := &c.ring[c.taken%len(c.ring)]
	c.taken++
	return &d.task
}

// ready reports whether the oldest task is known to have ended: take returns it
// at once.
func (c *crew[Tool, Task]) ready() bool { return !c.idle() && c.ring[c.taken%len(c.ring)].ended }

// end waits for one more task to end, whichever it is, and lends it until it is
// taken. There must be one that was not taken and that it did not return yet.
func (c *crew[Tool, Task]) end() *Task {
	d := <-c.ends
	d.ended = true
	return &d.task
}

// dismiss waits for what runs and gives each tool to free. It may be called
// twice; nothing else may be called after it.
func (c *crew[Tool, Task]) dismiss(free func(Tool)) {
	for c.take() != nil {
	}
	for range cap(c.tools) {
		select {
		case t := <-c.tools:
			free(t)
		default:
		}
	}
	c.ring = nil
}

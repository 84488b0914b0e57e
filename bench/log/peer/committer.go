package peer

// maxBatch bounds the entries that a Committer takes at once.
const maxBatch = 1024

// Committer is the plain group commit in front of a log that has none: one
// goroutine drains a channel into one Append.
type Committer struct {
	requests chan request
	stopped  chan struct{}
}

type request struct {
	payload []byte
	done    chan<- error
}

// NewCommitter starts a committer in front of l, whose next index is next.
func NewCommitter(l Log, next uint64) *Committer {
	c := &Committer{requests: make(chan request, maxBatch), stopped: make(chan struct{})}
	go c.run(l, next)
	return c
}

// Writer returns a writer for one goroutine.
func (c *Committer) Writer() Writer {
	return &committed{c: c, done: make(chan error, 1)}
}

// Close ends the committer. No writer may append any more.
func (c *Committer) Close() {
	close(c.requests)
	<-c.stopped
}

func (c *Committer) run(l Log, next uint64) {
	defer close(c.stopped)
	var (
		payloads [][]byte
		waiting  []chan<- error
	)
	for r := range c.requests {
		payloads, waiting = append(payloads[:0], r.payload), append(waiting[:0], r.done)
	gather:
		for len(payloads) < maxBatch {
			select {
			case r, ok := <-c.requests:
				if !ok {
					break gather
				}
				payloads, waiting = append(payloads, r.payload), append(waiting, r.done)
			default:
				break gather
			}
		}
		err := l.Append(next, payloads)
		next += uint64(len(payloads))
		for _, done := range waiting {
			done <- err
		}
	}
}

type committed struct {
	c    *Committer
	done chan error
}

func (w *committed) Append(payload []byte) error {
	w.c.requests <- request{payload: payload, done: w.done}
	return <-w.done
}

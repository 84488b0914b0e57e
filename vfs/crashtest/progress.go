package crashtest

import (
	"fmt"
	"io/fs"
	"time"
)

// showProgress tells the terminal, if there is one, how far the campaign is,
// until the function that it returns is called.
func (c *campaign) showProgress() (stop func()) {
	term, ok := c.o.Output.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return func() {}
	}
	info, err := term.Stat()
	if err != nil || info.Mode()&fs.ModeCharDevice == 0 {
		return func() {}
	}
	ticker := time.NewTicker(500 * time.Millisecond)
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for {
			select {
			case <-done:
				fmt.Fprint(c.o.Output, "\r\x1b[K")
				return
			case <-ticker.C:
				fmt.Fprintf(c.o.Output, "\r\x1b[K%s", c.progress())
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(done)
		<-gone
	}
}

// progress is one line: images, rate, and when it will be over.
func (c *campaign) progress() string {
	c.mu.Lock()
	r := c.report
	c.mu.Unlock()
	took := time.Since(c.began)
	rate := float64(r.Distinct) / took.Seconds()
	s := fmt.Sprintf("%d disk images, %.0f/s, %d runs", r.Distinct, rate, r.Runs)
	left := time.Duration(1<<63 - 1)
	if c.o.States > 0 && rate > 0 {
		s = fmt.Sprintf("%d of %d disk images, %.0f/s, %d runs", r.Distinct, c.o.States, rate, r.Runs)
		left = time.Duration(float64(c.o.States-r.Distinct) / rate * float64(time.Second))
	}
	if c.o.Time > 0 {
		left = min(left, c.o.Time-took)
	}
	if left < 1<<62 {
		s += fmt.Sprintf(", %v left", max(0, left).Round(time.Second))
	}
	return s
}

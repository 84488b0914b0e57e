package churn

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
)

// fake is a store of which all nodes share one map, and a bug if wanted.
type fake struct {
	mu    sync.Mutex
	data  map[string]string
	old   map[string]string // as of the last snapshot
	stop  [Nodes]bool
	stale bool // reads see what was there at the last snapshot
	lost  bool // a kill loses what came after the last snapshot
}

func (f *fake) Put(_ context.Context, node int, key, value string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stop[node] {
		return ErrRefused
	}
	f.data[key] = value
	return nil
}

func (f *fake) Get(_ context.Context, node int, key string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.stop[node]:
		return "", ErrRefused
	case f.stale && node == 1:
		return f.old[key], nil
	}
	return f.data[key], nil
}

func (f *fake) Stop(node int, kill bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stop[node] = true
	if kill && f.lost {
		f.data = maps.Clone(f.old)
	}
}

func (f *fake) Start(node int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stop[node] = false
}

func (f *fake) Snapshot(int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.old = maps.Clone(f.data)
}

func (f *fake) Replace(node int) { f.Start(node) }
func (*fake) Cut(int, bool)      {}
func (*fake) Lead(int)           {}
func (*fake) Digest(int) string  { return "" }

// failures takes what a run says.
type failures struct {
	testing.TB
	said []string
}

func (f *failures) Errorf(format string, args ...any) {
	f.said = append(f.said, fmt.Sprintf(format, args...))
}

func TestRun(t *testing.T) {
	if *seedFlag == 0 {
		*seedFlag = 1 // one that kills within the first steps
	}
	for name, c := range map[string]*fake{"": {}, "stale": {stale: true}, "lost": {lost: true}} {
		c.data, c.old = map[string]string{}, map[string]string{}
		f := &failures{TB: t}
		Run(f, c)
		if len(f.said) > 0 != (name != "") {
			t.Errorf("a store with the bug %q: %d failures: %s", name, len(f.said), strings.Join(f.said, "\n"))
		}
	}
}

// What nobody answered explains what was seen, and is explained.
func TestObserved(t *testing.T) {
	h := &history{}
	h.add(operation{client: 1, put: true, key: "k", value: "1", at: 1, end: 2})
	h.add(operation{client: 2, put: true, key: "k", value: "2", at: 1})
	h.add(operation{client: 3, put: true, key: "k", value: "3", at: 1})
	h.add(operation{client: 1, key: "k", value: "2", at: 9, end: 10})
	f := &failures{TB: t}
	h.check(f)
	h.add(operation{client: 1, key: "k", value: "1", at: 11, end: 12})
	h.check(f)
	if len(f.said) != 1 {
		t.Errorf("%d failures, want only that 1 came back after 2: %s", len(f.said), strings.Join(f.said, "\n"))
	}
}

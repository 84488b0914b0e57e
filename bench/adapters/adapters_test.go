package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// Every workload runs on every competitor and every target is judged; nothing
// is measured.
func TestEverything(t *testing.T) {
	p := plan{5 * time.Millisecond, 1}
	found, err := compare(t.TempDir(), p)
	if err != nil {
		t.Fatal(err)
	}
	for clients, by := range found {
		for _, k := range kinds {
			if v := by[k.name]; len(v) != 1 || v[0] <= 0 {
				t.Errorf("%s with %d clients: %v", k.name, clients, v)
			}
		}
	}
	s := found.sheet("test", p)
	if n := len(s.Targets); n != 1+2*2+1 {
		t.Errorf("%d lines of targets", n)
	}
	for _, format := range []string{"text", "md", "json"} {
		var out bytes.Buffer
		if err := s.Write(&out, format); err != nil || !strings.Contains(out.String(), "tan") {
			t.Errorf("-o %s: %v\n%s", format, err, &out)
		}
		if format == "json" && !json.Valid(out.Bytes()) {
			t.Error("-o json is no JSON")
		}
	}
}

func TestClosed(t *testing.T) {
	got := closed(map[string][]float64{subject: {15, 10}, "tan": {10, 8}, "pebble": {5, 12}, ceiling: {20, 22}})
	if got[0] != 0.5 || got[1] != -0.2 {
		t.Errorf("closed = %v", got)
	}
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"-o", "xml"}, {"more"}, {"-dir", "/dev/shm"}, {"-dir", "/nowhere"}} {
		if err := run(args); err == nil {
			t.Errorf("run(%q) = nil, want an error", args)
		}
	}
}

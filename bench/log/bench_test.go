package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/bench/log/peer"
)

// lacking says which competitors a workload cannot have; every other one has
// to give figures.
var lacking = map[string][]string{
	"groups":      {"raft-wal", "raft-boltdb", "etcd", "tidwall/wal", "tan", "pebble", "raw"},
	"open-groups": {"raft-wal", "raft-boltdb", "etcd", "tidwall/wal", "tan", "pebble", "raw"},
	"async":       {"raft-wal", "raft-boltdb", "etcd", "tidwall/wal", "tan", "pebble", "raw"},
	"heap":        {"raft-wal", "raft-boltdb", "etcd", "tidwall/wal", "tan", "pebble", "raw"},
	"interval":    {"raft-wal", "tan"},
	"random":      {"etcd"},
	"open":        {"raw"},
	"open-killed": {"raw"},
	"drop":        {"raw"},
	"file":        {"raw"},
}

// Every workload runs on every competitor that has what it needs, and every
// target is judged.
func TestEveryWorkloadOnEveryCompetitor(t *testing.T) {
	dir := t.TempDir()
	env, err := describe(dir) // here, a file system in memory will do
	if err != nil {
		t.Fatal(err)
	}
	all := regexp.MustCompile("")
	b := newBench(settings{plan: tiny, seed: 7, peers: all, workloads: all}, env, nil)
	b.root = dir
	r := newReport(b, time.Now())
	for _, w := range workloads(tiny) {
		if w.name == "device" && env.stat == "" {
			continue
		}
		res, err := b.run(w)
		if err != nil {
			t.Fatal(err)
		}
		r.add(w, res)
		for _, k := range peer.All() {
			want := !slices.Contains(lacking[w.name], k.Name)
			if got := len(res.Samples[k.Name]) > 0; got != want {
				t.Errorf("%s: %s has figures = %v, want %v", w.name, k.Name, got, want)
			}
		}
	}
	for _, v := range r.Verdicts {
		if !v.Measured {
			t.Errorf("%s: %s: not measured", v.Workload, v.Target)
		}
	}
	checkFormats(t, r)
}

func checkFormats(t *testing.T, r *report) {
	t.Helper()
	for _, format := range []string{"text", "md", "json"} {
		var out bytes.Buffer
		if err := r.write(&out, format); err != nil {
			t.Fatal(err)
		}
		for _, res := range r.Results {
			if !strings.Contains(out.String(), res.Title) {
				t.Errorf("-o %s does not show %q", format, res.Title)
			}
		}
		if format == "json" && !json.Valid(out.Bytes()) {
			t.Error("-o json is no JSON")
		}
	}
}

func TestDirectoryInMemoryIsRefused(t *testing.T) {
	env, err := describe("/dev/shm")
	if err != nil || env.FileSystem != "tmpfs" {
		t.Skip("no tmpfs at /dev/shm")
	}
	if _, err := examine("/dev/shm"); err == nil || !strings.Contains(err.Error(), "-dir") {
		t.Errorf("examine = %v, want a refusal that names -dir", err)
	}
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"-o", "xml"}, {"-rounds", "-1"}, {"-workloads", "("}, {"-peers", "("}, {"more"}} {
		if _, err := parse(args); err == nil {
			t.Errorf("parse(%q) = nil, want an error", args)
		}
	}
	s, err := parse([]string{"-quick", "-rounds", "4", "-seed", "9"})
	if err != nil || s.plan.Name != "quick" || s.plan.Rounds != 4 || s.plan.Heavy != 4 || s.seed != 9 {
		t.Errorf("parse = %+v, %v", s, err)
	}
}

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/trimarandb/trimaran/bench/kv/engine"
)

var colPeak = column{name: "peak", unit: "MiB"}

// memoryWorkload loads, reads, exports and overwrites in a process of its own,
// and asks the kernel for the most that this process had in memory.
func memoryWorkload() workload {
	return workload{
		name: "memory", title: "the most memory of a process that loads, reads, exports and overwrites", columns: []column{colPeak}, heavy: true,
		targets: []target{
			{text: "trimaran <= 1.2x pebble", column: colPeak.name, against: "pebble", atMost: true, limit: 1.2, unit: "x"},
			{text: "trimaran/rocksdb <= 1.2x rocksdb", of: onRocks, column: colPeak.name, against: "rocksdb", atMost: true, limit: 1.2, unit: "x"},
		},
		round: func(b *bench, k engine.Kind, _ int) (sample, error) {
			dir := b.dir(k)
			args := []string{"-child", k.Name, "-dir", dir, "-keys", strconv.Itoa(b.plan.Keys)}
			switch b.plan.Name {
			case quick.Name:
				args = append(args, "-quick")
			case full.Name:
				args = append(args, "-full")
			}
			cmd := exec.Command(os.Args[0], args...)
			cmd.Env = append(os.Environ(), childEnv+"=1")
			var failed bytes.Buffer
			cmd.Stderr = &failed
			out, err := cmd.Output()
			if err != nil {
				return nil, fmt.Errorf("%w: %s", err, failed.String())
			}
			kib, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
			return sample{colPeak.name: kib / 1024}, errors.Join(err, os.RemoveAll(dir))
		},
	}
}

// childEnv tells a test binary that it is the child.
const childEnv = "TRIMARAN_BENCH_KV_CHILD"

// child does the work of one store and prints the peak in KiB.
func child(s settings) error {
	for _, k := range engine.All() {
		if k.Name != s.child {
			continue
		}
		st, err := k.Open(s.dir, s.plan.options())
		if err != nil {
			return err
		}
		if err := errors.Join(work(st, s.plan), st.Close()); err != nil {
			return err
		}
		return printPeak()
	}
	return fmt.Errorf("-child %q: no such store", s.child)
}

func work(s engine.Store, p plan) error {
	if err := load(s, p.Keys); err != nil {
		return err
	}
	pick := newPicker(p.Keys, false, 1)
	var key [keySize]byte
	for range p.Keys / 4 {
		i := pick.pick()
		v, err := s.Get(keyOf(key[:], i))
		if err == nil {
			err = check(i, v)
		}
		if err != nil {
			return err
		}
	}
	if x, ok := s.(engine.Exporter); ok {
		if _, err := x.Export(io.Discard); err != nil {
			return err
		}
	}
	for i := 0; i < p.Keys/2; i += batchSize {
		if err := s.Write(batch(i, i+batchSize, 1)); err != nil {
			return err
		}
	}
	return nil
}

func printPeak() error {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			fmt.Println(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			return nil
		}
	}
	return errors.New("/proc/self/status has no VmHWM")
}

package snapshot

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"testing"
)

func cuts(target int, content []byte, step func() int) (out []int) {
	c := newChunker(target)
	var buf []byte
	for len(content) > 0 || len(buf) > 0 {
		n := min(len(content), step())
		buf = append(buf, content[:n]...)
		content = content[n:]
		for {
			k := c.cut(buf)
			if k == 0 {
				break
			}
			out = append(out, k)
			buf = buf[k:]
		}
		if len(content) == 0 {
			if len(buf) > 0 {
				out = append(out, len(buf))
			}
			return out
		}
	}
	return out
}

// TestCuts checks bounds, that cuts depend on the bytes alone, how long chunks
// are, and that an insertion moves few of them.
func TestCuts(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	content := make([]byte, 4<<20)
	for i := range content {
		content[i] = byte(rng.Uint32())
	}
	const target = 16 << 10
	all := cuts(target, content, func() int { return len(content) })
	if again := cuts(target, content, func() int { return 1 + rng.IntN(5000) }); !equal(all, again) {
		t.Errorf("cuts depend on the lengths of writes: %d and %d chunks", len(all), len(again))
	}
	for i, n := range all {
		if n > 4*target || n < target/4 && i < len(all)-1 {
			t.Errorf("chunk %d has %d bytes, want %d to %d", i, n, target/4, 4*target)
		}
	}
	if mean := len(content) / len(all); mean < target*3/4 || mean > target*3/2 {
		t.Errorf("chunks have %d bytes on average, want about %d", mean, target)
	}
	digests := map[[32]byte]bool{}
	for _, c := range split(content, all) {
		digests[sha256.Sum256(c)] = true
	}
	changed := append(append(bytes.Clone(content[:1<<20]), "something new"...), content[1<<20:]...)
	fresh := 0
	for _, c := range split(changed, cuts(target, changed, func() int { return len(changed) })) {
		if !digests[sha256.Sum256(c)] {
			fresh++
		}
	}
	if fresh == 0 || fresh > 3 {
		t.Errorf("an insertion changed %d chunks of %d, want 1 to 3", fresh, len(all))
	}
	for _, n := range cuts(target, make([]byte, 1<<20), func() int { return 1000 }) {
		if n != 4*target {
			t.Errorf("zeros are cut at %d, want %d", n, 4*target)
		}
	}
}

// TestFrozenCuts pins where the default chunker cuts.
func TestFrozenCuts(t *testing.T) {
	content := make([]byte, 8<<20)
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range content {
		content[i] = byte(rng.Uint32())
	}
	got := cuts(defaultTarget, content, func() int { return 1 << 20 })
	want := []int{2323343, 1219070, 1925412, 1286364, 905010, 729409}
	if !equal(got, want) {
		t.Errorf("cuts = %v, want %v: they are part of format v1", got, want)
	}
}

func equal(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func split(content []byte, at []int) (out [][]byte) {
	for _, n := range at {
		out = append(out, content[:n])
		content = content[n:]
	}
	return out
}

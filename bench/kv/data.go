package main

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"sort"

	"github.com/trimarandb/trimaran/bench/kv/engine"
)

// mix is a bijection that leaves no order.
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// keyOf writes key i: sixteen digits, in no order.
func keyOf(b []byte, i int) []byte {
	var raw [8]byte
	x := mix(uint64(i) + 1)
	for j := range raw {
		raw[j] = byte(x >> (56 - 8*j))
	}
	return hex.AppendEncode(b[:0], raw[:])
}

// values are documents, of which half compresses away.
type values struct{ buf []byte }

func newValues() *values {
	v := &values{buf: make([]byte, 0, valueSize)}
	v.buf = append(v.buf, `{"id":"0123456789abcdef","hash":"0123456789abcdef0123456789abcdef0123456789abcdef","status":"active","email":"somebody@example.com","tags":["blue","green"],"text":"`...)
	for len(v.buf) < valueSize-2 {
		v.buf = append(v.buf, "lorem ipsum dolor "[len(v.buf)%18])
	}
	v.buf = append(v.buf, `"}`...)
	return v
}

const idAt, hashAt = 7, 32

// of writes value i of a version, lent until the next.
func (v *values) of(i int, version uint64) []byte {
	keyOf(v.buf[idAt:], i)
	for j := range 3 {
		keyOf(v.buf[hashAt+16*j:], i*3+j+int(version<<40))
	}
	return v.buf
}

// check fails unless v is what a key holds.
func check(i int, v []byte) error {
	var b [keySize]byte
	if len(v) != valueSize || string(v[idAt:idAt+keySize]) != string(keyOf(b[:], i)) {
		return fmt.Errorf("value of key %d is %q", i, v)
	}
	return nil
}

// batch is the pairs [lo, hi).
func batch(lo, hi int, version uint64) engine.Batch {
	return func(yield func(key, value []byte) error) error {
		var key [keySize]byte
		v := newValues()
		for i := lo; i < hi; i++ {
			if err := yield(keyOf(key[:], i), v.of(i, version)); err != nil {
				return err
			}
		}
		return nil
	}
}

// load writes n keys in batches.
func load(s engine.Store, n int) error {
	for i := 0; i < n; i += batchSize {
		if err := s.Write(batch(i, min(i+batchSize, n), 0)); err != nil {
			return err
		}
	}
	return nil
}

// sorted is all pairs in order.
func sorted(n int) engine.Batch {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(a, b int) bool { return mix(uint64(order[a])+1) < mix(uint64(order[b])+1) })
	return func(yield func(key, value []byte) error) error {
		var key [keySize]byte
		v := newValues()
		for _, i := range order {
			if err := yield(keyOf(key[:], i), v.of(i, 0)); err != nil {
				return err
			}
		}
		return nil
	}
}

// picker draws numbers of keys.
type picker struct {
	rnd  *rand.Rand
	zipf *rand.Zipf // nil for all alike
	n    int
}

func newPicker(n int, zipf bool, round int) *picker {
	p := &picker{rnd: rand.New(rand.NewPCG(uint64(round), 7)), n: n}
	if zipf {
		p.zipf = rand.NewZipf(p.rnd, 1.1, 8, uint64(n-1))
	}
	return p
}

func (p *picker) pick() int {
	if p.zipf != nil {
		return int(p.zipf.Uint64())
	}
	return p.rnd.IntN(p.n)
}

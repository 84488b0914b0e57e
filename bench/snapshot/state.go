package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
)

// The state is an export of a key-value store: records of a length-prefixed
// key of 16 hexadecimal digits, in order, and a length-prefixed JSON value of
// about 200 bytes, in which some is random and much is not.

var (
	given    = []string{"Anna", "Bernd", "Carla", "Dieter", "Eva", "Frank", "Greta", "Hans", "Ida", "Jonas", "Klara", "Lukas", "Mia", "Noah", "Olga", "Paul"}
	family   = []string{"Bauer", "Becker", "Fischer", "Hoffmann", "Klein", "Koch", "Meyer", "Richter", "Schmidt", "Wagner", "Weber", "Wolf"}
	statuses = []string{"active", "blocked", "deleted", "pending"}
	words    = []string{"alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel", "india", "juliett", "kilo", "lima", "mike",
		"november", "oscar", "papa", "quebec", "romeo", "sierra", "tango", "uniform", "victor", "whiskey", "xray", "yankee", "zulu"}
)

// change is what another state of the same store has otherwise: all values in
// a part of the key range are new, and there are new keys among them.
type change struct{ lo, hi, insert float64 } // as parts of the whole

// writeState writes records until there are size bytes of the unchanged state.
func writeState(w io.Writer, size int64, seed uint64, c change) error {
	rng, fresh := rand.New(rand.NewPCG(seed, 1)), rand.New(rand.NewPCG(seed, 2)) //nolint:gosec // has to be repeatable
	var b []byte
	var key uint64
	for done := int64(0); done < size; {
		at := float64(done) / float64(size)
		key += 2 + rng.Uint64N(1<<40)
		b = appendRecord(b[:0], key, rng)
		done += int64(len(b))
		if at >= c.lo && at < c.hi {
			b = appendRecord(b[:0], key, fresh)
			if fresh.Float64() < c.insert {
				b = appendRecord(b, key+1, fresh)
			}
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

func appendRecord(b []byte, key uint64, rng *rand.Rand) []byte {
	b = binary.LittleEndian.AppendUint32(b, 16)
	b = appendHex(b, key)
	at := len(b)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = appendValue(b, rng)
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

func appendHex(b []byte, v uint64) []byte {
	for shift := 60; shift >= 0; shift -= 4 {
		b = append(b, "0123456789abcdef"[v>>shift&15])
	}
	return b
}

func appendValue(b []byte, rng *rand.Rand) []byte {
	pick := func(s []string) string { return s[rng.IntN(len(s))] }
	first, last := pick(given), pick(family)
	b = appendHex(append(b, `{"id":"`...), rng.Uint64())
	b = append(append(append(append(b, `","name":"`...), first...), ' '), last...)
	b = append(append(append(append(b, `","email":"`...), first...), '.'), last...)
	b = strconv.AppendInt(b, rng.Int64N(1000), 10)
	b = strconv.AppendInt(append(b, `@example.com","changed":`...), 1_700_000_000+rng.Int64N(50_000_000), 10)
	b = append(append(append(b, `,"status":"`...), pick(statuses)...), `","score":`...)
	b = strconv.AppendFloat(b, float64(rng.IntN(10_000))/100, 'f', 2, 64)
	b = append(b, `,"tags":["`...)
	b = append(append(append(b, pick(words)...), `","`...), pick(words)...)
	b = append(b, `"],"note":"`...)
	for range 3 {
		b = append(append(b, pick(words)...), ' ')
	}
	return append(b, `"}`...)
}

// makeState writes a state to a file.
func makeState(path string, size int64, seed uint64, c change) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	if err = writeState(w, size, seed, c); err == nil {
		err = w.Flush()
	}
	return errors.Join(err, f.Close())
}

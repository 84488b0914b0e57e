package frame

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"testing"
)

// The bytes are frozen: every format v1 is made of them.
func TestGolden(t *testing.T) {
	got := hex.EncodeToString(Append(nil, 3, 0xdecafbad, []byte("trimaran")))
	const want = "0800000003000000fdbfe90756feac667472696d6172616e"
	if got != want {
		t.Errorf("frame = %s, want %s", got, want)
	}
}

func TestShift(t *testing.T) {
	b := make([]byte, 3000)
	for i := range b {
		b[i] = byte(i * i >> 3)
	}
	for _, n := range []int{0, 1, 2, 3, 7, 8, 255, 256, 2999, 3000} {
		for _, seed := range []uint32{0, 1, 1 << 31, 0xdecafbad, 0xffffffff} {
			if got, want := Shift(Sum(0, b[:n]), seed, n), Sum(seed, b[:n]); got != want {
				t.Errorf("Shift of %d bytes by %#x = %#x, want %#x", n, seed, got, want)
			}
		}
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	const seed = 42
	b := Append(nil, 1, seed, []byte("some payload"))
	for bit := range len(b) * 8 {
		c := bytes.Clone(b)
		c[bit/8] ^= 1 << (bit % 8)
		h, err := Parse(c, seed)
		if err == nil {
			err = h.Check(seed, c[HeaderSize:])
		}
		if err == nil {
			t.Errorf("bit %d flipped and not noticed", bit)
		}
	}
	if _, err := Parse(b, seed+1); !errors.Is(err, ErrHeader) {
		t.Errorf("Parse with another seed = %v, want ErrHeader", err)
	}
}

func TestStream(t *testing.T) {
	var whole []byte
	payloads := [][]byte{{}, []byte("a"), bytes.Repeat([]byte("xyz"), 1<<20)}
	for i, p := range payloads {
		whole = Append(whole, byte(i), 7, p)
	}
	r := NewReader(bytes.NewReader(whole), 7, 4<<20)
	for i, p := range payloads {
		kind, got, err := r.Next()
		if err != nil || kind != byte(i) || !bytes.Equal(got, p) {
			t.Fatalf("frame %d = kind %d, %d bytes, %v, want %d bytes", i, kind, len(got), err, len(p))
		}
	}
	if _, _, err := r.Next(); err != io.EOF { //nolint:errorlint // a stream returns io.EOF bare
		t.Errorf("after the last frame: %v, want io.EOF", err)
	}
	if r.Offset() != int64(len(whole)) {
		t.Errorf("offset = %d, want %d", r.Offset(), len(whole))
	}
	if _, _, err := NewReader(bytes.NewReader(whole[33:]), 7, 1<<20).Next(); !errors.Is(err, ErrTooLong) {
		t.Errorf("long frame: %v, want ErrTooLong", err)
	}
}

func TestStreamCutAnywhere(t *testing.T) {
	whole := Append(Append(nil, 1, 0, []byte("first")), 2, 0, []byte("second"))
	first := HeaderSize + len("first")
	for n := range len(whole) {
		r := NewReader(bytes.NewReader(whole[:n]), 0, 100)
		var err error
		for err == nil {
			_, _, err = r.Next()
		}
		want := ErrShort
		if n == 0 || n == first {
			want = io.EOF
		}
		if !errors.Is(err, want) {
			t.Errorf("cut at %d: %v, want %v", n, err, want)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(Append(Append(nil, 1, 0, []byte("first")), 2, 0, nil))
	f.Add([]byte("\xff\xff\xff\x7f0000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(bytes.NewReader(b), 0, 1<<20)
		var again []byte
		for {
			kind, payload, err := r.Next()
			if err != nil {
				break
			}
			again = Append(again, kind, 0, payload)
		}
		if !bytes.HasPrefix(b, again) || int64(len(again)) != r.Offset() {
			t.Errorf("decoded frames encode to other bytes")
		}
	})
}

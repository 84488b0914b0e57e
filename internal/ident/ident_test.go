package ident

import (
	"bytes"
	"errors"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	id := Identity{Node: [16]byte{0, 1, 0xfe, 15: 9}, Epoch: 1 << 63}
	b, err := id.AppendBinary(nil)
	if err != nil || len(b) != Size {
		t.Fatalf("AppendBinary = %d bytes, %v, want %d, nil", len(b), err, Size)
	}
	var got Identity
	if err := got.UnmarshalBinary(b); err != nil || got != id {
		t.Errorf("UnmarshalBinary = %v, %v, want %v", got, err, id)
	}
	if got, err := Parse(id.String()); err != nil || got != id {
		t.Errorf("Parse(%q) = %v, %v", id, got, err)
	}
}

func TestRefusesEveryFlippedBit(t *testing.T) {
	b, _ := Identity{Node: [16]byte{1}, Epoch: 7}.AppendBinary(nil)
	for bit := range len(b) * 8 {
		c := bytes.Clone(b)
		c[bit/8] ^= 1 << (bit % 8)
		var id Identity
		if err := id.UnmarshalBinary(c); !errors.Is(err, ErrFormat) {
			t.Errorf("bit %d flipped: %v, want ErrFormat", bit, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Identity{Epoch: 3}.String())
	f.Add("00@1")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := Parse(s); err == nil && id.String() != s {
			t.Errorf("Parse(%q).String() = %q", s, id)
		}
	})
}

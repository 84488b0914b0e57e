package freeport_test

import (
	"net"
	"testing"

	"github.com/trimarandb/trimaran/internal/freeport"
)

// A server can listen on what is reserved, again and again, and in between
// nobody is there.
func TestReserve(t *testing.T) {
	address := freeport.Reserve(t)
	for range 3 {
		if c, err := net.Dial("tcp", address); err == nil {
			t.Errorf("%v answers, and nobody listens", c.RemoteAddr())
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What is reserved is given to nobody who asks for any port.
func TestReservedIsNotFree(t *testing.T) {
	reserved := map[string]bool{}
	for range 200 {
		address := freeport.Reserve(t)
		if reserved[address] {
			t.Errorf("%s is reserved twice", address)
		}
		reserved[address] = true
	}
	for range 1000 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if reserved[l.Addr().String()] {
			t.Errorf("%v was given away", l.Addr())
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Package freeport gives tests addresses for the servers that they start.
package freeport

import (
	"errors"
	"fmt"
	"net"
	"testing"
)

// Reserve returns an address on loopback whose port nobody else is given until
// the test has ended, also while no server listens on it: neither who asks for
// any free port nor an outgoing connection. A server can listen on it that sets
// SO_REUSEADDR, as all in Go do, one after the other.
func Reserve(t testing.TB) string {
	t.Helper()
	address, release, err := reserve()
	if err != nil {
		t.Fatalf("reserve a port: %v", err)
	}
	t.Cleanup(func() {
		if err := release(); err != nil {
			t.Errorf("release %s: %v", address, err)
		}
	})
	return address
}

// reserve leaves a connection to a listener that is gone. The kernel takes its
// port for used when it chooses one, but lets others listen who name it, as it
// does for a server that starts again while clients hold on to the last one.
func reserve() (address string, release func() error, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address = l.Addr().String()
	near, err := net.Dial("tcp", address)
	if err != nil {
		return "", nil, errors.Join(err, l.Close())
	}
	far, err := l.Accept()
	if err == nil && far.RemoteAddr().String() != near.LocalAddr().String() {
		err = errors.Join(fmt.Errorf("%v connected to %s", far.RemoteAddr(), address), far.Close())
	}
	if err = errors.Join(err, l.Close()); err != nil {
		return "", nil, errors.Join(err, near.Close())
	}
	return address, func() error { return errors.Join(near.Close(), far.Close()) }, nil
}

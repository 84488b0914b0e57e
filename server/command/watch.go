package command

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
)

// Watch is a key and what it was when a client looked at it.
type Watch struct {
	Key []byte
	Was Fingerprint
}

// Fingerprint identifies what a key holds: whether it exists, its value and its
// deadline. A key that was changed and changed back has the same one again, so
// a transaction that relies on it goes ahead: it saw the very state that it
// finds.
type Fingerprint [16]byte

// FingerprintOf computes the fingerprint of key in the state of tx.
func FingerprintOf(tx Reader, key []byte) (Fingerprint, error) {
	value, err := tx.Get(key)
	if errors.Is(err, fault.ErrNotFound) {
		return Fingerprint{}, nil
	}
	if err != nil {
		return Fingerprint{}, fmt.Errorf("fingerprint: %w", err)
	}
	deadline, err := tx.Deadline(key)
	if err != nil {
		return Fingerprint{}, fmt.Errorf("fingerprint: %w", err)
	}
	at, err := nanos(deadline)
	if err != nil {
		return Fingerprint{}, fmt.Errorf("fingerprint: %w", err)
	}
	h := sha256.New()
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, at)) // a hash never fails
	_, _ = h.Write(value)
	return Fingerprint(h.Sum(nil)[:len(Fingerprint{})]), nil
}

package snapshot

import (
	"bytes"
	"encoding/hex"
	"time"
)

// Info is what the caller knows of a snapshot.
type Info struct {
	// Index and Term are those of the last entry that the snapshot contains.
	// Index 0 is refused.
	Index, Term uint64
	// Membership is the configuration in force at Index, in the encoding of
	// the Raft library. Empty is refused unless the caller states that there
	// is none, and never more than MaxMembership bytes.
	Membership []byte
	// MembershipIndex is the index of the entry that set Membership, 0 when
	// unknown, and never above Index.
	MembershipIndex uint64
	// Clock is the logical clock of the state machine; the zero time is kept.
	Clock time.Time
}

// MaxMembership is the longest Info.Membership in bytes.
const MaxMembership = maxMembership

// check refuses an Info that no snapshot can have.
func (i Info) check() error {
	switch {
	case i.Index == 0:
		return invalid("snapshot index 0 means none")
	case i.MembershipIndex > i.Index:
		return invalid("membership index %d is above snapshot index %d", i.MembershipIndex, i.Index)
	case len(i.Membership) > maxMembership:
		return invalid("membership of %d bytes, at most %d", len(i.Membership), maxMembership)
	}
	return nil
}

// checkMembership refuses a snapshot that could not start a node, unless the
// caller stated that there is no membership.
func (i Info) checkMembership(none bool) error {
	if len(i.Membership) == 0 && !none {
		return invalid("membership is empty: a snapshot without it cannot start a node, set NoMembership if there is none")
	}
	return nil
}

// clone makes what is handed out the caller's. An empty membership is nil.
func (i Info) clone() Info {
	i.Membership = bytes.Clone(i.Membership)
	if len(i.Membership) == 0 {
		i.Membership = nil
	}
	i.Clock = i.Clock.UTC()
	return i
}

// Meta is what the store knows of a snapshot. It belongs to whoever got it.
type Meta struct {
	ID ID
	Info
	Size       int64     // bytes of payload
	StoredSize int64     // bytes of the container
	Created    time.Time // when its first writer began, by that node's clock
	Codec      Codec
	Level      int
	// Digest is "sha256:" and a digest over the digests of the chunks. Equal
	// payloads have equal digests, whatever their codec, if they were written
	// with the same Options.ChunkSize.
	Digest  string
	Entries uint64 // what SetEntries said
	// Damaged is nil, or why the snapshot cannot be read: a *fault.Corruption,
	// or fault.ErrUnsupported when a newer version wrote it. Other fields are
	// then set as far as they could be read; ID, Index and Term always are.
	Damaged error
}

// Progress is told how many bytes of how many are done; total is -1 where it
// is not known. It is called by the goroutine that does the work, after each
// chunk, and must call neither into what is being worked on nor Store.Close.
type Progress func(done, total int64)

func (p Progress) report(done, total int64) {
	if p != nil {
		p(done, total)
	}
}

func digestText(sum [32]byte) string { return "sha256:" + hex.EncodeToString(sum[:]) }

package trimaran

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/raftlog"
)

var update = flag.Bool("update", false, "write docs/format/recovery.md anew")

// situation is three layers in the small: what facts are made of, and what the
// actions of Recover do to them.
type situation struct {
	owner  Owner
	lossy  bool
	base   raftlog.Position
	terms  []uint64 // of the entries after the base
	mark   raftlog.Position
	newest raftlog.Position
	idle   bool // nothing between mark and newest is a command, if the log holds it
	intent *intent
}

func (s *situation) last() uint64 { return s.base.Index + uint64(len(s.terms)) }

func (s *situation) place(p raftlog.Position) place {
	switch {
	case p.Index < s.base.Index:
		return below
	case p.Index > s.last():
		return beyond
	}
	term := s.base.Term
	if p.Index > s.base.Index {
		term = s.terms[p.Index-s.base.Index-1]
	}
	if term != p.Term && term != 0 {
		return differs
	}
	return held
}

func (s *situation) facts() *facts {
	f := &facts{
		owner: s.owner, lossy: s.lossy, log: raftlog.Bounds{Base: s.base, Last: s.last(), LastTerm: s.base.Term},
		mark: s.mark, atMark: s.place(s.mark), newest: s.newest, atNewest: s.place(s.newest), intent: s.intent,
	}
	f.idle = s.idle && f.atMark == held && f.atNewest == held && s.mark.Index < s.newest.Index
	if n := len(s.terms); n > 0 {
		f.log.LastTerm = s.terms[n-1]
	}
	return f
}

// settle does what the rules say until they open or refuse.
func (s *situation) settle(t *testing.T) *rule {
	for range 5 {
		r := decide(s.facts())
		switch r.do {
		case open, refuse:
			return r
		case restore:
			s.mark, s.intent = s.newest, nil
			s.follow()
		case advance:
			s.mark = s.newest
		case follow:
			s.intent = nil
			s.follow()
		case undo:
			s.intent = nil
		}
	}
	t.Fatalf("%+v: recovery does not end", s)
	return nil
}

func (s *situation) follow() {
	if s.place(s.mark) != held {
		s.base, s.terms = s.mark, nil
	}
}

// sound says what is wrong with a situation that was opened, or with refusing
// the one that it came from.
func (s *situation) sound() string {
	switch {
	case s.place(s.mark) != held:
		return "the log does not continue the data"
	case s.intent != nil:
		return "an intent is left"
	case s.newest.Index > s.mark.Index && s.owner == OwnerLibrary:
		return "the library counts more as applied than the data holds"
	case s.newest.Index > s.mark.Index && s.place(s.newest) != held:
		return "a snapshot lies above the data, and the log does not hold it"
	case s.newest.Index > 0 && s.place(s.newest) == differs:
		return "the log contradicts a snapshot"
	}
	return ""
}

// each calls do with every situation of few entries and two terms.
func each(do func(situation)) {
	logs := []situation{}
	for _, base := range []raftlog.Position{{}, {Index: 2, Term: 1}, {Index: 2, Term: 2}, {Index: 2}} {
		for _, terms := range [][]uint64{nil, {1, 1}, {1, 2}, {2, 2}} {
			if len(terms) == 0 || terms[0] >= base.Term {
				logs = append(logs, situation{base: base, terms: terms})
			}
		}
	}
	positions := []raftlog.Position{{}}
	for i := range uint64(6) {
		positions = append(positions, raftlog.Position{Index: i + 1, Term: 1}, raftlog.Position{Index: i + 1, Term: 2})
	}
	for _, s := range logs {
		for _, s.mark = range positions {
			for _, s.newest = range positions {
				for _, s.intent = range []*intent{nil, {to: s.mark}, {from: s.mark, to: raftlog.Position{Index: 3, Term: 3}}} {
					for n := range 8 {
						s.owner, s.lossy, s.idle = Owner(n%2), n/2%2 > 0, n/4 > 0
						do(s)
					}
				}
			}
		}
	}
}

// Whatever the three layers and the intent say, recovery ends, what it opens is
// sound, and what it refuses could not be opened.
func TestVerdicts(t *testing.T) {
	used := map[string]int{}
	each(func(s situation) {
		was := s
		first := decide(s.facts())
		used[first.name]++
		last := s.settle(t)
		if last.do == open {
			if wrong := s.sound(); wrong != "" {
				t.Fatalf("%+v, intent %v: opened as %+v by way of %q: %s", was, was.intent, s, first.name, wrong)
			}
			if first.do == open && was.sound() != "" {
				t.Fatalf("%+v: opened as it is: %s", was, was.sound())
			}
			return
		}
		if was.sound() == "" && was.newest.Term <= was.mark.Term && (was.newest.Index < was.mark.Index || was.newest == was.mark) {
			t.Fatalf("%+v is refused as %q", was, last.name)
		}
	})
	for _, r := range rules {
		if used[r.name] == 0 {
			t.Errorf("no situation leads to %q", r.name)
		}
	}
}

func TestRefusalsNameTheHole(t *testing.T) {
	each(func(s situation) {
		f := s.facts()
		if r := decide(f); r.do == refuse {
			if text := r.refusal(f).Error(); !strings.Contains(text, r.remedy) || strings.Contains(text, "%!") {
				t.Fatalf("refusal of %+v = %q", s, text)
			}
		}
	})
}

func TestIntentEveryBit(t *testing.T) {
	want := intent{from: raftlog.Position{Index: 1, Term: 2}, to: raftlog.Position{Index: 1 << 40, Term: 3}}
	b := want.encode()
	if got, err := parseIntent(b); err != nil || got != want {
		t.Fatalf("parseIntent = %+v, %v, want %+v", got, err, want)
	}
	for bit := range len(b) * 8 {
		c := bytes.Clone(b)
		c[bit/8] ^= 1 << (bit % 8)
		if got, err := parseIntent(c); err == nil {
			t.Errorf("bit %d flipped: %+v, want an error", bit, got)
		}
	}
	for n := range len(b) {
		if _, err := parseIntent(b[:n]); err == nil {
			t.Errorf("%d bytes: want an error", n)
		}
	}
}

// TestRecoveryPage prints docs/format/recovery.md from the rules.
func TestRecoveryPage(t *testing.T) {
	const name = "docs/format/recovery.md"
	want := page()
	if *update {
		if err := os.WriteFile(name, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is not what the rules say (%v); go test -run RecoveryPage -update . writes it", name, err)
	}
}

func page() []byte {
	var b bytes.Buffer
	b.WriteString(pageHead)
	for i, r := range rules {
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s |\n", i+1, r.name, r.do, r.why, r.remedy)
	}
	b.WriteString(pageMiddle)
	for _, log := range pageLogs {
		for _, data := range pageData {
			for _, snap := range pageSnapshots {
				s := log.s
				s.mark, s.newest = data.at, snap.at
				fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", log.name, data.name, snap.name, s.verdict(OwnerComposite), s.verdict(OwnerLibrary))
			}
		}
	}
	b.WriteString(pageTail)
	return b.Bytes()
}

// verdict is the chain of actions that the rules lead to.
func (s *situation) verdict(o Owner) string {
	s.owner = o
	did, last := s.play()
	if last.do == refuse {
		return fmt.Sprintf("%s (rule %d)", strings.Join(did, ", "), slices.IndexFunc(rules[:], func(x rule) bool { return x.name == last.name })+1)
	}
	return strings.Join(did, ", ")
}

// play does what the rules say until they open or refuse, without an intent.
func (s *situation) play() (did []string, last *rule) {
	for {
		r := decide(s.facts())
		did = append(did, r.do.String())
		switch r.do {
		case restore:
			s.mark = s.newest
			s.follow()
		case follow:
			s.follow()
		default:
			return did, r
		}
	}
}

// Verdict is what the rules make of a log that keeps what it acknowledged, all
// of term 1: the last rule, whether it opens, and with which mark.
func Verdict(o Owner, base, last, mark, newest uint64) (rule string, opens bool, index uint64) {
	at := func(i uint64) raftlog.Position { return raftlog.Position{Index: i, Term: min(i, 1)} }
	s := situation{owner: o, base: at(base), mark: at(mark), newest: at(newest)}
	for range last - base {
		s.terms = append(s.terms, 1)
	}
	_, r := s.play()
	return r.name, r.do == open, s.mark.Index
}

var (
	pageLogs = []struct {
		name string
		s    situation
	}{
		{"new", situation{}},
		{"empty after 4", situation{base: raftlog.Position{Index: 4, Term: 2}}},
		{"5 to 8", situation{base: raftlog.Position{Index: 4, Term: 2}, terms: []uint64{2, 2, 2, 2}}},
	}
	pageData = []struct {
		name string
		at   raftlog.Position
	}{
		{"empty", raftlog.Position{}},
		{"behind: 2", raftlog.Position{Index: 2, Term: 2}},
		{"equal: 4", raftlog.Position{Index: 4, Term: 2}},
		{"equal: 6", raftlog.Position{Index: 6, Term: 2}},
		{"6 of term 1", raftlog.Position{Index: 6, Term: 1}},
		{"ahead: 9", raftlog.Position{Index: 9, Term: 2}},
	}
	pageSnapshots = []struct {
		name string
		at   raftlog.Position
	}{
		{"none, or damaged", raftlog.Position{}},
		{"behind: 3", raftlog.Position{Index: 3, Term: 2}},
		{"equal: 7", raftlog.Position{Index: 7, Term: 2}},
		{"7 of term 3", raftlog.Position{Index: 7, Term: 3}},
		{"ahead: 12", raftlog.Position{Index: 12, Term: 2}},
	}
)

const pageHead = `# Recovery: what an open does with log, snapshots and data

Printed from the rules in ` + "`verdict.go`" + `; a test compares.

` + "`New`" + ` looks at the bounds and terms of the log, the mark of the data, the newest valid snapshot, and the intent in the
log's stable keys. The first rule that fits counts. After *restore*, *advance*, *follow* and *undo* it looks again, so a crash in the
middle of recovery is one more situation of this table.

A damaged log or data store does not come this far: its own open refuses. A damaged snapshot counts as none, and the next
older valid one takes its place. A log *may forget* that is in memory, or has sync policy interval or never.

| | found | does | because | what doctor would do |
|---|---|---|---|---|
`

const pageTail = `| damaged | any | any | refuse, by the log's own open | the same |
| any | damaged | any | refuse, by the data's own open | the same |
`

const pageMiddle = `
* *open*: nothing is changed. Entries after the mark are delivered by whoever knows that they are committed.
* *advance*: the mark moves to the newest valid snapshot; the data stays as it is.
* *restore*: the newest valid snapshot becomes the data; the log keeps its entries if it holds the snapshot's last one, else
  it is emptied to continue after it.
* *follow*: the log is emptied to continue after the mark, unless it holds the mark's entry; the intent goes in the same
  write.
* *undo*: the intent is cleared.
* *refuse*: ` + "`New`" + ` fails with an error that names the hole.

## The intent

Stable key ` + "`trimaran/intent`" + ` of the log's group, present from before the data is switched until the log has followed:

| bytes | |
|---|---|
| 1 | version, 1 |
| 1 | kind, 1: restore |
| 8 + 8 | index and term of the mark before |
| 8 + 8 | index and term of the new state |
| 4 | CRC-32C of all before |

Numbers are big endian. A restore to a position that the log holds needs none: each of its states is one history. Neither
does a snapshot, which is published in one step, nor compaction: what the new base rests on, snapshot and data, is durable
before, and the base moves in one write.

## The forsaken

Stable key ` + "`trimaran/forsaken`" + `: the snapshots that a restore gave up when it went back below the base, 24 bytes each: term,
index and suffix of the ID, big endian. They are named before the first is removed, for one that is pinned or being read is
only hidden until it is let go, and a crash before that brings it back. An open removes those that came back before it
looks at anything else; one that finds none clears the key. With Owner Library there are none.

## The opening

Stable key ` + "`trimaran/opening`" + `: the identity (16 bytes of node, 8 of epoch, 4 of CRC-32C) that this open gives to data and
snapshots and, last, to the log itself. A part may carry what the log carries or what the opening says; any other epoch is a
copy of another age, any other node is a part from elsewhere. Both are refused unless adopted. A part that holds nothing may
carry none.

## Every combination, without an intent, of a log that keeps what it acknowledged and holds commands only

All entries of the log have term 2.

| log | data | newest snapshot | composite owns | library owns |
|---|---|---|---|---|
`

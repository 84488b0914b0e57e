package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"time"

	"github.com/trimarandb/trimaran/raftlog"
)

// dataForm is the --data flag.
type dataForm string

func (f *dataForm) String() string { return string(*f) }
func (f *dataForm) Type() string   { return "none|hex|text" }

func (f *dataForm) Set(s string) error {
	if s != "none" && s != "hex" && s != "text" {
		return fmt.Errorf("want none, hex or text")
	}
	*f = dataForm(s)
	return nil
}

// lines prints a log, one entry or key a line.
type lines struct {
	w     *bufio.Writer
	json  *json.Encoder // nil: text
	data  dataForm
	heads bool // the column heads are printed
}

func newLines(w io.Writer, asJSON bool, data dataForm) *lines {
	l := &lines{w: bufio.NewWriterSize(w, 64<<10), data: data}
	if asJSON {
		l.json = json.NewEncoder(l.w)
		l.json.SetEscapeHTML(false)
	}
	return l
}

func (l *lines) flush() error { return l.w.Flush() }

// dumped is one line of log dump -o json: an entry, a stable key or damage.
type dumped struct {
	Group  string     `json:"group"`
	Index  uint64     `json:"index,omitempty"`
	Term   uint64     `json:"term,omitempty"`
	Kind   string     `json:"kind,omitempty"`
	Time   *time.Time `json:"time,omitempty"`
	Stable string     `json:"stable,omitempty"`
	Size   int        `json:"data_bytes"`
	Ext    int        `json:"ext_bytes,omitempty"`
	CRC    string     `json:"crc32c,omitempty"`
	Data   *string    `json:"data,omitempty"`
	Damage string     `json:"damage,omitempty"`
}

const (
	lineHeads  = "%-7s %10s %6s %-13s %-30s %9s %7s %-8s\n"
	lineFormat = "%-7s %10d %6d %-13s %-30s %9d %7d %s"
)

func (l *lines) entry(g raftlog.Group, e *raftlog.Entry) error {
	crc := checksum(e.Data)
	if l.json != nil {
		d := dumped{Group: g.String(), Index: e.Index, Term: e.Term, Kind: e.Kind.String(), Size: len(e.Data), Ext: len(e.Ext), CRC: crc, Data: l.value(e.Data)}
		if !e.Time.IsZero() {
			d.Time = &e.Time
		}
		return l.json.Encode(d)
	}
	if !l.heads {
		l.heads = true
		fmt.Fprintf(l.w, lineHeads, "GROUP", "INDEX", "TERM", "KIND", "TIME", "DATA", "EXT", "CRC-32C")
	}
	at := "-"
	if !e.Time.IsZero() {
		at = e.Time.UTC().Format(time.RFC3339Nano)
	}
	fmt.Fprintf(l.w, lineFormat, g, e.Index, e.Term, e.Kind, at, len(e.Data), len(e.Ext), crc)
	return l.end(e.Data)
}

func (l *lines) key(g raftlog.Group, key string, value []byte) error {
	if l.json != nil {
		return l.json.Encode(dumped{Group: g.String(), Stable: key, Size: len(value), CRC: checksum(value), Data: l.value(value)})
	}
	fmt.Fprintf(l.w, "%-7s stable %s %d %s", g, strconv.Quote(key), len(value), checksum(value))
	return l.end(value)
}

func (l *lines) damage(g raftlog.Group, index uint64, err error) error {
	if l.json != nil {
		return l.json.Encode(dumped{Group: g.String(), Index: index, Damage: err.Error()})
	}
	_, err = fmt.Fprintf(l.w, "%-7s %10d DAMAGED: %v\n", g, index, err)
	return err
}

// end prints data, if it is asked for, and ends the line.
func (l *lines) end(b []byte) error {
	var err error
	switch l.data {
	case "hex":
		_, err = fmt.Fprintf(l.w, " %x\n", b)
	case "text":
		_, err = fmt.Fprintf(l.w, " %q\n", b)
	default:
		err = l.w.WriteByte('\n')
	}
	return err
}

func (l *lines) value(b []byte) *string {
	var s string
	switch l.data {
	case "hex":
		s = hex.EncodeToString(b)
	case "text":
		s = string(b)
	default:
		return nil
	}
	return &s
}

// checksum is the CRC-32C of b, as many tools know it.
func checksum(b []byte) string {
	return fmt.Sprintf("%08x", crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}

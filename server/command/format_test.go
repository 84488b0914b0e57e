package command_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/server/command"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var samples = []struct {
	name string
	c    command.Command
}{
	{"tick", command.Command{Clock: start}},
	{"writes", command.Command{Clock: start, Ops: []command.Op{
		{Code: command.Set, Flags: command.NX | command.Until | command.Fetch, N: at(10), Args: args("key", "value")},
		{Code: command.Set, Flags: command.XX | command.KeepTTL, Args: args("key", "")},
		{Code: command.GetDel, Args: args("key")},
		{Code: command.Del, Args: args("a", "b")},
		{Code: command.MSet, Args: args("a", "1", "b", "2")},
		{Code: command.MSetNX, Args: args("a", "1")},
		{Code: command.IncrBy, N: -3, Args: args("n")},
		{Code: command.Append, Args: args("a", "tail")},
		{Code: command.ExpireAt, Flags: command.XX | command.GT, N: 1, Args: args("a")},
		{Code: command.Persist, Args: args("a")},
		{Code: command.Flush},
	}}},
	{"transaction", command.Command{Clock: start, Watches: []command.Watch{{Key: []byte("w"), Was: command.Fingerprint{1, 2, 15: 3}}}, Ops: []command.Op{
		{Code: command.Get, Args: args("a")},
		{Code: command.MGet, Args: args("a", "b")},
		{Code: command.Exists, Args: args("a")},
		{Code: command.Strlen, Args: args("a")},
		{Code: command.TTL, Args: args("a")},
		{Code: command.PTTL, Args: args("a")},
		{Code: command.Type, Args: args("a")},
		{Code: command.DBSize},
		{Code: command.Keys, Args: args("")},
	}}},
}

func TestGolden(t *testing.T) {
	for _, tc := range samples {
		name := filepath.Join("testdata", "golden", tc.name+".hex")
		got := encode(t, tc.c)
		if *update {
			if err := os.WriteFile(name, []byte(hex.EncodeToString(got)+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s encodes to %x, want %x (%v)", tc.name, got, want, err)
		}
		c, err := command.Decode(want)
		if err != nil || !bytes.Equal(encode(t, c), want) || !c.Clock.Equal(tc.c.Clock) {
			t.Errorf("%s does not decode to what it was: %v", tc.name, err)
		}
	}
}

func TestDecodeRefusesDamage(t *testing.T) {
	for _, tc := range samples {
		b := encode(t, tc.c)
		for n := range b {
			if _, err := command.Decode(b[:n]); !errors.Is(err, fault.ErrCorrupt) {
				t.Fatalf("%s cut to %d bytes: %v, want corrupt", tc.name, n, err)
			}
		}
		if _, err := command.Decode(append(b, 0)); !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("%s with a byte more: %v, want corrupt", tc.name, err)
		}
	}
	for name, s := range map[string]string{
		"long form of a number": "018000" + "0000",
		"unknown code":          "010000" + "01" + "0b000000",
		"unknown flag":          "010000" + "01" + "0a010000",
		"an empty key":          "010000" + "01" + "2000000100",
		"ops beyond the end":    "010000" + "ffff3f",
		"nx and xx":             "010000" + "01" + "010300" + "0201610162",
	} {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := command.Decode(b); !errors.Is(err, fault.ErrCorrupt) {
			t.Errorf("%s: %+v, %v, want corrupt", name, c, err)
		}
	}
	if _, err := command.Decode([]byte{2}); !errors.Is(err, fault.ErrUnsupported) {
		t.Errorf("version 2: %v, want unsupported", err)
	}
}

func TestAppendToRefuses(t *testing.T) {
	long := make([]byte, command.MaxKey+1)
	for name, c := range map[string]command.Command{
		"a long key":          {Ops: []command.Op{{Code: command.Get, Args: [][]byte{long}}}},
		"a long pattern":      {Ops: []command.Op{{Code: command.Keys, Args: [][]byte{long[:command.MaxMatch+1]}}}},
		"a long watched key":  {Watches: []command.Watch{{Key: long}}},
		"a long value":        {Ops: []command.Op{{Code: command.Append, Args: [][]byte{{1}, make([]byte, command.MaxValue+1)}}}},
		"a deadline before 0": {Ops: []command.Op{{Code: command.ExpireAt, N: -1, Args: args("k")}}},
		"half a pair":         {Ops: []command.Op{{Code: command.MSet, Args: args("k", "v", "x")}}},
		"a clock of long ago": {Clock: time.Unix(-1, 0)},
		"many arguments":      {Ops: []command.Op{{Code: command.Del, Args: make([][]byte, command.MaxArgs+1)}}},
	} {
		if _, err := c.AppendTo(nil); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, tc := range samples {
		f.Add(encode(f, tc.c))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := command.Decode(b)
		if err != nil {
			if !errors.Is(err, fault.ErrCorrupt) && !errors.Is(err, fault.ErrUnsupported) {
				t.Errorf("error = %v, want corrupt or unsupported", err)
			}
			return
		}
		if again := encode(t, c); !bytes.Equal(again, b) {
			t.Errorf("command %x encodes to %x", b, again)
		}
	})
}

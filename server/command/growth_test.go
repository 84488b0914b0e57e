package command_test

import (
	"testing"
	"time"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
	"github.com/trimarandb/trimaran/server/command"
)

// No command adds more to the memory of an engine than Growth says, and what
// frees memory is said to take none.
func TestGrowthIsEnough(t *testing.T) {
	engine, err := memkv.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := kv.New(engine, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Unix(1_000_000, 0)
	later := now.Add(time.Hour).UnixNano()
	b := func(args ...string) (all [][]byte) {
		for _, a := range args {
			all = append(all, []byte(a))
		}
		return all
	}
	long := string(make([]byte, 10_000))
	for i, op := range []command.Op{
		{Code: command.Set, Args: b("k", "v")},
		{Code: command.Set, Flags: command.Until, N: later, Args: b("a-key-of-some-length", long)},
		{Code: command.Append, Args: b("k", long)},
		{Code: command.IncrBy, N: 1 << 60, Args: b("n")},
		{Code: command.MSet, Args: b("a", "", "b", "", "c", "", "d", "")},
		{Code: command.MSetNX, Args: b("e", "1", "f", long)},
		{Code: command.ExpireAt, N: later, Args: b("k")},
		{Code: command.ExpireAt, N: later + 1, Args: b("f")},
		{Code: command.Persist, Args: b("f")},
		{Code: command.GetDel, Args: b("e")},
		{Code: command.Del, Args: b("f", "none")},
		{Code: command.Get, Args: b("k")},
		{Code: command.Flush},
	} {
		c := command.Command{Clock: now, Ops: []command.Op{op}}
		data, err := c.AppendTo(nil)
		if err != nil {
			t.Fatal(err)
		}
		before, err := engine.Size()
		if err != nil {
			t.Fatal(err)
		}
		err = s.Update(t.Context(), func(tx *kv.WriteTx) error {
			_, err := command.Apply(tx, data)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		after, err := engine.Size()
		if err != nil {
			t.Fatal(err)
		}
		grew, bound := after.Memory-before.Memory, command.Growth(data)
		if i == 0 {
			grew -= 1000 // the mark and the clock, which are there from then on
		}
		if grew > bound || bound == 0 && grew > 0 {
			t.Errorf("%v grew by %d bytes, at most %d were said", op.Code, grew, bound)
		}
	}
	if command.Growth([]byte("no command")) != 0 {
		t.Error("what is no command takes room")
	}
}

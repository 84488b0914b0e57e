package raftlog_test

import (
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/memlog"
)

func ExampleLog() {
	driver, err := memlog.New(nil)
	if err != nil {
		panic(err)
	}
	defer driver.Close()
	log, err := raftlog.New(driver, raftlog.Group{}, nil)
	if err != nil {
		panic(err)
	}
	defer log.Close()

	// Entries and the vote that goes with them, in one write.
	err = log.Write(raftlog.Batch{
		Entries: []raftlog.Entry{
			{Index: 1, Term: 1, Kind: raftlog.NoOp},
			{Index: 2, Term: 1, Data: []byte("set x 1")},
			{Index: 3, Term: 1, Data: []byte("set y 2")},
		},
		Stable: []raftlog.StableKV{{Key: "vote", Value: []byte("node-a")}},
	})
	fmt.Println("write:", err)

	// A snapshot holds what entries 1 and 2 did.
	fmt.Println("compact:", log.CompactTo(2))
	_, err = log.Entry(2)
	fmt.Println("entry 2 is compacted:", errors.Is(err, fault.ErrCompacted))
	term, err := log.Term(2)
	fmt.Println("term of 2:", term, err)

	for e, err := range log.Entries(3, 4) {
		fmt.Printf("entry %d: %s %v\n", e.Index, e.Data, err)
	}
	// Output:
	// write: <nil>
	// compact: <nil>
	// entry 2 is compacted: true
	// term of 2: 1 <nil>
	// entry 3: set y 2 <nil>
}

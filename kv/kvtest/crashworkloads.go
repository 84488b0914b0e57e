package kvtest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

// CrashWorkloads are the scripts of [Crash], for tools that run them otherwise:
// transactions, commits that wait for a sync, deadlines, indexes, imports,
// tables, and steps drawn from a seed, by one goroutine and by several, and with
// syncs at an interval.
func CrashWorkloads(open OpenOn) []crashtest.Workload {
	var list []crashtest.Workload
	add := func(name string, policy kv.SyncPolicy, steps func() []crashStep) {
		list = append(list, crashtest.Workload{Name: name, Faults: true, New: func(uint64) crashtest.Script {
			return newCrashScript(open, policy, steps())
		}})
	}
	add("rows", kv.SyncBatch, crashRows)
	add("unsynced", kv.SyncNever, crashUnsynced)
	add("deadlines", kv.SyncBatch, crashDeadlines)
	add("indexes", kv.SyncNever, crashIndexes)
	add("imports", kv.SyncBatch, crashImports)
	add("replaced", kv.SyncNever, crashReplaced)
	add("tables", kv.SyncAlways, crashTables)
	drawn := func(name string, draw func(seed uint64) (kv.SyncPolicy, []crashStep)) {
		list = append(list, crashtest.Workload{Name: name, Faults: true, New: func(seed uint64) crashtest.Script {
			policy, steps := draw(seed)
			return newCrashScript(open, policy, steps)
		}})
	}
	drawn("random", crashRandom)
	drawn("writers", crashWriters)
	drawn("interval", crashInterval)
	return list
}

func crashRows() []crashStep {
	return []crashStep{
		puts("a", "1", "b", "2", "c", "3"),
		numbered("change", func(t *kv.WriteTx) error {
			_, err := t.CompareAndSwap([]byte("a"), []byte("1"), []byte("one"))
			_, err2 := t.CompareAndSwap([]byte("b"), []byte("2"), nil)
			_, err3 := t.Increment([]byte("count"), 40)
			return errors.Join(err, err2, err3, t.SetMembership([]byte("n1 n2")))
		}),
		{name: "roll back", do: func(u *crashUser) error {
			t, err := u.s.BeginWrite(u.ctx)
			if err != nil {
				return err
			}
			return errors.Join(t.Put([]byte("never"), []byte("there")), t.Rollback())
		}},
		puts("long", strings.Repeat("long ", 250), "empty", ""),
		reopenStep(),
		numbered("delete a range", func(t *kv.WriteTx) error {
			_, err := t.Increment([]byte("count"), 2)
			return errors.Join(err, t.DeleteRange(span("b", "count")), t.Put([]byte("ba"), []byte("after")))
		}),
		puts("long", "-", "a", "two"),
	}
}

func crashUnsynced() []crashStep {
	return []crashStep{
		puts("a", "1", "b", "1"), puts("a", "2", "c", "2"), syncStep(),
		puts("b", "-", "d", strings.Repeat("d", 1500)), puts("a", "3"), puts("c", "3"), syncStep(),
		puts("e", "4"), puts("a", "4"), reopenStep(),
		puts("a", "5", "d", "-"), puts("f", "5"),
	}
}

func crashDeadlines() []crashStep {
	t0 := epoch()
	at := func(d time.Duration, pairs ...string) crashStep {
		return numbered("advance", func(t *kv.WriteTx) error {
			errs := []error{t.Advance(t0.Add(d))}
			for i := 0; i < len(pairs); i += 2 {
				errs = append(errs, t.PutTTL([]byte(pairs[i]), []byte(pairs[i+1]), time.Minute))
			}
			return errors.Join(errs...)
		})
	}
	sweep := crashStep{name: "expire", do: func(u *crashUser) error {
		_, err := u.s.Expire(u.ctx, 2)
		return err
	}}
	return []crashStep{
		at(0, "a", "1", "b", "1", "c", "1"), puts("stays", "1"),
		at(30*time.Second, "c", "2", "d", "2"),
		at(time.Minute), sweep, reopenStep(),
		at(2 * time.Minute), sweep, puts("d", "back"), sweep,
	}
}

func crashIndexes() []crashStep {
	build := func(name string, limit int) crashStep {
		return numbered("build "+name, func(t *kv.WriteTx) error {
			_, err := t.BuildIndex(name, limit)
			return err
		})
	}
	create := func(x kv.Index) crashStep {
		return numbered("create "+x.Name, func(t *kv.WriteTx) error { return t.CreateIndex(x) })
	}
	return []crashStep{
		puts("a", "x 1", "b", "y 2", "c", "z 3", "d", "x 4"),
		create(kv.Index{Name: "first", Bytes: &kv.ByteRange{Len: 1}}), build("first", 2),
		puts("a", "w 1", "e", "u 5"), syncStep(), build("first", 3),
		create(kv.Index{Name: "word", Extractor: "first-word", Version: 1}),
		reopenStep(), build("word", 100), puts("b", "-", "c", "a 3"),
		numbered("drop first", func(t *kv.WriteTx) error { return t.DropIndex("first") }),
		syncStep(), puts("d", "v 4"),
	}
}

func crashImports() []crashStep {
	return []crashStep{
		{name: "set the identity", syncs: true, do: func(u *crashUser) error {
			return u.s.SetIdentity(kv.Identity{Node: [16]byte{7}, Epoch: 1})
		}},
		puts("a", "x 1", "b", "y 2"),
		numbered("index", func(t *kv.WriteTx) error {
			err := t.CreateIndex(kv.Index{Name: "word", Extractor: "first-word", Version: 1})
			_, err2 := t.BuildIndex("word", 0)
			return errors.Join(err, err2)
		}),
		exportStep(), puts("c", "z 3", "a", "-"), cutStep(),
		importStep(""), puts("d", "w 4"), reopenStep(), puts("e", "v 5"),
	}
}

func crashReplaced() []crashStep {
	return []crashStep{
		puts("a", "1"), puts("b", "2"), exportStep(), puts("c", "3"),
		loadStep(""), puts("d", "4"), abortStep(),
		holdStep(), importStep("n3"), puts("e", "5"), letGoStep(),
		exportStep(), loadStep(""), puts("f", "6"), switchStep(), puts("g", "7"),
	}
}

// crashTables writes more than an engine with small buffers keeps in memory.
func crashTables() []crashStep {
	var steps []crashStep
	for i := range 26 {
		steps = append(steps, puts(fmt.Sprintf("key%d", i%5), strings.Repeat(fmt.Sprintf("%04d", i), 750), fmt.Sprintf("old%d", i), "1", fmt.Sprintf("old%d", i-3), "-"))
		if i == 23 {
			steps = append(steps, compactStep())
		}
	}
	return append(steps, reopenStep(), puts("last", "1"))
}

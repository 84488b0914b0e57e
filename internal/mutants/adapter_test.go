package mutants

// below is a test of an adapter.
func below(library, run string) target { return target{pkg: "./adapter/" + library, run: run} }

var adapterMutants = []mutant{
	{
		name:   "empty the log behind a snapshot that ends within it",
		layer:  "adapter",
		breaks: "what raft v1.8 goes on to count after it installed a snapshot stays",
		file:   "adapter/hashiraft/logstore.go",
		old:    `		if term == newest.Term {`,
		new:    `		if term == newest.Term && term == 0 {`,
		test:   below("hashiraft", "TestEntriesBeyondSnapshotStay"),
	},
	{
		name:   "let any gap pass",
		layer:  "adapter",
		breaks: "a log begins anew only behind a snapshot that ends there",
		file:   "adapter/hashiraft/logstore.go",
		old:    `	case !b.Empty():`,
		new:    `	case !b.Empty() && newest.Index > first:`,
		test:   below("hashiraft", "TestGapWithoutSnapshots"),
	},
	{
		name:   "open a log as it is",
		layer:  "adapter",
		breaks: "the log follows a snapshot whose install was cut short",
		file:   "adapter/hashiraft/open.go",
		old:    `	return s.log.Reset(newest)`,
		new:    `	return nil`,
		test:   below("hashiraft", "TestLogFollowsSnapshot"),
	},
	{
		name:   "say that a copy is whole before it is",
		layer:  "adapter",
		breaks: "a copy that was cut short is refused",
		file:   "adapter/hashiraft/copy.go",
		old:    `StableKV{{Key: copyKey, Value: []byte{}}}`,
		new:    `StableKV{{Key: copyKey}}`,
		test:   below("hashiraft", "TestCopyCutShort"),
	},
}

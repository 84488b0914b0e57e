package mutants

var crashStorage = campaign(".", "TestCrash")

var compositeMutants = []mutant{
	{
		name:   "restore without an intent",
		layer:  "composite",
		breaks: "a restore that a crash cuts short is finished or undone",
		file:   "restore.go",
		old: `	p.told = true // also when it fails: it may be there then
	return p.s.declare(p.steps)
`,
		new: `	return nil
`,
		test: crashStorage.on("install"),
	},
	{
		name:   "drop the check of the suffix",
		layer:  "composite",
		breaks: "a log keeps its entries only if it holds the last one of the restored state",
		file:   "recover.go",
		old: `	case got != p.Term && got != 0:
		return differs, nil
`,
		new: `	case got == p.Term:
		return held, nil
`,
		test: crashStorage.on("conflict"),
	},
	{
		name:   "forget the base term",
		layer:  "composite",
		breaks: "a log that was made to follow a snapshot knows the snapshot's term",
		file:   "restore.go",
		old:    `	batch := raftlog.Batch{Reset: &i.to}`,
		new:    `	batch := raftlog.Batch{Reset: &raftlog.Position{Index: i.to.Index}}`,
		test:   crashStorage.on("install"),
	},
	{
		name:   "clear the intent before the log follows",
		layer:  "composite",
		breaks: "the intent goes in the write that does what it announces",
		file:   "restore.go",
		old: `	batch := raftlog.Batch{Reset: &i.to}
	if told {
		batch.Stable = []raftlog.StableKV{{Key: intentKey}}
	}
`,
		new: `	batch := raftlog.Batch{Reset: &i.to}
	if told {
		if err := s.retract(); err != nil {
			return false, err
		}
	}
`,
		test: crashStorage.on("install"),
	},
	{
		name:   "keep snapshots above the state gone back to",
		layer:  "composite",
		breaks: "history that was given up does not come back",
		file:   "restore.go",
		old:    `	if s.o.Owner == OwnerLibrary || i.from.Index <= i.to.Index {`,
		new:    `	if s.o.Owner == OwnerLibrary || i.from.Index <= i.to.Index || i.from.Index > 0 {`,
		test:   crashStorage.on("back"),
	},
	{
		name:   "compact beyond the snapshots",
		layer:  "composite",
		breaks: "what is compacted is in a valid snapshot",
		file:   "snapshots.go",
		old:    `	to = min(to, covered, durable, mark.Index, s.leased())`,
		new:    `	to = min(to, max(covered, durable, mark.Index), s.leased())`,
		test:   crashStorage.on("snapshot|fallback"),
	},
	{
		name:   "let the log carry the identity first",
		layer:  "composite",
		breaks: "an open that a crash cuts short leaves parts that belong together",
		file:   "identity.go",
		old:    `range append(others, part{name: "log", set: s.log.SetIdentity})`,
		new:    `range append([]part{{name: "log", set: s.log.SetIdentity}}, others...)`,
		test:   crashStorage,
	},
	{
		name:   "raise the epoch unannounced",
		layer:  "composite",
		breaks: "a crash between the parts is told from a foreign part",
		file:   "identity.go",
		old: `	if err = s.log.Write(raftlog.Batch{Stable: []raftlog.StableKV{{Key: openingKey, Value: value}}}); err != nil {
`,
		new: `	_ = value
	if err != nil {
`,
		test: crashStorage,
	},
}

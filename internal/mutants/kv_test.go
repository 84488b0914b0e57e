package mutants

var (
	crashData = campaign("kv/pebblekv", "TestCrash")

	// Of the calls that a campaign lets fail, few are the one that matters here.
	failedSwitch = target{pkg: "kv/pebblekv", run: "TestCrashAfterAFailedSwitch"}
)

var kvMutants = []mutant{
	{
		name:   "acknowledge before the sync",
		layer:  "kv",
		breaks: "what Sync returned for is durable",
		file:   "kv/pebblekv/db.go",
		old:    `return g.db.LogData(nil, pebble.Sync)`,
		new:    `return g.db.LogData(nil, pebble.NoSync)`,
		test:   crashData,
	},
	{
		name:   "ignore a sync error",
		layer:  "kv",
		breaks: "nothing is acknowledged after a sync that failed",
		file:   "kv/pebblekv/enginefile.go",
		old:    `	err := f.fs.change(f.name, do)`,
		new: `	err := error(nil)
	_ = do()`,
		test: crashData.on("rows"),
	},
	{
		name:   "skip the directory syncs of the engine",
		layer:  "kv",
		breaks: "the engine's files have their names for good before it relies on them",
		file:   "kv/pebblekv/enginefile.go",
		old:    `	_ = d.fs.change(d.name, func() error { return d.fs.fs.SyncDir(d.name) }) // in the fate`,
		new:    `	_ = d.fs.change(d.name, func() error { return nil })`,
		test:   crashData,
	},
	{
		name:   "skip the directory sync of the pointer",
		layer:  "kv",
		breaks: "the old content goes when it is durable that the new one is in force",
		file:   "vfs/util.go",
		old:    `	return fsys.SyncDir(path.Dir(name))`,
		new:    `	return nil`,
		test:   crashData,
	},
	{
		name:   "publish the pointer before its fsync",
		layer:  "kv",
		breaks: "after a crash the old or the new pointer is there, whole",
		file:   "vfs/util.go",
		old: `	if err == nil {
		err = f.Sync()
	}
`,
		new:  ``,
		test: crashData,
	},
	{
		name:   "make content without a pointer to it",
		layer:  "kv",
		breaks: "a directory without a pointer is always a loss",
		file:   "kv/pebblekv/open.go",
		old:    `		_, err = writePointer(db.fs, p)`,
		new:    `		err = nil`,
		test:   crashData,
	},
	{
		name:   "remove the old content before the switch",
		layer:  "kv",
		breaks: "a crash leaves the old or the new content",
		file:   "kv/pebblekv/switch.go",
		old:    `	unchanged, err := writePointer(db.fs,`,
		new: `	_ = vfs.RemoveAll(db.fs, old.dir)
	unchanged, err := writePointer(db.fs,`,
		test: crashData.on("replaced"),
	},
	{
		name:   "forget that a write failed",
		layer:  "kv",
		breaks: "nothing is acknowledged after a write that failed",
		file:   "kv/pebblekv/enginefs.go",
		old: `	default:
		e.fate.fail(err)
	}
`,
		new: `	}
`,
		test: crashData,
	},
	{
		name:   "let a sync cover the commit behind it",
		layer:  "kv",
		breaks: "a commit that asks for durability has it when it returns",
		file:   "kv/syncer.go",
		old:    `case share && s.synced >= n:`,
		new:    `case share && s.synced+1 >= n:`,
		test:   crashData,
	},
	{
		name:   "put a marker before its manifest's name is durable",
		layer:  "kv",
		breaks: "what a marker puts in force is there",
		file:   "kv/pebblekv/enginefs.go",
		old: `	if isMarker(name) {
		// A crash that kept the marker and lost the name of the manifest that it
		// puts in force would leave a store that does not open.
		if err := e.settle(name); err != nil {
			return nil, err
		}
	}
`,
		new:  ``,
		test: crashData.on("imports|replaced"),
	},
	{
		name:   "skip the sync of tables",
		layer:  "kv",
		breaks: "a table is durable before the log that it replaces goes",
		file:   "kv/pebblekv/enginefile.go",
		old: `func (f *engineFile) sync(do func() error) error {
`,
		new: `func (f *engineFile) sync(do func() error) error {
	if isTable(f.name) {
		return nil
	}
`,
		test: crashData,
	},
	{
		name:   "drop an import whose pointer may be in force",
		layer:  "kv",
		breaks: "after a switch that failed the old or the new content is there",
		file:   "kv/pebblekv/switch.go",
		old: `		l.named = !unchanged
`,
		new:  ``,
		test: failedSwitch,
	},
	{
		name:   "remove content that a pointer may still name",
		layer:  "kv",
		breaks: "what is removed at open is named by no pointer that can come back",
		file:   "kv/pebblekv/open.go",
		old: `	if err := db.fs.SyncDir("."); err != nil {
		return err
	}
	for _, info := range left {
`,
		new: `	for _, info := range left {
`,
		test: failedSwitch,
	},
	{
		name:   "publish new content before its fsync",
		layer:  "kv",
		breaks: "the content that the pointer names is durable",
		file:   "kv/pebblekv/switch.go",
		old: `	if err := l.Sync(); err != nil {
		return err
	}
	db := l.db
	old, err := db.beginSwitch()
	if err != nil {
		return err
	}
	unchanged, err := writePointer(db.fs, pointer{state: stateLive, gen: l.number})
`,
		new: `	db := l.db
	old, err := db.beginSwitch()
	if err != nil {
		return err
	}
	unchanged, err := writePointer(db.fs, pointer{state: stateLive, gen: l.number})
	if err == nil {
		err = l.Sync()
	}
`,
		test: crashData.on("imports"),
	},
	{
		name:   "write the mark of the commit before",
		layer:  "kv",
		breaks: "the mark moves with the data",
		file:   "kv/commit.go",
		old:    `	if err := writeMark(t.put, t.m, t.was); err != nil {`,
		new:    `	if err := writeMark(t.put, t.was, t.m); err != nil {`,
		test:   crashData,
	},
}

package mutants

var (
	crashData = campaign("kv/pebblekv", "TestCrash")

	// Of the calls that a campaign lets fail, few are the one that matters here.
	failedSwitch = target{pkg: "kv/pebblekv", run: "TestCrashAfterAFailedSwitch"}

	// What the store does above any engine shows on the one in memory.
	contract = target{pkg: "kv/memkv", run: "TestContract"}
	random   = target{pkg: "kv/memkv", run: "TestRandom"}
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
		file:   "internal/gendir/dir.go",
		old:    `		_, err = d.write(stateNew, 1)`,
		new:    `		err = nil`,
		test:   crashData,
	},
	{
		name:   "remove the old content before the switch",
		layer:  "kv",
		breaks: "a crash leaves the old or the new content",
		file:   "kv/pebblekv/switch.go",
		old:    `	unchanged, err := db.dir.Switch(`,
		new: `	_ = vfs.RemoveAll(db.fs, old.dir)
	unchanged, err := db.dir.Switch(`,
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
		file:   "internal/gendir/dir.go",
		old: `	if err := d.fs.SyncDir("."); err != nil {
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
	unchanged, err := db.dir.Switch(l.number)
`,
		new: `	db := l.db
	old, err := db.beginSwitch()
	if err != nil {
		return err
	}
	unchanged, err := db.dir.Switch(l.number)
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
	{
		name:   "count a sync before it is done",
		layer:  "kv",
		breaks: "a commit that shares a sync waits for its end",
		file:   "kv/syncer.go",
		old: `	n := s.last
	s.mu.Unlock()
	err := s.d.Sync()
`,
		new: `	n := s.last
	s.synced = n
	s.mu.Unlock()
	err := s.d.Sync()
`,
		test: target{pkg: "kv", run: "TestWaitingCommitsShareASync"},
	},
	{
		name:   "leave the index entry of the value before",
		layer:  "kv",
		breaks: "an index holds what its rows hold",
		file:   "kv/writer.go",
		old: `		if was != nil {
			if err := w.del(was); err != nil {
				return err
			}
		}
`,
		new:  ``,
		test: random,
	},
	{
		name:   "leave a row in the queue of deadlines",
		layer:  "kv",
		breaks: "every entry of the queue belongs to a row with that deadline",
		file:   "kv/writer.go",
		old: `	if was != 0 {
		if err := w.del(deadlineKey(was, key)); err != nil {
			return err
		}
	}
`,
		new:  ``,
		test: random,
	},
	{
		name:   "show a row at its deadline",
		layer:  "kv",
		breaks: "a row is gone when the clock reaches its deadline",
		file:   "kv/format.go",
		old:    `r.deadline == 0 || r.deadline > now }`,
		new:    `r.deadline == 0 || r.deadline >= now }`,
		test:   contract,
	},
	{
		name:   "move the clock as far as it is told",
		layer:  "kv",
		breaks: "one bad clock cannot end every row",
		file:   "kv/commit.go",
		old:    `	t.behind = t.m.clock != 0 && n > limit`,
		new:    `	t.behind = false`,
		test:   contract,
	},
	{
		name:   "answer a query while the index is built",
		layer:  "kv",
		breaks: "an index that misses rows refuses queries",
		file:   "kv/catalog.go",
		old:    `	if !x.ready {`,
		new:    `	if false {`,
		test:   contract,
	},
	{
		name:   "walk all rows for a capture",
		layer:  "kv",
		breaks: "a capture costs the same whatever the store holds",
		file:   "kv/capture.go",
		old: `	m, err := t.mark()
	if err != nil {
		_ = t.Close() // nothing was read
`,
		new: `	_, _ = t.Count(Range{})
	m, err := t.mark()
	if err != nil {
		_ = t.Close() // nothing was read
`,
		test: contract,
	},
	{
		name:   "keep the mark through an import",
		layer:  "kv",
		breaks: "data and mark switch together",
		file:   "kv/import.go",
		old:    `	s.mark, s.indexes, s.timed, s.unmarked = p.im.mark, p.im.indexes, p.im.timed, false`,
		new:    `	s.indexes, s.timed, s.unmarked = p.im.indexes, p.im.timed, false`,
		test:   random,
	},
	{
		name:   "take the trailer's word for the digest",
		layer:  "kv",
		breaks: "what is imported is what was exported",
		file:   "kv/importer.go",
		old:    `	case t.root != d.Root:`,
		new:    `	case false:`,
		test:   target{pkg: "kv", run: "TestAnImportRefusesFramesOutOfPlace"},
	},
	{
		name:   "end frames by their size alone",
		layer:  "kv",
		breaks: "a row that comes or goes changes one frame",
		file:   "kv/stream.go",
		old:    `	return size >= frameBytes || size > 0 && cutLevel(key) >= 0`,
		new:    `	return size >= frameBytes`,
		test:   target{pkg: "kv", run: "TestAChangeTouchesOneFrame"},
	},
}

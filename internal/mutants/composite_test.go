package mutants

var crashStorage = campaign(".", "TestCrash")

// testOf is a test of the composite that is no campaign.
func testOf(run string) target { return target{pkg: ".", run: run} }

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
		file:   "forsake.go",
		old:    `	if s.o.Owner == OwnerLibrary || i.from.Index <= i.to.Index {`,
		new:    `	if s.o.Owner == OwnerLibrary || i.from.Index <= i.to.Index || i.from.Index > 0 {`,
		test:   crashStorage.on("back"),
	},
	{
		name:   "compact beyond the snapshots",
		layer:  "composite",
		breaks: "what is compacted is in a valid snapshot",
		file:   "snapshots.go",
		old:    `	to = min(to, covered, durable, mark.Index)`,
		new:    `	to = min(to, max(covered, durable, mark.Index))`,
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
	{
		name:   "label a snapshot with what was applied since",
		layer:  "composite",
		breaks: "index and term of a snapshot are those of the data inside it",
		file:   "snapshots.go",
		old: `	m := p.capture.Mark()
	return snapshot.Info{`,
		new: `	m, _ := p.s.data.Mark(context.Background())
	return snapshot.Info{`,
		test: testOf("TestSnapshotIsOfWhatItHolds"),
	},
	{
		name:   "compact behind a snapshot that nobody read back",
		layer:  "composite",
		breaks: "what takes the place of log entries was read back whole",
		file:   "snapshots.go",
		old:    `&snapshot.CreateOptions{Verify: true}`,
		new:    `nil`,
		test:   testOf("TestSnapshotIsReadBackBeforeTheLogGoes"),
	},
	{
		name:   "take a snapshot of what one holds already",
		layer:  "composite",
		breaks: "a snapshot that would hold nothing new is ErrNothingNew",
		file:   "snapshots.go",
		old:    `	if newest != nil && newest.Index >= mark.Index {`,
		new:    `	if newest != nil && newest.Index > mark.Index {`,
		test:   testOf("TestSnapshotIsOfWhatItHolds"),
	},
	{
		name:   "compact before the data is durable",
		layer:  "composite",
		breaks: "what is compacted is durable in the data too",
		file:   "snapshots.go",
		old: `	if err := s.data.Sync(); err != nil {
		return fmt.Errorf("commit snapshot of index`,
		new: `	if err := error(nil); err != nil {
		return fmt.Errorf("commit snapshot of index`,
		test: testOf("TestDataIsDurableBeforeTheLogGoes"),
	},
	{
		name:   "compact what a restore went back to",
		layer:  "composite",
		breaks: "the base stays at or below the mark",
		file:   "snapshots.go",
		old:    `	to = min(to, covered, durable, mark.Index)`,
		new:    `	to = min(to, covered, max(durable, mark.Index))`,
		test:   testOf("TestCompactionBesideARestore"),
	},
	{
		name:   "ignore leases",
		layer:  "composite",
		breaks: "a lease keeps the log",
		file:   "snapshots.go",
		old:    `	to = min(to, s.leased(to, st.AvgSize))`,
		new:    `	to = min(to, max(to, s.leased(to, st.AvgSize)))`,
		test:   testOf("TestLeaseKeepsTheLog"),
	},
	{
		name:   "let a lease hold whatever it likes",
		layer:  "composite",
		breaks: "a lease that holds back too much ends",
		file:   "lease.go",
		old:    `		case l.from <= to && to-l.from+1 > most:`,
		new:    `		case l.from <= to && to-l.from > most && l.from == 0:`,
		test:   testOf("TestLeaseHasLimits"),
	},
	{
		name:   "refuse before leases end",
		layer:  "composite",
		breaks: "leases end before the hard limit refuses",
		file:   "budget.go",
		old:    `used > s.o.DiskHard && s.endLeases("disk budget") {`,
		new:    `used > 2*s.o.DiskHard && s.endLeases("disk budget") {`,
		test:   testOf("TestBudgetEndsLeasesLast"),
	},
	{
		name:   "do not name what is given up",
		layer:  "composite",
		breaks: "a snapshot that somebody reads while it is given up does not come back",
		file:   "forsake.go",
		old: `	if err := s.nameForsaken(ids); err != nil {
		return err
	}
`,
		new:  ``,
		test: testOf("TestHeldSnapshotStaysForsaken"),
	},
	{
		name:   "apply on top of a restore that is half done",
		layer:  "composite",
		breaks: "nothing is applied while the log does not follow the data",
		file:   "apply.go",
		old:    `	if err := s.behind.Load(); err != nil {`,
		new:    `	if err := s.behind.Load(); err != nil && len(entries) == 0 {`,
		test:   testOf("TestNothingIsAppliedWhileTheLogIsBehind"),
	},
	{
		name:   "go back without being forced",
		layer:  "composite",
		breaks: "a snapshot at or below the mark is restored by force only",
		file:   "restore.go",
		old:    `	if info.Index <= mark.Index && !p.o.Force {`,
		new:    `	if info.Index < mark.Index && info.Index == 0 && !p.o.Force {`,
		test:   testOf("TestRestoreReplacesTheState"),
	},
	{
		name:   "clear the intent of a switch that nobody knows of",
		layer:  "composite",
		breaks: "where the data may have been switched the intent stays",
		file:   "restore.go",
		old:    `			p.told = false // the data may be the new one: the intent stays, for New to decide`,
		new:    `			p.live = false`,
		test:   testOf("TestStepsFailOnce"),
	},
	{
		name:   "undo a restore whose data was switched",
		layer:  "composite",
		breaks: "an install that a crash cuts short after the switch is finished",
		file:   "verdict.go",
		old:    `		when: func(f *facts) bool { return f.intent != nil && f.intent.to == f.mark },`,
		new:    `		when: func(f *facts) bool { return f.intent != nil && f.intent.to == f.mark && f.atMark == held },`,
		test:   testOf("TestStepsCutShort"),
	},
	{
		name:   "open on a hole",
		layer:  "composite",
		breaks: "data that the log does not continue is refused",
		file:   "verdict.go",
		old: `		name:  "data behind the log",
		class: fault.Missing,
		when:  func(f *facts) bool { return f.atMark == below },`,
		new: `		name:  "data behind the log",
		class: fault.Missing,
		when:  func(f *facts) bool { return f.atMark == below && f.newest.Index > 0 },`,
		test: testOf("TestRecover"),
	},
	{
		name:   "give up at a snapshot that shows its damage late",
		layer:  "composite",
		breaks: "an older snapshot takes the place of a damaged one where the log reaches back",
		file:   "recover.go",
		old:    `errors.Is(err, fault.ErrCorrupt) && errors.Is(seen, fault.ErrCorrupt) {`,
		new:    `errors.Is(err, fault.ErrCorrupt) && errors.Is(seen, fault.ErrNotFound) {`,
		test:   testOf("TestDamagedNewestSnapshot"),
	},
	{
		name:   "never admit again",
		layer:  "composite",
		breaks: "a budget that has room again admits",
		file:   "budget.go",
		old:    `		if s.over.Store(nil); was {`,
		new:    `		if was {`,
		test:   testOf("TestHardLimitRefuses"),
	},
	{
		name:   "remember snapshots that are gone",
		layer:  "composite",
		breaks: "Maintain notices what comes or goes beside it",
		file:   "seen.go",
		old:    `	if m.known && m.at == at {`,
		new:    `	if m.known {`,
		test:   testOf("TestIdleMaintainReadsNoSnapshots"),
	},
}

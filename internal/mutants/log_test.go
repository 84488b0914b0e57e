package mutants

var (
	crashLog         = campaign("raftlog/seglog", "TestCrash")
	crashLogUnsynced = campaign("raftlog/seglog", "TestCrashUnsynced")
)

var logMutants = []mutant{
	{
		name:   "skip the directory sync of a new segment",
		layer:  "log",
		breaks: "a segment has its name for good before anything in it is acknowledged",
		file:   "raftlog/seglog/segment.go",
		old: `	if err := s.fs.SyncDir("."); err != nil {
		return errors.Join(&syncError{err}, sp.f.Close())
	}
	seg.f, seg.written =`,
		new:  `	seg.f, seg.written =`,
		test: crashLog,
	},
	{
		name:   "publish a segment before its fsync",
		layer:  "log",
		breaks: "a segment is never found half made",
		file:   "raftlog/seglog/segment.go",
		old: `	if err := sp.f.Sync(); err != nil {
		return errors.Join(&syncError{err}, sp.f.Close())
	}
	if err := s.fs.Rename(`,
		new:  `	if err := s.fs.Rename(`,
		test: crashLog,
	},
	{
		name:   "acknowledge before the sync",
		layer:  "log",
		breaks: "what was acknowledged survives",
		file:   "raftlog/seglog/commit.go",
		old: `	if err == nil && b.size() > 0 {
		err = s.write(b)
	}
	if err != nil {
		err = s.explain(err)
		if errors.Is(err, fault.ErrPoisoned) || syncErr != nil {
			return err, err
		}
	}
	if b.sync || !s.lazy() && err == nil {
		if failed := s.syncTail(); failed != nil {
			failed = s.explain(failed)
			return failed, failed
		}
	}
	return err, nil
`,
		new: `	if b.sync || !s.lazy() && err == nil {
		if failed := s.syncTail(); failed != nil { // of what the last commit wrote
			failed = s.explain(failed)
			return failed, failed
		}
	}
	if err == nil && b.size() > 0 {
		err = s.write(b)
	}
	if err != nil {
		err = s.explain(err)
		if errors.Is(err, fault.ErrPoisoned) || syncErr != nil {
			return err, err
		}
	}
	return err, nil
`,
		test: crashLog,
	},
	{
		name:   "ignore a sync error",
		layer:  "log",
		breaks: "nothing is acknowledged after a sync that failed",
		file:   "raftlog/seglog/commit.go",
		old: `	if err := seg.f.SyncData(); err != nil {
		return err
	}
`,
		new: `	_ = seg.f.SyncData()
`,
		test: crashLog,
	},
	{
		name:   "try again after a failed sync",
		layer:  "log",
		breaks: "nothing is acknowledged after a sync that failed, until the log is reopened",
		file:   "raftlog/seglog/commit.go",
		old: `	case errors.As(err, &failed):
`,
		new: `	case errors.As(err, &failed):
		return fmt.Errorf("write: log %s: %w", s.dir, err)
`,
		test: crashLog,
	},
	{
		name:   "take recovered bytes for durable ones",
		layer:  "log",
		breaks: "what is found after a failed sync is written again before anything builds on it",
		file:   "raftlog/seglog/recover.go",
		old:    `	old := &tail{seg: seg, end: from.off, seq: from.seq, sum: from.sum}`,
		new: `	from = place{r.w.off, r.w.seq, r.w.sum}
	old := &tail{seg: seg, end: from.off, seq: from.seq, sum: from.sum}`,
		test: crashLog,
	},
	{
		name:   "trust a length without its payload's checksum",
		layer:  "log",
		breaks: "a frame that a crash tore is no frame",
		file:   "raftlog/seglog/parse.go",
		old: `	if p.sum(seed, off) != want {
		return nil, errFramePayload
	}
`,
		new:  ``,
		test: crashLog,
	},
	{
		name:   "forget the base term",
		layer:  "log",
		breaks: "the term of the last compacted entry survives its segment",
		file:   "raftlog/seglog/checkpoint.go",
		old:    `name.Replica, bounds.Base.Index, bounds.Base.Term, bounds.Last`,
		new:    `name.Replica, bounds.Base.Index, 0, bounds.Last`,
		test:   crashLog,
	},
	{
		name:   "seal a segment before its successor",
		layer:  "log",
		breaks: "a seal says that a successor is there",
		file:   "raftlog/seglog/rotate.go",
		old: `	ended := old.fileEnd()
`,
		new: `	ended := old.fileEnd()
	s.mu.Lock()
	s.finish(old.seg, ended)
	s.mu.Unlock()
	if err := s.seal(old.seg); err != nil {
		return err
	}
`,
		test: crashLog,
	},
	{
		name:   "write to a dead segment that may come back",
		layer:  "log",
		breaks: "a segment's name is gone for good before its file is used again",
		file:   "raftlog/seglog/spare.go",
		old: `	if err := s.fs.SyncDir("."); err != nil {
		return errors.Join(&syncError{fmt.Errorf("recycle`,
		new: `	if err := error(nil); err != nil {
		return errors.Join(&syncError{fmt.Errorf("recycle`,
		test: crashLog,
	},
	{
		name:   "take a segment's second name for a spare",
		layer:  "log",
		breaks: "what is left of a rename is no file to write to",
		file:   "raftlog/seglog/spare.go",
		old: `		taken, err := s.taken(sp)
`,
		new: `		_, err = s.taken(sp)
		taken := false
`,
		test: crashLog,
	},
	{
		name:   "free segments before the compaction is durable",
		layer:  "log",
		breaks: "a segment goes when what made it dispensable is durable",
		file:   "raftlog/seglog/maintain.go",
		old: `		r := s.newRequest()
		r.sync = true
`,
		new: `		r := s.newRequest()
`,
		test: crashLogUnsynced,
	},
	{
		name:   "begin a segment before the last one is synced",
		layer:  "log",
		breaks: "what a segment continues from is durable",
		file:   "raftlog/seglog/rotate.go",
		old: `	if err := s.syncTail(); err != nil {
		return err
	}
`,
		new:  ``,
		test: crashLogUnsynced,
	},
	{
		name:   "skip the directory sync when the mark goes",
		layer:  "log",
		breaks: "the mark of a clean close is gone for good before the first write",
		file:   "raftlog/seglog/mark.go",
		old: `	if err := s.fs.SyncDir("."); err != nil {
		return &syncError{fmt.Errorf("remove the mark of the last close: %w", err)}
	}
`,
		new:  ``,
		test: crashLog,
	},
	{
		name:   "leave the mark before the last sync",
		layer:  "log",
		breaks: "the mark of a clean close vouches for durable bytes",
		file:   "raftlog/seglog/store.go",
		old: `	if err := s.tail.seg.f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", s.tail.seg.name, err)
	}
	return s.leaveMark()
`,
		new: `	return s.leaveMark()
`,
		test: crashLogUnsynced,
	},
	{
		name:   "leave a part of a refused write",
		layer:  "log",
		breaks: "what a full disk refused does not come back",
		file:   "raftlog/seglog/commit.go",
		old: `	if !vfs.IsFull(err) || !s.partial {
		return err
	}
`,
		new: `	if !vfs.IsFull(err) || !s.partial || s.tail != nil {
		return err
	}
`,
		test: target{pkg: "raftlog/seglog", run: "TestRefusedWriteIsTakenBack"},
	},
	{
		name:   "drop the check of the suffix",
		layer:  "log",
		breaks: "intact frames behind a damaged one that they say was synced prove the damage",
		file:   "raftlog/seglog/recover.go",
		old:    `	if witness != 0 {`,
		new:    `	if witness < 0 {`,
		test:   target{pkg: "raftlog/seglog", run: "TestDamageBeforeTheTail"},
	},
}

package mutants

var crashSnapshots = campaign("snapshot/dirbucket", "TestCrash")

var snapshotMutants = []mutant{
	{
		name:   "skip the directory sync of a snapshot",
		layer:  "snapshot",
		breaks: "a published snapshot survives",
		file:   "snapshot/dirbucket/names.go",
		old: `	err = b.syncNames()
	if err != nil && isNew {`,
		new: `	err = nil
	if err != nil && isNew {`,
		test: crashSnapshots,
	},
	{
		name:   "skip the directory sync of a removal",
		layer:  "snapshot",
		breaks: "a removed snapshot does not come back",
		file:   "snapshot/dirbucket/names.go",
		old: `	if err == nil {
		err = b.syncNames()
	}
	if err != nil {
		return b.failed(err)`,
		new: `	if err != nil {
		return b.failed(err)`,
		test: crashSnapshots,
	},
	{
		name:   "publish before the fsync",
		layer:  "snapshot",
		breaks: "what is listed is whole",
		file:   "snapshot/dirbucket/pending.go",
		old: `		err = p.f.SyncData()
	}
	if err == nil {
		err = p.f.Close()
`,
		new: `	}
	if err == nil {
		err = p.f.Close()
`,
		test: crashSnapshots,
	},
	{
		name:   "ignore a sync error",
		layer:  "snapshot",
		breaks: "a snapshot whose bytes may be lost is not published",
		file:   "snapshot/dirbucket/pending.go",
		old: `		err = p.f.SyncData()
	}
	if err == nil {
		err = p.f.Close()
`,
		new: `		_ = p.f.SyncData()
	}
	if err == nil {
		err = p.f.Close()
`,
		test: crashSnapshots,
	},
	{
		name:   "ignore a directory sync error",
		layer:  "snapshot",
		breaks: "a snapshot whose name may be lost is not published",
		file:   "snapshot/dirbucket/names.go",
		old: `	if err := b.fs.SyncDir("."); err != nil {
		b.poison`,
		new: `	if err := b.fs.SyncDir("."); err != nil && b.poison != nil {
		b.poison`,
		test: crashSnapshots,
	},
	{
		name:   "build on names that are not durable",
		layer:  "snapshot",
		breaks: "all that is listed after an open is durable",
		file:   "snapshot/dirbucket/bucket.go",
		old: `	// that a power failure could still take.
	return b.fs.SyncDir(".")
`,
		new: `	// that a power failure could still take.
	return nil
`,
		test: campaign("snapshot/dirbucket", "TestCrashBare"),
	},
	{
		name:   "leave what was not committed",
		layer:  "snapshot",
		breaks: "an open removes what an earlier process had not committed",
		file:   "snapshot/dirbucket/bucket.go",
		old:    `if info.Dir || !strings.HasPrefix(info.Name, pendingPrefix) {`,
		new:    `if info.Dir || strings.HasPrefix(info.Name, pendingPrefix) {`,
		test:   crashSnapshots,
	},
	{
		name:   "apply retention before the publication",
		layer:  "snapshot",
		breaks: "no snapshot goes before its successor is durable",
		file:   "snapshot/writer.go",
		old: `	defer release()
	if err := p.Commit(ctx); err != nil {
`,
		new: `	defer release()
	if list, err := s.candidates(ctx); err == nil && s.o.MaxSnapshots > 0 {
		_, _ = s.removeAll(ctx, surplus(list, s.o.MaxSnapshots-1))
	}
	if err := p.Commit(ctx); err != nil {
`,
		test: crashSnapshots,
	},
	{
		name:   "trust the length of a staged chunk",
		layer:  "snapshot",
		breaks: "a chunk that a crash tore is asked for again",
		file:   "snapshot/staging.go",
		old: `	if err := checkFrame(p, 0, stagingSeed(digest), kindChunk, b); err != nil {
		return 0, 0, nil, err
	}
`,
		new:  ``,
		test: crashSnapshots,
	},
	{
		name:   "ignore a write error",
		layer:  "snapshot",
		breaks: "a snapshot of which a part is missing is not published",
		file:   "snapshot/dirbucket/pending.go",
		old: `	if err != nil {
		return n, p.giveUp(err)
	}
	return n, nil`,
		new:  `	return len(d), nil`,
		test: crashSnapshots,
	},
	{
		name:   "apply retention although publishing failed",
		layer:  "snapshot",
		breaks: "nothing goes for the sake of a snapshot that is not there",
		file:   "snapshot/writer.go",
		old:    `		return Meta{}, fmt.Errorf("publish %s: %w", id.object(), full(err))`,
		new: `		s.retain(ctx)
		if list, lerr := s.candidates(ctx); lerr == nil && len(list) > 1 {
			_, _ = s.removeAll(ctx, list[len(list)-1:])
		}
		return Meta{}, fmt.Errorf("publish %s: %w", id.object(), full(err))`,
		test: crashSnapshots,
	},
	{
		name:   "drop what is staged before the publication",
		layer:  "snapshot",
		breaks: "a transfer that a crash ends in its last step need not begin anew",
		file:   "snapshot/receiver.go",
		old: `	m, err := r.assemble()
`,
		new: `	for _, e := range r.m.Chunks {
		_ = r.st.drop(e.Digest)
	}
	m, err := r.assemble()
`,
		test: crashSnapshots,
	},
	{
		name:   "hand a chunk on before it is compressed",
		layer:  "snapshot",
		breaks: "chunks that are worked on side by side are written in their order, each when it is ready",
		file:   "snapshot/crew.go",
		old: `	for !c.ready() {
		c.end()
	}
`,
		new: `	if !c.ready() {
		c.end()
	}
`,
		test: target{pkg: "snapshot", run: "TestCrew"},
	},
	{
		name:   "take the tasks in the order in which they end",
		layer:  "snapshot",
		breaks: "chunks that are worked on side by side are written in their order",
		file:   "snapshot/crew.go",
		old: `	c.taken++
	return &d.task
`,
		new: `	c.taken++
	if o := &c.ring[c.taken%len(c.ring)]; c.taken < c.begun && o.ended {
		d.task, o.task = o.task, d.task
	}
	return &d.task
`,
		test: target{pkg: "snapshot", run: "TestCrew"},
	},
	{
		name:   "reuse the bytes of a chunk that is stored as it is",
		layer:  "snapshot",
		breaks: "what does not shrink is stored as it was",
		file:   "snapshot/writer.go",
		old: `	if t.codec != CodecNone {
		w.recycle(t)
	}
`,
		new: `	raw := t.raw
	w.recycle(t)
	t.raw = raw
`,
		test: target{pkg: "snapshot", run: "TestWorkers"},
	},
	{
		name:   "hand bytes out before their checksum held",
		layer:  "snapshot",
		breaks: "damage is reported before the first wrong byte",
		file:   "snapshot/frames.go",
		old: `	if err := fh.Check(seed, b[frame.HeaderSize:]); err != nil {
		return p.broken(off, "", err)
	}
	return nil
}
`,
		new: `	return nil
}
`,
		test: target{pkg: "snapshot", run: "TestEveryBit|TestMixed"},
	},
	{
		name:   "take the end of the chunks for the end of the snapshot",
		layer:  "snapshot",
		breaks: "a stream ends with its trailer, never with the last byte that came",
		file:   "snapshot/install.go",
		old: `	if t != sum.trailer(t.entries) {
		return trailer{}, in.p.damaged(off, "trailer does not agree with the chunks")
	}
`,
		new:  ``,
		test: target{pkg: "snapshot", run: "TestLyingTrailer|TestLyingTable|TestMoreThanListed"},
	},
	{
		name:   "complete an upload while a part is under way",
		layer:  "snapshot",
		breaks: "an object on S3 holds all its parts, in order",
		file:   "snapshot/s3bucket/pending.go",
		old: `			err = p.await(ctx, 0)
`,
		new: `			err = p.await(ctx, 1)
`,
		test: target{pkg: "snapshot/s3bucket", run: "TestPartsOvertakeEachOther|TestPartFailsBesideAnother"},
	},
}

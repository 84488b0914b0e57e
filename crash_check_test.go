package trimaran_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/crashtest"
)

// Check implements crashtest.Script.
func (s *crashScript) Check(fsys vfs.FS, want crashtest.Expect) (found int, err error) {
	fsys, freeze := crashtest.Freezable(fsys)
	n, err := openCrashNode(fsys, &s.p, 98)
	if err != nil {
		return 0, fmt.Errorf("open: %w", err)
	}
	defer func() {
		if want.Latest()%4 > 0 { // most die, which is quicker, and some are closed
			freeze()
			_ = n.Close()
			return
		}
		err = errors.Join(err, n.Close())
	}()
	if err := n.sound(); err != nil {
		return 0, err
	}
	var not []error
	for _, i := range slices.Backward(want.States) {
		st := s.states[i]
		if want.Extended {
			st = s.extended(i)
		}
		err := st.compare(n)
		if err == nil {
			return i, nil
		}
		not = append(not, fmt.Errorf("not state %d: %w", i, err))
	}
	return 0, errors.Join(not...)
}

// sound checks what holds in every state: the invariants between the layers,
// the data at its mark, snapshots that can be read, nothing left over.
func (n *crashNode) sound() error {
	ctx := context.Background()
	data, ok := n.KV().(*kv.Store)
	if !ok {
		return errors.New("the data is no *kv.Store")
	}
	if id := n.Log().Identity(); id.IsZero() || id != data.Identity() || id != n.Snapshots().Identity() {
		return fmt.Errorf("log, data and snapshots are of %v, %v, %v", id, data.Identity(), n.Snapshots().Identity())
	}
	if b, err := n.Log().Stable("trimaran/intent"); !errors.Is(err, fault.ErrNotFound) {
		return fmt.Errorf("intent %x, %w, want none", b, err)
	}
	mark, err := data.Mark(ctx)
	if err != nil {
		return err
	}
	b, err := n.Log().Bounds()
	if err != nil {
		return err
	}
	if mark.Index < b.Base.Index || mark.Index > b.Last {
		return fmt.Errorf("mark %d is not in the log, base %d, last %d", mark.Index, b.Base.Index, b.Last)
	}
	if err := sameData(ctx, data, mark.Index, "data"); err != nil {
		return err
	}
	return errors.Join(n.soundSnapshots(ctx), n.leftOver())
}

// sameData compares a store with what the history comes to at index i.
func sameData(ctx context.Context, data *kv.Store, i uint64, what string) error {
	model, mark := modelAt(i), kv.Mark{}
	got := map[string]string{}
	err := data.View(ctx, func(tx *kv.ReadTx) (err error) {
		for row, err := range tx.Scan(kv.Range{}) {
			if err != nil {
				return err
			}
			got[string(row.Key)] = string(row.Value)
		}
		mark, err = tx.Mark()
		return err
	})
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case mark.Index != i || mark.Term != committedTerm(i) || string(mark.Membership) != model.membership || mark.MembershipIndex != model.members:
		return fmt.Errorf("%s: mark %+v, want index %d term %d membership %q of %d", what, mark, i, committedTerm(i), model.membership, model.members)
	case !maps.Equal(got, model.rows):
		return fmt.Errorf("%s at %d: %d rows %.200v, want %d rows %.200v", what, i, len(got), got, len(model.rows), model.rows)
	}
	return nil
}

// soundSnapshots reads every snapshot, and loads the newest.
func (n *crashNode) soundSnapshots(ctx context.Context) error {
	first := true
	for meta, err := range n.Snapshots().All(ctx) {
		if err != nil {
			return err
		}
		if meta.Damaged != nil {
			return fmt.Errorf("snapshot %s: %w", meta.ID, meta.Damaged)
		}
		if !first {
			if _, err := n.Snapshots().Verify(ctx, meta.ID, nil); err != nil {
				return fmt.Errorf("snapshot %s: %w", meta.ID, err)
			}
			continue
		}
		first = false
		if err := n.loads(ctx, meta); err != nil {
			return fmt.Errorf("snapshot %s: %w", meta.ID, err)
		}
	}
	return nil
}

func (n *crashNode) loads(ctx context.Context, meta snapshot.Meta) error {
	engine, err := memkv.New(nil)
	if err != nil {
		return err
	}
	data, err := kv.New(engine, nil)
	if err != nil {
		return err
	}
	defer data.Close()
	r, err := n.Snapshots().Open(ctx, meta.ID)
	if err != nil {
		return err
	}
	defer r.Close()
	mark := kv.Mark{Index: meta.Index, Term: meta.Term, Membership: meta.Membership, MembershipIndex: meta.MembershipIndex}
	if _, err := data.Import(ctx, r, &kv.ImportOptions{Mark: &mark}); err != nil {
		return err
	}
	return sameData(ctx, data, meta.Index, "snapshot")
}

// leftOver finds what a crash left and an open should have removed.
func (n *crashNode) leftOver() error {
	infos, err := n.fs.List("snapshots")
	if err != nil {
		return err
	}
	for _, info := range infos {
		if strings.HasPrefix(info.Name, ".pending") {
			return fmt.Errorf("%s is left of a snapshot that was not published", info.Name)
		}
	}
	if infos, err = n.fs.List("data"); err != nil {
		return err
	}
	if !n.Recovered().Restored.IsZero() {
		return nil // the old generation is being removed
	}
	generations := 0
	for _, info := range infos {
		if info.Dir {
			generations++
		}
	}
	if generations != 1 {
		return fmt.Errorf("%d generations of the data, want 1", generations)
	}
	return nil
}

// compare says where a node is not in this state.
func (s *crashState) compare(n *crashNode) error {
	ctx := context.Background()
	b, err := n.Log().Bounds()
	if err != nil {
		return err
	}
	if want := (raftlog.Bounds{Base: position(s.base), Last: s.last, LastTerm: s.lastTerm()}); b != want {
		return fmt.Errorf("log %+v, want %+v", b, want)
	}
	es, err := n.Log().ReadRange(nil, b.First(), b.Last+1, 1<<30)
	if err != nil && !b.Empty() {
		return err
	}
	for i := range es {
		if want := s.entry(b.First() + uint64(i)); !es[i].Equal(want) {
			return fmt.Errorf("entry %d is %+v, want %+v", want.Index, es[i], want)
		}
	}
	if uint64(len(es)) != b.Count() {
		return fmt.Errorf("%d entries, want %d", len(es), b.Count())
	}
	vote, err := n.Log().Stable("vote")
	if s.vote == 0 && !errors.Is(err, fault.ErrNotFound) || s.vote > 0 && string(vote) != string(crashVote(s.vote)) {
		return fmt.Errorf("vote = %q, %w, want number %d", vote, err, s.vote)
	}
	var snaps []uint64
	for meta, err := range n.Snapshots().All(ctx) {
		if err != nil {
			return err
		}
		if meta.Term != committedTerm(meta.Index) {
			return fmt.Errorf("snapshot %s has the wrong term", meta.ID)
		}
		snaps = append(snaps, meta.Index)
	}
	slices.Reverse(snaps)
	if !slices.Equal(snaps, s.snaps) {
		return fmt.Errorf("snapshots of %v, want %v", snaps, s.snaps)
	}
	mark, err := n.KV().Mark(ctx)
	if err != nil {
		return err
	}
	if !slices.Contains(s.marks, mark.Index) {
		return fmt.Errorf("mark %d, want one of %v", mark.Index, s.marks)
	}
	return nil
}

package peer

import (
	"errors"
	"os"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/logger"
	"github.com/lni/dragonboat/v4/plugin/tan"
	"github.com/lni/dragonboat/v4/raftio"
	pb "github.com/lni/dragonboat/v4/raftpb"
)

// Tan is dragonboat's log, through its public factory, with the smallest of
// its memory presets: the default takes 2 GiB of heap.
func Tan() Kind {
	return Kind{Name: "tan", Version: "dragonboat v4.0.0-20250723143628-076c7f6497dc", Verifies: true, Open: openTan}
}

type tanLog struct {
	db      raftio.ILogDB
	entries []pb.Entry
	read    []pb.Entry
}

func openTan(dir string, o Options) (Log, error) {
	if o.Relaxed {
		return nil, ErrUnsupported
	}
	for _, name := range []string{"tan", "config"} {
		logger.GetLogger(name).SetLevel(logger.ERROR)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	cfg := config.NodeHostConfig{NodeHostDir: dir}
	cfg.Expert.LogDB = config.GetTinyMemLogDBConfig()
	if err := cfg.Prepare(); err != nil {
		return nil, err
	}
	db, err := tan.Factory.Create(cfg, nil, []string{dir}, []string{dir})
	if err != nil {
		return nil, err
	}
	t := &tanLog{db: db}
	// The files of a shard are opened when it is first asked for.
	if _, err := db.ReadRaftState(1, 1, 0); err != nil && !errors.Is(err, raftio.ErrNoSavedLog) {
		return nil, err
	}
	return t, nil
}

func (t *tanLog) Append(first uint64, payloads [][]byte) error {
	t.entries = t.entries[:0]
	for i, p := range payloads {
		t.entries = append(t.entries, pb.Entry{Index: first + uint64(i), Term: 1, Cmd: p})
	}
	ud := pb.Update{ShardID: 1, ReplicaID: 1, EntriesToSave: t.entries}
	ud.State = pb.State{Term: 1, Vote: 1, Commit: first}
	return t.db.SaveRaftState([]pb.Update{ud}, 1)
}

func (t *tanLog) Read(lo, hi uint64, visit func(uint64, []byte) error) error {
	for lo < hi {
		var err error
		t.read, _, err = t.db.IterateEntries(t.read[:0], 0, 1, 1, lo, min(hi, lo+readEntries), 1<<30)
		if err != nil {
			return err
		}
		if len(t.read) == 0 {
			return errMissing(lo)
		}
		for i := range t.read {
			if err := visit(t.read[i].Index, t.read[i].Cmd); err != nil {
				return err
			}
		}
		lo += uint64(len(t.read))
	}
	return nil
}

func (t *tanLog) Get(index uint64) ([]byte, error) {
	var err error
	t.read, _, err = t.db.IterateEntries(t.read[:0], 0, 1, 1, index, index+1, 1<<30)
	if err != nil {
		return nil, err
	}
	if len(t.read) == 0 {
		return nil, errMissing(index)
	}
	return t.read[0].Cmd, nil
}

func (t *tanLog) DropFront(index uint64) error { return t.db.RemoveEntriesTo(1, 1, index-1) }

// DropBack writes an empty entry at index: the only way that tan has.
func (t *tanLog) DropBack(index uint64) error { return t.Append(index, [][]byte{nil}) }
func (t *tanLog) Close() error                { return t.db.Close() }

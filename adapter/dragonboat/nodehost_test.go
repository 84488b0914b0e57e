package dragonboat_test

import (
	"context"
	"fmt"
	"path"
	"testing"

	lni "github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/plugin/tan"
	"github.com/lni/dragonboat/v4/tools"
	lnivfs "github.com/lni/vfs"

	"github.com/trimarandb/trimaran/adapter/dragonboat"
	"github.com/trimarandb/trimaran/vfs"
)

// lone is a host with the only replica of shard 1.
type lone struct {
	t      *testing.T
	fs     vfs.FS
	config config.NodeHostConfig
	nh     *lni.NodeHost
}

func newLone(t *testing.T, f config.LogDBFactory, fsys vfs.FS, theirs lnivfs.FS) *lone {
	return &lone{t: t, fs: fsys, config: config.NodeHostConfig{
		NodeHostDir: "/node", RTTMillisecond: 2, RaftAddress: "lone:1",
		Expert: config.ExpertConfig{
			LogDBFactory: f, TransportFactory: newNetwork(), FS: theirs, LogDB: config.GetTinyMemLogDBConfig(),
			Engine: config.EngineConfig{ExecShards: 1, CommitShards: 1, ApplyShards: 1, SnapshotShards: 1, CloseShards: 1},
		},
	}}
}

func (l *lone) start(members map[uint64]lni.Target) {
	l.t.Helper()
	var err error
	l.nh, err = lni.NewNodeHost(l.config)
	check(l.t, err)
	l.t.Cleanup(l.stop)
	check(l.t, l.nh.StartOnDiskReplica(members, false, dragonboat.OpenMachines("data", apply, lookup, &dragonboat.Options{FS: l.fs}), config.Config{
		ShardID: 1, ReplicaID: 1, ElectionRTT: 10, HeartbeatRTT: 1,
	}))
}

func (l *lone) stop() {
	if l.nh != nil {
		l.nh.Close()
		l.nh = nil
	}
}

func (l *lone) put(lo, hi int) {
	l.t.Helper()
	for i := lo; i < hi; i++ {
		until(l.t, "put", func(ctx context.Context) error {
			_, err := l.nh.SyncPropose(ctx, l.nh.GetNoOPSession(1), fmt.Appendf(nil, "%d=x", i))
			return err
		})
	}
}

func (l *lone) holds(n int) {
	l.t.Helper()
	for i := range n {
		var got any
		until(l.t, "get", func(ctx context.Context) (err error) {
			got, err = l.nh.SyncRead(ctx, 1, get(fmt.Sprint(i)))
			return err
		})
		if got != "x" {
			l.t.Errorf("%d is %v", i, got)
		}
	}
}

// find returns the directories below dir that hold a name.
func find(t *testing.T, fs lnivfs.FS, dir, name string) (found []string) {
	t.Helper()
	names, err := fs.List(dir)
	check(t, err)
	for _, n := range names {
		at := path.Join(dir, n)
		if n == name {
			found = append(found, dir)
		} else if info, err := fs.Stat(at); err == nil && info.IsDir() {
			found = append(found, find(t, fs, at, name)...)
		}
	}
	return found
}

// What docs/dragonboat.md says of moving a NodeHost over.
func TestMoveFromTan(t *testing.T) {
	fsys, theirs := vfs.NewMem(), lnivfs.NewMem()
	old := newLone(t, tan.Factory, fsys, theirs)
	old.start(map[uint64]lni.Target{1: "lone:1"})
	old.put(0, 20)
	until(t, "snapshot", func(ctx context.Context) error {
		_, err := old.nh.SyncRequestSnapshot(ctx, 1, lni.SnapshotOption{OverrideCompactionOverhead: true, CompactionOverhead: 3})
		return err
	})
	old.put(20, 25)
	old.stop()

	dirs := find(t, theirs, "/node", "tandb")
	if len(dirs) != 1 {
		t.Fatalf("tan is in %v", dirs)
	}
	from, err := tan.Factory.Create(old.config, nil, dirs, dirs)
	check(t, err)
	to, err := dragonboat.OpenLogDB(dirs[0][1:]+"/trimaran", &dragonboat.Options{FS: fsys})
	check(t, err)
	replicas, err := from.ListNodeInfo()
	check(t, err)
	if len(replicas) != 1 {
		t.Fatalf("replicas %v", replicas)
	}
	check(t, move(from, to, replicas[0]))
	want, err := from.GetSnapshot(1, 1)
	check(t, err)
	if got, err := to.GetSnapshot(1, 1); err != nil || got.Index != want.Index || got.Index == 0 {
		t.Errorf("snapshot at %d, %v, want %d", got.Index, err, want.Index)
	}
	check(t, from.Close())
	check(t, to.Close())
	check(t, theirs.Remove("/node/dragonboat.ds"))

	moved := newLone(t, dragonboat.NewFactory(&dragonboat.Options{FS: fsys}), fsys, theirs)
	moved.start(nil)
	moved.holds(25)
	moved.put(25, 50)
	moved.stop()
	moved.start(nil)
	moved.holds(50)
}

// Dragonboat's tool for a shard that has lost its majority: an exported snapshot
// is imported where a replica begins anew.
func TestImportTool(t *testing.T) {
	theirs := lnivfs.NewMem()
	l := newLone(t, dragonboat.NewFactory(&dragonboat.Options{FS: vfs.NewMem()}), vfs.NewMem(), theirs)
	l.start(map[uint64]lni.Target{1: "lone:1"})
	l.put(0, 15)
	check(t, theirs.MkdirAll("/export", 0o755))
	var index uint64
	until(t, "export", func(ctx context.Context) (err error) {
		index, err = l.nh.SyncRequestSnapshot(ctx, 1, lni.SnapshotOption{Exported: true, ExportPath: "/export"})
		return err
	})
	l.stop()

	fsys := vfs.NewMem()
	again := newLone(t, dragonboat.NewFactory(&dragonboat.Options{FS: fsys}), fsys, theirs)
	again.config.NodeHostDir = "/another"
	check(t, tools.ImportSnapshot(again.config, fmt.Sprintf("/export/snapshot-%016X", index), map[uint64]string{1: "lone:1"}, 1))
	again.start(nil)
	again.holds(15)
	again.put(15, 20)
	again.holds(20)
}

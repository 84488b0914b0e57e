package dragonboat_test

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	lni "github.com/lni/dragonboat/v4"
	"github.com/lni/dragonboat/v4/config"

	"github.com/trimarandb/trimaran/adapter/dragonboat"
)

var (
	killDir  = flag.String("kill.dir", "", "where the process lives that TestKill9 starts and kills")
	killFrom = flag.Int("kill.from", 0, "how many of its writes were acknowledged before")
)

// TestKill9 kills a process with a NodeHost on a real disk in the middle of
// writes, again and again: what it said was written is there when it starts.
func TestKill9(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0x4111))
	dir, acked := t.TempDir(), 0
	for range 4 {
		acked = liveAndDie(t, dir, acked, 1+rng.IntN(200))
	}
	t.Logf("%d writes", acked)
}

// liveAndDie lets the process look for what was acknowledged and make some more
// writes, and returns how many there are after it was killed.
func liveAndDie(t *testing.T, dir string, acked, more int) int {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-kill.dir", dir, "-kill.from", strconv.Itoa(acked))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	ready, end := false, acked+more
	for lines := bufio.NewScanner(out); lines.Scan() && acked < end; {
		if lines.Text() == "ready" {
			ready = true
			continue
		}
		n, err := strconv.Atoi(lines.Text())
		check(t, err)
		acked = n + 1
	}
	check(t, cmd.Process.Kill())
	err = cmd.Wait()
	if exit := (*exec.ExitError)(nil); !ready || !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("the process ended by itself, ready %v: %v", ready, err)
	}
	return acked
}

// live is the process: it checks that the first writes are there, and makes
// others until it is killed.
func live(dir string, from int) error {
	hc := config.NodeHostConfig{NodeHostDir: filepath.Join(dir, "host"), RTTMillisecond: 2, RaftAddress: "lone:1"}
	hc.Expert.LogDBFactory = dragonboat.NewFactory(nil)
	hc.Expert.TransportFactory = newNetwork()
	nh, err := lni.NewNodeHost(hc)
	if err != nil {
		return err
	}
	machines := dragonboat.OpenMachines(filepath.Join(dir, "data"), apply, lookup, nil)
	err = nh.StartOnDiskReplica(map[uint64]lni.Target{1: "lone:1"}, false, machines, config.Config{
		ShardID: 1, ReplicaID: 1, ElectionRTT: 10, HeartbeatRTT: 1, SnapshotEntries: 50, CompactionOverhead: 5,
	})
	if err != nil {
		return err
	}
	for i := range from {
		got, err := retry(func(ctx context.Context) (any, error) { return nh.SyncRead(ctx, 1, get(fmt.Sprint(i))) })
		if err != nil || got != "x" {
			return fmt.Errorf("%d was acknowledged, and is %v: %w", i, got, err)
		}
	}
	fmt.Println("ready")
	for i := from; ; i++ {
		_, err := retry(func(ctx context.Context) (any, error) {
			return nh.SyncPropose(ctx, nh.GetNoOPSession(1), fmt.Appendf(nil, "%d=x", i))
		})
		if err != nil {
			return err
		}
		fmt.Println(i)
	}
}

// retry waits for a leader.
func retry(try func(ctx context.Context) (any, error)) (any, error) {
	for {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		got, err := try(ctx)
		cancel()
		if !lni.IsTempError(err) {
			return got, err
		}
	}
}

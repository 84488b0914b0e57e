package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/trimarandb/trimaran/bench/log/peer"
)

// environment is where the figures were made.
type environment struct {
	CPUs       int    `json:"cpus"`
	Memory     int64  `json:"memory"`
	OS         string `json:"os"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
	FileSystem string `json:"file_system"`
	WriteCache string `json:"write_cache,omitempty"` // of the device
	Load       string `json:"load,omitempty"`        // runnable on average in the minute before

	free int64
	stat string // the device's counters; empty where it has none
}

func (e *environment) String() string {
	s := fmt.Sprintf("%d CPUs, %d GiB memory, %s", e.CPUs, (e.Memory+1<<29)>>30, e.FileSystem)
	if e.WriteCache != "" {
		s += " on a device with write cache \"" + e.WriteCache + "\""
	}
	s += fmt.Sprintf(", %s %s, %s", e.OS, e.Kernel, e.Go)
	if e.Load != "" {
		s += ", load " + e.Load + " before the run"
	}
	return s
}

var fileSystems = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
	unix.F2FS_SUPER_MAGIC: "f2fs", unix.OVERLAYFS_SUPER_MAGIC: "overlayfs", unix.NFS_SUPER_MAGIC: "nfs",
	unix.TMPFS_MAGIC: "tmpfs", unix.RAMFS_MAGIC: "ramfs",
}

// examine describes where dir is, and refuses a directory in memory, where a
// sync costs nothing.
func examine(dir string) (*environment, error) {
	e, err := describe(dir)
	if err == nil && (e.FileSystem == "tmpfs" || e.FileSystem == "ramfs") {
		return nil, fmt.Errorf("%s is in memory (%s), where a sync costs nothing: name a directory of a real file system with -dir", dir, e.FileSystem)
	}
	return e, err
}

func describe(dir string) (*environment, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return nil, fmt.Errorf("statfs %s: %w", dir, err)
	}
	name := fileSystems[int64(fs.Type)]
	if name == "" {
		name = fmt.Sprintf("file system %#x", fs.Type)
	}
	e := &environment{
		CPUs: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
		FileSystem: name, free: int64(fs.Bavail) * fs.Bsize,
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err == nil {
		e.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err == nil {
		e.Memory = int64(info.Totalram) * int64(info.Unit)
	}
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		e.Load, _, _ = strings.Cut(string(b), " ")
	}
	return e, e.findDevice(dir)
}

// findDevice looks for the block device below dir. A file system may have
// none of its own (overlayfs, btrfs): then nothing is said of it.
func (e *environment) findDevice(dir string) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return fmt.Errorf("stat %s: %w", dir, err)
	}
	sys := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev))
	if _, err := os.Stat(filepath.Join(sys, "stat")); err != nil {
		return nil
	}
	e.stat = filepath.Join(sys, "stat")
	for _, queue := range []string{"queue", "../queue"} { // a partition's is its disk's
		if b, err := os.ReadFile(filepath.Join(sys, queue, "write_cache")); err == nil {
			e.WriteCache = strings.TrimSpace(string(b))
		}
	}
	return nil
}

// deviceBytes is what the device was given to write, by everybody.
func (e *environment) deviceBytes() (int64, error) {
	if e.stat == "" {
		return 0, fmt.Errorf("no device with counters: %w", peer.ErrUnsupported)
	}
	b, err := os.ReadFile(e.stat)
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 7 {
		return 0, fmt.Errorf("read %s: %d fields", e.stat, len(fields))
	}
	sectors, err := strconv.ParseInt(fields[6], 10, 64)
	return sectors * 512, err
}

// syncAll writes back everything that the file system of path holds.
func syncAll(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.Syncfs(int(f.Fd()))
}

package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

var fileSystems = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlayfs", unix.TMPFS_MAGIC: "tmpfs",
}

// machine describes where dir is.
func machine(dir string) string {
	var fs unix.Statfs_t
	name := "unknown file system"
	if err := unix.Statfs(dir, &fs); err == nil {
		if name = fileSystems[int64(fs.Type)]; name == "" {
			name = fmt.Sprintf("file system %#x", fs.Type)
		}
	}
	var memory uint64
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err == nil {
		memory = uint64(info.Totalram) * uint64(info.Unit)
	}
	s := fmt.Sprintf("%d CPUs, %d GiB memory, %s, %s/%s, %s", runtime.NumCPU(), (memory+1<<29)>>30, name, runtime.GOOS, runtime.GOARCH, runtime.Version())
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		load, _, _ := strings.Cut(string(b), " ")
		s += ", load " + load + " before the run"
	}
	return s
}

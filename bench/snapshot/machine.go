package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// examine describes the machine and the file system of dir, and refuses a
// directory in memory, where a sync costs nothing, and one without room.
func examine(dir string, need int64) (string, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return "", fmt.Errorf("statfs %s: %w", dir, err)
	}
	if fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC {
		return "", fmt.Errorf("%s is in memory, where a sync costs nothing: name a directory of a real file system with -dir", dir)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < need {
		return "", fmt.Errorf("%s has %d MiB free, the run may need %d", dir, free>>20, need>>20)
	}
	name := fmt.Sprintf("file system %#x", fs.Type)
	switch fs.Type {
	case unix.EXT4_SUPER_MAGIC:
		name = "ext4"
	case unix.XFS_SUPER_MAGIC:
		name = "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		name = "btrfs"
	}
	var info unix.Sysinfo_t
	_ = unix.Sysinfo(&info) // told as nothing
	var u unix.Utsname
	_ = unix.Uname(&u)
	return fmt.Sprintf("%d CPUs%s, %d GiB memory, %s, %s/%s %s, %s", runtime.NumCPU(), cpuModel(),
		(int64(info.Totalram)*int64(info.Unit)+1<<29)>>30, name, runtime.GOOS, runtime.GOARCH, unix.ByteSliceToString(u.Release[:]), runtime.Version()), nil
}

func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(b), "model name")
	line, _, _ := strings.Cut(rest, "\n")
	if _, model, ok := strings.Cut(line, ":"); ok {
		return " (" + strings.TrimSpace(model) + ")"
	}
	return ""
}

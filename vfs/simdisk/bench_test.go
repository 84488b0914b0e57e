package simdisk_test

import (
	"fmt"
	"testing"

	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

// benchDisk has 10 files of 64 KiB together, all durable, and then a few
// operations that are loose: an append, an overwrite, a new file, a rename.
func benchDisk(b *testing.B) *simdisk.Disk {
	b.Helper()
	d := simdisk.New(nil)
	fsys := d.FS()
	must(b, fsys.Mkdir("dir"))
	for i := range 10 {
		must(b, vfs.WriteFile(fsys, fmt.Sprintf("dir/%020d.seg", i), fill(6554, byte(i+1))))
	}
	must(b, fsys.SyncDir("."))
	image := d.Point(d.Ops()).Crash(simdisk.Choice{Mode: simdisk.None})
	d = image.Disk(nil)
	fsys = d.FS()
	write(b, fsys, "dir/00000000000000000009.seg", 6554, fill(700, 77))
	write(b, fsys, "dir/00000000000000000008.seg", 100, fill(1500, 78))
	create(b, fsys, "dir/new", fill(600, 79))
	must(b, fsys.Rename("dir/new", "dir/newer"))
	return d
}

func BenchmarkImage(b *testing.B) {
	d := benchDisk(b)
	pt := d.Point(d.Ops())
	var sum uint64
	for _, mode := range []simdisk.Mode{simdisk.All, simdisk.None, simdisk.Nth, simdisk.Sample} {
		b.Run(simdisk.Choice{Mode: mode}.String(), func(b *testing.B) {
			b.ReportAllocs()
			for i := uint64(0); b.Loop(); i++ {
				sum += pt.Crash(simdisk.Choice{Mode: mode, Arg: i}).Digest()
			}
		})
	}
	b.Run("disk", func(b *testing.B) {
		b.ReportAllocs()
		m := pt.Crash(simdisk.Choice{})
		for b.Loop() {
			sum += uint64(m.Disk(nil).Ops())
		}
	})
	b.Run("point", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sum += pt.Crash(simdisk.Choice{}).Disk(nil).Point(0).Crash(simdisk.Choice{}).Digest()
		}
	})
	b.Run("next", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sum += uint64(d.Point(d.Ops()).Ops())
		}
	})
	b.Run("kill", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sum += uint64(pt.Kill(nil).Ops())
		}
	})
	_ = sum
}

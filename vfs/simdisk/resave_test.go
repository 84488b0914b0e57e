package simdisk_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/trimarandb/trimaran/vfs"
	"github.com/trimarandb/trimaran/vfs/simdisk"
)

// Histories that begin with an image were saved as maps, and so in another
// order each time.
func TestEqualHistoriesAreSavedAsEqualBytes(t *testing.T) {
	d := simdisk.New(nil)
	for i := range 20 {
		dir := fmt.Sprintf("dir%d", i)
		if err := vfs.MkdirAll(d.FS(), dir); err != nil {
			t.Fatal(err)
		}
		if err := vfs.WriteFile(d.FS(), dir+"/file", bytes.Repeat([]byte{byte(i)}, 700*i)); err != nil {
			t.Fatal(err)
		}
	}
	d = d.Point(d.Ops()).Crash(simdisk.Choice{Mode: simdisk.All}).Disk(nil)
	if err := vfs.WriteFile(d.FS(), "dir3/file", []byte("new")); err != nil {
		t.Fatal(err)
	}
	save := func(d *simdisk.Disk) string {
		var b bytes.Buffer
		if err := d.Save(&b, d.Ops()); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	first := save(d)
	if save(d) != first {
		t.Error("the same history is saved as other bytes")
	}
	loaded, err := simdisk.Load(bytes.NewReader([]byte(first)))
	if err != nil {
		t.Fatal(err)
	}
	if save(loaded) != first {
		t.Error("a loaded history is saved as other bytes")
	}
	at := simdisk.Choice{Mode: simdisk.All}
	if got, want := loaded.Point(loaded.Ops()).Crash(at).Digest(), d.Point(d.Ops()).Crash(at).Digest(); got != want {
		t.Errorf("a loaded history leads to the image %016x, want %016x", got, want)
	}
}

package config_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/config"
)

// The largest file that is read costs little, whatever it holds.
func TestHostileFilesAreCheap(t *testing.T) {
	const size = 64 << 10
	fill := func(head, unit string) string {
		return head + strings.Repeat(unit, (size-len(head))/len(unit))
	}
	for name, text := range map[string]string{
		"keys":           numbered(size, "k", ": 1\n"),
		"keys of a list": fill("a: [", "{b: 1},"),
		"items":          fill("a: [", "1,"),
		"nulls":          fill("", "-\n"),
		"same keys":      fill("", "a: 1\n"),
		"brackets":       fill("", "["),
		"braces":         fill("", "{a: "),
		"dashes":         fill("", "- "),
		"question marks": fill("", "? "),
		"colons":         fill("", ": "),
		"anchors":        numbered(size, "- &a", " x\n"),
		"aliases":        fill("- &a x\n", "- *a\n"),
		"laughs":         "a: &a [x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c]\ne: [*d,*d,*d,*d]\n",
		"cycle":          "a: &a [*a, *a]\n",
		"tags":           fill("", "- !x y\n"),
		"comments":       fill("", "#\n"),
		"blocks":         fill("a: |\n", "  x\n"),
		"long name":      fill("", "x") + ": 1",
		"long text":      fill("raft_storage: ", "x"),
		"quotes":         fill("a: \"", "\\n"),
		"documents":      fill("", "---\n"),
		"directives":     fill("", "%TAG ! x\n"),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := config.Parse("f", []byte(text))
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatal("it was accepted")
			}
			if n := len(err.Error()); n > size {
				t.Errorf("the message has %d bytes", n)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
				t.Errorf("%d MB were allocated for %d kB", n>>20, len(text)>>10)
			}
		})
	}
}

// numbered repeats head, a number and tail up to a size.
func numbered(size int, head, tail string) string {
	var b strings.Builder
	for i := 0; b.Len() < size-32; i++ {
		b.WriteString(head)
		b.WriteString(strings.Repeat("x", 1+i%17))
		b.WriteByte(byte('a' + i%26))
		b.WriteByte(byte('a' + i/26%26))
		b.WriteByte(byte('a' + i/676%26))
		b.WriteString(tail)
	}
	return b.String()
}

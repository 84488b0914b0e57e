package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/fault"
)

// FuzzParse: no text makes Parse panic; what it refuses comes with a place for
// each mistake, and what it accepts reads back as the same.
func FuzzParse(f *testing.F) {
	for _, r := range refusals {
		if len(r.text) < 2000 {
			f.Add([]byte(r.text))
		}
	}
	examples, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(examples) == 0 {
		f.Fatalf("examples: %q, %v", examples, err)
	}
	for _, name := range examples {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(config.Default().String()))
	f.Add([]byte(inS3(s3Place + "region: r, addressing: path, profile: p, credentials_file: /k, ca_file: /c, part_size_mb: 5")))
	f.Add([]byte(inS3(s3Place + "access_key_id: a, secret_access_key: b")))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := config.Parse("f", b)
		if err != nil {
			var m config.Mistakes
			if c != nil || !errors.As(err, &m) || len(m) == 0 || !errors.Is(err, fault.ErrInvalid) {
				t.Fatalf("Parse = %v, %v, want Mistakes", c, err)
			}
			for _, one := range m {
				if one.File != "f" || one.Message == "" || strings.ContainsAny(one.Error(), "\n\x00") {
					t.Errorf("mistake %q", one.Error())
				}
			}
			return
		}
		if c.Snapshots.S3.SecretAccessKey != "" {
			return // which String leaves out, and Parse then misses
		}
		again, err := config.Parse("again", []byte(c.String()))
		if err != nil {
			t.Fatalf("what was read is refused as\n%s\n%v", c, err)
		}
		if again.String() != c.String() {
			t.Errorf("reads back as\n%s\nwant\n%s", again, c)
		}
	})
}

package config_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"github.com/trimarandb/trimaran/config"
)

// A file that reads without a mistake fits the schema.
func TestSchemaAccepts(t *testing.T) {
	files := map[string]string{
		"default":    config.Default().String(),
		"least":      document("", "", ""),
		"no value":   document("\n    backend_type: append_log\n    config:\n", "", ""),
		"s3":         inS3(s3Place + "part_size_mb: 64, addressing: path, retention: {strategy: keep_by_age, max_age_hours: 3}"),
		"everything": document("{backend_type: append_log, path: /mnt/l, config: {sync_policy: interval, checksum_validation: false}}", "{backend_type: compressed_file, config: {compression: none, max_snapshots: 3}}", "{backend_type: rocksdb, config: {compaction_style: fifo}}") + "  snapshot_compression: none\n",
	}
	for _, name := range []string{"high-performance", "memory-optimized"} { // as the seed gave them
		b, err := os.ReadFile("../examples/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(b)
	}
	for name, text := range files {
		t.Run(name, func(t *testing.T) {
			if _, err := config.Parse(name, []byte(text)); err != nil {
				t.Fatalf("the file itself: %v", err)
			}
			if found := mismatch(t, text); found != "" {
				t.Errorf("%s\nin %s", found, text)
			}
		})
	}
}

func TestSchemaRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"unknown key":              document("{backend_type: append_log, config: {bufer_size: 1}}", "", ""),
		"key of another backend":   document("{backend_type: append_log, config: {max_entries: 1}}", "", ""),
		"path in memory":           document("{backend_type: memory_log, path: x}", "", ""),
		"unknown backend":          document("{backend_type: append_lock}", "", ""),
		"no backend":               document("{path: x}", "", ""),
		"no layer":                 "raft_storage: {}\n",
		"too small":                document("{backend_type: append_log, config: {buffer_size: 0}}", "", ""),
		"too large":                document("{backend_type: append_log, config: {buffer_size: 1000001}}", "", ""),
		"text for a number":        document("{backend_type: append_log, config: {buffer_size: many}}", "", ""),
		"text for a bool":          document("{backend_type: append_log, config: {checksum_validation: 'yes'}}", "", ""),
		"number for a text":        document("{backend_type: append_log, path: 7}", "", ""),
		"unknown policy":           document("{backend_type: append_log, config: {sync_policy: sometimes}}", "", ""),
		"retention without a rule": document("", "{backend_type: compressed_file, config: {retention: {keep_count: 2}}}", ""),
		"pebble cannot":            document("", "", "{backend_type: pebble, config: {compaction_style: fifo}}"),
		"s3 without a bucket":      document("", "{backend_type: s3, config: {endpoint: 'https://host'}}", ""),
		"s3 without anything":      document("", "{backend_type: s3}", ""),
		"another section":          document("", "", "") + "node: {}\n",
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := config.Parse(name, []byte(text)); err == nil {
				t.Fatal("reading accepts it")
			}
			if mismatch(t, text) == "" {
				t.Errorf("fits the schema:\n%s", text)
			}
		})
	}
}

// mismatch says where a file does not fit the schema of raft_storage.
func mismatch(t *testing.T, text string) string {
	t.Helper()
	var schema map[string]any
	b := config.Schema("test", func(d *config.Document) { d.Storage() })
	if err := json.Unmarshal(b, &schema); err != nil {
		t.Fatal(err)
	}
	var file any
	if err := yaml.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	return validate("", schema, file)
}

// validate knows as much of JSON Schema as the schema uses, and refuses more.
func validate(at string, schema map[string]any, v any) string {
	for word, want := range schema {
		if found := rule(at, word, want, schema, v); found != "" {
			return found
		}
	}
	return ""
}

func rule(at, word string, want any, schema map[string]any, v any) string {
	fields, _ := v.(map[string]any)
	n, number := v.(int)
	switch word {
	case "$schema", "title", "default":
	case "type":
		return check(slices.Contains(names(want), typeOf(v)), "%s is %s, want %v", at, typeOf(v), want)
	case "const":
		return check(v == want, "%s is %v, want %v", at, v, want)
	case "enum":
		return check(slices.Contains(want.([]any), v), "%s is %v, want one of %v", at, v, want)
	case "minimum":
		return check(!number || float64(n) >= want.(float64), "%s is %v, want %v or more", at, v, want)
	case "maximum":
		return check(!number || float64(n) <= want.(float64), "%s is %v, want %v or less", at, v, want)
	case "required":
		for _, key := range names(want) {
			if _, ok := fields[key]; !ok {
				return at + " has no " + key
			}
		}
	case "properties":
		for key, inner := range want.(map[string]any) {
			if field, ok := fields[key]; ok {
				if found := validate(at+"."+key, inner.(map[string]any), field); found != "" {
					return found
				}
			}
		}
	case "additionalProperties":
		known, _ := schema["properties"].(map[string]any)
		for key := range fields {
			if _, ok := known[key]; !ok && want == false {
				return at + " has an unknown key " + key
			}
		}
	case "oneOf":
		var all []string
		for _, one := range want.([]any) {
			if found := validate(at, one.(map[string]any), v); found != "" {
				all = append(all, found)
			}
		}
		return check(len(all) == len(want.([]any))-1, "%s fits other than one: %s", at, strings.Join(all, "; "))
	default:
		return "the schema has a word that this test does not know: " + word
	}
	return ""
}

func check(ok bool, format string, args ...any) string {
	if ok {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

func names(v any) (all []string) {
	if one, ok := v.(string); ok {
		return []string{one}
	}
	for _, s := range v.([]any) {
		all = append(all, s.(string))
	}
	return all
}

func typeOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case map[string]any:
		return "object"
	case []any:
		return "array"
	case string:
		return "string"
	case bool:
		return "boolean"
	case int:
		return "integer"
	}
	return fmt.Sprintf("%T", v)
}

package config_test

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/config"
	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot/s3bucket"
)

// emptyS3 answers as an S3 server does whose bucket is empty, and notes the
// paths and access keys that it is asked with.
func emptyS3(t *testing.T) (s *httptest.Server, asked func() (paths, keys []string)) {
	t.Helper()
	var paths, keys []string
	s = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		key, _, _ := strings.Cut(rest, "/")
		paths, keys = append(paths, r.URL.Path+" "+r.URL.Query().Get("prefix")), append(keys, key)
		w.Header().Set("Content-Type", "application/xml")
		bucket, object, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		switch {
		case bucket != "snapshots":
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "<Error><Code>NoSuchBucket</Code></Error>")
		case object == "" && r.URL.Query().Has("uploads"):
			_, _ = io.WriteString(w, "<ListMultipartUploadsResult></ListMultipartUploadsResult>")
		case object == "":
			_, _ = io.WriteString(w, "<ListBucketResult></ListBucketResult>")
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "<Error><Code>NoSuchKey</Code></Error>")
		}
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s, func() ([]string, []string) {
		s.CloseClientConnections() // nothing is asked any more
		return paths, keys
	}
}

func TestOpenS3(t *testing.T) {
	s, asked := emptyS3(t)
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`raft_storage:
  log_storage: {backend_type: append_log}
  app_storage: {backend_type: pebble}
  snapshot_storage:
    backend_type: s3
    path: received
    config:
      endpoint: %s
      bucket: snapshots
      prefix: node-1
      region: us-east-1
      addressing: path
      access_key_id: me
      secret_access_key: hush
      ca_file: %s
`, s.URL, ca)
	c := parse(t, text)
	store, after, err := c.OpenSnapshots(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Latest(t.Context()); !errors.Is(err, fault.ErrNotFound) {
		t.Errorf("Latest = %v, want ErrNotFound", err)
	}
	if store.Volatile() {
		t.Error("snapshots in a bucket are called volatile")
	}
	if err := errors.Join(store.Close(), after.Close()); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "received")); err != nil || !info.IsDir() {
		t.Errorf("what is received is kept nowhere: %v", err)
	}
	paths, keys := asked()
	if !slices.Contains(paths, "/snapshots/ node-1/") || !slices.Contains(paths, "/snapshots/node-1/IDENTITY ") {
		t.Errorf("the server was asked for %q", paths)
	}
	if keys = slices.Compact(keys); !slices.Equal(keys, []string{"me"}) {
		t.Errorf("the server was asked as %q, want me", keys)
	}

	missing := parse(t, strings.Replace(text, "bucket: snapshots", "bucket: another", 1))
	if _, _, err := missing.OpenSnapshots(t.Context(), dir); !errors.Is(err, s3bucket.ErrNoBucket) || !strings.Contains(err.Error(), "another") {
		t.Errorf("Open of a bucket that is not there = %v, want ErrNoBucket", err)
	}
	for file, want := range map[string]error{ca + "2": os.ErrNotExist, filepath.Join(dir, "empty"): fault.ErrInvalid} {
		if err := os.WriteFile(filepath.Join(dir, "empty"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		c := parse(t, strings.Replace(text, ca, file, 1))
		if _, _, err := c.OpenSnapshots(t.Context(), dir); !errors.Is(err, want) {
			t.Errorf("Open with ca_file %s = %v, want %v", file, err, want)
		}
	}
}

// The secret is read, and told to nobody.
func TestSecretIsNotTold(t *testing.T) {
	c := parse(t, inS3(s3Place+"access_key_id: me, secret_access_key: hush"))
	if c.Snapshots.S3.AccessKeyID != "me" || string(c.Snapshots.S3.SecretAccessKey) != "hush" {
		t.Fatalf("credentials are %q and another secret", c.Snapshots.S3.AccessKeyID)
	}
	j, err := json.Marshal(c.Snapshots.S3)
	if err != nil {
		t.Fatal(err)
	}
	told := c.String() + fmt.Sprintf("%v %+v %#v", c.Snapshots, c.Snapshots, c.Snapshots) + string(j)
	for _, n := range c.Notes() {
		told += n.String()
	}
	for _, wrong := range []string{"12345678hush", "[hush]", "{hush: 1}", "0x12345678hush"} {
		if _, err := config.Parse("f", []byte(inS3(s3Place+"access_key_id: me, secret_access_key: "+wrong+", secret_access_key: hush"))); err != nil {
			told += err.Error()
		}
	}
	if strings.Contains(told, "hush") {
		t.Errorf("the secret is told in %s", told)
	}
	if !strings.Contains(c.String(), `access_key_id: "me"`) || !strings.Contains(c.String(), "secret_access_key is not shown") {
		t.Errorf("String is\n%s\nwant it to say what it leaves out", c)
	}
}

func TestNotesOfS3(t *testing.T) {
	c := parse(t, inS3("endpoint: 'http://host', bucket: bbb, access_key_id: me, secret_access_key: hush"))
	var got []string
	for _, n := range c.Notes() {
		got = append(got, n.String())
	}
	want := []string{
		"test.yaml:3:59: raft_storage.snapshot_storage.config.endpoint: not encrypted: whoever sees the traffic sees the snapshots",
		"prefix: none: no other node can keep snapshots in this bucket",
		"secret_access_key: whoever can read this file has it; the environment or credentials_file keep it apart",
	}
	all := strings.Join(got, "\n")
	for _, w := range want {
		if !strings.Contains(all, w) {
			t.Errorf("notes are\n%s\nwant %s", all, w)
		}
	}
}

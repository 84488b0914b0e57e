package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/server"
	"github.com/trimarandb/trimaran/vfs"
)

func request(t *testing.T, method, url string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	check(t, err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	check(t, err)
	defer func() { check(t, resp.Body.Close()) }()
	b, err := io.ReadAll(resp.Body)
	check(t, err)
	return resp.StatusCode, string(b)
}

func TestHTTP(t *testing.T) {
	n := start(t, vfs.NewMem(), server.Options{ID: "a"})
	leads(t, n)
	base := "http://" + n.HTTPAddress()
	for _, c := range []struct {
		method, path string
		code         int
		want         string
	}{
		{"GET", "/healthz", 200, "ok\n"},
		{"GET", "/readyz", 200, "ok\n"},
		{"GET", "/nothing", 404, "404"},
		{"GET", "/v1/snapshot", 405, "Method Not Allowed"},
		{"POST", "/v1/status", 405, "Method Not Allowed"},
	} {
		if code, body := request(t, c.method, base+c.path); code != c.code || !strings.Contains(body, c.want) {
			t.Errorf("%s %s answers %d %q, want %d %q", c.method, c.path, code, body, c.code, c.want)
		}
	}
	for i := range 20 {
		_, err := propose(t.Context(), n, set(time.Now(), string(rune('a'+i)), "v", 0))
		check(t, err)
	}
	var taken struct {
		New      bool
		Snapshot server.SnapshotStatus
	}
	for _, isNew := range []bool{true, false} {
		code, body := request(t, "POST", base+"/v1/snapshot")
		check(t, json.Unmarshal([]byte(body), &taken))
		if code != 200 || taken.New != isNew || taken.Snapshot.Index < 20 || taken.Snapshot.Size == 0 {
			t.Errorf("snapshot answers %d %s, want new %v", code, body, isNew)
		}
	}
	_, body := request(t, "GET", base+"/v1/status")
	for _, want := range []string{
		`"id": "a"`, `"role": "leader"`, `"leader_id": "a"`, `"ready": true`, `"applied_index": `, `"snapshots": [`,
		`"overall": "healthy"`, `"http_address": "` + n.HTTPAddress() + `"`,
	} {
		if !strings.Contains(body, want) || !json.Valid([]byte(body)) {
			t.Errorf("status lacks %s: %s", want, body)
		}
	}
	_, body = request(t, "GET", base+"/metrics")
	for _, want := range []string{"trimaran_raft_leader 1", "trimaran_snapshots_created_total 1", "trimaran_log_last_index", "go_goroutines"} {
		if !strings.Contains(body, want) {
			t.Errorf("metrics lack %q", want)
		}
	}
}

func TestHTTPRefusesOtherOrigins(t *testing.T) {
	n := start(t, vfs.NewMem(), server.Options{})
	code, _ := request(t, "POST", "http://"+n.HTTPAddress()+"/v1/snapshot", "Sec-Fetch-Site", "cross-site")
	if code != http.StatusForbidden {
		t.Errorf("a page elsewhere may take snapshots: %d", code)
	}
}

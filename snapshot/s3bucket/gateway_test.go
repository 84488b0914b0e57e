package s3bucket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/trimarandb/trimaran/internal/freeport"
	"github.com/trimarandb/trimaran/snapshot/s3bucket"
)

const (
	accessKey = "trimaran-test"
	secretKey = "not-a-secret-outside-this-test"
	bucketTag = "snapshots"
)

// gateway is a real S3 server, versitygw, on a directory of the test.
type gateway struct {
	t       testing.TB
	binary  string
	dir     string
	address string

	mu     sync.Mutex
	cmd    *exec.Cmd
	exited chan struct{}
	said   *bytes.Buffer // what it printed, complete when it has exited
}

// findGateway finds the server, or skips the test.
func findGateway(t testing.TB) string {
	t.Helper()
	const name = "versitygw"
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	var places []string
	if gobin := os.Getenv("GOBIN"); gobin != "" {
		places = append(places, gobin)
	}
	if home, err := os.UserHomeDir(); err == nil {
		places = append(places, filepath.Join(home, "go", "bin"))
	}
	for _, dir := range filepath.SplitList(os.Getenv("GOPATH")) {
		places = append(places, filepath.Join(dir, "bin"))
	}
	for _, dir := range places {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path
		}
	}
	t.Skip("no S3 server to test against: versitygw is not installed; .ci/run clients installs it")
	return ""
}

// startGateway starts a server with one empty bucket.
func startGateway(t testing.TB) *gateway {
	t.Helper()
	g := &gateway{t: t, binary: findGateway(t), dir: t.TempDir()}
	g.address = freeport.Reserve(t)
	g.start()
	t.Cleanup(g.kill)
	g.makeBucket(bucketTag)
	return g
}

func (g *gateway) endpoint() string { return "http://" + g.address }

// start starts the server, on the same directory and address each time, and
// returns when it answers.
func (g *gateway) start() {
	g.t.Helper()
	cmd := exec.Command(g.binary, "--port", g.address, "--health", "/health", "--quiet", "posix", g.dir)
	cmd.Env = []string{"ROOT_ACCESS_KEY_ID=" + accessKey, "ROOT_SECRET_ACCESS_KEY=" + secretKey}
	// It dies with the test, also when that is killed.
	cmd.SysProcAttr = dieWithParent()
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(exited)
	}()
	g.mu.Lock()
	g.cmd, g.exited, g.said = cmd, exited, &said
	g.mu.Unlock()
	g.awaitHealth()
}

// running is the process that was started last, and what is closed at its end.
func (g *gateway) running() (*exec.Cmd, <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.cmd, g.exited
}

// restart starts the server when it is gone.
func (g *gateway) restart() {
	g.t.Helper()
	_, exited := g.running()
	<-exited
	g.start()
}

// awaitHealth asks until the server answers: there is nothing to wait on.
func (g *gateway) awaitHealth() {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), 3*time.Minute)
	defer cancel()
	cmd, exited := g.running()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.endpoint()+"/health", nil)
		if err != nil {
			g.t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-exited:
			g.t.Fatalf("versitygw ended: %v\n%s", cmd.ProcessState, g.said)
		case <-ctx.Done():
			g.t.Fatalf("versitygw does not answer: %v", err)
		case <-ticker.C:
		}
	}
}

// kill kills the server, as a power failure would, and waits until it is gone.
func (g *gateway) kill() {
	cmd, exited := g.running()
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		g.t.Error(err)
	}
	<-exited
}

// client speaks to the server past the package that is tested.
func (g *gateway) client() *minio.Core {
	g.t.Helper()
	c, err := minio.NewCore(g.address, &minio.Options{Creds: credentials.NewStaticV4(accessKey, secretKey, ""), Region: "us-east-1"})
	if err != nil {
		g.t.Fatal(err)
	}
	return c
}

func (g *gateway) makeBucket(name string) {
	g.t.Helper()
	if err := g.client().MakeBucket(g.t.Context(), name, minio.MakeBucketOptions{}); err != nil {
		g.t.Fatal(err)
	}
}

// uploads lists the keys of all uploads that are not finished.
func (g *gateway) uploads() (keys []string) {
	g.t.Helper()
	for u := range g.client().ListIncompleteUploads(g.t.Context(), bucketTag, "", true) {
		if u.Err != nil {
			g.t.Fatal(u.Err)
		}
		keys = append(keys, u.Key)
	}
	return keys
}

// options are those for the server, with a prefix.
func options(prefix string) *s3bucket.Options {
	return &s3bucket.Options{
		Prefix: prefix, Region: "us-east-1",
		Credentials: s3bucket.Credentials{AccessKeyID: accessKey, SecretAccessKey: secretKey},
		PartSize:    5 << 20, // the least that the server takes
	}
}

// open opens a bucket on the server.
func (g *gateway) open(o *s3bucket.Options) *s3bucket.Bucket {
	g.t.Helper()
	b, err := s3bucket.Open(g.t.Context(), g.endpoint(), bucketTag, o)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = b.Close() })
	return b
}

var places int

// place is a prefix that no other case has.
func nextPrefix() string {
	places++
	return fmt.Sprintf("case/%d", places)
}

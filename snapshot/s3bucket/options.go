package s3bucket

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot"
)

// Options tell how a Bucket works. The zero value of each field is its default.
type Options struct {
	// Prefix comes before the names of all objects, with a slash between, as in
	// "cluster-a/node-1". By default there is none.
	Prefix string

	// Region is that of the bucket. By default AWS_REGION, AWS_DEFAULT_REGION,
	// or what the server says.
	Region string

	// Addressing says where requests name the bucket.
	Addressing Addressing

	// Credentials say who asks. See there for the default.
	Credentials Credentials

	// TLS is for endpoints with https. By default certificates are verified
	// with the roots of the system.
	TLS *tls.Config

	// PartSize is how many bytes of an object are sent by one request; by
	// default 16 MiB. S3 allows 10,000 parts, so an object can have 10,000 times
	// this; more is fault.ErrFull. Most servers refuse parts below 5 MiB.
	PartSize int64

	// Parallel is how many parts of an object are sent at the same time while
	// the next one is filled; by default 2. Each of them, and one more, takes
	// PartSize of memory while a long object is written.
	Parallel int

	// LeftoverAge is how long nothing must have been added to an upload below
	// the prefix before it is taken to be left behind by a crash and aborted;
	// by default 24 hours.
	LeftoverAge time.Duration

	// Attempts is how often a request is sent until it succeeds, the first time
	// included; by default 8. The pauses between grow from 0.2 to 10 seconds,
	// and no attempt begins later than a minute after the first.
	Attempts int

	// Timeout is how long a connection may be silent during a request; by
	// default 2 minutes, because some servers take long to put an object
	// together.
	Timeout time.Duration

	// Now is the clock for ages and for the minute of Attempts; by default
	// time.Now.
	Now func() time.Time

	// Sleep waits between attempts, or returns the context's error as soon as
	// that is done. Several goroutines may call it. By default it uses a timer.
	Sleep func(ctx context.Context, d time.Duration) error

	// Rand is where pauses and marks of uploads come from; by default
	// crypto/rand. It may be read by several goroutines.
	Rand io.Reader

	// Logger is told of requests that are tried again and of leftovers. By
	// default nothing is logged.
	Logger *slog.Logger
}

const (
	defaultPartSize    = 16 << 20
	defaultParallel    = 2
	defaultLeftoverAge = 24 * time.Hour
	defaultAttempts    = 8
	defaultTimeout     = 2 * time.Minute

	maxParallel = 64
	maxPartSize = 5 << 30 // of S3
	maxParts    = 10_000  // of S3
	maxKey      = 1024    // of S3
	maxName     = 128     // of snapshot.CheckName
)

// Addressing says where requests name the bucket.
type Addressing uint8

// The ways to name the bucket.
const (
	AddressingAuto        Addressing = iota // in the host name where the endpoint is known to want that, else in the path
	AddressingPath                          // https://endpoint/bucket/key
	AddressingVirtualHost                   // https://bucket.endpoint/key
)

var addressings = [...]string{"auto", "path", "virtual_host"}

// String is the name that ParseAddressing takes.
func (a Addressing) String() string {
	if int(a) < len(addressings) {
		return addressings[a]
	}
	return fmt.Sprintf("addressing(%d)", uint8(a))
}

// ParseAddressing takes auto, path or virtual_host.
func ParseAddressing(s string) (Addressing, error) {
	for i, name := range addressings {
		if s == name {
			return Addressing(i), nil //nolint:gosec // an index of a short array
		}
	}
	return 0, invalid("addressing %q, want %s", s, strings.Join(addressings[:], ", "))
}

func (a Addressing) lookup() minio.BucketLookupType {
	switch a {
	case AddressingPath:
		return minio.BucketLookupPath
	case AddressingVirtualHost:
		return minio.BucketLookupDNS
	}
	return minio.BucketLookupAuto
}

// withDefaults fills in what is not set and refuses what makes no sense.
func (o *Options) withDefaults() (Options, error) {
	var r Options
	if o != nil {
		r = *o
	}
	setDefault(&r.Region, os.Getenv("AWS_REGION"))
	setDefault(&r.Region, os.Getenv("AWS_DEFAULT_REGION"))
	setDefault(&r.PartSize, defaultPartSize)
	setDefault(&r.Parallel, defaultParallel)
	setDefault(&r.LeftoverAge, defaultLeftoverAge)
	setDefault(&r.Attempts, defaultAttempts)
	setDefault(&r.Timeout, defaultTimeout)
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.Sleep == nil {
		r.Sleep = sleep
	}
	if r.Rand == nil {
		r.Rand = rand.Reader
	}
	if r.Logger == nil {
		r.Logger = slog.New(slog.DiscardHandler)
	}
	switch {
	case int(r.Addressing) >= len(addressings):
		return r, invalid("%v", r.Addressing)
	case r.PartSize < 0 || r.PartSize > maxPartSize:
		return r, invalid("part size is %d, want 1 to %d", r.PartSize, int64(maxPartSize))
	case r.Parallel < 0 || r.Parallel > maxParallel:
		return r, invalid("parallel is %d, want 1 to %d", r.Parallel, maxParallel)
	case r.LeftoverAge < 0 || r.Attempts < 0 || r.Timeout < 0:
		return r, invalid("leftover age is %v, attempts %d, timeout %v", r.LeftoverAge, r.Attempts, r.Timeout)
	}
	return r, CheckPrefix(r.Prefix)
}

func setDefault[T comparable](v *T, otherwise T) {
	var zero T
	if *v == zero {
		*v = otherwise
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// CheckPrefix refuses a prefix that is neither empty nor made of names, as
// snapshot.CheckName allows them, with slashes between. The error is
// fault.ErrInvalid.
func CheckPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	if len(prefix)+1+maxName > maxKey {
		return invalid("prefix of %d bytes, want at most %d", len(prefix), maxKey-maxName-1)
	}
	for part := range strings.SplitSeq(prefix, "/") {
		if snapshot.CheckName(part) != nil {
			return invalid("prefix %q: want names of letters, digits, dots, hyphens and underscores with slashes between", prefix)
		}
	}
	return nil
}

// CheckBucketName refuses a name that no bucket of S3 can have. The error is
// fault.ErrInvalid.
func CheckBucketName(name string) error {
	if s3utils.CheckValidBucketName(name) != nil {
		return invalid("bucket name %q: want 3 to 63 letters, digits, dots, hyphens and underscores", name)
	}
	return nil
}

// ParseEndpoint takes http:// or https:// and a host, with or without a port,
// and nothing else. The error is fault.ErrInvalid; it does not repeat the text,
// which may hold a password.
func ParseEndpoint(s string) (host string, secure bool, err error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return "", false, invalid("endpoint is no URL")
	case u.User != nil:
		return "", false, invalid("endpoint holds credentials, which belong elsewhere")
	case u.Scheme != "http" && u.Scheme != "https":
		return "", false, invalid("endpoint must begin with https:// or http://")
	case u.Hostname() == "":
		return "", false, invalid("endpoint names no host")
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return "", false, invalid("endpoint must be a scheme and a host only")
	}
	return u.Host, u.Scheme == "https", nil
}

// invalid is a caller's mistake, with the reason.
func invalid(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, fault.ErrInvalid)...)
}

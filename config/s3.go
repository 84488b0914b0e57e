package config

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot/s3bucket"
	"github.com/trimarandb/trimaran/vfs"
)

// S3 is what snapshot_storage says of the bucket where its backend is s3. The
// path of the layer is then where a transfer keeps what it has received so far.
type S3 struct {
	Endpoint        string
	Bucket          string
	Prefix          string
	Region          string // "": the environment's, or what the server says
	Addressing      s3bucket.Addressing
	AccessKeyID     string // "": from the file, or as s3bucket.Credentials finds it
	SecretAccessKey s3bucket.Secret
	CredentialsFile string // "": the standard ones
	Profile         string
	CAFile          string // certificates that are trusted besides the system's
	PartSize        int64  // bytes
}

var s3Keys = []string{
	"endpoint", "bucket", "prefix", "region", "addressing", "access_key_id", "secret_access_key",
	"credentials_file", "profile", "ca_file", "part_size_mb",
}

const defaultPartMB = 16

func readS3(s *Section, l *Snapshots) {
	readSnapshots(s, l)
	var b S3
	var secure bool
	b.Endpoint = s.required("endpoint", "https:// or http:// and a host", func(text string) (err error) {
		_, secure, err = s3bucket.ParseEndpoint(text)
		return err
	})
	if b.Endpoint != "" && !secure {
		s.Note("endpoint", "not encrypted: whoever sees the traffic sees the snapshots")
	}
	b.Bucket = s.required("bucket", "the name of a bucket that exists", s3bucket.CheckBucketName)
	b.Prefix = s.Text("prefix", "")
	if err := s3bucket.CheckPrefix(b.Prefix); err != nil {
		s.failFor("prefix", err)
	} else if b.Prefix == "" {
		s.Note("prefix", "none: no other node can keep snapshots in this bucket")
	}
	b.Region = s.Text("region", "")
	names := []string{s3bucket.AddressingAuto.String(), s3bucket.AddressingPath.String(), s3bucket.AddressingVirtualHost.String()}
	b.Addressing, _ = s3bucket.ParseAddressing(s.Choice("addressing", names[0], names...))
	b.readCredentials(s)
	b.CAFile = s.Text("ca_file", "")
	checkAbsolute(s, "ca_file", b.CAFile)
	if b.CAFile != "" && b.Endpoint != "" && !secure {
		s.Fail("ca_file", "the endpoint has no TLS")
	}
	b.PartSize = s.Int("part_size_mb", defaultPartMB, 5, 5120) * mb
	l.S3 = b
}

func (b *S3) readCredentials(s *Section) {
	b.AccessKeyID = s.Text("access_key_id", "")
	b.SecretAccessKey = s3bucket.Secret(s.Secret("secret_access_key"))
	b.CredentialsFile = s.Text("credentials_file", "")
	b.Profile = s.Text("profile", "")
	checkAbsolute(s, "credentials_file", b.CredentialsFile)
	id, secret := s.Has("access_key_id"), s.Has("secret_access_key")
	switch {
	case id && !secret:
		s.Fail("access_key_id", "needs secret_access_key")
	case secret && !id:
		s.Fail("secret_access_key", "needs access_key_id")
	case id && (s.Has("credentials_file") || s.Has("profile")):
		s.Fail("access_key_id", "and credentials_file or profile are two answers to one question")
	case secret:
		s.Note("secret_access_key", "whoever can read this file has it; the environment or credentials_file keep it apart")
	}
}

func checkAbsolute(s *Section, key, path string) {
	if s.Has(key) && !filepath.IsAbs(path) {
		s.Fail(key, "%s is not an absolute path", quote(path))
	}
}

// required returns a text that has to be there and to pass a check, else "".
func (s *Section) required(key, want string, check func(string) error) string {
	s.need(key)
	if !s.Has(key) {
		s.Fail(key, "missing; want %s", want)
		return ""
	}
	text := s.Text(key, "")
	if text == "" {
		if n := s.value(key); n != nil && n.kind == kindText {
			s.Fail(key, "is empty; want %s", want)
		}
		return ""
	}
	if err := check(text); err != nil {
		s.failFor(key, err)
		return ""
	}
	return text
}

// failFor reports what an error says, without what a Mistake says anyway.
func (s *Section) failFor(key string, err error) {
	s.Fail(key, "%s", strings.TrimPrefix(strings.TrimSuffix(err.Error(), ": "+fault.ErrInvalid.Error()), key+" "))
}

func showS3(w *writer, l *Snapshots) {
	b := &l.S3
	for _, v := range []struct{ key, text string }{
		{"endpoint", b.Endpoint}, {"bucket", b.Bucket}, {"prefix", b.Prefix}, {"region", b.Region},
		{"addressing", b.Addressing.String()}, {"access_key_id", b.AccessKeyID},
		{"credentials_file", b.CredentialsFile}, {"profile", b.Profile}, {"ca_file", b.CAFile},
	} {
		if v.text != "" {
			w.value(v.key, strconv.Quote(v.text))
		}
	}
	if b.SecretAccessKey != "" {
		w.line("# secret_access_key is not shown")
	}
	w.value("part_size_mb", b.PartSize/mb)
	showSnapshots(w, l)
}

func openS3(ctx context.Context, at place, l *Snapshots) (bucket, error) {
	roots, err := l.S3.roots()
	if err != nil {
		return bucket{}, err
	}
	b, err := s3bucket.Open(ctx, l.S3.Endpoint, l.S3.Bucket, &s3bucket.Options{
		Prefix: l.S3.Prefix, Region: l.S3.Region, Addressing: l.S3.Addressing, TLS: roots, PartSize: l.S3.PartSize,
		Credentials: s3bucket.Credentials{
			AccessKeyID: l.S3.AccessKeyID, SecretAccessKey: l.S3.SecretAccessKey, File: l.S3.CredentialsFile, Profile: l.S3.Profile,
		},
		Logger: at.o.Logger,
	})
	if err != nil {
		return bucket{}, err
	}
	staging, err := vfs.At(at.fs, at.dir)
	if err != nil {
		return bucket{}, errors.Join(err, b.Close())
	}
	return bucket{b, staging}, nil
}

// roots adds the certificates of ca_file to those of the system.
func (b *S3) roots() (*tls.Config, error) {
	if b.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(b.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the system's certificates: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file %s holds no certificate: %w", b.CAFile, fault.ErrInvalid)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

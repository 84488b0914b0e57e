package s3bucket_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/snapshot/s3bucket"
)

func TestInvalid(t *testing.T) {
	f := newFake(t)
	for name, c := range map[string]struct {
		endpoint, bucket string
		o                func(o *s3bucket.Options)
	}{
		"no endpoint":          {"", bucketTag, nil},
		"no scheme":            {"host:9000", bucketTag, nil},
		"other scheme":         {"ftp://host", bucketTag, nil},
		"no host":              {"https://", bucketTag, nil},
		"path in the endpoint": {f.URL + "/bucket", bucketTag, nil},
		"query":                {f.URL + "?x=1", bucketTag, nil},
		"no bucket":            {f.URL, "", nil},
		"bucket of two parts":  {f.URL, "a/b", nil},
		"slash after prefix":   {f.URL, bucketTag, func(o *s3bucket.Options) { o.Prefix = "a/" }},
		"slash before prefix":  {f.URL, bucketTag, func(o *s3bucket.Options) { o.Prefix = "/a" }},
		"dots in prefix":       {f.URL, bucketTag, func(o *s3bucket.Options) { o.Prefix = "a/../b" }},
		"long prefix":          {f.URL, bucketTag, func(o *s3bucket.Options) { o.Prefix = strings.Repeat("a/", 500) + "a" }},
		"part size":            {f.URL, bucketTag, func(o *s3bucket.Options) { o.PartSize = -1 }},
		"parallel":             {f.URL, bucketTag, func(o *s3bucket.Options) { o.Parallel = -1 }},
		"too parallel":         {f.URL, bucketTag, func(o *s3bucket.Options) { o.Parallel = 65 }},
		"large parts":          {f.URL, bucketTag, func(o *s3bucket.Options) { o.PartSize = 6 << 30 }},
		"age":                  {f.URL, bucketTag, func(o *s3bucket.Options) { o.LeftoverAge = -1 }},
		"attempts":             {f.URL, bucketTag, func(o *s3bucket.Options) { o.Attempts = -1 }},
		"timeout":              {f.URL, bucketTag, func(o *s3bucket.Options) { o.Timeout = -1 }},
		"addressing":           {f.URL, bucketTag, func(o *s3bucket.Options) { o.Addressing = 9 }},
		"key without a secret": {f.URL, bucketTag, func(o *s3bucket.Options) { o.Credentials.SecretAccessKey = "" }},
	} {
		o := f.options()
		if c.o != nil {
			c.o(o)
		}
		if _, err := s3bucket.Open(t.Context(), c.endpoint, c.bucket, o); !errors.Is(err, fault.ErrInvalid) {
			t.Errorf("%s: Open = %v, want ErrInvalid", name, err)
		}
	}
	if n := len(f.asked()); n > 0 {
		t.Errorf("%d requests were sent, want none", n)
	}
}

func TestAddressingNames(t *testing.T) {
	for _, a := range []s3bucket.Addressing{s3bucket.AddressingAuto, s3bucket.AddressingPath, s3bucket.AddressingVirtualHost} {
		if got, err := s3bucket.ParseAddressing(a.String()); err != nil || got != a {
			t.Errorf("ParseAddressing(%v) = %v, %v", a, got, err)
		}
	}
	if _, err := s3bucket.ParseAddressing("dns"); !errors.Is(err, fault.ErrInvalid) {
		t.Errorf("ParseAddressing(dns) = %v, want ErrInvalid", err)
	}
}

// The bucket is in the host name where that is asked for.
func TestVirtualHost(t *testing.T) {
	f := newFake(t)
	var host string
	f.before = func(_ http.ResponseWriter, r *http.Request, _ string) bool {
		host = r.Host
		return false
	}
	o := f.options()
	o.Attempts, o.Addressing = 1, s3bucket.AddressingVirtualHost
	_, port, _ := strings.Cut(strings.TrimPrefix(f.URL, "http://"), ":")
	_, err := s3bucket.Open(t.Context(), "http://localhost:"+port, bucketTag, o)
	// Not every resolver knows names below localhost; those that do not name it.
	if want := bucketTag + ".localhost"; !strings.HasPrefix(host, want) && !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("request went to %q, %v, want %s", host, err, want)
	}
}

func TestSecretIsHidden(t *testing.T) {
	o := s3bucket.Options{Credentials: s3bucket.Credentials{AccessKeyID: "id", SecretAccessKey: "s3cr3t", SessionToken: "t0k3n"}}
	told := fmt.Sprintf("%v %+v %#v %s %q %x %v", o, o, o, o.Credentials.SecretAccessKey, o.Credentials.SecretAccessKey, o.Credentials.SecretAccessKey, &o.Credentials)
	j, err := json.Marshal(o.Credentials)
	if err != nil {
		t.Fatal(err)
	}
	told += string(j)
	for _, secret := range []string{"s3cr3t", "t0k3n", fmt.Sprintf("%x", "s3cr3t")} {
		if strings.Contains(told, secret) {
			t.Errorf("%s is told in %s", secret, told)
		}
	}
}

// clearCredentials takes away what the machine may have.
func clearCredentials(t *testing.T) {
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE",
		"AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
	} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", t.TempDir())
}

func TestCredentials(t *testing.T) {
	f := newFake(t)
	var asked string // with which access key
	f.before = func(_ http.ResponseWriter, r *http.Request, _ string) bool {
		_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		asked, _, _ = strings.Cut(rest, "/")
		return false
	}
	file := filepath.Join(t.TempDir(), "keys")
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(file, "[default]\naws_access_key_id = of-file\naws_secret_access_key = s\n[other]\naws_access_key_id = of-profile\naws_secret_access_key = s\n")
	role := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"AccessKeyId":"of-role","SecretAccessKey":"s","Token":"t","Expiration":"2999-01-01T00:00:00Z"}`))
	}))
	defer role.Close()
	for _, c := range []struct {
		name  string
		set   func(t *testing.T)
		creds s3bucket.Credentials
		want  string
	}{
		{"options", func(t *testing.T) { t.Setenv("AWS_ACCESS_KEY_ID", "x"); t.Setenv("AWS_SECRET_ACCESS_KEY", "y") },
			s3bucket.Credentials{AccessKeyID: "of-options", SecretAccessKey: "s"}, "of-options"},
		{"environment", func(t *testing.T) {
			t.Setenv("AWS_ACCESS_KEY_ID", "of-environment")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "s")
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
		}, s3bucket.Credentials{}, "of-environment"},
		{"file in options", func(t *testing.T) { t.Setenv("AWS_ACCESS_KEY_ID", "x"); t.Setenv("AWS_SECRET_ACCESS_KEY", "y") },
			s3bucket.Credentials{File: file}, "of-file"},
		{"profile in options", func(*testing.T) {}, s3bucket.Credentials{File: file, Profile: "other"}, "of-profile"},
		{"file in environment", func(t *testing.T) { t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file) }, s3bucket.Credentials{}, "of-file"},
		{"profile in environment", func(t *testing.T) { t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file); t.Setenv("AWS_PROFILE", "other") },
			s3bucket.Credentials{}, "of-profile"},
		{"standard file", func(*testing.T) {
			write(filepath.Join(os.Getenv("HOME"), ".aws", "credentials"), "[default]\naws_access_key_id=of-home\naws_secret_access_key=s\n")
		}, s3bucket.Credentials{}, "of-home"},
		{"role of a container", func(t *testing.T) { t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", role.URL) }, s3bucket.Credentials{}, "of-role"},
	} {
		t.Run(c.name, func(t *testing.T) {
			clearCredentials(t)
			c.set(t)
			o := f.options()
			o.Credentials = c.creds
			if f.open(o); asked != c.want {
				t.Errorf("asked as %q, want %q", asked, c.want)
			}
		})
	}
}

func TestNoCredentials(t *testing.T) {
	f := newFake(t)
	broken := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(broken, []byte("[default]\naws_access_key_id = x\n"+secretKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		env   map[string]string
		creds s3bucket.Credentials
		want  error
	}{
		{"nowhere", nil, s3bucket.Credentials{}, fs.ErrPermission},
		{"id without secret", map[string]string{"AWS_ACCESS_KEY_ID": "x"}, s3bucket.Credentials{}, fs.ErrPermission},
		{"no such file", nil, s3bucket.Credentials{File: broken + "2"}, fs.ErrNotExist},
		{"no such profile", nil, s3bucket.Credentials{File: broken, Profile: "other"}, fs.ErrPermission},
		{"broken file", nil, s3bucket.Credentials{File: broken}, fs.ErrPermission},
	} {
		t.Run(c.name, func(t *testing.T) {
			clearCredentials(t)
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			o := f.options()
			o.Credentials = c.creds
			_, err := s3bucket.Open(t.Context(), f.URL, bucketTag, o)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), "find credentials") || strings.Contains(err.Error(), secretKey) {
				t.Errorf("Open = %v, want %v", err, c.want)
			}
		})
	}
	if n := len(f.asked()); n > 0 {
		t.Errorf("%d requests without credentials, want none", n)
	}
}

func TestTLS(t *testing.T) {
	f := newFake(t)
	s := httptest.NewUnstartedServer(f.Config.Handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	o := f.options()
	o.TLS = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	b, err := s3bucket.Open(t.Context(), s.URL, bucketTag, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := everything(t.Context(), b); err != nil {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	for what, endpoint := range map[string]string{"unknown authority": s.URL, "no TLS": strings.Replace(f.URL, "http:", "https:", 1)} {
		o := f.options()
		o.Sleep = nil // it would take long to try again
		_, err := s3bucket.Open(t.Context(), endpoint, bucketTag, o)
		if !errors.Is(err, s3bucket.ErrUnreachable) || strings.Contains(err.Error(), "tried") {
			t.Errorf("%s: Open = %v, want ErrUnreachable at once", what, err)
		}
	}
}

// Without a region the server is asked.
func TestRegion(t *testing.T) {
	t.Setenv("AWS_REGION", "")
	t.Setenv("AWS_DEFAULT_REGION", "")
	f := newFake(t)
	var region string
	f.before = func(w http.ResponseWriter, r *http.Request, what string) bool {
		if what == "GET ?location" {
			reply(w, "LocationConstraint", "mars-north-1")
			return true
		}
		_, rest, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		if fields := strings.Split(rest, "/"); len(fields) > 2 {
			region = fields[2]
		}
		return false
	}
	for _, c := range []struct{ option, env, want string }{{"", "", "mars-north-1"}, {"", "venus-1", "venus-1"}, {"io-2", "venus-1", "io-2"}} {
		t.Setenv("AWS_REGION", c.env)
		o := f.options()
		o.Region = c.option
		if f.open(o); region != c.want {
			t.Errorf("region is %q, want %q", region, c.want)
		}
	}
}

package s3bucket

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	maxIdle     = 16 // connections kept for later
)

var (
	// errCut says less than io.EOF, which the client would replace by an
	// error without a cause.
	errCut = errors.New("connection was cut before the answer")
	// errStrange keeps a page that some other server serves from being taken
	// for the absence of an object, and so a store for an empty one.
	errStrange = errors.New("answer is not that of an S3 server: not found, without its reason in XML")
)

// transport sends requests, and gives up connections that are silent for too
// long in the midst of one.
type transport struct{ *http.Transport }

func newTransport(config *tls.Config, timeout time.Duration) *transport {
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &transport{&http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &lively{Conn: c, timeout: timeout}, nil
		},
		TLSClientConfig:     config,
		TLSHandshakeTimeout: dialTimeout,
		MaxIdleConns:        maxIdle,
		MaxIdleConnsPerHost: maxIdle,
		IdleConnTimeout:     timeout / 2, // before silence ends them
		DisableCompression:  true,
	}}
}

// RoundTrip is that of http.Transport, with errors that the client leaves as
// they are.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.Transport.RoundTrip(req)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, errCut
	}
	if err == nil && resp.StatusCode == http.StatusNotFound && !strings.Contains(resp.Header.Get("Content-Type"), "xml") {
		return nil, errors.Join(errStrange, resp.Body.Close())
	}
	return resp, err
}

// lively is a connection that fails when nothing moved for too long, in either
// direction: what is read while a long body is written comes late.
type lively struct {
	net.Conn
	timeout time.Duration
}

func (l *lively) Read(p []byte) (int, error) {
	if err := l.SetReadDeadline(time.Now().Add(l.timeout)); err != nil {
		return 0, err
	}
	return l.Conn.Read(p)
}

func (l *lively) Write(p []byte) (int, error) {
	if err := l.SetDeadline(time.Now().Add(l.timeout)); err != nil {
		return 0, err
	}
	return l.Conn.Write(p)
}

package s3bucket

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/trimarandb/trimaran/fault"
)

var (
	// ErrUnreachable: the endpoint could not be reached, or the connection to
	// it broke.
	ErrUnreachable = errors.New("endpoint is unreachable")
	// ErrNoBucket: the bucket does not exist. It is not fault.ErrNotFound,
	// which would make a store that lost its bucket look like an empty one.
	ErrNoBucket = errors.New("no such bucket")
)

var (
	errNoUpload = errors.New("no such upload")
	errRange    = errors.New("range is outside the object")
)

// answer is an error that the server sent: what of it is safe to show, and what
// it means.
type answer struct {
	status  int
	code    string
	message string
	means   error // nil if nothing that a caller acts on
	again   bool  // it may go away
}

func (a *answer) Error() string {
	text := fmt.Sprintf("server answered %d", a.status)
	if a.code != "" {
		text += " " + a.code
	}
	if a.message != "" {
		text += ": " + a.message
	}
	return text
}

func (a *answer) Unwrap() error { return a.means }

// againCodes are those of errors that may go away, whatever their status.
var againCodes = []string{
	"RequestTimeout", "InternalError", "SlowDown", "SlowDownRead", "SlowDownWrite", "ServiceUnavailable", "OperationAborted",
	"Throttling", "ThrottlingException", "RequestLimitExceeded", "RequestThrottled", "TooManyRequests",
	"BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody", "ExpiredToken",
}

var againStatuses = []int{
	http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
	http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
}

// regionCodes are those after which the client knows the region, so that it
// gets it right the next time.
var regionCodes = []string{"AuthorizationHeaderMalformed", "InvalidRegion"}

var fullCodes = []string{"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage"}

// broken is an error of the way to the server. It does not unwrap to its
// cause: a connection that timed out would look like a context that did.
type broken struct {
	cause error
	again bool // it may go away
}

func (b *broken) Error() string { return ErrUnreachable.Error() + ": " + b.cause.Error() }

func (b *broken) Unwrap() error { return ErrUnreachable }

// explain turns an error of the client into one that says what happened, knows
// what it means, and holds nothing secret.
func explain(err error) error {
	if r, ok := errors.AsType[minio.ErrorResponse](err); ok {
		return explainAnswer(r)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err // the URL is known
	}
	return &broken{cause: err, again: mayMend(err)}
}

func explainAnswer(r minio.ErrorResponse) error {
	a := &answer{status: r.StatusCode, code: r.Code, message: r.Message}
	if strings.HasPrefix(r.Code, strconv.Itoa(r.StatusCode)) {
		// The client found no code and put status line and body in place of
		// code and message: a proxy's page, which may repeat the request.
		a.code, a.message = http.StatusText(r.StatusCode), ""
	}
	switch status := r.StatusCode; {
	case slices.Contains(fullCodes, r.Code) || status == http.StatusInsufficientStorage:
		a.means = fault.ErrFull
	case r.Code == minio.NoSuchBucket:
		a.means = ErrNoBucket
	case r.Code == minio.NoSuchKey:
		a.means = fault.ErrNotFound
	case r.Code == minio.NoSuchUpload:
		a.means = errNoUpload
	case status == http.StatusRequestedRangeNotSatisfiable:
		a.means = errRange
	case status == http.StatusPreconditionFailed:
		a.means = fault.ErrConflict
	case slices.Contains(againCodes, r.Code) || slices.Contains(againStatuses, status):
		a.again = true
	case slices.Contains(regionCodes, r.Code) && r.Region != "":
		a.again = true
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		a.means = fs.ErrPermission
	case status == http.StatusNotImplemented || status == http.StatusMethodNotAllowed:
		a.means = fault.ErrUnsupported
	}
	return a
}

// mayGoAway reports whether it makes sense to try again after an error that was
// explained.
func mayGoAway(err error) bool {
	var a *answer
	var b *broken
	return errors.As(err, &a) && a.again || errors.As(err, &b) && b.again
}

// mayMend reports whether an error of the connection is not one of names,
// certificates and protocols.
func mayMend(err error) bool {
	var (
		cert   *tls.CertificateVerificationError
		record tls.RecordHeaderError
		alert  tls.AlertError
		dns    *net.DNSError
	)
	switch {
	case errors.As(err, &cert), errors.As(err, &record), errors.As(err, &alert):
		return false
	case errors.As(err, &dns) && dns.IsNotFound:
		return false
	}
	return !errors.Is(err, http.ErrSchemeMismatch) && !errors.Is(err, errStrange)
}

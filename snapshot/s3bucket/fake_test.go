package s3bucket_test

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trimarandb/trimaran/snapshot/s3bucket"
)

// fake is as much of an S3 server as the package uses, in memory, for what a
// real one cannot be made to do: fail in a given way at a given request. It
// takes parts of any size and lists few things at once.
type fake struct {
	*httptest.Server
	t testing.TB

	mu       sync.Mutex
	bucket   string
	objects  map[string]object
	uploads  map[string]*multipart
	requests []string // "GET key", "PUT key?partNumber", and so on
	now      time.Time
	serial   int
	unsorted bool // listings are in no order, as those of some servers

	// before is asked for each request. With true it has answered.
	before func(w http.ResponseWriter, r *http.Request, what string) bool
	// after is asked when an answer is ready, which it may change.
	after func(answer *httptest.ResponseRecorder, what string)
}

type object struct {
	content []byte
	tag     string
	mark    string
}

type multipart struct {
	key, mark string
	begun     time.Time
	parts     map[int]filePart
}

type filePart struct {
	content []byte
	tag     string
	written time.Time
}

const fakePage = 7 // uploads, objects or parts listed at once

func newFake(t testing.TB) *fake {
	f := &fake{t: t, bucket: bucketTag, objects: map[string]object{}, uploads: map[string]*multipart{}, now: time.Unix(1_800_000_000, 0).UTC()}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

// open opens a bucket with small parts on the fake, whose clock it shares and
// whose pauses take no time.
func (f *fake) open(o *s3bucket.Options) *s3bucket.Bucket {
	f.t.Helper()
	b, err := s3bucket.Open(f.t.Context(), f.URL, bucketTag, o)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = b.Close() })
	return b
}

func (f *fake) options() *s3bucket.Options {
	o := options("a")
	o.PartSize = 4000
	o.Now = f.clock
	o.Sleep = noPause
	return o
}

func (f *fake) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now
}

func (f *fake) advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = f.now.Add(d)
}

// asked returns the requests so far and forgets them.
func (f *fake) asked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.requests
	f.requests = nil
	return r
}

// kind names a request: its method, the key, and the parameters that matter.
func kind(r *http.Request, key string) string {
	what := r.Method + " " + key
	var names []string
	for name := range r.URL.Query() {
		if slices.Contains([]string{"uploads", "uploadId", "partNumber", "list-type", "location"}, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if len(names) > 0 {
		what += "?" + strings.Join(names, "&")
	}
	return what
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	name, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	what := kind(r, key)
	f.mu.Lock()
	f.requests = append(f.requests, what)
	f.mu.Unlock()
	if f.before != nil && f.before(w, r, what) {
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away
	}
	answer := httptest.NewRecorder()
	sum := sha256.Sum256(body)
	switch {
	case name != f.bucket:
		refuse(answer, 404, "NoSuchBucket")
	case r.Header.Get("Authorization") == "":
		refuse(answer, 403, "AccessDenied")
	case r.Method == http.MethodPut && r.Header.Get("X-Amz-Content-Sha256") != hex.EncodeToString(sum[:]):
		refuse(answer, 400, "XAmzContentSHA256Mismatch")
	default:
		f.mu.Lock()
		f.answer(answer, r, key, body)
		f.mu.Unlock()
	}
	if f.after != nil {
		f.after(answer, what)
	}
	maps.Copy(w.Header(), answer.Header())
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes())
}

func (f *fake) answer(w http.ResponseWriter, r *http.Request, key string, body []byte) {
	q := r.URL.Query()
	upload := f.uploads[q.Get("uploadId")]
	switch {
	case q.Has("uploadId") && upload == nil:
		refuse(w, 404, "NoSuchUpload")
	case r.Method == http.MethodGet && q.Has("uploads"):
		f.listUploads(w, q.Get("prefix"), q.Get("key-marker"), q.Get("upload-id-marker"))
	case r.Method == http.MethodGet && key == "":
		f.list(w, q.Get("prefix"), q.Get("continuation-token"))
	case r.Method == http.MethodGet && upload != nil:
		listParts(w, upload, q.Get("part-number-marker"))
	case r.Method == http.MethodGet:
		f.get(w, r, key)
	case r.Method == http.MethodPost && q.Has("uploads"):
		f.serial++
		id := fmt.Sprintf("upload-%04d", f.serial)
		f.uploads[id] = &multipart{key: key, mark: r.Header.Get("X-Amz-Meta-Trimaran-Upload"), begun: f.now, parts: map[int]filePart{}}
		reply(w, "InitiateMultipartUploadResult", fmt.Sprintf("<UploadId>%s</UploadId>", id))
	case r.Method == http.MethodPost:
		f.complete(w, upload, q.Get("uploadId"), body)
	case r.Method == http.MethodPut && upload != nil:
		n, _ := strconv.Atoi(q.Get("partNumber"))
		upload.parts[n] = filePart{content: body, tag: tagOf(body), written: f.now}
		w.Header().Set("ETag", `"`+tagOf(body)+`"`)
	case r.Method == http.MethodPut:
		f.objects[key] = object{content: body, tag: tagOf(body)}
		w.Header().Set("ETag", `"`+tagOf(body)+`"`)
	case r.Method == http.MethodDelete && upload != nil:
		delete(f.uploads, q.Get("uploadId"))
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodDelete:
		delete(f.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		refuse(w, 501, "NotImplemented")
	}
}

func (f *fake) complete(w http.ResponseWriter, u *multipart, id string, body []byte) {
	var asked struct {
		Part []struct {
			PartNumber int
			ETag       string
		}
	}
	if err := xml.Unmarshal(body, &asked); err != nil || len(asked.Part) == 0 {
		refuse(w, 400, "MalformedXML")
		return
	}
	var content, tags bytes.Buffer
	for _, p := range asked.Part {
		part, ok := u.parts[p.PartNumber]
		if !ok || part.tag != p.ETag {
			refuse(w, 400, "InvalidPart")
			return
		}
		content.Write(part.content)
		tags.WriteString(part.tag)
	}
	f.objects[u.key] = object{content: content.Bytes(), tag: tagOf(tags.Bytes()) + "-" + strconv.Itoa(len(asked.Part)), mark: u.mark}
	delete(f.uploads, id)
	reply(w, "CompleteMultipartUploadResult", fmt.Sprintf("<Bucket>%s</Bucket><Key>%s</Key>", f.bucket, u.key))
}

func (f *fake) get(w http.ResponseWriter, r *http.Request, key string) {
	o, ok := f.objects[key]
	match := strings.Trim(r.Header.Get("If-Match"), `"`)
	if !ok {
		refuse(w, 404, "NoSuchKey")
		return
	}
	if match != "" && match != o.tag {
		refuse(w, 412, "PreconditionFailed")
		return
	}
	var lo, last int
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &lo, &last); err != nil {
		f.t.Errorf("range %q of %s", r.Header.Get("Range"), key)
	}
	if lo >= len(o.content) {
		refuse(w, 416, "InvalidRange")
		return
	}
	end := min(last+1, len(o.content))
	h := w.Header()
	h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", lo, end-1, len(o.content)))
	h.Set("Content-Length", strconv.Itoa(end-lo))
	h.Set("ETag", `"`+o.tag+`"`)
	h.Set("Last-Modified", f.now.Format(http.TimeFormat))
	if o.mark != "" {
		h.Set("X-Amz-Meta-Trimaran-Upload", o.mark)
	}
	w.WriteHeader(http.StatusPartialContent)
	_, _ = w.Write(o.content[lo:end])
}

func (f *fake) list(w http.ResponseWriter, prefix, after string) {
	var b strings.Builder
	n := 0
	if f.unsorted {
		w = &backwards{w}
	}
	for _, key := range slices.Sorted(maps.Keys(f.objects)) {
		rest, ok := strings.CutPrefix(key, prefix)
		if !ok || key <= after {
			continue
		}
		if n == fakePage {
			b.WriteString("<IsTruncated>true</IsTruncated><NextContinuationToken>" + after + "</NextContinuationToken>")
			break
		}
		n++
		after = key
		if dir, _, deeper := strings.Cut(rest, "/"); deeper {
			b.WriteString("<CommonPrefixes><Prefix>" + prefix + dir + "/</Prefix></CommonPrefixes>")
			continue
		}
		fmt.Fprintf(&b, "<Contents><Key>%s</Key><Size>%d</Size></Contents>", key, len(f.objects[key].content))
	}
	reply(w, "ListBucketResult", b.String())
}

// backwards turns the objects of a listing around.
type backwards struct{ http.ResponseWriter }

func (b *backwards) Write(p []byte) (int, error) {
	const begin, end = "<Contents>", "</Contents>"
	first, last := bytes.Index(p, []byte(begin)), bytes.LastIndex(p, []byte(end))
	if first < 0 {
		return b.ResponseWriter.Write(p)
	}
	last += len(end)
	all := strings.SplitAfter(string(p[first:last]), end)
	slices.Reverse(all)
	_, err := b.ResponseWriter.Write(slices.Concat(p[:first], []byte(strings.Join(all, "")), p[last:]))
	return len(p), err
}

func (f *fake) listUploads(w http.ResponseWriter, prefix, afterKey, afterID string) {
	type one struct {
		id string
		*multipart
	}
	var all []one
	for id, u := range f.uploads {
		if strings.HasPrefix(u.key, prefix) {
			all = append(all, one{id, u})
		}
	}
	slices.SortFunc(all, func(x, y one) int { return cmp.Or(strings.Compare(x.key, y.key), strings.Compare(x.id, y.id)) })
	var b strings.Builder
	n := 0
	for _, u := range all {
		if u.key < afterKey || u.key == afterKey && u.id <= afterID {
			continue
		}
		if n == fakePage {
			b.WriteString("<IsTruncated>true</IsTruncated><NextKeyMarker>" + afterKey + "</NextKeyMarker><NextUploadIdMarker>" + afterID + "</NextUploadIdMarker>")
			break
		}
		n++
		afterKey, afterID = u.key, u.id
		fmt.Fprintf(&b, "<Upload><Key>%s</Key><UploadId>%s</UploadId><Initiated>%s</Initiated></Upload>", u.key, u.id, u.begun.Format(time.RFC3339))
	}
	reply(w, "ListMultipartUploadsResult", b.String())
}

func listParts(w http.ResponseWriter, u *multipart, after string) {
	from, _ := strconv.Atoi(after)
	var b strings.Builder
	n := 0
	for _, number := range slices.Sorted(maps.Keys(u.parts)) {
		if number <= from {
			continue
		}
		if n == fakePage {
			fmt.Fprintf(&b, "<IsTruncated>true</IsTruncated><NextPartNumberMarker>%d</NextPartNumberMarker>", from)
			break
		}
		n++
		from = number
		fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><LastModified>%s</LastModified></Part>", number, u.parts[number].written.Format(time.RFC3339))
	}
	reply(w, "ListPartsResult", b.String())
}

func tagOf(content []byte) string {
	sum := md5.Sum(content)
	return hex.EncodeToString(sum[:])
}

func reply(w http.ResponseWriter, name, inner string) {
	w.Header().Set("Content-Type", "application/xml")
	_, _ = fmt.Fprintf(w, "<%s>%s</%s>", name, inner, name)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>as the test wants it</Message><AWSAccessKeyId>%s</AWSAccessKeyId></Error>", code, accessKey)
}

// put puts an object past the package that is tested.
func (f *fake) put(key string, content []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.objects[key] = object{content: content, tag: tagOf(content)}
}

// left are the keys of uploads that are not finished.
func (f *fake) left() (keys []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, u := range f.uploads {
		keys = append(keys, u.key)
	}
	slices.Sort(keys)
	return keys
}

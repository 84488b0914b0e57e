package resp_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/redcon"

	"github.com/trimarandb/trimaran/server/command"
	"github.com/trimarandb/trimaran/server/resp"
)

func TestMalformedRequests(t *testing.T) {
	_, addr := serve(t, newFake(t), &resp.Options{MaxRequest: 10_000})
	for _, tc := range []struct{ sent, want string }{
		{"*x\r\n", "invalid multibulk length"},
		{"*1048577\r\n", "invalid multibulk length"},
		{"*9223372036854775808\r\n", "invalid multibulk length"},
		{"*1\r\nx", ""},
		{"*1\r\nx\r\n", "expected '$', got 'x'"},
		{"*1\r\n\r\n", "expected '$', got '\r'"},
		{"*1\r\n$-1\r\n", "invalid bulk length"},
		{"*1\r\n$x\r\n", "invalid bulk length"},
		{"*1\r\n$9223372036854775807\r\n", "invalid bulk length"},
		{"*1\r\n$67108865\r\n", "invalid bulk length"},
		{"*1\r\n$4\r\nPINGxx", "bulk string without its end"},
		{"*2\r\n$3\r\nGET\r\n$10001\r\n", "request of more than 10000 bytes"},
		{"*1000\r\n" + strings.Repeat("$1\r\na\r\n", 1000), "request of more than 10000 bytes"},
		{"*" + strings.Repeat("1", 16<<10), "too big mbulk count string"},
		{"*1\r\n$" + strings.Repeat("1", 16<<10), "too big bulk count string"},
		{strings.Repeat("a", 16<<10), "too big inline request"},
		{"get \"k\r\n", "unbalanced quotes in request"},
		{"get 'k'x\r\n", "unbalanced quotes in request"},
	} {
		p := dial(t, "tcp", addr.String())
		p.want("*-1", "-ERR unknown command '*-1', with args beginning with: ")
		p.send("*0\r\n*-1\r\n" + pack(t, "PING") + tc.sent)
		if tc.want == "" {
			_ = p.nc.Close() // in the middle of a request
			continue
		}
		want := "-ERR Protocol error: " + strings.ReplaceAll(tc.want, "\r", " ")
		if pong, got := p.receive(), p.receive(); pong != "+PONG" || got != want {
			t.Errorf("%.40q got %s, %s, want +PONG, %s", tc.sent, pong, got, want)
		}
		if got := p.receive(); got != "EOF" {
			t.Errorf("%.40q got %s at the end, want EOF", tc.sent, got)
		}
	}
}

func TestLimits(t *testing.T) {
	_, addr := serve(t, newFake(t), &resp.Options{MaxRequest: 200_000})
	p := dial(t, "tcp", addr.String())
	long := strings.Repeat("k", command.MaxKey)
	p.want("SET "+long+" v", "+OK")
	p.want("GET "+long, `"v"`)
	for _, line := range []string{"SET " + long + "x v", "GET " + long + "x", "WATCH " + long + "x"} {
		if got := p.do(line); !strings.HasPrefix(got, "-ERR ") || !strings.Contains(got, "key of 65537 bytes") {
			t.Errorf("a long key: %s", got)
		}
	}
	if got := p.do(`SET "" v`); !strings.Contains(got, "key of 0 bytes") {
		t.Errorf("an empty key: %s", got)
	}
	value := strings.Repeat("v", 150_000)
	p.want("SET big "+value, "+OK")
	p.want("GET big", `"`+value+`"`)
	p.want("MULTI", "+OK")
	p.want("SET big "+value, "+QUEUED")
	p.want("SET big "+value, "-ERR transaction of more than 200000 bytes or 524288 arguments")
	p.want("EXEC", "-EXECABORT Transaction discarded because of previous errors.")
	p.want("MULTI", "+OK")
	p.want("SCAN 0", "-ERR Command not allowed inside a transaction")
	p.want("EXEC", "-EXECABORT Transaction discarded because of previous errors.")
}

// A length that is promised takes no memory before the bytes come.
func TestPromisesTakeNoMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 10 {
		sent := fmt.Sprintf("*%d\r\n$%d\r\n", command.MaxArgs, command.MaxValue)
		if _, err := resp.Requests(strings.NewReader(sent), 2*command.MaxValue); err == nil {
			t.Fatal("half a request was read")
		}
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 10<<20 {
		t.Errorf("ten requests that never came took %d bytes", took)
	}
}

// Requests come in any pieces.
func TestRequestsInPieces(t *testing.T) {
	big := bytes.Repeat([]byte("v"), 300_000)
	raw := redcon.AppendArray(nil, 2)
	raw = redcon.AppendBulk(redcon.AppendBulk(raw, []byte("k")), big)
	raw = append(raw, pack(t, "PING a b")...)
	for _, n := range []int{1, 7, 4096, 1 << 20} {
		all, err := resp.Requests(&pieces{raw, n}, 1<<20)
		if len(all) != 2 || !errors.Is(err, io.EOF) || !bytes.Equal(all[0][1], big) || len(all[1]) != 3 {
			t.Errorf("in pieces of %d bytes: %d requests, %v", n, len(all), err)
		}
	}
}

// pieces reads at most n bytes at a time.
type pieces struct {
	left []byte
	n    int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(p.n, len(b))], p.left)
	p.left = p.left[n:]
	return n, nil
}

func FuzzRequests(f *testing.F) {
	for _, s := range []string{
		"PING\r\n", "set k 'a\\'b' \"\\x41\\n\"\n", "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n*0\r\n", "*-1\r\n*1\r\n$0\r\n\r\n",
		"*1\r\n$9223372036854775807\r\n", "*1000000000000000000\r\n", "*1\n$1\nx\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		all, err := resp.Requests(bytes.NewReader(b), 1<<16)
		if err == nil {
			t.Fatal("no error at the end")
		}
		var again []byte
		for _, args := range all {
			again = redcon.AppendArray(again, len(args))
			for _, arg := range args {
				again = redcon.AppendBulk(again, arg)
			}
		}
		got, err := resp.Requests(bytes.NewReader(again), 1<<20)
		if !errors.Is(err, io.EOF) || !slices.EqualFunc(got, all, func(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }) {
			t.Errorf("%q was read as %q, and that as %q, %v", b, all, got, err)
		}
	})
}

func TestWatchedKeysAreBounded(t *testing.T) {
	_, addr := serve(t, newFake(t), &resp.Options{MaxRequest: 100})
	p := dial(t, "tcp", addr.String())
	for range 4 {
		p.want("WATCH k", "+OK")
	}
	p.want("WATCH k", "-ERR watched keys of more than 100 bytes")
	p.want("UNWATCH", "+OK")
	p.want("WATCH k", "+OK")
}

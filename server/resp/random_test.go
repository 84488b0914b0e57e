package resp_test

import (
	"flag"
	"math/rand/v2"
	"strings"
	"testing"
)

var seed = flag.Uint64("seed", 1, "of the random requests")

// randomLine is a request about few keys: K is a key, V a value, N a number.
func randomLine(r *rand.Rand) string {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	line := pick("GET K", "SET K V", "SET K V", "SET K V GET", "SET K V NX", "SET K V XX GET", "SET K V KEEPTTL", "SET K V EX 500",
		"SET K V PX 500000 NX GET", "SET K V EXAT 1", "SETNX K V", "SETEX K 500 V", "GETSET K V", "GETDEL K", "DEL K K K", "EXISTS K K K",
		"MGET K K K", "MSET K V K V", "MSETNX K V K V", "INCR K", "DECR K", "INCRBY K N", "DECRBY K N", "APPEND K V", "STRLEN K",
		"EXPIRE K 500", "EXPIRE K 100 GT", "EXPIRE K 300 LT", "EXPIRE K 500 NX", "EXPIRE K 500 XX", "PEXPIRE K -1", "EXPIREAT K N", "TTL K", "PTTL K",
		"PERSIST K", "TYPE K", "MULTI", "MULTI", "EXEC", "EXEC", "DISCARD", "UNWATCH", "nosuch K", "GET", "SET K V FOO", "FLUSHDB")
	if line == "FLUSHDB" && r.IntN(10) > 0 {
		line = "PING"
	}
	words := strings.Fields(line)
	for i, w := range words {
		switch w {
		case "K":
			words[i] = pick("a", "b", "c", "d", "e")
		case "V":
			words[i] = pick("text", "0", "-7", "9223372036854775807", "-9223372036854775808", "007", `""`, `"\x00\xff"`)
		case "N":
			words[i] = pick("1", "-1", "9223372036854775807", "-9223372036854775808", "x", "0")
		}
	}
	return strings.Join(words, " ")
}

// settled hides how much time is left, which passes for Redis only.
func settled(line, reply string) string {
	if strings.Contains(line, "TTL") && strings.HasPrefix(reply, ":") && reply[1] != '-' {
		return "some time"
	}
	return reply
}

// Random requests get the answers that Redis gives. Inside MULTI no time left
// is asked for, since EXEC answers all at once.
func TestRandomRequestsAgainstRedis(t *testing.T) {
	redis := dial(t, "unix", startRedis(t))
	_, addr := serve(t, newFake(t), nil)
	p, r, inside := dial(t, "tcp", addr.String()), rand.New(rand.NewPCG(*seed, 0)), false
	for i := range 5000 {
		line := randomLine(r)
		if word, _, _ := strings.Cut(line, " "); inside && strings.HasSuffix(word, "TTL") {
			continue
		}
		switch line {
		case "MULTI":
			inside = true
		case "EXEC", "DISCARD":
			inside = false
		}
		got, want := settled(line, p.do(line)), settled(line, redis.do(line))
		if got != want {
			t.Fatalf("request %d: %s = %s, want %s\nreplay: -run TestRandomRequests -seed %d", i, line, got, want, *seed)
		}
	}
}

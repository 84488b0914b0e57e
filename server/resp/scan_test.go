package resp_test

import (
	"fmt"
	"strings"
	"testing"
)

// scanAll walks with SCAN and calls between after each page.
func scanAll(t *testing.T, p *peer, options string, between func()) (keys []string) {
	t.Helper()
	cursor := "0"
	for range 10_000 {
		reply := p.do("SCAN " + cursor + options)
		head, rest, ok := strings.Cut(strings.TrimPrefix(reply, "["), " ")
		if !ok || reply[0] != '[' {
			t.Fatalf("SCAN = %s", reply)
		}
		keys = append(keys, strings.Fields(strings.Trim(rest, "[]"))...)
		if cursor = strings.Trim(head, `"`); cursor == "0" {
			return keys
		}
		between()
	}
	t.Fatal("SCAN does not end")
	return nil
}

// A key that is there from the first page to the last is found, once, whatever
// happens to others and whoever else scans.
func TestScanFindsWhatStays(t *testing.T) {
	_, addr := serve(t, newFake(t), nil)
	p := dial(t, "tcp", addr.String())
	for i := range 300 {
		p.want(fmt.Sprintf("SET stay:%04d v", i), "+OK")
		p.want(fmt.Sprintf("SET go:%04d v", i), "+OK")
	}
	n := 0
	churn := func() {
		p.do(fmt.Sprintf("DEL go:%04d", n*7%300))
		p.do(fmt.Sprintf("SET come:%04d v", n))
		p.do(fmt.Sprintf("SET stay:%04d w", n*13%300))
		n++
	}
	for _, options := range []string{"", " COUNT 7", " MATCH stay:* COUNT 50", " MATCH *ay:*", " COUNT 100000"} {
		found := map[string]int{}
		for _, key := range scanAll(t, p, options, churn) {
			found[key]++
		}
		for i := range 300 {
			if key := fmt.Sprintf(`"stay:%04d"`, i); found[key] != 1 {
				t.Fatalf("SCAN%s found %s %d times, want once", options, key, found[key])
			}
		}
	}
}

func TestScanRefusesCursorsItDoesNotKnow(t *testing.T) {
	_, addr := serve(t, newFake(t), nil)
	p := dial(t, "tcp", addr.String())
	p.want("SCAN 12345", "-ERR invalid cursor")
	p.want("SCAN -1", "-ERR invalid cursor")
	p.want("SCAN 99999999999999999999999", "-ERR invalid cursor")

	// Cursors of long keys push each other out.
	long := strings.Repeat("k", 60_000)
	for i := range 80 {
		p.want(fmt.Sprintf("SET %s%02d v", long, i), "+OK")
	}
	keys := scanAll(t, p, " COUNT 1", func() {})
	if len(keys) != 80 {
		t.Errorf("SCAN found %d keys, want 80", len(keys))
	}
	reply := p.do("SCAN 0 COUNT 1")
	first, _, _ := strings.Cut(strings.TrimPrefix(reply, `["`), `"`)
	if got := p.do("SCAN " + first + " COUNT 1"); !strings.HasPrefix(got, "[") {
		t.Errorf("SCAN with the newest cursor = %.60s", got)
	}
	scanAll(t, p, " MATCH none* COUNT 1", func() {})
	scanAll(t, p, " COUNT 1", func() {})
	p.want("SCAN "+first+" COUNT 1", "-ERR invalid cursor")
}

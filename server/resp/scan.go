package resp

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"github.com/tidwall/redcon"

	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/server/command"
)

// scanRequest is what SCAN was asked for.
type scanRequest struct {
	after   []byte // the last key passed, nil at the start
	pattern command.Pattern
	count   int64
	nothing bool // keys of a type that no key has
}

// scanPage is what it answers.
type scanPage struct {
	keys [][]byte
	last []byte // the last key passed, nil at the end
}

// scan answers a page of keys. A key that is there from the first page to the
// last is in one of them, once: pages follow each other in the order of keys,
// and a cursor stands for the last key passed.
func (c *client) scan(args [][]byte) {
	q, problem := c.parseScan(args)
	if problem != "" {
		c.fail(string(problem))
		return
	}
	var page scanPage
	err := c.view(func(tx *kv.ReadTx) (err error) {
		page, err = q.walk(tx)
		return err
	})
	if err != nil {
		c.fail(errorText(err))
		return
	}
	cursor := uint64(0)
	if page.last != nil {
		cursor = c.s.cursors.add(page.last)
	}
	c.array(2)
	c.bulk(strconv.FormatUint(cursor, 10))
	c.array(len(page.keys))
	for _, key := range page.keys {
		c.out = redcon.AppendBulk(c.out, key)
	}
}

func (c *client) parseScan(args [][]byte) (q scanRequest, problem replyError) {
	q = scanRequest{count: 10, pattern: command.Compile([]byte("*"))}
	cursor, err := strconv.ParseUint(string(clip(args[1], 21)), 10, 64)
	if err != nil {
		return q, errCursor
	}
	r := &request{name: "scan", args: args}
	for i := 2; i < len(args); i += 2 {
		if i+1 == len(args) {
			return q, errSyntax
		}
		switch r.word(i) {
		case "COUNT":
			if q.count = r.int(i + 1); r.problem == "" && q.count < 1 {
				r.refuse(errSyntax)
			}
		case "MATCH":
			if len(args[i+1]) > command.MaxMatch {
				return q, replyError(fmt.Sprintf("ERR pattern of %d bytes, at most %d", len(args[i+1]), command.MaxMatch))
			}
			q.pattern = command.Compile(args[i+1])
		case "TYPE":
			q.nothing = !bytes.EqualFold(args[i+1], []byte("string"))
		default:
			r.refuse(errSyntax)
		}
		if r.problem != "" {
			return q, r.problem
		}
	}
	if cursor == 0 {
		return q, ""
	}
	var known bool
	if q.after, known = c.s.cursors.find(cursor); !known {
		return q, errCursor
	}
	return q, ""
}

const errCursor replyError = "ERR invalid cursor"

// maxScan is how many bytes of keys a page passes before it ends.
const maxScan = 1 << 20

func (q *scanRequest) walk(tx *kv.ReadTx) (scanPage, error) {
	r := q.pattern.Range()
	if q.after != nil {
		if from := append(slices.Clone(q.after), 0); bytes.Compare(from, r.Lo) > 0 {
			r.Lo = from
		}
	}
	var page scanPage
	passed, size := int64(0), 0
	for row, err := range tx.Scan(r) {
		if err != nil {
			return scanPage{}, err
		}
		if !q.nothing && q.pattern.Match(row.Key) {
			page.keys = append(page.keys, bytes.Clone(row.Key))
		}
		size += len(row.Key)
		if passed++; passed >= q.count || size >= maxScan {
			page.last = bytes.Clone(row.Key)
			break
		}
	}
	return page, nil
}

package kvtest

import (
	"fmt"
	"strings"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/kv"
)

// randomIndexes are what the random steps index, and how a model finds the
// value that an index of the store has to find.
var randomIndexes = [...]struct {
	prefix string
	index  kv.Index
	value  func(value string) (string, bool)
}{
	{"", kv.Index{Name: "first", Bytes: &kv.ByteRange{Len: 1}}, func(v string) (string, bool) {
		return v[:min(len(v), 1)], v != ""
	}},
	{"a", kv.Index{Name: "number", KeyPrefix: []byte("a"), JSONPath: "n", JSONType: kv.JSONNumber}, func(v string) (string, bool) {
		var n int
		_, err := fmt.Sscanf(v, `{"n":%d}`, &n)
		return string(kv.NumberKey(float64(n))), err == nil
	}},
	{"", kv.Index{Name: "word", Extractor: "first-word", Version: 1}, func(v string) (string, bool) {
		word, _, ok := strings.Cut(v, " ")
		return word, ok
	}},
}

// changeIndex creates an index, builds it further, or drops it.
func (r *run) changeIndex() {
	i := r.rnd.IntN(len(randomIndexes))
	x, m := randomIndexes[i].index, &r.model.indexes[i]
	r.update(func(t *kv.WriteTx) error {
		switch limit := 1 + r.rnd.IntN(8); {
		case m.state == indexNone:
			*m = modelIndex{state: indexBegun}
			return t.CreateIndex(x)
		case m.state == indexReady && r.rnd.IntN(3) == 0:
			m.state = indexNone
			return t.DropIndex(x.Name)
		case m.state == indexBegun:
			done, err := t.BuildIndex(x.Name, limit)
			same(&r.probe, "BuildIndex", done, r.model.build(i, limit))
			return err
		}
		return nil
	})
}

// query asks an index for all it has, or for some of it, page by page.
func (r *run) query() {
	i := r.rnd.IntN(len(randomIndexes))
	draw := func() string {
		v, _ := randomIndexes[i].value(r.val())
		return v
	}
	q := kv.Query{Reverse: r.rnd.IntN(2) == 0, Limit: 1 + r.rnd.IntN(10)}
	a, b := draw(), draw()
	want := func(string) bool { return true }
	switch r.rnd.IntN(4) {
	case 0:
		q.Exact, want = []byte(a), func(v string) bool { return v == a }
	case 1:
		q.Lo, q.Hi, want = []byte(a), []byte(b), func(v string) bool { return v >= a && (b == "" || v < b) }
	case 2:
		q.Prefix, want = []byte(a), func(v string) bool { return strings.HasPrefix(v, a) }
	}
	r.queryOf(i, q, want)
}

func (r *run) queryOf(i int, q kv.Query, want func(value string) bool) {
	q.Index = randomIndexes[i].index.Name
	if state := r.model.indexes[i].state; state != indexReady {
		refused := fault.ErrInvalid
		if state == indexNone {
			refused = fault.ErrNotFound
		}
		_, err := r.s.Query(r.ctx, q)
		r.is("Query", err, refused)
		return
	}
	var got []string
	for more := r.pages(); more(q.Cursor); {
		page, err := r.s.Query(r.ctx, q)
		r.ok("Query", err)
		for _, row := range page.Rows {
			got = append(got, string(row.Key))
		}
		q.Cursor = page.Next
	}
	r.sameKeys(fmt.Sprintf("Query(%+v)", q), got, r.model.query(i, want, q.Reverse))
}

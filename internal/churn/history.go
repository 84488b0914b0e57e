package churn

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// operation is one that a client made: a put of value, or a get that saw it.
type operation struct {
	client  int
	put     bool
	key     string
	value   string
	at, end time.Duration // end 0: nobody knows when, or whether
}

// history is what all clients saw.
type history struct {
	began time.Time

	mu  sync.Mutex
	ops []operation
}

func (h *history) now() time.Duration { return time.Since(h.began) }

func (h *history) add(op operation) {
	if op.end == 0 && !op.put {
		return // changed nothing, and saw nothing
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
}

func (h *history) keys() map[string]bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	keys := map[string]bool{}
	for _, op := range h.ops {
		keys[op.key] = true
	}
	return keys
}

// register is a model of one key.
var register = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		op := input.(operation)
		if op.put {
			return true, op.value
		}
		return op.value == state.(string), state
	},
}

// check fails t unless the operations on each key can be put into an order that
// explains all of them.
func (h *history) check(t testing.TB) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	byKey := map[string][]operation{}
	for _, op := range h.ops {
		byKey[op.key] = append(byKey[op.key], op)
	}
	for key, ops := range byKey {
		ops = observed(ops)
		if result := porcupine.CheckOperationsTimeout(register, translate(ops), time.Minute); result != porcupine.Ok {
			t.Errorf("history of key %s: %v\n%s", key, result, describe(ops))
		}
	}
}

// observed leaves out puts of which nobody knows whether they were made and
// whose value nobody saw: an order that explains the rest needs them not.
func observed(ops []operation) []operation {
	seen := map[string]bool{}
	for _, op := range ops {
		if !op.put {
			seen[op.value] = true
		}
	}
	return slices.DeleteFunc(ops, func(op operation) bool { return op.end == 0 && !seen[op.value] })
}

func translate(ops []operation) (all []porcupine.Operation) {
	for _, op := range ops {
		end := int64(op.end)
		if end == 0 {
			end = math.MaxInt64
		}
		all = append(all, porcupine.Operation{ClientId: op.client, Input: op, Call: int64(op.at), Return: end})
	}
	return all
}

func describe(ops []operation) string {
	slices.SortFunc(ops, func(a, b operation) int { return int(a.at - b.at) })
	var b strings.Builder
	for _, op := range ops {
		verb := "get"
		if op.put {
			verb = "put"
		}
		fmt.Fprintf(&b, "%12v %12v client %d %s %q\n", op.at, op.end, op.client, verb, op.value)
	}
	return b.String()
}

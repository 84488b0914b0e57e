package kv_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"runtime"
	"testing"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/internal/frame"
	"github.com/trimarandb/trimaran/internal/race"
	"github.com/trimarandb/trimaran/kv"
	"github.com/trimarandb/trimaran/kv/memkv"
)

// What a stream claims costs no memory: only what it brings does.
func TestAHostileStreamCostsLittle(t *testing.T) {
	header := pieces(t, export(t, openMemory(t, nil)))[0]
	long := func(n uint32) []byte {
		h := frame.Append(nil, 3, streamSeed, nil)
		binary.LittleEndian.PutUint32(h, n)
		binary.LittleEndian.PutUint32(h[12:], frame.Sum(streamSeed, h[:12]))
		return append(joined(header), h...)
	}
	rows := binary.BigEndian.AppendUint32(nil, 1)
	rows = binary.BigEndian.AppendUint32(rows, math.MaxUint32) // a row of 4 GiB
	trailer := append(make([]byte, 80), 0xff, 0xff, 0xff, 0xff)
	var definitions []byte
	for i := range 1 << 14 {
		s := fmt.Sprintf("x%06d", i)
		payload := append([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 7}, s...)
		payload = append(payload, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1)
		definitions = append(definitions, joined(piece{2, payload})...)
	}
	for name, tc := range map[string]struct {
		stream []byte
		want   error
	}{
		"a frame of 64 MiB that is not there": {long(64 << 20), fault.ErrCorrupt},
		"a frame of 4 GiB":                    {long(math.MaxUint32), fault.ErrInvalid},
		"a row longer than its frame":         {joined(header, piece{3, append(rows, "k"...)}), fault.ErrCorrupt},
		"a membership longer than its frame":  {joined(header, piece{4, trailer}), fault.ErrCorrupt},
		"more indexes than there may be":      {append(joined(header), definitions...), fault.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			s := openMemory(t, nil)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := s.Import(t.Context(), bytes.NewReader(tc.stream), nil)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, tc.want) {
				t.Errorf("Import = %v, want %v", err, tc.want)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
				t.Errorf("it took %d bytes of memory to refuse %d", n, len(tc.stream))
			}
		})
	}
}

// endless is an engine that makes up its rows as they are read and forgets what
// is written, so that what remains is what the store itself needs.
type endless struct {
	kv.Driver
	rows int
}

func (e endless) Begin(ctx context.Context, writable bool) (kv.DriverTx, error) {
	t, err := e.Driver.Begin(ctx, writable)
	return endlessTx{t, e.rows}, err
}

func (e endless) Fresh(context.Context) (kv.Ingester, error) { return forgetful{}, nil }

type endlessTx struct {
	kv.DriverTx
	rows int
}

func (t endlessTx) Scan(r kv.Range) iter.Seq2[kv.Pair, error] {
	if len(r.Lo) == 0 || r.Lo[0] != 1 { // no row
		return t.DriverTx.Scan(r)
	}
	return func(yield func(kv.Pair, error) bool) {
		value := append([]byte{0x10}, make([]byte, 1000)...)
		for i := range t.rows {
			if !yield(kv.Pair{Key: fmt.Appendf([]byte{1}, "%09d", i), Value: value}, nil) {
				return
			}
		}
	}
}

type forgetful struct{}

func (forgetful) Put(_, _ []byte) error { return nil }
func (forgetful) Sync() error           { return nil }
func (forgetful) Switch() error         { return nil }
func (forgetful) Discard() error        { return nil }

// Neither an export nor an import needs more memory for a longer stream, also
// of one that turns out to be damaged at its end.
func TestALongStreamCostsLittle(t *testing.T) {
	const most = 24 << 20
	rows := race.Either(150_000, 50_000)
	db, err := memkv.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, endless{db, rows}, nil)
	for _, damaged := range []bool{false, true} {
		var peak uint64
		runtime.GC()
		var before runtime.MemStats
		runtime.ReadMemStats(&before)
		look := func(n, _ uint64) {
			var m runtime.MemStats
			if runtime.ReadMemStats(&m); m.HeapAlloc > before.HeapAlloc {
				peak = max(peak, m.HeapAlloc-before.HeapAlloc)
			}
		}
		out, in := io.Pipe()
		var w io.Writer = in
		if damaged {
			w = &flip{w: in, at: int64(rows) * 1000}
		}
		go func() {
			_, err := s.Export(t.Context(), w)
			_ = in.CloseWithError(err)
		}()
		sum, err := s.Import(t.Context(), out, &kv.ImportOptions{Progress: look})
		if damaged && !errors.Is(err, fault.ErrCorrupt) || !damaged && (err != nil || sum.Rows != uint64(rows)) {
			t.Errorf("damaged %v: Import = %d rows, %v", damaged, sum.Rows, err)
		}
		_ = out.Close() // who exports may not be done
		if peak > most {
			t.Errorf("damaged %v: a stream of %d rows of 1000 bytes took %d bytes of memory, want at most %d", damaged, rows, peak, most)
		}
	}
}

// flip changes the byte at an offset.
type flip struct {
	w       io.Writer
	off, at int64
}

func (l *flip) Write(b []byte) (int, error) {
	if l.off <= l.at && l.at < l.off+int64(len(b)) {
		b = bytes.Clone(b)
		b[l.at-l.off]++
	}
	n, err := l.w.Write(b)
	l.off += int64(n)
	return n, err
}

package peer

import "github.com/tidwall/wal"

// Tidwall is tidwall/wal. It has no checksums.
func Tidwall() Kind {
	return Kind{Name: "tidwall/wal", Version: "v1.2.1", Open: openTidwall}
}

type tidwall struct {
	log   *wal.Log
	batch wal.Batch
}

func openTidwall(dir string, o Options) (Log, error) {
	wo := *wal.DefaultOptions
	wo.NoSync = o.Relaxed
	l, err := wal.Open(dir, &wo)
	if err != nil {
		return nil, err
	}
	return &tidwall{log: l}, nil
}

func (t *tidwall) Append(first uint64, payloads [][]byte) error {
	if len(payloads) == 1 {
		return t.log.Write(first, payloads[0])
	}
	t.batch.Clear()
	for i, p := range payloads {
		t.batch.Write(first+uint64(i), p)
	}
	return t.log.WriteBatch(&t.batch)
}

func (t *tidwall) Read(lo, hi uint64, visit func(uint64, []byte) error) error {
	for i := lo; i < hi; i++ {
		p, err := t.log.Read(i)
		if err != nil {
			return err
		}
		if err := visit(i, p); err != nil {
			return err
		}
	}
	return nil
}

func (t *tidwall) Get(index uint64) ([]byte, error) { return t.log.Read(index) }
func (t *tidwall) DropFront(index uint64) error     { return t.log.TruncateFront(index) }
func (t *tidwall) DropBack(index uint64) error      { return t.log.TruncateBack(index - 1) }
func (t *tidwall) Sync() error                      { return t.log.Sync() }
func (t *tidwall) Close() error                     { return t.log.Close() }

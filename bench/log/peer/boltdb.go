package peer

import (
	"os"
	"path/filepath"

	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// BoltDB is hashicorp/raft-boltdb. Its pages have no checksum.
func BoltDB() Kind {
	return Kind{Name: "raft-boltdb", Version: "v2.3.1", Open: openBoltDB}
}

type boltDB struct {
	hashicorpLog
	store *raftboltdb.BoltStore
}

func openBoltDB(dir string, o Options) (Log, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	s, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(dir, "raft.db"), NoSync: o.Relaxed})
	if err != nil {
		return nil, err
	}
	return &boltDB{hashicorpLog: hashicorpLog{store: s}, store: s}, nil
}

func (b *boltDB) Sync() error  { return b.store.Sync() }
func (b *boltDB) Close() error { return b.store.Close() }

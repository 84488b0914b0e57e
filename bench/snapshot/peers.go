package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"

	"github.com/hashicorp/raft"
	"github.com/klauspost/compress/zstd"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.uber.org/zap"

	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/snapshot/dirbucket"
)

// peer is one way to keep a snapshot of the state. run does a job in its
// process; what it returns is added to the sample.
type peer struct {
	name    string
	version string
	run     func(job) (sample, error)
}

const (
	ownZstd, ownNone, ownLZ4 = "trimaran zstd", "trimaran none", "trimaran lz4"
	fileStore, etcdSnap      = "FileSnapshotStore", "etcd snap"
	stream2, stream1         = "klauspost zstd c2", "klauspost zstd c1"
	tool1, tool3, tool3T0    = "zstd -1", "zstd -3", "zstd -3 -T0"
)

func peers() []peer {
	raftVersion, etcdVersion := version("github.com/hashicorp/raft"), version("go.etcd.io/etcd/server/v3")
	codecVersion := version("github.com/klauspost/compress")
	all := []peer{
		{ownZstd, "here", own(snapshot.CodecZstd)},
		{ownNone, "here", own(snapshot.CodecNone)},
		{ownLZ4, "here", own(snapshot.CodecLZ4)},
		{fileStore, "hashicorp/raft " + raftVersion, hashicorp},
		{etcdSnap, etcdVersion, etcd},
		{stream2, codecVersion, klauspost(2)},
		{stream1, codecVersion, klauspost(1)},
	}
	if out, err := exec.Command("zstd", "-q", "--version").Output(); err == nil {
		v := string(out[:max(0, len(out)-1)])
		all = append(all, peer{tool1, v, tool("-1")}, peer{tool3, v, tool("-3")}, peer{tool3T0, v, tool("-3", "-T0")})
	}
	return all
}

func find(name string) (peer, error) {
	for _, p := range peers() {
		if p.name == name {
			return p, nil
		}
	}
	return peer{}, fmt.Errorf("no peer %q", name)
}

func version(module string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, m := range info.Deps {
		if m.Path == module {
			return m.Version
		}
	}
	return "unknown"
}

// own is the store on a directory.
func own(codec snapshot.Codec) func(job) (sample, error) {
	return func(j job) (s sample, err error) {
		store, err := openStore(j.Dir)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		ctx := context.Background()
		if j.Op == opRead {
			m, err := store.Latest(ctx)
			if err != nil {
				return nil, err
			}
			r, err := store.Open(ctx, m.ID)
			if err != nil {
				return nil, err
			}
			return nil, errors.Join(j.drain(r), r.Close())
		}
		m, err := create(ctx, store, codec, 1, j.feed)
		return sample{colStored.name: float64(m.StoredSize)}, err
	}
}

func openStore(dir string) (*snapshot.Store, error) {
	b, err := dirbucket.Open(dir, nil)
	if err != nil {
		return nil, err
	}
	return snapshot.New(b, &snapshot.Options{NoMembership: true})
}

func create(ctx context.Context, s *snapshot.Store, codec snapshot.Codec, index uint64, feed func(io.Writer) error) (snapshot.Meta, error) {
	w, err := s.Create(ctx, snapshot.Info{Index: index, Term: 1}, &snapshot.CreateOptions{Codec: codec})
	if err != nil {
		return snapshot.Meta{}, err
	}
	defer w.Close()
	if err := feed(w); err != nil {
		return snapshot.Meta{}, err
	}
	return w.Commit()
}

func hashicorp(j job) (sample, error) {
	store, err := raft.NewFileSnapshotStore(j.Dir, 1, io.Discard)
	if err != nil {
		return nil, err
	}
	if j.Op == opRead {
		list, err := store.List()
		if err != nil || len(list) == 0 {
			return nil, errors.Join(err, errors.New("no snapshot"))
		}
		_, r, err := store.Open(list[0].ID)
		if err != nil {
			return nil, err
		}
		return nil, errors.Join(j.drain(r), r.Close())
	}
	sink, err := store.Create(raft.SnapshotVersionMax, 1, 1, raft.Configuration{}, 1, nil)
	if err != nil {
		return nil, err
	}
	if err := j.feed(sink); err != nil {
		return nil, errors.Join(err, sink.Cancel())
	}
	return nil, sink.Close()
}

// etcd is the part of etcd's snapshotter that streams.
func etcd(j job) (sample, error) {
	if err := os.MkdirAll(j.Dir, 0o700); err != nil {
		return nil, err
	}
	s := snap.New(zap.NewNop(), j.Dir)
	if j.Op == opRead {
		path, err := s.DBFilePath(1)
		if err != nil {
			return nil, err
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		return nil, errors.Join(j.drain(f), f.Close())
	}
	f, err := os.Open(j.State)
	if err != nil {
		return nil, err
	}
	_, err = s.SaveDBFrom(io.LimitReader(f, j.Size), 1)
	return nil, errors.Join(err, f.Close())
}

// klauspost is a stream encoder with its fastest level on a file that is synced.
func klauspost(workers int) func(job) (sample, error) {
	return func(j job) (_ sample, err error) {
		if j.Op == opRead {
			f, err := os.Open(j.file())
			if err != nil {
				return nil, err
			}
			defer f.Close()
			d, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(workers))
			if err != nil {
				return nil, err
			}
			defer d.Close()
			return nil, j.drain(d)
		}
		f, err := j.makeFile()
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		e, err := zstd.NewWriter(f, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(workers))
		if err != nil {
			return nil, err
		}
		if err := errors.Join(j.feed(e), e.Close()); err != nil {
			return nil, err
		}
		return stored(f)
	}
}

// tool is the zstd command; what it wrote is synced.
func tool(args ...string) func(job) (sample, error) {
	return func(j job) (_ sample, err error) {
		if j.Op == opRead {
			return nil, command("zstd", "-q", "-d", "-c", j.file()) // its output is /dev/null
		}
		f, err := j.makeFile()
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		if err := command("zstd", append(args, "-q", "-f", "-k", j.State, "-o", j.file())...); err != nil {
			return nil, err
		}
		return stored(f)
	}
}

func command(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

func (j job) file() string { return filepath.Join(j.Dir, "state.zst") }

func (j job) makeFile() (*os.File, error) {
	if err := os.MkdirAll(j.Dir, 0o700); err != nil {
		return nil, err
	}
	return os.Create(j.file())
}

// stored syncs a file and says how long it is.
func stored(f *os.File) (sample, error) {
	if err := f.Sync(); err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return sample{colStored.name: float64(info.Size())}, nil
}

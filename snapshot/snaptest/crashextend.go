package snaptest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/trimarandb/trimaran/snapshot"
	"github.com/trimarandb/trimaran/vfs"
)

// manner is how a script goes on after a crash.
type manner int

const (
	addOne  manner = iota // publish one more
	keepOne               // and remove all others
	takeOne               // receive one more, which leaves nothing staged
	resume                // finish the oldest transfer that is not finished
	manners
)

// manner depends on the state alone.
func (s *crashScript) manner(found int) (m manner, transfer int) {
	m = manner(uint32(found)*0x9e3779b1>>16) % manners
	for n := 1; n < labels; n += 2 {
		if m == resume && found&(1<<n) == 0 {
			return m, n
		}
	}
	return min(m, takeOne), extension
}

// Extend implements crashtest.Script.
func (s *crashScript) Extend(fsys vfs.FS, found int) error {
	site, err := openSite(s.open, fsys, s.seed+1, snapshot.Options{})
	if err != nil {
		return err
	}
	err = s.extend(site, found)
	return errors.Join(err, site.log.take(), site.close())
}

func (s *crashScript) extend(site *site, found int) error {
	ctx := context.Background()
	m, n := s.manner(found)
	l := s.labels[n]
	if m == takeOne || m == resume {
		if err := receive(ctx, site.Store, l); err != nil || m == resume {
			return err
		}
		infos, err := site.staging.List(".")
		if err == nil && len(infos) > 0 {
			err = fmt.Errorf("after the newest was received %v is staged", infos)
		}
		return err
	}
	_, err := commit(ctx, site.Store, l.info, l.content, &snapshot.CreateOptions{Codec: l.codec})
	if err != nil || m == addOne {
		return err
	}
	_, err = site.Prune(ctx, snapshot.Policy{Strategy: snapshot.KeepLatest, KeepCount: 1})
	return err
}

// receive takes a snapshot from elsewhere, as far as it is not here.
func receive(ctx context.Context, s *snapshot.Store, l *label) (err error) {
	far, err := l.elsewhere()
	if err != nil {
		return err
	}
	r, err := s.Receive(ctx, far.manifest)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for _, n := range r.Need() {
		if err := r.Put(n, bytes.NewReader(far.chunks[n])); err != nil {
			return err
		}
	}
	_, err = r.Commit()
	return err
}

// unextended returns the state before Extend if set and ids are what it leads
// to.
func (s *crashScript) unextended(set int, ids map[int]snapshot.ID, found int) (int, error) {
	want := found
	m, n := s.manner(found)
	if m == keepOne {
		want &= epochBits
	}
	if m == resume {
		want |= 1 << n
	}
	if _, ok := ids[extension]; set != want || ok == (m == resume) {
		return 0, fmt.Errorf("state %d, with the additional one: %v, want %d going on from %d", set, ok, want, found)
	}
	return found, nil
}

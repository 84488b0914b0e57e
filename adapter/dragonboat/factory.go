package dragonboat

import (
	"fmt"
	"path"
	"strings"

	"github.com/lni/dragonboat/v4/config"
	"github.com/lni/dragonboat/v4/raftio"

	"github.com/trimarandb/trimaran/fault"
	"github.com/trimarandb/trimaran/raftlog"
	"github.com/trimarandb/trimaran/raftlog/seglog"
)

// Name is how dragonboat notes, in the directory of a NodeHost, which LogDB it
// was made with. Frozen.
const Name = "trimaran"

// dirName is the directory of the log in that of the NodeHost. Frozen.
const dirName = "trimaran"

// Factory makes the LogDB of a NodeHost. It goes into
// NodeHostConfig.Expert.LogDBFactory.
type Factory struct {
	o Options
	d raftlog.Driver // nil: in the directory of the NodeHost
}

var _ config.LogDBFactory = (*Factory)(nil)

// NewFactory keeps the logs of a NodeHost in one segment log, in the directory
// "trimaran" below the one that the NodeHost uses: in NodeHostConfig.WALDir if
// that is set, else in NodeHostDir. The command trimaran looks into it.
func NewFactory(o *Options) *Factory { return &Factory{o: o.withDefaults()} }

// NewDriverFactory keeps the logs of a NodeHost in d, which stays the caller's
// and is closed after the NodeHost.
func NewDriverFactory(d raftlog.Driver) *Factory { return &Factory{d: d} }

// Name implements config.LogDBFactory.
func (f *Factory) Name() string { return Name }

// Create implements config.LogDBFactory. Errors to test for: fault.ErrLocked and
// *fault.Corruption.
func (f *Factory) Create(_ config.NodeHostConfig, _ config.LogDBCallback, dirs, walDirs []string) (raftio.ILogDB, error) {
	if f.d != nil {
		return result(NewLogDB(f.d))
	}
	if len(walDirs) > 0 && walDirs[0] != "" {
		dirs = walDirs
	}
	if len(dirs) == 0 {
		return nil, fmt.Errorf("open the log of a NodeHost: no directory: %w", fault.ErrInvalid)
	}
	dir := path.Join(dirs[0], dirName)
	if f.o.FS != nil {
		dir = strings.TrimPrefix(dir, "/") // names of an FS are relative to its root
	}
	return result(OpenLogDB(dir, &f.o))
}

// result keeps a nil LogDB from becoming an interface that is not nil.
func result(l *LogDB, err error) (raftio.ILogDB, error) {
	if err != nil {
		return nil, err
	}
	return l, nil
}

// OpenLogDB opens the LogDB in dir, and makes it if need be: a segment log.
// Errors to test for: fault.ErrLocked and *fault.Corruption.
func OpenLogDB(dir string, o *Options) (*LogDB, error) {
	opts := o.withDefaults()
	d, err := seglog.Open(dir, &seglog.Options{FS: opts.FS, Logger: opts.Logger})
	if err != nil {
		return nil, err
	}
	l, err := NewLogDB(d)
	if err != nil {
		return nil, joinClose(err, d)
	}
	l.driver = d
	return l, nil
}

package maildir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/mtakit/mtakit/internal/vfs"
)

// Options tunes a Dir. The zero value, and a nil pointer, are ready for use.
type Options struct {
	// Separator stands between base name and info. 0 means ':'. Windows and SMB shares cannot hold a colon; there
	// ';', '!' or '-' are in use. It is never guessed.
	Separator byte
	// Create makes the Maildir, mode 0700, when a delivery finds it missing. Missing parents are made too.
	Create bool
	// Namer makes base names. Nil means one that the package shares among all Dirs of the process.
	Namer *Namer
	// NoSync leaves out every fsync: fast, and what a crash does to the messages is then unknown. For fixtures.
	NoSync bool
	// VirtualSize adds ,W= (size with CRLF line ends) to the names of delivered messages, beside ,S=.
	VirtualSize bool
	// NoSize leaves ,S= out of the names of delivered messages.
	NoSize bool
	// Quota is enforced at delivery and kept up in the file maildirsize. The zero value means none. Small drift is part
	// of the format: the sums are counted anew when they look wrong.
	Quota Quota

	fs vfs.FS // tests put a faulty one here
}

// Dir is a Maildir. It holds no open files, and its methods may be called by several goroutines at once.
type Dir struct {
	path string
	opts Options
	fs   vfs.FS
	tmp  string // path of tmp with a final separator
	newd string // path of new, without
	cur  string
	root *Dir // of a folder: the Maildir that it is in
}

// sharedNamer serves every Dir without one of its own: its counter must be one per process.
var sharedNamer Namer

// New returns the Maildir at path. It does not touch the file system.
func New(path string, opts *Options) *Dir {
	d := new(Dir)
	if opts != nil {
		d.opts = *opts
	}
	if d.opts.Separator == 0 {
		d.opts.Separator = ':'
	}
	if d.opts.Namer == nil {
		d.opts.Namer = &sharedNamer
	}
	d.fs = d.opts.fs
	if d.fs == nil {
		d.fs = vfs.OS
	}
	d.path = filepath.Clean(path)
	sep := string(filepath.Separator)
	d.tmp, d.newd, d.cur = d.path+sep+"tmp"+sep, d.path+sep+"new", d.path+sep+"cur"
	return d
}

// Path returns the path of the Maildir.
func (d *Dir) Path() string { return d.path }

// Create makes the Maildir with cur, new and tmp, mode 0700, and missing parents. What exists is left alone.
// When it returns nil the directories survive a power failure.
func (d *Dir) Create() error {
	if err := d.mkdirAll(d.path); err != nil {
		return err
	}
	for _, sub := range [...]string{"tmp", "new", "cur"} {
		if err := d.fs.Mkdir(filepath.Join(d.path, sub), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return d.sync(d.path)
}

// mkdirAll makes dir and its parents, syncing each directory that got a new entry.
func (d *Dir) mkdirAll(dir string) error {
	err := d.fs.Mkdir(dir, 0o700)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrExist):
		fi, err := d.fs.Stat(dir)
		if err != nil {
			return err
		}
		if !fi.IsDir() {
			return fmt.Errorf("%s: is not a directory", dir)
		}
		return nil
	case errors.Is(err, fs.ErrNotExist):
		parent := filepath.Dir(dir)
		if parent == dir {
			return err
		}
		if err := d.mkdirAll(parent); err != nil {
			return err
		}
		if err := d.fs.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	default:
		return err
	}
	return d.sync(filepath.Dir(dir))
}

// Exists reports whether the Maildir is there: a directory with cur in it.
func (d *Dir) Exists() (bool, error) {
	fi, err := d.fs.Stat(d.cur)
	switch {
	case err == nil:
		return fi.IsDir(), nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	}
	return false, err
}

func (d *Dir) sync(dir string) error {
	if d.opts.NoSync {
		return nil
	}
	// Not shared among deliveries: journalling file systems do that themselves, and better.
	return d.fs.SyncDir(dir)
}

// openFlags are those of a new file in tmp: never an existing one, never through a link.
const openFlags = os.O_WRONLY | os.O_CREATE | os.O_EXCL | vfs.NoFollow

package queue

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/vfs"
)

// SuperSafe says how much care new and changed entries get.
type SuperSafe uint8

// Values of SuperSafe, the sendmail option. Interactive differs from True only in what the caller does: it delivers from
// the Draft and commits what is left.
const (
	SuperSafeTrue        SuperSafe = iota // sync body, control file and directory
	SuperSafeInteractive                  // the same, at the commit
	SuperSafePostMilter                   // the same
	SuperSafeFalse                        // never sync: a power failure loses mail
)

// DirOptions tunes a Dir. The zero value is ready for use.
type DirOptions struct {
	// SuperSafe is sendmail's option of that name; the zero value is True.
	SuperSafe SuperSafe
	// SyncFS makes new messages durable with one syncfs(2) for all writers that wait, in place of an fsync for every file. It
	// may be faster with many writers where the spool has a file system of its own, and is slow where others write much
	// to the same one. Linux 5.8 or later, which reports write errors through it. Without effect on other systems, and when
	// the queue directories are on several file systems.
	SyncFS bool
	// Create makes the directory (mode 0700) when it is missing.
	Create bool
	// FileMode is sendmail's QueueFileMode. Zero means 0600.
	FileMode fs.FileMode
	// MaxRcpts is the most recipients that a unit of the default group has when it is queued; see Group.MaxRcpts.
	MaxRcpts int
	// Groups are the queue groups besides the default one, which is the directory itself.
	Groups []Group
	// MinFree is the number of bytes that must stay free on the file system. Zero does not ask.
	MinFree int64
	// MemoryBody is the size up to which a new body stays in memory until the first attempt is over. Zero means 64 KiB,
	// negative means none.
	MemoryBody int64
	// HeaderFlags are the mailer flags for which conditional headers (H?D?Date) are part of what Open reads. Empty means
	// "DFM": everything that sendmail adds to a message except Return-Path and Full-Name.
	HeaderFlags string
	// TrustedUID is a user besides the effective one and root whose control files are accepted. Zero means none.
	TrustedUID int
	// OrphanAge is how old a data file without control file must be before Recover removes it. Zero means one day.
	OrphanAge time.Duration
	// Listener receives EventProblem for damaged entries, with the text that sendmail logs. Nil discards.
	Listener mtakit.Listener

	fs vfs.FS // nil means the operating system's
}

// Group is a queue group: its own directory or directories below the queue directory. sendmail: the Q lines of
// sendmail.cf.
type Group struct {
	Name string
	// Path is relative to the queue directory; a trailing * takes every directory that begins so. Empty means Name.
	Path string
	// MaxRcpts is the most recipients that a unit has when it is queued; of one with more, several are made, and
	// Envelope.Units has them after the commit. Zero means any number. sendmail: r=.
	MaxRcpts int
}

// Dir is the spool on one machine: a Store in sendmail's files. Several processes, sendmail among them, may use one
// directory at once.
type Dir struct {
	opts   DirOptions
	fs     vfs.FS
	root   string
	spools []*spool
	whole  *groupSync // with SyncFS

	lazy atomic.Pointer[func()] // a Runner calls flush; see setLazy

	trashMu sync.Mutex // while a trash directory is made

	telling sync.Mutex // from the end of a claim until everybody heard of it, so that they hear things in order

	mu      sync.Mutex
	held    map[ID]*dirClaim // claims of this process
	notify  map[int]func(*Unit)
	nextKey int
}

// spool is one queue directory, with subdirectories for control and data files or without.
type spool struct {
	group      string
	name       string // as d lines name it: relative to the root, or "."
	path       string
	qf, df, xf string // where those files are
	qfSync     *groupSync
	dfSync     *groupSync // the same as qfSync when there are no subdirectories
	ordered    bool       // the file system keeps the order of changes; see nameThenSync
}

// file is the path of the file with the given first letter.
func (s *spool) file(letter byte, id ID) string {
	dir := s.qf
	switch letter {
	case 'd':
		dir = s.df
	case 'x':
		dir = s.xf
	}
	return dir + "/" + string(letter) + "f" + string(id)
}

// Open opens a queue directory, or with a trailing * every directory whose name begins so, as sendmail's option
// QueueDirectory has it. It does not read the entries; Recover and List do. On Windows there is no spool: a control file could not
// be replaced while its holder has it open.
func Open(path string, opts *DirOptions) (*Dir, error) {
	if runtime.GOOS == "windows" {
		return nil, fmt.Errorf("queue: a spool on windows: %w", errors.ErrUnsupported)
	}
	d := &Dir{held: make(map[ID]*dirClaim), notify: make(map[int]func(*Unit))}
	if opts != nil {
		d.opts = *opts
	}
	o := &d.opts
	if d.fs = o.fs; d.fs == nil {
		d.fs = vfs.OS
	}
	if o.FileMode == 0 {
		o.FileMode = 0o600
	}
	if o.MemoryBody == 0 {
		o.MemoryBody = 64 << 10
	}
	if o.HeaderFlags == "" {
		o.HeaderFlags = "DFM"
	}
	if o.OrphanAge == 0 {
		o.OrphanAge = 24 * time.Hour
	}
	if strings.HasSuffix(path, "*") {
		d.root = filepath.Dir(path)
	} else {
		d.root = filepath.Clean(path)
	}
	if o.Create && !strings.HasSuffix(path, "*") {
		if err := d.fs.Mkdir(d.root, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("queue: %w", err)
		}
	}
	if err := d.addSpools("", path); err != nil {
		return nil, err
	}
	for _, g := range o.Groups {
		if g.Path == "" {
			g.Path = g.Name
		}
		if err := d.addSpools(g.Name, d.root+"/"+g.Path); err != nil {
			return nil, err
		}
	}
	if o.SyncFS && o.SuperSafe != SuperSafeFalse {
		if d.fs == vfs.OS {
			if err := d.openWhole(); err != nil {
				return nil, fmt.Errorf("queue: %w", err)
			}
		} else if f, ok := d.fs.(wholeSyncer); ok {
			d.whole = &groupSync{sync: f.SyncFS}
		}
	}
	return d, nil
}

// sameDevice is false when it cannot be told.
func sameDevice(a, b string) bool {
	fa, aerr := os.Stat(a)
	fb, berr := os.Stat(b)
	if aerr != nil || berr != nil {
		return false
	}
	aa, aok := vfs.AttrOf(fa)
	ab, bok := vfs.AttrOf(fb)
	return aok && bok && aa.Dev == ab.Dev
}

// wholeSyncer is a file system of tests that can make everything durable at once.
type wholeSyncer interface{ SyncFS() error }

// addSpools finds the directories of one group.
func (d *Dir) addSpools(group, path string) error {
	prefix, many := strings.CutSuffix(path, "*")
	paths := []string{filepath.Clean(path)}
	if many {
		parent, base := filepath.Split(prefix)
		parent = filepath.Clean(parent)
		entries, err := d.fs.ReadDir(parent)
		if err != nil {
			return fmt.Errorf("queue: %w", err)
		}
		paths = paths[:0]
		for _, e := range entries {
			p := parent + "/" + e.Name()
			if strings.HasPrefix(e.Name(), base) && d.isDir(p) {
				paths = append(paths, p)
			}
		}
	}
	for _, p := range paths {
		if !d.isDir(p) {
			return fmt.Errorf("queue: %s is not a directory", p)
		}
		d.spools = append(d.spools, d.newSpool(group, p))
	}
	if len(paths) == 0 {
		return fmt.Errorf("queue: no directory matches %s", path)
	}
	return nil
}

func (d *Dir) newSpool(group, path string) *spool {
	s := &spool{group: group, path: path, qf: path, df: path, xf: path, name: "."}
	if rel, err := filepath.Rel(d.root, path); err == nil {
		s.name = rel
	}
	for sub, field := range map[string]*string{"qf": &s.qf, "df": &s.df, "xf": &s.xf} {
		if p := path + "/" + sub; d.isDir(p) {
			*field = p
		}
	}
	s.qfSync = d.newDirSync(s.qf)
	s.dfSync = s.qfSync
	if s.df != s.qf {
		s.dfSync = d.newDirSync(s.df)
	}
	s.ordered = d.keepsOrder(s)
	return s
}

// keepsOrder reports whether messages in a spool may be named before they are synced.
func (d *Dir) keepsOrder(s *spool) bool {
	if d.opts.SuperSafe == SuperSafeFalse {
		return false
	}
	if d.fs != vfs.OS {
		_, ok := d.fs.(orderedFS)
		return ok
	}
	return sameDevice(s.df, s.qf) && ordersChanges(s.qf)
}

func (d *Dir) newDirSync(path string) *groupSync {
	return &groupSync{sync: func() error { return d.fs.SyncDir(path) }, freed: func() {
		if wake := d.lazy.Load(); wake != nil {
			(*wake)()
		}
	}}
}

func (d *Dir) isDir(path string) bool {
	fi, err := d.fs.Stat(path)
	return err == nil && fi.IsDir()
}

// choose picks a directory of a group: one at random, then the next with room.
func (d *Dir) choose(group string) (*spool, error) {
	var in []*spool
	for _, s := range d.spools {
		if s.group == group {
			in = append(in, s)
		}
	}
	if len(in) == 0 {
		return nil, fmt.Errorf("queue: no group %q", group)
	}
	first := 0
	if len(in) > 1 {
		first = rand.IntN(len(in))
	}
	for i := range in {
		if s := in[(first+i)%len(in)]; d.hasRoom(s) {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%w: less than %d bytes free", ErrFull, d.opts.MinFree)
}

func (d *Dir) hasRoom(s *spool) bool {
	if d.opts.MinFree <= 0 || d.fs != vfs.OS {
		return true
	}
	free, ok := freeBytes(s.df)
	return !ok || free >= d.opts.MinFree // where it cannot be told, the writes will
}

func (d *Dir) spoolNamed(name string) *spool {
	for _, s := range d.spools {
		if s.name == name {
			return s
		}
	}
	return nil
}

// sync makes a file durable, if that is wanted.
func (d *Dir) sync(f vfs.File) error {
	if d.opts.SuperSafe == SuperSafeFalse {
		return nil
	}
	return f.Sync()
}

func (d *Dir) syncDir(s *groupSync) error {
	if d.opts.SuperSafe == SuperSafeFalse {
		return nil
	}
	return s.wait()
}

// setLazy lets removals wait for the next sync of their directory, until flush; wake is called when flush has something
// to do and must not block. Nil ends that. The Runner uses it.
func (d *Dir) setLazy(wake func()) {
	if wake == nil {
		d.lazy.Store(nil)
	} else {
		d.lazy.Store(&wake)
	}
}

// flush finishes removals: those that are safe, or with all every one, which may take a sync.
func (d *Dir) flush(all bool) error {
	var errs []error
	for _, sp := range d.spools {
		errs = append(errs, sp.qfSync.flush(all, d.opts.SuperSafe == SuperSafeFalse, d.fs.Remove))
	}
	return errors.Join(errs...)
}

// Notify calls f for every unit that this process makes ready to be tried without keeping the claim on it: after
// Draft.Commit, Claim.Reschedule, Claim.Release and Admin, in that order for one unit. f must not block, nor end claims.
// The Runner uses it; stop ends it.
func (d *Dir) Notify(f func(*Unit)) (stop func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := d.nextKey
	d.nextKey++
	d.notify[key] = f
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.notify, key)
	}
}

// tellOf tells about a unit that came back without a claim.
func (d *Dir) tellOf(ctx context.Context, id ID) error {
	d.telling.Lock()
	defer d.telling.Unlock()
	u, err := d.Get(ctx, id)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUncertain, err) // it is there, but nobody was told
	}
	if u.State <= Deferred {
		d.tell(u)
	}
	return nil
}

// tell calls those who asked with Notify. The caller has telling, and had it before the unit was free for others.
func (d *Dir) tell(u *Unit) {
	d.mu.Lock()
	fs := make([]func(*Unit), 0, len(d.notify))
	for _, f := range d.notify {
		fs = append(fs, f)
	}
	d.mu.Unlock()
	for _, f := range fs {
		f(u)
	}
}

func (d *Dir) problem(id ID, text string, err error) {
	if d.opts.Listener != nil {
		d.opts.Listener(mtakit.Event{Time: time.Now(), Kind: mtakit.EventProblem, ID: string(id), Text: text, Err: err})
	}
}

// storeError gives an error of the file system its place among the errors of a Store.
func storeError(id ID, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrFull), errors.Is(err, ErrUnavailable), errors.Is(err, ErrConflict), errors.Is(err, ErrUncertain),
		errors.Is(err, ErrNotFound), errors.Is(err, ErrDamaged), errors.Is(err, ErrClaimLost),
		errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: %w", id, err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EMFILE),
		errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM), errors.Is(err, syscall.EFBIG):
		return fmt.Errorf("%s: %w: %w", id, ErrFull, err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: %w: %w", id, ErrNotFound, err)
	}
	return fmt.Errorf("%s: %w: %w", id, ErrUnavailable, err)
}

// trusted reports whether a control file may be believed, by owner and mode.
func (d *Dir) trusted(fi fs.FileInfo) (ok bool, text string) {
	mode := fi.Mode().Perm()
	bad := mode&0o002 != 0 || mode&0o020 != 0 && d.opts.FileMode&0o020 == 0
	attr, known := vfs.AttrOf(fi)
	uid, gid := attr.UID, attr.GID
	if known {
		if uid != os.Geteuid() && os.Geteuid() != os.Getuid() && (d.opts.TrustedUID == 0 || uid != d.opts.TrustedUID) {
			bad = true
		}
	}
	if bad {
		return false, fmt.Sprintf("bogus queue file, uid=%d, gid=%d, mode=%o", uid, gid, mode)
	}
	return true, ""
}

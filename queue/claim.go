package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mtakit/mtakit/internal/filelock"
	"github.com/mtakit/mtakit/internal/vfs"
	"github.com/mtakit/mtakit/queue/qf"
)

// dirClaim is a unit whose control file this process has locked.
type dirClaim struct {
	d        *Dir
	sp       *spool
	id       ID
	letter   byte     // q or h
	lock     vfs.File // the control file, locked
	file     *qf.File
	unit     *Unit
	dataPath string
	mem      []byte // the body of a small new message, nil when it has to be read
	version  uint64
	fresh    bool // made by this process, never read back
	linked   bool // dataPath is a link made for this unit
	visible  bool // the control file has its name
	ended    atomic.Bool
}

func (c *dirClaim) path() string { return c.sp.file(c.letter, c.id) }

func (c *dirClaim) Unit() *Unit { return c.unit }

func (c *dirClaim) Valid() bool { return !c.ended.Load() }

func (c *dirClaim) lost() error { return fmt.Errorf("%s: %w", c.id, ErrClaimLost) }

// noBody is what sendmail delivers when the data file is missing.
const noBody = "<<< No Message Collected >>>\n"

func (c *dirClaim) Open(context.Context) (io.ReadCloser, error) {
	if c.ended.Load() {
		return nil, c.lost()
	}
	if c.mem != nil {
		return &message{header: c.unit.Header, mem: c.mem}, nil
	}
	return openBody(c.d.fs, c.id, c.unit.Header, c.dataPath)
}

func openBody(fsys vfs.FS, id ID, header []byte, path string) (io.ReadCloser, error) {
	f, err := fsys.OpenFile(path, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return &message{header: header, mem: []byte(noBody)}, nil
	}
	if err != nil {
		return nil, storeError(id, err)
	}
	return &message{header: header, file: f}, nil
}

// writeTemp writes the next version of the control file under its temporary name and keeps it open and locked in c.lock.
// A due time is kept as the modification time of the file: sendmail does not look at it, and it costs no line.
func (c *dirClaim) writeTemp(f *qf.File, due *time.Time, sync func(vfs.File) error) (err error) {
	path := c.sp.file('t', c.id)
	t, err := c.openTemp(path)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			t.Close()
			c.d.fs.Remove(path)
		}
	}()
	if _, err = t.Write(f.Append(make([]byte, 0, 1024))); err != nil {
		return err
	}
	if due != nil && !due.IsZero() {
		if err = c.d.fs.Chtimes(path, time.Now(), *due); err != nil {
			return err
		}
	}
	if err = sync(t); err != nil {
		return err
	}
	fi, err := t.Stat()
	if err != nil {
		return err
	}
	if c.lock != nil {
		c.lock.Close()
	}
	c.lock, c.version = t, versionOf(fi)
	return nil
}

// openTemp creates and locks the temporary file. One that is there already was left by a process that died, unless it
// is locked.
func (c *dirClaim) openTemp(path string) (vfs.File, error) {
	for range 32 {
		t, err := c.d.fs.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, c.d.opts.FileMode)
		if err == nil {
			ok, err := filelock.TryFlock(t, true)
			if ok && err == nil {
				return t, nil
			}
			t.Close()
			return nil, errors.Join(err, fmt.Errorf("%w: temporary control file is locked", ErrUnavailable))
		}
		if !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		if err := c.d.removeStale(path, nil); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: %s is in use", ErrUnavailable, path)
}

// errInUse is for a file that is no leftover.
var errInUse = fmt.Errorf("%w: file in use", ErrUnavailable)

// removeStale removes a file unless somebody has it locked. With still, that must be true when we have the lock: between a
// look at a directory and the lock anything may have happened.
func (d *Dir) removeStale(path string, still func() (bool, error)) error {
	f, err := d.fs.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	defer f.Close()
	ok, err := filelock.TryFlock(f, true)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%w: %s is locked", errInUse, path)
	}
	named, err := d.fs.Lstat(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	open, err := f.Stat()
	if err == nil && !sameFile(named, open) {
		err = fmt.Errorf("%w: %s is another file now", errInUse, path)
	}
	if err != nil {
		return err
	}
	if still != nil {
		switch ok, err := still(); {
		case err != nil:
			return err
		case !ok:
			return fmt.Errorf("%w: %s is no leftover any more", errInUse, path)
		}
	}
	return d.fs.Remove(path)
}

// exists is false only when there is no such file.
func (d *Dir) exists(path string) (bool, error) {
	_, err := d.fs.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// undo takes back a unit whose message could not be committed. When that cannot be done either, the unit stays as it is,
// with its body, and the error is ErrUncertain.
func (c *dirClaim) undo() (err error) {
	if c.lock == nil && !c.linked {
		return nil
	}
	if c.visible {
		if rerr := c.d.fs.Remove(c.path()); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %s cannot be taken back: %w", ErrUncertain, c.id, rerr)
		}
	} else {
		c.d.fs.Remove(c.sp.file('t', c.id))
	}
	if c.linked && err == nil {
		c.d.fs.Remove(c.dataPath)
	}
	if c.lock != nil {
		filelock.Unlock(c.lock)
		c.lock.Close()
	}
	c.ended.Store(true)
	return err
}

// check makes sure that the locked file still has its name: a lock on a file that was renamed over protects nothing.
func (c *dirClaim) check() error {
	if c.ended.Load() {
		return c.lost()
	}
	named, err := c.d.fs.Lstat(c.path())
	if err == nil {
		var open fs.FileInfo
		if open, err = c.lock.Stat(); err == nil && sameFile(named, open) {
			return nil
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return storeError(c.id, err)
	}
	c.end()
	return c.lost()
}

// end gives up the claim in this process and the lock.
func (c *dirClaim) end() {
	if c.ended.Swap(true) {
		return
	}
	c.d.mu.Lock()
	if c.d.held[c.id] == c {
		delete(c.d.held, c.id)
	}
	c.d.mu.Unlock()
	filelock.Unlock(c.lock)
	c.lock.Close()
}

func (c *dirClaim) Release() {
	if c.ended.Load() {
		return
	}
	c.endAndTell()
}

// endAndTell gives up the claim and tells that the unit can be tried, if it can.
func (c *dirClaim) endAndTell() {
	c.d.telling.Lock()
	defer c.d.telling.Unlock()
	c.end()
	if c.letter == 'q' {
		c.d.tell(c.unit)
	}
}

func (c *dirClaim) Update(ctx context.Context, f func(*Unit)) error {
	return c.write(ctx, nil, f)
}

func (c *dirClaim) Reschedule(ctx context.Context, due time.Time, f func(*Unit)) error {
	if err := c.write(ctx, &due, f); err != nil {
		return err
	}
	c.endAndTell()
	return nil
}

func (c *dirClaim) write(ctx context.Context, due *time.Time, f func(*Unit)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	u := c.unit.clone()
	if f != nil {
		f(u)
	}
	if due != nil {
		u.Due = *due
	}
	if u.State == Ready && u.Attempts > 0 {
		u.State = Deferred
	} else if u.State == Deferred && u.Attempts == 0 {
		u.State = Ready
	}
	file := u.apply(c.file)
	if err := c.replace(file, due); err != nil {
		return storeError(c.id, err)
	}
	u.Version = c.version
	c.file, c.unit = file, u
	if err := c.d.syncDir(c.sp.qfSync); err != nil {
		return fmt.Errorf("%s: %w: %w", c.id, ErrUncertain, err)
	}
	return nil
}

// replace writes the control file anew and renames it over the old one. The lock moves with it.
func (c *dirClaim) replace(file *qf.File, due *time.Time) error {
	old := c.lock
	if err := c.put(file, due, c.path()); err != nil {
		return err
	}
	old.Close()
	return nil
}

// put writes a control file with the given name. On success c.lock is the lock of the new file and the caller has to
// close the old one; after an error everything is as before.
func (c *dirClaim) put(file *qf.File, due *time.Time, path string) error {
	old, version := c.lock, c.version
	c.lock = nil
	if err := c.writeTemp(file, due, c.d.sync); err != nil {
		c.lock = old
		return err
	}
	tmp := c.sp.file('t', c.id)
	if err := c.d.fs.Rename(tmp, path); err != nil {
		c.lock.Close()
		c.lock, c.version = old, version
		c.d.fs.Remove(tmp)
		return err
	}
	return nil
}

func (c *dirClaim) Complete(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.ended.Load() {
		return c.lost()
	}
	// The control file goes first, and the body when that is on disk: what is left after a crash is a body that nobody
	// asks for. sendmail does it the other way round and may deliver an empty message then.
	if err := c.d.fs.Remove(c.path()); err != nil {
		if errors.Is(err, fs.ErrNotExist) { // somebody without regard for locks
			c.end()
			return c.lost()
		}
		return storeError(c.id, err)
	}
	if !c.fresh {
		c.d.fs.Remove(c.sp.file('x', c.id)) // normally there is none
	}
	c.end()
	c.sp.qfSync.removeLater(c.dataPath)
	if c.d.lazy.Load() != nil {
		return nil // the next accepted message syncs the directory anyway
	}
	c.d.flush(true)
	return nil
}

func (c *dirClaim) Hold(ctx context.Context, s State, reason string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.check(); err != nil {
		return err
	}
	u := c.unit.clone()
	letter := byte('h')
	switch s {
	case Held:
		if !strings.HasPrefix(reason, holdPrefix) {
			reason = strings.TrimSuffix(holdPrefix+": "+reason, ": ")
		}
	case Quarantined:
		if reason == "" || strings.HasPrefix(reason, holdPrefix) {
			reason = "quarantined " + reason
		}
	case Ready, Deferred:
		letter, reason = 'q', ""
		s = Ready
		if u.Attempts > 0 {
			s = Deferred
		}
	default:
		return fmt.Errorf("%s: cannot hold as %v", c.id, s)
	}
	u.State, u.Quarantine = s, reason
	file := u.apply(c.file)
	err := c.rename(file, letter)
	if err != nil && !errors.Is(err, ErrUncertain) || c.letter != letter {
		return err
	}
	u.Version = c.version
	c.file, c.unit = file, u
	if err == nil {
		c.endAndTell()
	}
	return err
}

// rename writes the control file anew with another first letter. The old one goes when the new one is safe; while both
// are there, hf counts.
func (c *dirClaim) rename(file *qf.File, letter byte) error {
	if letter == c.letter {
		if err := c.replace(file, nil); err != nil {
			return storeError(c.id, err)
		}
		if err := c.d.syncDir(c.sp.qfSync); err != nil {
			return fmt.Errorf("%s: %w: %w", c.id, ErrUncertain, err)
		}
		return nil
	}
	oldLock, oldPath, newPath, version := c.lock, c.path(), c.sp.file(letter, c.id), c.version
	if err := c.put(file, nil, newPath); err != nil {
		return storeError(c.id, err)
	}
	err := c.d.syncDir(c.sp.qfSync)
	if err == nil {
		if err = c.d.fs.Remove(oldPath); err == nil {
			oldLock.Close()
			c.letter = letter
			if err = c.d.syncDir(c.sp.qfSync); err != nil {
				return fmt.Errorf("%s: %w: %w", c.id, ErrUncertain, err)
			}
			return nil
		}
	}
	c.lock.Close()
	c.lock, c.version = oldLock, version
	if rerr := c.d.fs.Remove(newPath); rerr != nil {
		return fmt.Errorf("%s: %w: %w", c.id, ErrUncertain, errors.Join(err, rerr))
	}
	return storeError(c.id, err)
}

func (c *dirClaim) Fork(ctx context.Context, spec UnitSpec) (Claim, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if len(spec.Rcpts) == 0 {
		return nil, fmt.Errorf("%s: fork without recipients", c.id)
	}
	n := &dirClaim{d: c.d, sp: c.sp, id: newID(), letter: 'q', mem: c.mem, fresh: c.fresh}
	dataSpool := c.sp
	if c.file.DataDir != "" {
		if s := c.d.spoolNamed(c.file.DataDir); s != nil {
			dataSpool = s
		}
	}
	dataDir, err := n.linkBody(dataSpool, c.id)
	if err != nil {
		return nil, storeError(c.id, err)
	}
	f := *c.file
	f.DataDir = dataDir
	if dataSpool != c.sp && dataDir == "" && c.file.DataDir != "" {
		f.DataDir = ""
	}
	f.Rcpts = toRcpts(spec.Rcpts, true)
	if spec.Sender != "" {
		f.Sender = spec.Sender
	}
	n.file = &f
	if f.Quarantine != "" {
		n.letter = 'h'
	}
	if err = n.writeTemp(n.file, nil, c.d.sync); err == nil {
		err = c.d.syncDir(n.sp.dfSync) // the link has to be there before the control file asks for it
	}
	if err == nil {
		err = c.d.fs.Rename(n.sp.file('t', n.id), n.path())
		n.visible = err == nil
	}
	if err == nil {
		err = c.d.syncDir(n.sp.qfSync)
	}
	if err != nil {
		return nil, storeError(c.id, errors.Join(n.undo(), err))
	}
	n.unit = newUnit(n.id, n.file, c.unit.Header, c.unit.BodySize)
	n.unit.Class, n.unit.Group, n.unit.Version = c.unit.Class, c.unit.Group, n.version
	if spec.Dest != "" {
		n.unit.Dest = spec.Dest
	}
	c.d.mu.Lock()
	c.d.held[n.id] = n
	c.d.mu.Unlock()
	return n, nil
}

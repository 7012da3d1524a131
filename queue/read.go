package queue

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/mtakit/mtakit/internal/filelock"
	"github.com/mtakit/mtakit/internal/vfs"
	"github.com/mtakit/mtakit/queue/qf"
)

// entry is a control file that was read.
type entry struct {
	sp       *spool
	letter   byte
	file     *qf.File
	unit     *Unit
	dataPath string
}

func (e *entry) open(d *Dir) (io.ReadCloser, error) {
	return openBody(d.fs, e.unit.ID, e.unit.Header, e.dataPath)
}

// read reads a control file without locking it. It may catch a file that another process replaces at this moment, which
// is harmless: files are replaced whole. The error is that of the file system, or joins the faults of the file with
// ErrDamaged; then the entry is still as good as it can be.
func (d *Dir) read(sp *spool, letter byte, id ID) (*entry, error) {
	f, err := d.fs.OpenFile(sp.file(letter, id), os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return d.readFrom(f, sp, letter, id)
}

// readFrom reads an open control file and looks at its data file.
func (d *Dir) readFrom(f vfs.File, sp *spool, letter byte, id ID) (*entry, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	text, err := readText(f, fi.Size())
	if err != nil {
		return nil, err
	}
	file, err := qf.Decode(text, sp.file(letter, id))
	e := &entry{sp: sp, letter: letter, file: file, dataPath: sp.file('d', id)}
	if file.DataDir != "" {
		if s := d.spoolNamed(file.DataDir); s != nil {
			e.dataPath = s.file('d', id)
		} else {
			err = errors.Join(err, fmt.Errorf("%s: %w: queue directory %q", sp.file(letter, id), qf.ErrBadValue, file.DataDir))
		}
	}
	if err == nil && !file.HasSender {
		err = fmt.Errorf("%s: %w", sp.file(letter, id), errNoSender)
	}
	size := int64(-1)
	if df, err := d.fs.Stat(e.dataPath); err == nil {
		size = df.Size()
	}
	e.unit = newUnit(id, file, appendHeader(nil, file, d.opts.HeaderFlags), size)
	e.unit.Group = sp.group
	e.unit.Version = versionOf(fi)
	if letter == 'Q' {
		e.unit.State = Lost
	}
	if file.Created == 0 {
		e.unit.Created = fi.ModTime() // no T line: expiry has to count from something
	}
	if m := fi.ModTime(); m.After(time.Now()) && e.unit.State == Deferred {
		e.unit.Due = m
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return e, err
}

// errNoSender: there is no S line. sendmail aborts on such a file and leaves it; so does a claim.
var errNoSender = errors.New("no envelope sender")

// readText reads a plain file whose size is known, and notices when it is longer after all. A read that brings less than it
// was asked for has met the end.
func readText(f io.Reader, size int64) (string, error) {
	b := make([]byte, size+1)
	n, err := f.Read(b)
	switch {
	case err == io.EOF, err == nil && n < len(b):
		return string(b[:n]), nil
	case err != nil:
		return "", err
	}
	rest, err := io.ReadAll(f)
	return string(b) + string(rest), err
}

// versionOf tells two versions of a control file apart: each is a file of its own.
func versionOf(fi fs.FileInfo) uint64 {
	v := uint64(fi.ModTime().UnixNano())
	if attr, ok := vfs.AttrOf(fi); ok {
		v ^= attr.Ino << 20
	}
	return v
}

// sameFile reports whether a name and an open file are the same file and nothing was changed between the two looks.
// Without system data there is nothing to compare.
func sameFile(named, open fs.FileInfo) bool {
	a, ok1 := vfs.AttrOf(named)
	b, ok2 := vfs.AttrOf(open)
	if !ok1 || !ok2 {
		return true
	}
	return a.Dev == b.Dev && a.Ino == b.Ino && a.Nlink == b.Nlink && a.UID == b.UID && a.GID == b.GID && named.Size() == open.Size()
}

// take claims one entry. It returns nil without an error when the entry is gone, locked, or not what it was.
func (d *Dir) take(sp *spool, letter byte, id ID) (*dirClaim, error) {
	d.mu.Lock()
	c := d.held[id]
	if c == nil {
		c = &dirClaim{d: d, sp: sp, id: id, letter: letter}
		d.held[id] = c // a reservation; nobody else gets it in this process
		d.mu.Unlock()
	} else {
		d.mu.Unlock()
		return nil, nil
	}
	ok, err := c.acquire()
	if !ok || err != nil {
		d.mu.Lock()
		if d.held[id] == c { // else a new unit got its name meanwhile
			delete(d.held, id)
		}
		d.mu.Unlock()
		if c.lock != nil {
			filelock.Unlock(c.lock)
			c.lock.Close()
		}
		return nil, err
	}
	return c, nil
}

// acquire opens, locks, checks and reads the control file.
func (c *dirClaim) acquire() (ok bool, err error) {
	path := c.path()
	f, err := c.d.fs.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, storeError(c.id, err)
	}
	c.lock = f
	if ok, err := filelock.TryFlock(f, true); !ok || err != nil {
		return false, storeError(c.id, err)
	}
	named, err := c.d.fs.Lstat(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, storeError(c.id, err)
	}
	open, err := f.Stat()
	if err != nil {
		return false, storeError(c.id, err)
	}
	if !named.Mode().IsRegular() || !sameFile(named, open) {
		return false, nil // renamed over while we opened it
	}
	if c.letter == 'q' {
		if _, err := c.d.fs.Lstat(c.sp.file('h', c.id)); err == nil {
			return false, nil // a quarantine or release that was cut short; Recover finishes it
		}
	}
	if ok, text := c.d.trusted(open); !ok {
		c.d.problem(c.id, text, nil)
		return false, c.lose("bogus file uid/gid in mqueue", errors.New(text))
	}
	e, err := c.d.readFrom(f, c.sp, c.letter, c.id)
	if err != nil {
		if e == nil {
			return false, storeError(c.id, err)
		}
		return false, c.fault(e, open, err)
	}
	if c.letter == 'q' && e.file.Quarantine != "" {
		return false, nil // sendmail neither lists nor runs it
	}
	c.file, c.unit, c.dataPath, c.version = e.file, e.unit, e.dataPath, e.unit.Version
	return true, nil
}

// emptyAge is how long a control file may stay empty before it is garbage.
const emptyAge = 10 * time.Minute

// fault decides what becomes of a control file with faults: an incomplete one is left alone, an old empty one is
// removed, everything else is set aside as lost.
func (c *dirClaim) fault(e *entry, fi fs.FileInfo, err error) error {
	switch {
	case errors.Is(err, qf.ErrEmpty):
		if time.Since(changeTime(fi)) < emptyAge {
			return nil
		}
		c.d.fs.Remove(e.dataPath)
		c.d.fs.Remove(c.path())
		return nil
	case len(lostFaults(err)) == 0:
		c.d.problem(c.id, "", err)
		return storeError(c.id, err)
	}
	return c.lose(lostFaults(err), err)
}

// changeTime is the time of the last change of anything about a file, as far as the system tells.
func changeTime(fi fs.FileInfo) time.Time {
	if attr, ok := vfs.AttrOf(fi); ok {
		return attr.Changed
	}
	return fi.ModTime()
}

// lostFaults is the reason that sendmail logs for the first fault that costs the entry, "" when there is none.
func lostFaults(err error) string {
	switch {
	case errors.Is(err, qf.ErrVersion):
		return "unsupported queue file version"
	case errors.Is(err, qf.ErrAfterEnd), errors.Is(err, qf.ErrFromLine), errors.Is(err, qf.ErrBadValue):
		return "bogus queue line"
	case errors.Is(err, qf.ErrUnknownLine), errors.Is(err, qf.ErrBlankLine):
		return "unrecognized line"
	}
	return ""
}

// lose renames the control file to Qf, where only an administrator looks.
func (c *dirClaim) lose(reason string, cause error) error {
	if err := c.d.fs.Rename(c.path(), c.sp.file('Q', c.id)); err != nil {
		return storeError(c.id, errors.Join(err, cause))
	}
	err := fmt.Errorf("%s: %w: %w", c.id, ErrDamaged, cause)
	c.d.problem(c.id, "Losing ./"+string(c.letter)+"f"+string(c.id)+": "+reason, err)
	if serr := c.d.syncDir(c.sp.qfSync); serr != nil {
		return errors.Join(err, serr)
	}
	return err
}

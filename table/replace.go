package table

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/mtakit/mtakit/internal/filelock"
	"github.com/mtakit/mtakit/internal/vfs"
)

// ReplaceOptions tunes Replace. The zero value is ready for use.
type ReplaceOptions struct {
	// Mode is the mode of a file that did not exist, less the umask. Zero means 0640, as makemap has it. A file that is
	// replaced passes its mode and, as far as the system allows, its owner on.
	Mode fs.FileMode
	// Owner, when not nil, is the owner of the new file (sendmail's TrustedUser). -1 leaves a part as it would be.
	Owner *Owner
	// Keep is appended to the name under which the replaced file stays. Empty means that it does not.
	Keep string
	// NotBefore is the least modification time of the new file: that of the text it was built from.
	NotBefore time.Time
	// LockWait bounds each wait for another program. Zero means one minute.
	LockWait time.Duration
	// Verify reads the file back before it takes its place. Nil trusts the writer.
	Verify func(r io.ReaderAt, size int64) error
	// Lock is a lock on the old file that the caller holds already. Nil lets Replace take one.
	Lock *Lock

	// FS is where files are; nil means the operating system's. It is for tests.
	FS vfs.FS
}

// Owner is a user and a group.
type Owner struct{ UID, GID int }

func (o *ReplaceOptions) defaults() ReplaceOptions {
	var d ReplaceOptions
	if o != nil {
		d = *o
	}
	if d.Mode == 0 {
		d.Mode = 0o640
	}
	if d.LockWait == 0 {
		d.LockWait = time.Minute
	}
	if d.FS == nil {
		d.FS = vfs.OS
	}
	return d
}

// Replace writes the file at path anew: aside, in PATH.tmp, which is then verified, synced and renamed. Readers see the old file or
// the new one, also after a power failure. When Replace returns nil the new one is durable; after an error the old one is in
// place, unless it was the sync of the directory that failed.
//
// Like makemap, Replace excludes other writers by flock(2), for as short as the renaming takes. Builders of the same file
// wait for each other. A running sendmail looks at the modification time of the file that it has open, and would not notice
// a renaming: so the old file is touched through its descriptor, to a time at least a second later than before, because sendmail
// compares whole seconds. Postfix looks at the link count and needs no help.
func Replace(ctx context.Context, path string, o *ReplaceOptions, write func(w io.Writer) error) error {
	d := o.defaults()
	path, err := realPath(d.FS, path)
	if err != nil {
		return err
	}
	tmp, err := openAside(ctx, path+".tmp", &d)
	if err != nil {
		return err
	}
	renamed := false
	defer func() {
		if !renamed {
			_ = removeOpen(d.FS, tmp, path+".tmp")
		}
		tmp.Close()
	}()
	if err := fill(tmp, &d, write); err != nil {
		return err
	}
	lock := d.Lock
	if lock == nil {
		if lock, err = LockFile(ctx, path, &d); err != nil {
			return err
		}
		defer lock.Close()
	}
	if err := takeOver(tmp, lock.file, &d); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil { // the content is durable already
		return err
	}
	if d.Keep != "" && lock.file != nil {
		if err := d.FS.Remove(path + d.Keep); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := d.FS.Link(path, path+d.Keep); err != nil {
			return err
		}
	}
	letGo(tmp, lock)
	if err := d.FS.Rename(path+".tmp", path); err != nil {
		return err
	}
	renamed = true
	if err := d.FS.SyncDir(filepath.Dir(path)); err != nil {
		return err
	}
	return touch(lock.file)
}

// realPath follows a symbolic link, so that the file is replaced and not the link.
func realPath(fsys vfs.FS, path string) (string, error) {
	fi, err := fsys.Lstat(path)
	if err != nil || fi.Mode()&fs.ModeSymlink == 0 {
		return path, nil // a fault shows itself soon
	}
	return filepath.EvalSymlinks(path)
}

// fill writes the content, reads it back and makes it durable, while nobody has to wait.
func fill(tmp vfs.File, d *ReplaceOptions, write func(w io.Writer) error) error {
	if err := write(tmp); err != nil {
		return err
	}
	if d.Verify == nil {
		return tmp.Sync()
	}
	fi, err := tmp.Stat()
	if err != nil {
		return err
	}
	synced := make(chan error, 1)
	go func() { synced <- tmp.Sync() }()
	err = d.Verify(tmp, fi.Size())
	return errors.Join(err, <-synced)
}

// openAside creates the file for the new content and locks it. One that a dead builder left is removed.
func openAside(ctx context.Context, name string, d *ReplaceOptions) (vfs.File, error) {
	var tmp vfs.File
	err := poll(ctx, name, d.LockWait, func() (bool, error) {
		f, err := d.FS.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|vfs.NoFollow, d.Mode)
		created := err == nil
		if errors.Is(err, fs.ErrExist) {
			f, err = d.FS.OpenFile(name, os.O_RDWR|vfs.NoFollow, 0)
			if errors.Is(err, fs.ErrNotExist) {
				return false, nil
			}
		}
		if err != nil {
			return false, err
		}
		locked, err := filelock.TryFlock(f, true)
		same := false
		if err == nil && locked {
			same, err = leadsTo(d.FS, name, f)
		}
		if err != nil || !same || !created {
			if err == nil && same {
				err = removeOpen(d.FS, f, name) // its builder is gone
			}
			f.Close()
			return false, err
		}
		tmp = f
		return true, nil
	})
	return tmp, err
}

// leadsTo reports whether name still leads to the open file.
func leadsTo(fsys vfs.FS, name string, f vfs.File) (bool, error) {
	named, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	open, err := f.Stat()
	if err != nil {
		return false, err
	}
	return vfs.SameFile(named, open), nil
}

// poll calls try, with pauses, until it says that it is done, fails, or the time is up.
func poll(ctx context.Context, name string, wait time.Duration, try func() (done bool, err error)) error {
	deadline := time.Now().Add(wait)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("lock %s: %w", name, err)
		}
		if done, err := try(); done || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return &fs.PathError{Op: "lock", Path: name, Err: ErrLocked}
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
}

// ErrLocked means that another program kept its lock on a file for too long.
var ErrLocked = errors.New("locked by another program")

// Lock is an exclusive flock(2) on a map file, as makemap and newaliases hold it while they write.
type Lock struct{ file vfs.File }

// LockFile locks the file at path, waiting for others as long as o says. When there is no file the Lock is empty.
func LockFile(ctx context.Context, path string, o *ReplaceOptions) (*Lock, error) {
	d := o.defaults()
	l := &Lock{}
	err := poll(ctx, path, d.LockWait, func() (bool, error) {
		f, err := d.FS.OpenFile(path, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrPermission) {
			f, err = d.FS.OpenFile(path, os.O_RDONLY, 0) // a lock needs no more
		}
		if errors.Is(err, fs.ErrNotExist) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		locked, err := filelock.TryFlock(f, true)
		same := false
		if err == nil && locked {
			same, err = leadsTo(d.FS, path, f)
		}
		if err != nil || !same {
			f.Close()
			return false, err
		}
		l.file = f
		return true, nil
	})
	return l, err
}

// Close releases the lock.
func (l *Lock) Close() error {
	if l.file == nil {
		return nil
	}
	return l.file.Close()
}

// takeOver gives the new file mode and owner of the old one, and a time not before that of its source.
func takeOver(tmp, old vfs.File, d *ReplaceOptions) error {
	chown := func(int, int) error { return nil }
	if c, ok := tmp.(interface{ Chown(uid, gid int) error }); ok {
		chown = c.Chown
	}
	if old != nil {
		fi, err := old.Stat()
		if err != nil {
			return err
		}
		if attr, ok := vfs.AttrOf(fi); ok {
			_ = chown(attr.UID, attr.GID) // only root may; others own what they write
		}
		if err := tmp.Chmod(fi.Mode().Perm()); err != nil {
			return err
		}
	}
	if d.Owner != nil {
		if err := chown(d.Owner.UID, d.Owner.GID); err != nil {
			return err
		}
	}
	fi, err := tmp.Stat()
	if err != nil {
		return err
	}
	if fi.ModTime().Before(d.NotBefore) {
		return d.FS.Chtimes(tmp.Name(), d.NotBefore, d.NotBefore)
	}
	return nil
}

// touch sets the modification time of the replaced file at least a second ahead of what it was, through its descriptor.
func touch(old vfs.File) error {
	if old == nil || old.Fd() == vfs.NoFd {
		return nil
	}
	fi, err := old.Stat()
	if err != nil {
		return err
	}
	at := time.Now()
	if least := fi.ModTime().Add(time.Second); at.Before(least) {
		at = least
	}
	return setTime(old, at)
}

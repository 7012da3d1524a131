package durable

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mtakit/mtakit/internal/vfs"
)

// tempPrefix begins the name of every temporary file. The dot keeps it out of listings and globs.
const tempPrefix = ".mtakit-"

// TempName returns a new name in the directory of name, which no other process picks: ".mtakit-", 16 hex digits,
// ".tmp". The base of name does not show in it, so that a long name stays possible.
func TempName(name string) string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, says its documentation
	return filepath.Join(filepath.Dir(name), tempPrefix+hex.EncodeToString(b[:])+".tmp")
}

// RemoveTemp removes the temporary files that a crash left in dir. Call it when no writer is active there.
func RemoveTemp(fsys vfs.FS, dir string) error {
	list, err := fsys.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		if strings.HasPrefix(e.Name(), tempPrefix) && strings.HasSuffix(e.Name(), ".tmp") {
			err = errors.Join(err, fsys.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}

// WriteFile gives a file new content. An existing file keeps its permission bits, a new one gets perm (less the umask).
// When WriteFile returns nil, the content survives a power failure. After an error the file has its old content or,
// when only the last step failed (the directory's fsync), possibly the new one.
func WriteFile(fsys vfs.FS, name string, perm fs.FileMode, write func(w io.Writer) error) error {
	old, err := fsys.Stat(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	temp := TempName(name)
	f, err := fsys.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	if old != nil {
		err = f.Chmod(old.Mode().Perm())
	}
	if err == nil {
		err = write(f)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		if err = fsys.Rename(temp, name); err == nil {
			return fsys.SyncDir(filepath.Dir(name))
		}
	}
	_ = fsys.Remove(temp) // the error that matters is already here; RemoveTemp finds what stays
	return err
}

// Rename moves a file whose data is synced already, replacing newname, and makes that durable. With a DirSyncer (nil:
// without) the directory sync is shared.
func Rename(fsys vfs.FS, s *DirSyncer, oldname, newname string) error {
	if err := fsys.Rename(oldname, newname); err != nil {
		return err
	}
	return syncParents(fsys, s, newname, oldname)
}

// Link gives a file whose data is synced already a second name, which must not exist, and makes that durable.
func Link(fsys vfs.FS, s *DirSyncer, oldname, newname string) error {
	if err := fsys.Link(oldname, newname); err != nil {
		return err
	}
	return syncParents(fsys, s, newname, newname)
}

// Remove removes a name and makes that durable, so that it does not come back after a crash.
func Remove(fsys vfs.FS, s *DirSyncer, name string) error {
	if err := fsys.Remove(name); err != nil {
		return err
	}
	return syncParents(fsys, s, name, name)
}

func syncParents(fsys vfs.FS, s *DirSyncer, a, b string) error {
	sync := fsys.SyncDir
	if s != nil {
		sync = s.Sync
	}
	to, from := filepath.Dir(a), filepath.Dir(b)
	if err := sync(to); err != nil || to == from {
		return err
	}
	return sync(from)
}

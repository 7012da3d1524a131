// Package vfs is the seam between the packages that must not lose data and the file system. They do every file
// operation through an FS, so that a test can put one in its place that stops at the n-th operation, fails it, or
// forgets whatever was not synced.
//
// OS is the real file system. Its methods are thin: no buffering, no retries, errors as the os package gives them.
//
// # Testing with it
//
// Mem is a file system in memory that remembers which data and which names were synced; its Crash method shows what
// a power cut would leave, in several ways from "nothing unsynced" to "names without their data". Faults wraps any FS:
// it counts and lists operations, stops at one of them, or makes some fail with an error of choice (EIO, ENOSPC,
// EDQUOT, EMFILE), writes being cut short. EachCrashPoint and EachFault put both together: they run a scenario once
// for every operation in it and hand each outcome to a check. A typical test is ten lines:
//
//	vfs.EachCrashPoint(t, func(fs vfs.FS) bool {
//		return store(fs, "hello") == nil // true: the caller was told that it is safe
//	}, func(t *testing.T, p vfs.CrashPoint, promised bool, fs vfs.FS) {
//		got, err := load(fs)
//		require.NoError(t, err, "%v", p)
//		if promised {
//			require.Equal(t, "hello", got, "%v", p)
//		}
//	})
//
// Files of a Mem have no descriptor (Fd returns NoFd), so locks on them always succeed.
package vfs

import (
	"io"
	"io/fs"
	"os"
	"time"
)

// FS is the set of operations that mtakit's durable formats need. Names are paths of the operating system.
// Implementations are safe for concurrent use. Errors satisfy errors.Is with fs.ErrNotExist and fs.ErrExist, and
// carry the errno (ENOSPC, EDQUOT, …) of the operating system.
type FS interface {
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// Rename gives a file or directory another name. An existing file is replaced, and where the system does so an empty
	// directory by another directory.
	Rename(oldname, newname string) error
	Link(oldname, newname string) error
	Remove(name string) error
	Mkdir(name string, perm fs.FileMode) error
	Stat(name string) (fs.FileInfo, error)
	Lstat(name string) (fs.FileInfo, error)
	// ReadDir lists a directory in the order the file system gives, unsorted.
	ReadDir(name string) ([]fs.DirEntry, error)
	Chtimes(name string, atime, mtime time.Time) error
	Chmod(name string, mode fs.FileMode) error
	// SyncDir makes creations, renames and removals in a directory durable, on systems that have a call for that.
	SyncDir(name string) error
}

// File is an open file. *os.File is one.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.WriterAt
	io.Seeker
	io.Closer
	Name() string
	Stat() (fs.FileInfo, error)
	Sync() error
	Truncate(size int64) error
	Chmod(mode fs.FileMode) error
	// Fd is the file descriptor, for locks; a file without one returns ^uintptr(0), and locks on it always succeed.
	Fd() uintptr
}

// NoFd is what Fd returns for a file that has no descriptor.
const NoFd = ^uintptr(0)

// OS is the file system of the operating system.
var OS FS = osFS{}

type osFS struct{}

func (osFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := openFile(name, flag, perm)
	if err != nil {
		return nil, err // not f: a nil *os.File in an interface is not nil
	}
	return f, nil
}

func (osFS) Rename(oldname, newname string) error      { return rename(oldname, newname) }
func (osFS) Link(oldname, newname string) error        { return os.Link(oldname, newname) }
func (osFS) Remove(name string) error                  { return os.Remove(name) }
func (osFS) Mkdir(name string, perm fs.FileMode) error { return os.Mkdir(name, perm) }
func (osFS) Stat(name string) (fs.FileInfo, error)     { return known(os.Stat(name)) }
func (osFS) Lstat(name string) (fs.FileInfo, error)    { return known(os.Lstat(name)) }
func (osFS) Chmod(name string, mode fs.FileMode) error { return os.Chmod(name, mode) }

func (osFS) Chtimes(name string, atime, mtime time.Time) error {
	return os.Chtimes(name, atime, mtime)
}

func (osFS) ReadDir(name string) ([]fs.DirEntry, error) {
	d, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.ReadDir(-1)
}

func (osFS) SyncDir(name string) error { return syncDir(name) }

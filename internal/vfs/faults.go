package vfs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// ErrCrashed is the answer of a Faults to every operation after the one at which it was told to stop.
var ErrCrashed = errors.New("file system stopped by a fault test")

// Op is a kind of file operation, as a bit, so that kinds can be combined.
type Op uint32

// The kinds of operation that a Faults counts. Closing a file, seeking and asking for its name are not counted: they
// neither fail nor change anything in ways a program could do something about.
const (
	OpOpen Op = 1 << iota
	OpCreate
	OpRead
	OpWrite
	OpSync
	OpTruncate
	OpRename
	OpLink
	OpRemove
	OpMkdir
	OpStat
	OpReadDir
	OpChmod
	OpChtimes
	OpSyncDir

	// OpChange is every operation that changes something or makes it durable.
	OpChange = OpCreate | OpWrite | OpSync | OpTruncate | OpRename | OpLink | OpRemove | OpMkdir | OpChmod | OpChtimes | OpSyncDir
	// OpAny is every operation.
	OpAny = OpChange | OpOpen | OpRead | OpStat | OpReadDir
)

var opNames = [...]string{"open", "create", "read", "write", "sync", "truncate", "rename", "link", "remove", "mkdir",
	"stat", "readdir", "chmod", "chtimes", "syncdir"}

// String names the operation, or the first of several.
func (o Op) String() string {
	for i, name := range opNames {
		if o&(1<<i) != 0 {
			return name
		}
	}
	return "none"
}

// Call is one operation that a Faults saw.
type Call struct {
	N    int // from 1, in the order in which operations began
	Op   Op
	Name string // of the file; the old name of Rename and Link
	Size int    // of Read and Write, in bytes
}

// String prints "7 write q/dfx 4096".
func (c Call) String() string { return fmt.Sprintf("%d %v %s %d", c.N, c.Op, c.Name, c.Size) }

// Fault makes operations fail.
type Fault struct {
	// Ops chooses the kinds. Zero means OpAny.
	Ops Op
	// Name, when set, chooses files by filepath.Match on the last element of the name.
	Name string
	// At is the one matching operation that fails, counted from 1 from the moment Add is called. Zero means all.
	At int
	// Err is what the operation returns: syscall.EIO, ENOSPC, EDQUOT, EMFILE, …; it comes wrapped in *fs.PathError.
	Err error
	// Short is how many bytes a failing Write still writes.
	Short int
	// Before, when set, is called in place of failing when Err is nil: to change something behind the program's back.
	Before func(Call)
}

// Faults wraps a file system to count its operations, stop at one of them, or make some fail. It is safe for
// concurrent use.
type Faults struct {
	fs FS

	mu      sync.Mutex
	n       int
	counted Op
	stopAt  int
	stopped bool
	last    Call
	trace   []Call
	faults  []*armed
}

type armed struct {
	Fault
	seen int
}

// NewFaults wraps fsys. It counts the operations of counted; zero means OpAny.
func NewFaults(fsys FS, counted Op) *Faults {
	if counted == 0 {
		counted = OpAny
	}
	return &Faults{fs: fsys, counted: counted}
}

// Unwrap returns the file system that f wraps.
func (f *Faults) Unwrap() FS { return f.fs }

// StopAt makes the n-th counted operation (from 1) and everything after it return ErrCrashed. The n-th operation is
// not done, except that a Write may have written its first half.
func (f *Faults) StopAt(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopAt = n
}

// Add makes operations fail from now on.
func (f *Faults) Add(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fault.Ops == 0 {
		fault.Ops = OpAny
	}
	f.faults = append(f.faults, &armed{Fault: fault})
}

// Clear takes all faults away.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// Count returns how many operations were counted so far.
func (f *Faults) Count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// Trace returns the counted operations so far.
func (f *Faults) Trace() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Call(nil), f.trace...)
}

// Stopped tells whether the operation of StopAt was reached, and which it was.
func (f *Faults) Stopped() (Call, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.last, f.stopped
}

// begin decides what becomes of an operation. For a Write that fails, short is how much of it is done all the same.
func (f *Faults) begin(op Op, name string, size int) (short int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopped {
		return 0, ErrCrashed
	}
	c := Call{Op: op, Name: name, Size: size}
	if op&f.counted != 0 {
		f.n++
		c.N = f.n
		f.trace = append(f.trace, c)
		if f.n == f.stopAt {
			f.stopped, f.last = true, c
			return size / 2, ErrCrashed
		}
	}
	for _, a := range f.faults {
		if a.Ops&op == 0 {
			continue
		}
		if ok, _ := filepath.Match(a.Name, filepath.Base(name)); a.Name != "" && !ok {
			continue
		}
		a.seen++
		if a.At != 0 && a.At != a.seen {
			continue
		}
		if a.Err == nil {
			if a.Before != nil {
				before := a.Before
				f.mu.Unlock()
				before(c)
				f.mu.Lock()
			}
			continue
		}
		return min(a.Short, size), &fs.PathError{Op: op.String(), Path: name, Err: a.Err}
	}
	return 0, nil
}

// OpenFile opens a file; it counts as OpCreate when the flags may create or truncate one.
func (f *Faults) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	op := OpOpen
	if flag&(os.O_CREATE|os.O_TRUNC) != 0 {
		op = OpCreate
	}
	if _, err := f.begin(op, name, 0); err != nil {
		return nil, err
	}
	file, err := f.fs.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return &faultFile{File: file, f: f}, nil
}

// Rename moves a file.
func (f *Faults) Rename(oldname, newname string) error {
	if _, err := f.begin(OpRename, oldname, 0); err != nil {
		return err
	}
	return f.fs.Rename(oldname, newname)
}

// Link makes a second name.
func (f *Faults) Link(oldname, newname string) error {
	if _, err := f.begin(OpLink, oldname, 0); err != nil {
		return err
	}
	return f.fs.Link(oldname, newname)
}

// Remove removes a name.
func (f *Faults) Remove(name string) error {
	if _, err := f.begin(OpRemove, name, 0); err != nil {
		return err
	}
	return f.fs.Remove(name)
}

// Mkdir makes a directory.
func (f *Faults) Mkdir(name string, perm fs.FileMode) error {
	if _, err := f.begin(OpMkdir, name, 0); err != nil {
		return err
	}
	return f.fs.Mkdir(name, perm)
}

// Stat describes a file.
func (f *Faults) Stat(name string) (fs.FileInfo, error) {
	if _, err := f.begin(OpStat, name, 0); err != nil {
		return nil, err
	}
	return f.fs.Stat(name)
}

// Lstat describes a file.
func (f *Faults) Lstat(name string) (fs.FileInfo, error) {
	if _, err := f.begin(OpStat, name, 0); err != nil {
		return nil, err
	}
	return f.fs.Lstat(name)
}

// ReadDir lists a directory.
func (f *Faults) ReadDir(name string) ([]fs.DirEntry, error) {
	if _, err := f.begin(OpReadDir, name, 0); err != nil {
		return nil, err
	}
	return f.fs.ReadDir(name)
}

// Chtimes sets times.
func (f *Faults) Chtimes(name string, atime, mtime time.Time) error {
	if _, err := f.begin(OpChtimes, name, 0); err != nil {
		return err
	}
	return f.fs.Chtimes(name, atime, mtime)
}

// Chmod sets permission bits.
func (f *Faults) Chmod(name string, mode fs.FileMode) error {
	if _, err := f.begin(OpChmod, name, 0); err != nil {
		return err
	}
	return f.fs.Chmod(name, mode)
}

// SyncDir makes a directory's changes durable.
func (f *Faults) SyncDir(name string) error {
	if _, err := f.begin(OpSyncDir, name, 0); err != nil {
		return err
	}
	return f.fs.SyncDir(name)
}

// faultFile is an open file of a Faults.
type faultFile struct {
	File
	f *Faults
}

func (w *faultFile) Read(p []byte) (int, error) {
	if _, err := w.f.begin(OpRead, w.Name(), len(p)); err != nil {
		return 0, err
	}
	return w.File.Read(p)
}

func (w *faultFile) ReadAt(p []byte, off int64) (int, error) {
	if _, err := w.f.begin(OpRead, w.Name(), len(p)); err != nil {
		return 0, err
	}
	return w.File.ReadAt(p, off)
}

func (w *faultFile) Write(p []byte) (int, error) {
	short, err := w.f.begin(OpWrite, w.Name(), len(p))
	if err != nil {
		n := 0
		if short > 0 {
			n, _ = w.File.Write(p[:short])
		}
		return n, err
	}
	return w.File.Write(p)
}

func (w *faultFile) WriteAt(p []byte, off int64) (int, error) {
	short, err := w.f.begin(OpWrite, w.Name(), len(p))
	if err != nil {
		n := 0
		if short > 0 {
			n, _ = w.File.WriteAt(p[:short], off)
		}
		return n, err
	}
	return w.File.WriteAt(p, off)
}

func (w *faultFile) Sync() error {
	if _, err := w.f.begin(OpSync, w.Name(), 0); err != nil {
		return err
	}
	return w.File.Sync()
}

func (w *faultFile) Truncate(size int64) error {
	if _, err := w.f.begin(OpTruncate, w.Name(), 0); err != nil {
		return err
	}
	return w.File.Truncate(size)
}

func (w *faultFile) Chmod(mode fs.FileMode) error {
	if _, err := w.f.begin(OpChmod, w.Name(), 0); err != nil {
		return err
	}
	return w.File.Chmod(mode)
}

func (w *faultFile) Stat() (fs.FileInfo, error) {
	if _, err := w.f.begin(OpStat, w.Name(), 0); err != nil {
		return nil, err
	}
	return w.File.Stat()
}

// Package mapfile maps a file into memory and keeps up with what others do to it: a file replaced by another is opened again,
// and one that is rewritten in place, as makemap does, is never read half old and half new.
//
// Each use of the content is followed by an fstat(2) of the open file, unless an interval between them was asked for. While size, times and link count are those of the
// moment of opening, what was read belonged together; otherwise it is thrown away, the file is opened again under a shared
// flock(2), which waits for makemap, newaliases and postmap, and the use is repeated.
package mapfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/mtakit/mtakit/internal/filelock"
	"github.com/mtakit/mtakit/internal/vfs"
	"github.com/mtakit/mtakit/table"
)

// tries bounds how often one use is repeated because the file changed.
const tries = 5

// freshTime is longer than the steps of a file system's clock. A file that changed within it before it was opened could
// change again without a new time.
const freshTime = 20 * time.Millisecond

// File follows the file at a path. parse makes a view of a whole file; views must not be used outside Do.
type File[V any] struct {
	path     string
	parse    func(data []byte, path string) (V, error)
	fixed    bool
	locked   bool
	lockWait time.Duration
	interval time.Duration // between examinations; 0: each time

	cur  atomic.Pointer[snapshot[V]]
	sem  chan struct{} // taken while opening again, and by Close
	done bool          // Close was called
}

// snapshot is one state of the file. refs counts its users and the File itself.
type snapshot[V any] struct {
	content
	view  V
	stat  stamp
	fresh bool
	refs  atomic.Int64
	next  atomic.Int64 // when the file is to be examined again, as time since epoch
}

// content is an open file and what is in it. How it gets into memory, and how a change is noticed, is the system's matter.
type content struct {
	f    *os.File
	fd   int
	data []byte
}

// epoch is where times of examination count from: the clock is monotonic.
var epoch = time.Now()

// stamp is what betrays a change.
type stamp struct {
	size, nlink  int64
	mtime, ctime int64 // in nanoseconds; ctime is the last change of anything about the file
}

func stampOf(fi fs.FileInfo) stamp {
	attr, ok := vfs.AttrOf(fi)
	if !ok { // where files have no such attributes, size and time must do
		attr = vfs.Attr{Nlink: 1, Changed: fi.ModTime()}
	}
	return stamp{fi.Size(), int64(attr.Nlink), fi.ModTime().UnixNano(), attr.Changed.UnixNano()}
}

// Open opens the file at path.
func Open[V any](ctx context.Context, path string, o table.OpenOptions, parse func(data []byte, path string) (V, error)) (*File[V], error) {
	f := &File[V]{path: path, parse: parse, fixed: o.Fixed, locked: o.Locked, lockWait: o.LockWait, sem: make(chan struct{}, 1)}
	if !f.fixed {
		f.interval = o.CheckInterval
	}
	if f.lockWait == 0 {
		f.lockWait = 10 * time.Second
	}
	s, err := f.open(ctx)
	if err != nil {
		return nil, err
	}
	f.cur.Store(s)
	runtime.SetFinalizer(f, func(f *File[V]) { _ = f.Close() })
	return f, nil
}

// Path returns the name of the file.
func (f *File[V]) Path() string { return f.path }

// Close gives the file up. Uses that are under way finish.
func (f *File[V]) Close() error {
	f.sem <- struct{}{}
	defer func() { <-f.sem }()
	f.done = true
	if s := f.cur.Swap(nil); s != nil {
		s.release()
	}
	return nil
}

// open takes a snapshot under a shared lock.
func (f *File[V]) open(ctx context.Context) (*snapshot[V], error) {
	deadline := time.Now().Add(f.lockWait)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		s, err := f.tryOpen()
		if !errors.Is(err, errLocked) {
			return s, err
		}
		if time.Now().After(deadline) {
			return nil, &fs.PathError{Op: "lock", Path: f.path, Err: errLocked}
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, fmt.Errorf("lock %s: %w", f.path, ctx.Err())
		case <-t.C:
		}
	}
}

var errLocked = errors.New("a writer holds the lock")

// tryOpen is open that does not wait.
func (f *File[V]) tryOpen() (_ *snapshot[V], err error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	locked := true
	if !f.locked {
		locked, err = filelock.TryFlock(file, false)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "lock", Path: f.path, Err: err}
	}
	if !locked {
		return nil, errLocked
	}
	fi, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: f.path, Err: errors.New("not a regular file")}
	}
	if named, err := os.Stat(f.path); err == nil && !os.SameFile(named, fi) {
		return nil, errLocked // replaced while we waited: the name leads elsewhere now
	}
	if int64(int(fi.Size())) != fi.Size() {
		return nil, &table.FormatError{File: f.path, Page: -1, Kind: table.ErrTooLarge, Reason: "file does not fit the address space"}
	}
	s := &snapshot[V]{content: content{f: file, fd: int(file.Fd())}, stat: stampOf(fi)}
	s.fresh = time.Since(time.Unix(0, s.stat.ctime)) < freshTime
	s.refs.Store(1)
	if err := s.load(int(fi.Size())); err != nil {
		return nil, err
	}
	if err := guard(func() (err error) { s.view, err = f.parse(s.data, f.path); return }); err != nil {
		s.unload()
		return nil, err
	}
	filelock.Unlock(file)
	return s, nil
}

func (s *snapshot[V]) release() {
	if s.refs.Add(-1) == 0 {
		s.close()
	}
}

// acquire returns the present snapshot, to be released after use.
func (f *File[V]) acquire() (*snapshot[V], error) {
	for {
		s := f.cur.Load()
		if s == nil {
			return nil, &fs.PathError{Op: "read", Path: f.path, Err: fs.ErrClosed}
		}
		if n := s.refs.Load(); n > 0 && s.refs.CompareAndSwap(n, n+1) {
			return s, nil
		}
	}
}

// intact reports whether everything read so far from s was of the state that was opened.
func (s *snapshot[V]) intact(fixed bool) bool {
	if private && fixed {
		return true
	}
	now, ok := s.look()
	if ok && fixed && now.nlink == 0 {
		// Replaced, and so nobody can find it to write into it. Whoever replaced it may have touched its time.
		return now.size == s.stat.size
	}
	return ok && now == s.stat
}

// early reports whether the next examination of s is still to come.
func (f *File[V]) early(s *snapshot[V]) bool {
	if f.interval <= 0 {
		return false
	}
	now := int64(time.Since(epoch))
	if now < s.next.Load() {
		return true
	}
	s.next.Store(now + int64(f.interval))
	return false
}

// Do calls use with a view of the file. It may be called several times; what it produced counts when Do returns nil. The error
// of use is returned when the file did not change meanwhile.
func (f *File[V]) Do(ctx context.Context, use func(view V) error) error {
	return f.do(ctx, func(view V) (bool, error) { return false, use(view) })
}

// do is Do for a use that says whether it is sure of its result, so that the file need not be examined each time.
func (f *File[V]) do(ctx context.Context, use func(view V) (sure bool, err error)) error {
	for range tries {
		s, err := f.acquire()
		if err != nil {
			return err
		}
		if s.fresh && !f.fixed {
			s.release()
			if err := f.reopen(ctx, s); err != nil {
				return err
			}
			if s, err = f.acquire(); err != nil {
				return err
			}
		}
		sure := false
		err = guard(func() (err error) { sure, err = use(s.view); return err })
		ok := sure && err == nil && f.early(s) || s.intact(f.fixed)
		s.release()
		if ok {
			return err
		}
		if f.fixed {
			break
		}
		if err := f.reopen(ctx, s); err != nil {
			return err
		}
	}
	return &table.FormatError{File: f.path, Page: -1, Kind: table.ErrChanged, Reason: "it is being rewritten"}
}

// reopen replaces the snapshot old, unless somebody else did so already.
func (f *File[V]) reopen(ctx context.Context, old *snapshot[V]) error {
	select {
	case f.sem <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-f.sem }()
	if f.done || f.cur.Load() != old {
		return nil
	}
	s, err := f.open(ctx)
	if err != nil {
		return err
	}
	f.cur.Store(s)
	old.release()
	return nil
}

// Hold calls use with the open file, for work that takes long, such as listing. Each read checks that the file is still the one
// that was opened, and fails with ErrChanged when it is not.
func (f *File[V]) Hold(use func(r io.ReaderAt, size int64) error) error {
	s, err := f.acquire()
	if err != nil {
		return err
	}
	defer s.release()
	return use(&heldFile[V]{s, f.path}, s.stat.size)
}

// heldFile reads a snapshot by pread(2): the content is copied before it is looked at.
type heldFile[V any] struct {
	s    *snapshot[V]
	path string
}

func (h *heldFile[V]) ReadAt(p []byte, off int64) (int, error) {
	n, err := h.s.ReadAt(p, off)
	if !h.s.intact(true) {
		return 0, &table.FormatError{File: h.path, Page: -1, Offset: off, Kind: table.ErrChanged, Reason: "it was rewritten while it was listed"}
	}
	return n, err
}

// errFault is what remains of a panic: the mapping lost its file, or content changed between a check and its use.
var errFault = errors.New("fault while reading a mapped file")

// guard runs fn, with faults of the mapping as errors instead of crashes.
func guard(fn func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer func() {
		debug.SetPanicOnFault(old)
		if r := recover(); r != nil {
			re, ok := r.(runtime.Error)
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("%w: %w", errFault, re)
		}
	}()
	return fn()
}

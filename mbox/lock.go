package mbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mtakit/mtakit/internal/filelock"
	"github.com/mtakit/mtakit/internal/vfs"
)

// Lock is one of the ways in which mail programs keep each other out of an mbox. They do not see each other: use
// those that the other programs on the machine use.
type Lock uint8

// The locks. Debian's order, and the default, is Fcntl, Dotlock.
const (
	Fcntl   Lock = iota + 1 // fcntl(2) on the whole file, as open file description lock; the same as lockf(3)
	Flock                   // flock(2)
	Dotlock                 // a file NAME.lock beside the mailbox, made by link(2)
)

// String returns the name.
func (l Lock) String() string {
	switch l {
	case Fcntl:
		return "fcntl"
	case Flock:
		return "flock"
	case Dotlock:
		return "dotlock"
	}
	return fmt.Sprintf("Lock(%d)", uint8(l))
}

// ErrLocked is the error when another program held a lock for longer than LockTimeout. It is temporary.
var ErrLocked = errors.New("mailbox is locked by another program")

// LockOptions says how a mailbox is locked. The zero value is ready for use.
type LockOptions struct {
	// Locks are taken in this order. Nil means Fcntl, Dotlock; an empty, non-nil slice means none. The first is taken
	// and the others are tried: when one is held, all are given up for a while, so that a program that takes them in
	// the other order gets its turn.
	Locks []Lock
	// Timeout is how long to wait for the locks. Zero means 60 seconds.
	Timeout time.Duration
	// Stale is the age from which a dotlock that did not change while we waited is broken. Zero means 5 minutes;
	// negative means never. A lock of a process of this machine that is gone is broken at once.
	Stale time.Duration
	// DotlockOptional goes on without the dotlock when the directory does not allow to make one.
	DotlockOptional bool
}

var defaultLocks = []Lock{Fcntl, Dotlock}

func (o *LockOptions) locks() []Lock {
	if o.Locks == nil {
		return defaultLocks
	}
	return o.Locks
}

func (o *LockOptions) timeout() time.Duration {
	if o.Timeout == 0 {
		return 60 * time.Second
	}
	return o.Timeout
}

func (o *LockOptions) stale() time.Duration {
	switch {
	case o.Stale == 0:
		return 5 * time.Minute
	case o.Stale < 0:
		return 1<<63 - 1
	}
	return o.Stale
}

// local lines up the goroutines of this process before they ask for kernel locks.
var local filelock.Queue

// held is a set of locks on an open mailbox.
type held struct {
	fs    vfs.FS
	path  string
	queue string
	dot   string // path of the dotlock, "" if none
	dotFI fs.FileInfo
	fresh time.Time // when the dotlock was last touched
}

// touchEvery is how often a long holder renews its dotlock, so that nobody takes it for stale.
const touchEvery = 30 * time.Second

// touch renews the dotlock when it is time.
func (h *held) touch() {
	if h.dot == "" {
		return
	}
	if now := time.Now(); now.Sub(h.fresh) > touchEvery {
		_ = h.fs.Chtimes(h.dot, now, now)
		h.fresh = now
	}
}

// release gives up the dotlock, unless it was broken and is another's now, then the kernel locks with their last
// descriptor, then the place in the queue. In the other order a program that waits for the kernel lock and gets it finds the
// dotlock still there, and may sleep for seconds with its lock held (mail.local does).
func (h *held) release(last io.Closer) {
	h.dropDot()
	if last != nil {
		_ = last.Close()
	}
	local.Unlock(h.queue)
}

func (h *held) dropDot() {
	if h.dot == "" {
		return
	}
	if fi, err := h.fs.Lstat(h.dot); err == nil && sameFile(fi, h.dotFI) {
		_ = h.fs.Remove(h.dot)
	}
	h.dot = ""
}

// sameFile reports whether both are the same file.
func sameFile(a, b fs.FileInfo) bool { return vfs.SameFile(a, b) }

// acquire opens the mailbox with open and locks it. open is called again for each attempt, since the file may be
// replaced while nothing is held.
func acquire(ctx context.Context, fsys vfs.FS, path string, o *LockOptions, exclusive bool, open func() (vfs.File, error)) (vfs.File, *held, error) {
	queue, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout(), ErrLocked)
	defer cancel()
	if err := local.Lock(ctx, queue); err != nil {
		return nil, nil, lockError(ctx, path)
	}
	h := &held{fs: fsys, path: path, queue: queue}
	var seen dotSeen
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		f, err := open()
		if err != nil {
			local.Unlock(queue)
			return nil, nil, err
		}
		ok, err := h.tryAll(f, o, exclusive, &seen)
		if err == nil && ok {
			if ok, err = unchanged(fsys, f, path); err == nil && ok {
				return f, h, nil
			}
		}
		h.dropDot()
		_ = f.Close()
		if err != nil {
			local.Unlock(queue)
			return nil, nil, err
		}
		select {
		case <-time.After(wait/2 + rand.N(wait)):
		case <-ctx.Done():
			local.Unlock(queue)
			return nil, nil, lockError(ctx, path)
		}
	}
}

func lockError(ctx context.Context, path string) error {
	return fmt.Errorf("%s: %w", path, context.Cause(ctx))
}

// tryAll takes all locks or, when one is held, returns false; what it got is then given up by the caller.
func (h *held) tryAll(f vfs.File, o *LockOptions, exclusive bool, seen *dotSeen) (ok bool, err error) {
	for _, l := range o.locks() {
		switch l {
		case Fcntl:
			ok, err = filelock.TryOFD(f, exclusive)
		case Flock:
			ok, err = filelock.TryFlock(f, exclusive)
		case Dotlock:
			ok, err = h.tryDot(o, seen)
			if err != nil && o.DotlockOptional && errors.Is(err, fs.ErrPermission) {
				ok, err = true, nil
			}
		default:
			return false, fmt.Errorf("%v is not a known lock", l)
		}
		if !ok || err != nil {
			return false, err
		}
	}
	return true, nil
}

// unchanged reports whether path still names the open file: somebody may have replaced it before we got the lock.
func unchanged(fsys vfs.FS, f vfs.File, path string) (bool, error) {
	at, err := fsys.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	fi, err := f.Stat()
	if err != nil {
		return false, err
	}
	return sameFile(at, fi), nil
}

var dotCounter atomic.Uint64

// hostName is asked once.
var hostName = func() string {
	h, _ := os.Hostname()
	return strings.Map(func(r rune) rune {
		if r == '/' || r <= ' ' {
			return '-'
		}
		return r
	}, h[:min(len(h), 64)])
}()

// dotSeen remembers somebody else's dotlock between attempts.
type dotSeen struct {
	fi   fs.FileInfo
	when time.Time
}

// tryDot makes the dotlock in the way that is safe on NFS: a file of a unique name, linked to the lock's name. What
// counts is not link's result, which may be lost on the way, but whether the file has two links afterwards.
func (h *held) tryDot(o *LockOptions, seen *dotSeen) (bool, error) {
	name := h.path + ".lock"
	pid := strconv.Itoa(os.Getpid())
	unique := filepath.Join(filepath.Dir(h.path), ".lk"+pid+"."+strconv.FormatUint(dotCounter.Add(1), 10)+"."+hostName)
	f, err := h.fs.OpenFile(unique, os.O_WRONLY|os.O_CREATE|os.O_EXCL|vfs.NoFollow, 0o644)
	if errors.Is(err, fs.ErrExist) { // left by a dead process of our pid
		_ = h.fs.Remove(unique)
		f, err = h.fs.OpenFile(unique, os.O_WRONLY|os.O_CREATE|os.O_EXCL|vfs.NoFollow, 0o644)
	}
	if err != nil {
		return false, err
	}
	defer h.fs.Remove(unique)
	_, err = io.WriteString(f, pid+":"+hostName+"\n")
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return false, err
	}
	linkErr := h.fs.Link(unique, name)
	fi, err := h.fs.Lstat(unique)
	if err != nil {
		return false, err
	}
	if attr, ok := vfs.AttrOf(fi); ok && attr.Nlink == 2 || !ok && linkErr == nil {
		h.dot, h.dotFI, h.fresh = name, fi, time.Now()
		return true, nil
	}
	if linkErr != nil && !errors.Is(linkErr, fs.ErrExist) {
		return false, linkErr
	}
	h.breakStale(name, fi.ModTime(), o.stale(), seen)
	return false, nil
}

// breakStale removes the lock when its holder is gone: a dead process of this machine, or no change for as long as
// the rules allow. now is the file server's clock. Removing the name could hit a new holder's lock; so it is
// renamed away first, and looked at.
func (h *held) breakStale(name string, now time.Time, stale time.Duration, seen *dotSeen) {
	fi, err := h.fs.Lstat(name)
	if err != nil {
		return
	}
	if seen.fi == nil || !sameFile(seen.fi, fi) || !seen.fi.ModTime().Equal(fi.ModTime()) {
		seen.fi, seen.when = fi, time.Now()
		if !h.holderDead(name, fi) {
			return // judge its age only when it did not change while we waited
		}
	} else if now.Sub(fi.ModTime()) < stale && !h.holderDead(name, fi) {
		return
	}
	away := name + "." + strconv.Itoa(os.Getpid()) + "." + strconv.FormatUint(dotCounter.Add(1), 10)
	if h.fs.Rename(name, away) != nil {
		return
	}
	if got, err := h.fs.Lstat(away); err == nil && !sameFile(got, fi) {
		_ = h.fs.Link(away, name) // not the one we looked at: give it back
	}
	_ = h.fs.Remove(away)
	seen.fi = nil
}

// holderDead reports whether the lock's content names, as "pid:host", a process of this machine that is gone. Other
// content says nothing: programs write a pid of a machine they do not name, "0", or nothing.
func (h *held) holderDead(name string, fi fs.FileInfo) bool {
	if !fi.Mode().IsRegular() || fi.Size() > 256 {
		return false
	}
	f, err := h.fs.OpenFile(name, os.O_RDONLY|vfs.NoFollow|vfs.NonBlock, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 256))
	if err != nil {
		return false
	}
	pid, host, ok := strings.Cut(string(bytes.TrimSpace(b)), ":")
	n, err := strconv.Atoi(pid)
	return ok && err == nil && n > 1 && host == hostName && processGone(n)
}

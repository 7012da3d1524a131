package mbox

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"github.com/mtakit/mtakit/internal/vfs"
)

// Goroutines that append to one mailbox at the same time share its locks and one fsync: whoever holds the mailbox
// hands it on, open and locked, to the next in line, and the last of the group syncs for all. Nobody's Append returns
// before that sync.
const (
	maxGroup  = 64                     // messages
	groupTime = 250 * time.Millisecond // other programs want the mailbox, too
)

// groupKey tells which appends may share a session.
type groupKey struct {
	path     string
	variant  Variant
	keepCR   bool
	maxSize  int64
	noCreate bool
	mode     fs.FileMode
	owner    int
	forbid   fs.FileMode
	noSync   bool
	journal  bool
	locks    string
	fs       vfs.FS
}

func (o *AppendOptions) groupKey(path string) (groupKey, error) {
	abs, err := filepath.Abs(path)
	k := groupKey{path: abs, variant: o.Variant, keepCR: o.KeepCR, maxSize: o.MaxSize, noCreate: o.NoCreate, mode: o.Mode, owner: -1,
		forbid: o.Forbid, noSync: o.NoSync, journal: o.Journal, fs: o.fs}
	if o.Owner != nil {
		k.owner = *o.Owner
	}
	for _, l := range o.locks() {
		k.locks += l.String() + " "
	}
	return k, err
}

// session is a mailbox that is open and locked, and the messages written since.
type session struct {
	a       *appender // the first one
	start   int64     // size of the mailbox before; -1 before the first message
	began   time.Time
	members []chan error
	broken  bool
}

// add counts a message that was written, and returns where its fate will be told.
func (s *session) add(start int64) chan error {
	if s.start < 0 {
		s.start = start
	}
	c := make(chan error, 1)
	s.members = append(s.members, c)
	return c
}

// open reports whether the session takes another message.
func (s *session) open() bool {
	return !s.broken && len(s.members) < maxGroup && time.Since(s.began) < groupTime
}

// finish syncs, cuts back on failure, gives up the locks, and tells everyone.
func (s *session) finish() {
	a := s.a
	var err error
	if len(s.members) > 0 && !a.o.NoSync && !a.o.Journal {
		if err = a.f.Sync(); err != nil {
			err = a.cut(err, s.start)
		}
	}
	locks := duplicate(a.f)
	// NFS and quotas report here; the file is closed then, though still locked: it is cut by name.
	if cerr := a.f.Close(); cerr != nil && err == nil && len(s.members) > 0 {
		err = a.cutByName(cerr, s.start)
	}
	if err == nil && a.created && !a.o.NoSync {
		err = a.o.fs.SyncDir(filepath.Dir(a.path))
	}
	a.h.release(locks)
	for _, c := range s.members {
		c <- err
	}
}

// line is the line of those who want to append to one mailbox.
type line struct{ waiting []*waiter }

type waiter struct {
	key  groupKey
	turn chan *session // nil in it means: open the mailbox yourself
}

// lines are those of this process, by path.
var lines = struct {
	sync.Mutex
	m map[string]*line
}{m: make(map[string]*line)}

// enter waits for the mailbox. The session is nil when the caller has to open it.
func enter(ctx context.Context, key groupKey) (*session, error) {
	lines.Lock()
	l := lines.m[key.path]
	if l == nil {
		lines.m[key.path] = new(line)
		lines.Unlock()
		return nil, nil
	}
	w := &waiter{key: key, turn: make(chan *session, 1)}
	l.waiting = append(l.waiting, w)
	lines.Unlock()
	select {
	case s := <-w.turn:
		return s, nil
	case <-ctx.Done():
	}
	lines.Lock()
	for i, x := range l.waiting {
		if x == w {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			lines.Unlock()
			return nil, lockError(ctx, key.path)
		}
	}
	lines.Unlock()
	if s := <-w.turn; s != nil { // it came in the same moment
		leave(key, s)
	} else {
		leave(key, nil)
	}
	return nil, lockError(ctx, key.path)
}

// leave hands the session to the next in line, if it may share it, or ends it and lets the next one open the mailbox.
func leave(key groupKey, s *session) {
	lines.Lock()
	l := lines.m[key.path]
	if s != nil && s.open() && len(l.waiting) > 0 && l.waiting[0].key == key {
		w := l.waiting[0]
		l.waiting = l.waiting[1:]
		lines.Unlock()
		w.turn <- s
		return
	}
	lines.Unlock()
	if s != nil {
		s.finish()
	}
	lines.Lock()
	defer lines.Unlock()
	if len(l.waiting) == 0 {
		delete(lines.m, key.path)
		return
	}
	w := l.waiting[0]
	l.waiting = l.waiting[1:]
	w.turn <- nil
}

// isRollback reports whether the mailbox is left with a part of a message.
func isRollback(err error) bool { return errors.Is(err, ErrRollback) }

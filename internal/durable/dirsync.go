package durable

import (
	"path/filepath"
	"sync"

	"github.com/mtakit/mtakit/internal/vfs"
)

// DirSyncer lets callers share the fsync of a directory (group commit): those that arrive while one is under way
// wait for the next one, which then serves them all. Directories do not wait for each other, no lock is held during
// an fsync, and no goroutine runs when nobody waits: one of the waiting callers does the work.
type DirSyncer struct {
	fs vfs.FS

	mu   sync.Mutex
	dirs map[string]*dirState // only directories with an fsync under way
}

// dirState is one directory with an fsync under way.
type dirState struct {
	next *batch // those who came after it began; nil when nobody did
}

// batch is a group of callers served by one fsync.
type batch struct {
	lead chan struct{} // receives one token: whoever takes it does the fsync
	done chan struct{} // closed when err is set
	err  error
}

// NewDirSyncer makes a DirSyncer for directories of fsys.
func NewDirSyncer(fsys vfs.FS) *DirSyncer {
	return &DirSyncer{fs: fsys, dirs: map[string]*dirState{}}
}

// Sync returns when an fsync of dir that began after the call has ended: all changes that the caller made in dir
// before are then durable. All callers that shared a failed fsync get its error.
//
// It takes no context: an fsync cannot be called off, and a caller that leaves would have to assume the worst anyway.
func (s *DirSyncer) Sync(dir string) error {
	dir = filepath.Clean(dir)
	s.mu.Lock()
	st := s.dirs[dir]
	if st == nil {
		st = &dirState{}
		s.dirs[dir] = st
		s.mu.Unlock()
		return s.run(dir, st)
	}
	b := st.next
	if b == nil {
		b = &batch{lead: make(chan struct{}, 1), done: make(chan struct{})}
		st.next = b
	}
	s.mu.Unlock()

	select {
	case <-b.lead:
		b.err = s.run(dir, st)
		close(b.done)
	case <-b.done:
	}
	return b.err
}

// run does one fsync, then hands the directory to the next batch or retires it.
func (s *DirSyncer) run(dir string, st *dirState) error {
	// Even a panic below must not leave the others waiting for ever.
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if next := st.next; next != nil {
			st.next = nil
			next.lead <- struct{}{}
			return
		}
		delete(s.dirs, dir)
	}()
	return s.fs.SyncDir(dir)
}

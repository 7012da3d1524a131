package maildir

import (
	"sync"

	"github.com/mtakit/mtakit/internal/vfs"
)

// A Syncer makes directories durable for many deliveries at once: callers that arrive while a sync of the same
// directory is running wait for the next one and share it. Several Dirs may use one Syncer. It starts no
// goroutines: the work is done by the callers.
type Syncer struct {
	fs   vfs.FS
	mu   sync.Mutex
	dirs map[string]*dirSync
}

// dirSync is the state of one directory that is being synced.
type dirSync struct {
	next *syncBatch // callers waiting for the sync after the running one
}

type syncBatch struct {
	start chan struct{} // closed when it is this batch's turn; its first caller does the work
	done  chan struct{}
	err   error
}

// NewSyncer returns a Syncer for the operating system's files.
func NewSyncer() *Syncer { return newSyncer(vfs.OS) }

func newSyncer(fsys vfs.FS) *Syncer {
	return &Syncer{fs: fsys, dirs: make(map[string]*dirSync)}
}

// Sync returns when everything that had been done in dir before the call is durable.
func (s *Syncer) Sync(dir string) error {
	s.mu.Lock()
	d := s.dirs[dir]
	if d == nil { // nobody is syncing it: begin at once
		s.dirs[dir] = new(dirSync)
		s.mu.Unlock()
		err := s.fs.SyncDir(dir)
		s.next(dir)
		return err
	}
	// A sync is running that may have begun before our rename: it does not count, the one after it does.
	b, first := d.next, false
	if b == nil {
		b, first = &syncBatch{start: make(chan struct{}), done: make(chan struct{})}, true
		d.next = b
	}
	s.mu.Unlock()
	if !first {
		<-b.done
		return b.err
	}
	<-b.start
	b.err = s.fs.SyncDir(dir)
	close(b.done)
	s.next(dir)
	return b.err
}

// next hands the directory to those who came while a sync ran, or forgets it.
func (s *Syncer) next(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.dirs[dir]
	if d.next == nil {
		delete(s.dirs, dir)
		return
	}
	close(d.next.start)
	d.next = nil
}

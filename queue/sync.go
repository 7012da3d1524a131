package queue

import (
	"sync"

	"github.com/mtakit/mtakit/internal/vfs"
)

// dirSync is the group commit of one directory: any number of writers that need its entries on disk share one
// fsync. A writer that arrives while one is running waits for the next, since the running one may have missed it.
type dirSync struct {
	fs   vfs.FS
	path string

	mu      sync.Mutex
	next    *syncBatch
	running bool
}

type syncBatch struct {
	lead chan struct{} // tells one of the waiters to do the work
	done chan struct{}
	err  error
}

// wait returns when everything done to the directory before the call is durable. No lock is held during the fsync.
func (s *dirSync) wait() error {
	s.mu.Lock()
	if s.next == nil {
		s.next = &syncBatch{lead: make(chan struct{}, 1), done: make(chan struct{})}
	}
	b := s.next
	if s.running {
		s.mu.Unlock()
		select {
		case <-b.done:
			return b.err
		case <-b.lead:
		}
		s.mu.Lock()
	}
	s.running = true
	s.next = nil
	s.mu.Unlock()

	b.err = s.fs.SyncDir(s.path)
	close(b.done)

	s.mu.Lock()
	if s.next != nil {
		s.next.lead <- struct{}{}
	} else {
		s.running = false
	}
	s.mu.Unlock()
	return b.err
}

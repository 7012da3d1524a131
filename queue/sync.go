package queue

import "sync"

// groupSync is a group commit, of one directory or of the whole file system: any number of writers that need it on disk
// share one sync. A writer that arrives while one is running waits for the next, since the running one may have missed it.
type groupSync struct {
	sync   func() error
	remove func(path string) error

	mu      sync.Mutex
	next    *syncBatch
	running bool
	// doomed are data files whose control files were removed: they go when that is on disk, since a control file
	// without its body would be delivered as an empty message after a crash.
	doomed []string
}

type syncBatch struct {
	lead chan struct{} // tells one of the waiters to do the work
	done chan struct{}
	err  error
}

// wait returns when everything done before the call is durable. No lock is held during the fsync.
func (s *groupSync) wait() error {
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
	doomed := s.doomed
	s.doomed = nil
	s.mu.Unlock()

	b.err = s.sync()
	close(b.done)

	if b.err == nil {
		for _, path := range doomed {
			s.remove(path) // what stays is removed by Recover some day
		}
	}
	s.mu.Lock()
	if b.err != nil {
		s.doomed = append(doomed, s.doomed...)
	}
	if s.next != nil {
		s.next.lead <- struct{}{}
	} else {
		s.running = false
	}
	s.mu.Unlock()
	return b.err
}

// removeLater removes a data file after the next sync of the directory.
func (s *groupSync) removeLater(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doomed = append(s.doomed, path)
}

// flush syncs the directory if something waits for that.
func (s *groupSync) flush() error {
	s.mu.Lock()
	idle := len(s.doomed) == 0
	s.mu.Unlock()
	if idle {
		return nil
	}
	return s.wait()
}

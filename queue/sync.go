package queue

import "sync"

// groupSync is a group commit, of one directory or of the whole file system: any number of writers that need it on disk
// share one sync. A writer that arrives while one is running waits for the next, since the running one may have missed it.
type groupSync struct {
	sync func() error

	mu      sync.Mutex
	next    *syncBatch
	running bool
	// doomed are data files whose control files were removed: they go when that is on disk, since a control file
	// without its body would be delivered as an empty message after a crash. Those in free may go.
	doomed, free []string
	freed        func() // told that free is not empty
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

	s.mu.Lock()
	defer s.mu.Unlock()
	if b.err != nil {
		s.doomed = append(doomed, s.doomed...)
	} else if len(doomed) > 0 {
		s.free = append(s.free, doomed...)
		s.freed()
	}
	if s.next != nil {
		s.next.lead <- struct{}{}
	} else {
		s.running = false
	}
	return b.err
}

// removeLater lets flush remove a data file once the directory was synced.
func (s *groupSync) removeLater(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doomed = append(s.doomed, path)
}

// flush removes what may go. With all it syncs for the rest first, unless nosync says that nobody cares.
func (s *groupSync) flush(all, nosync bool, remove func(string) error) error {
	s.mu.Lock()
	if nosync {
		s.free = append(s.free, s.doomed...)
		s.doomed = nil
	}
	waiting := len(s.doomed) > 0
	s.mu.Unlock()
	var err error
	if all && waiting {
		err = s.wait()
	}
	s.mu.Lock()
	free := s.free
	s.free = nil
	s.mu.Unlock()
	for _, path := range free {
		remove(path) // what stays is removed by Recover some day
	}
	return err
}

package queue

import (
	"errors"
	"slices"
	"sync"

	"github.com/mtakit/mtakit/internal/vfs"
)

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
	freed        func()     // told that free is not empty
	removing     sync.Mutex // while flush removes what it took from free
	syncing      int        // syncs that hold a part of doomed
	kept         []string   // what keep was asked for meanwhile
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
	doomed := s.takeDoomed()
	s.mu.Unlock()

	b.err = s.sync()
	close(b.done)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(doomed, b.err)
	if s.next != nil {
		s.next.lead <- struct{}{}
	} else {
		s.running = false
	}
	return b.err
}

// alone is wait without company, for a file system that lets simultaneous syncs share the work. There, waiting for one's
// turn would cost an additional round.
func (s *groupSync) alone() error {
	s.mu.Lock()
	doomed := s.takeDoomed()
	s.mu.Unlock()
	err := s.sync()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settle(doomed, err)
	return err
}

// takeDoomed begins a sync that makes the removal of doomed files safe. The caller has the lock.
func (s *groupSync) takeDoomed() []string {
	doomed := s.doomed
	s.doomed = nil
	s.syncing++
	return doomed
}

// settle frees what was doomed before a sync. The caller has the lock.
func (s *groupSync) settle(doomed []string, err error) {
	if len(s.kept) > 0 {
		doomed = slices.DeleteFunc(doomed, func(p string) bool { return slices.Contains(s.kept, p) })
	}
	if s.syncing--; s.syncing == 0 {
		s.kept = nil
	}
	if err != nil {
		s.doomed = append(doomed, s.doomed...)
	} else if len(doomed) > 0 {
		s.free = append(s.free, doomed...)
		s.freed()
	}
}

// removeLater lets flush remove a data file once the directory was synced.
func (s *groupSync) removeLater(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doomed = append(s.doomed, path)
}

// keep takes back removeLater, for a name that is about to be used again.
func (s *groupSync) keep(path string) {
	s.removing.Lock()
	defer s.removing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	other := func(p string) bool { return p == path }
	s.doomed, s.free = slices.DeleteFunc(s.doomed, other), slices.DeleteFunc(s.free, other)
	if s.syncing > 0 {
		s.kept = append(s.kept, path)
	}
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
	s.removing.Lock()
	defer s.removing.Unlock()
	s.mu.Lock()
	free := s.free
	s.free = nil
	s.mu.Unlock()
	for _, path := range free {
		remove(path) // what stays is removed by Recover some day
	}
	return err
}

// maxSyncs is how many files of one message are synced at once.
const maxSyncs = 8

// syncFiles makes files and directories durable. The syncs run side by side, so that the file system can see to all of
// them in one go.
func (d *Dir) syncFiles(files []vfs.File, dirs []*groupSync) error {
	if d.opts.SuperSafe == SuperSafeFalse {
		return nil
	}
	n := len(files)
	sync1 := func(i int) error {
		if i < n {
			return files[i].Sync()
		}
		return dirs[i-n].alone()
	}
	errs := make([]error, n+len(dirs))
	if d.fs != vfs.OS { // tests stop after a number of operations, which needs an order
		for i := range errs {
			if errs[i] = sync1(i); errs[i] != nil {
				break
			}
		}
		return errors.Join(errs...)
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxSyncs)
	for i := 1; i < len(errs); i++ {
		slots <- struct{}{}
		wg.Go(func() {
			errs[i] = sync1(i)
			<-slots
		})
	}
	errs[0] = sync1(0)
	wg.Wait()
	return errors.Join(errs...)
}

// orderedFS is a file system of tests that keeps the order of changes.
type orderedFS interface{ WriteOut(vfs.File) error }

// writeOut hands the content of files to the device; see nameThenSync.
func (d *Dir) writeOut(files []vfs.File) error {
	start, finish := startWriting, finishWriting
	if o, ok := d.fs.(orderedFS); ok {
		start, finish = o.WriteOut, func(vfs.File) error { return nil }
	}
	for _, step := range []func(vfs.File) error{start, finish} {
		for _, f := range files {
			if err := step(f); err != nil {
				return err
			}
		}
	}
	return nil
}

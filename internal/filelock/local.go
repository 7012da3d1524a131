package filelock

import (
	"context"
	"sync"
)

// Queue is a set of mutexes with names, for the goroutines of one process that want the same file: they line up
// here, first come first served, instead of all polling a kernel lock. The zero value is ready for use.
type Queue struct {
	mu   sync.Mutex
	held map[string]*[]chan struct{} // the waiting, first come first
}

// Lock waits for the name until ctx ends, whose error it returns then.
func (q *Queue) Lock(ctx context.Context, name string) error {
	q.mu.Lock()
	if q.held == nil {
		q.held = make(map[string]*[]chan struct{})
	}
	waiting, busy := q.held[name]
	if !busy {
		q.held[name] = new([]chan struct{})
		q.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	*waiting = append(*waiting, turn)
	q.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	for i, c := range *waiting {
		if c == turn {
			*waiting = append((*waiting)[:i], (*waiting)[i+1:]...)
			q.mu.Unlock()
			return ctx.Err()
		}
	}
	q.mu.Unlock()
	q.Unlock(name) // it became ours meanwhile
	return ctx.Err()
}

// Unlock hands the name to the next in line.
func (q *Queue) Unlock(name string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting := q.held[name]
	if len(*waiting) == 0 {
		delete(q.held, name)
		return
	}
	close((*waiting)[0])
	*waiting = (*waiting)[1:]
}

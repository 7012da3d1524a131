package smtp

import (
	"sync"
	"time"
)

// deadList remembers addresses that could not be connected to, so that each message to a domain with a dead exchanger
// does not wait for it anew.
type deadList struct {
	keep  time.Duration
	mu    sync.Mutex
	until map[string]time.Time
}

const maxDead = 1000

func (l *deadList) has(address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.until[address])
}

func (l *deadList) add(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.until == nil {
		l.until = make(map[string]time.Time)
	}
	if len(l.until) >= maxDead {
		clear(l.until) // it only saves time
	}
	l.until[address] = time.Now().Add(l.keep)
}

func (l *deadList) remove(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.until, address)
}

package smtp

import (
	"sync"
	"time"
)

// pool keeps idle sessions by next hop, the last used first, so that the surplus of a busy time goes stale and is
// closed.
type pool struct {
	idle    time.Duration
	perHop  int
	total   int
	mu      sync.Mutex
	conns   map[string][]*conn
	n       int
	isEnded bool
}

// get takes an idle session, or returns nil.
func (p *pool) get(hop string) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.conns[hop]
	if len(list) == 0 {
		return nil
	}
	c := list[len(list)-1]
	p.drop(hop, len(list)-1)
	c.idleTimer.Stop()
	return c
}

// drop takes the i-th session of a hop out of the lists. The caller holds the lock.
func (p *pool) drop(hop string, i int) {
	list := p.conns[hop]
	copy(list[i:], list[i+1:])
	list[len(list)-1] = nil
	p.conns[hop] = list[:len(list)-1]
	p.n--
	if len(list) == 1 {
		delete(p.conns, hop)
	}
}

// put gives a session back. It is ended when there are enough.
func (p *pool) put(hop string, c *conn) {
	p.mu.Lock()
	if p.isEnded || p.n >= p.total || len(p.conns[hop]) >= p.perHop {
		p.mu.Unlock()
		c.quit()
		return
	}
	p.conns[hop] = append(p.conns[hop], c)
	p.n++
	if c.idleTimer == nil {
		c.idleTimer = time.AfterFunc(p.idle, func() { p.expire(hop, c) })
	} else {
		c.idleTimer.Reset(p.idle)
	}
	p.mu.Unlock()
}

// expire ends a session that nobody wanted for too long.
func (p *pool) expire(hop string, c *conn) {
	p.mu.Lock()
	for i, other := range p.conns[hop] {
		if other == c {
			p.drop(hop, i)
			p.mu.Unlock()
			c.quit()
			return
		}
	}
	p.mu.Unlock()
}

// end ends all idle sessions, and from now on every session that is given back.
func (p *pool) end() {
	p.mu.Lock()
	conns := p.conns
	p.conns, p.n, p.isEnded = nil, 0, true
	p.mu.Unlock()
	for _, list := range conns {
		for _, c := range list {
			c.idleTimer.Stop()
			c.quit()
		}
	}
}

package access

import (
	"net/netip"
	"sync"
	"time"
)

// Connections counts connections per client address, for the Rate and Open fields of Client. The zero value is ready
// for use, and safe for concurrent use. sendmail: ratectrl.c.
type Connections struct {
	mu      sync.Mutex
	clients map[netip.Addr]*connections
	swept   time.Time
}

// window is how far back the rate looks. sendmail: ConnectionRateWindowSize.
const window = time.Minute

type connections struct {
	open  int
	times []time.Time // of the connections within the window
}

// Open notes a new connection. It returns the number of connections from addr within the last minute, and of those
// that are open, both including this one. The caller calls Close when it ends.
func (c *Connections) Open(addr netip.Addr) (rate, open int) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sweep(now)
	n := c.clients[addr]
	if n == nil {
		if c.clients == nil {
			c.clients = make(map[netip.Addr]*connections)
		}
		n = new(connections)
		c.clients[addr] = n
	}
	n.expire(now)
	n.times = append(n.times, now)
	n.open++
	return len(n.times), n.open
}

// Close notes the end of a connection that Open noted.
func (c *Connections) Close(addr netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.clients[addr]; n != nil && n.open > 0 {
		n.open--
	}
}

// sweep forgets, once per window, the clients that have gone.
func (c *Connections) sweep(now time.Time) {
	if now.Sub(c.swept) < window {
		return
	}
	c.swept = now
	for addr, n := range c.clients {
		if n.expire(now); n.open == 0 && len(n.times) == 0 {
			delete(c.clients, addr)
		}
	}
}

func (n *connections) expire(now time.Time) {
	i := 0
	for i < len(n.times) && now.Sub(n.times[i]) >= window {
		i++
	}
	n.times = append(n.times[:0], n.times[i:]...)
}

package mx

import (
	"context"
	"sync"
	"time"
)

// CacheOptions tunes a Cache. The zero value is ready for use.
type CacheOptions struct {
	// MaxEntries limits the size; the cache forgets arbitrary answers beyond it. Zero means 10,000.
	MaxEntries int
	// MaxTTL and MinTTL bound how long an answer is kept. Zero means 1 day and 5 s.
	MaxTTL, MinTTL time.Duration
	// MaxNegTTL bounds how long the absence of records is kept. Zero means 3 h (RFC 2308 section 5).
	MaxNegTTL time.Duration
	// FailTTL is how long a failure is kept, so that a broken domain is not asked for with every message. Zero means
	// 30 s (RFC 2308 section 7 allows 5 min); negative keeps none.
	FailTTL time.Duration
}

// Cache is a Resolver that remembers the answers of another, and asks it only once when several goroutines have the
// same question. Answers are kept as they came, so preferences are shuffled anew for each plan.
type Cache struct {
	r Resolver
	o CacheOptions

	mu sync.Mutex
	m  map[question]*entry
}

type question struct {
	name string
	t    Type
}

type entry struct {
	done    chan struct{} // closed when a and err are set
	a       *Answer
	err     error
	expires time.Time
}

// NewCache returns a Cache in front of r. Options may be nil.
func NewCache(r Resolver, o *CacheOptions) *Cache {
	c := &Cache{r: r, m: make(map[question]*entry)}
	if o != nil {
		c.o = *o
	}
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if c.o.MaxEntries <= 0 {
		c.o.MaxEntries = 10_000
	}
	def(&c.o.MaxTTL, 24*time.Hour)
	def(&c.o.MinTTL, 5*time.Second)
	def(&c.o.MaxNegTTL, 3*time.Hour)
	def(&c.o.FailTTL, 30*time.Second)
	return c
}

// Lookup answers from memory when it can.
func (c *Cache) Lookup(ctx context.Context, name string, t Type) (*Answer, error) {
	for {
		e, mine := c.entry(question{name, t})
		if mine {
			e.a, e.err = c.r.Lookup(ctx, name, t)
			c.keep(question{name, t}, e, ctx.Err() != nil)
			close(e.done)
			return e.a, e.err
		}
		select {
		case <-e.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if e.err != nil && e.expires.IsZero() {
			continue // whoever asked gave up; that is no answer to us
		}
		return e.a, e.err
	}
}

// entry finds the entry for q; mine tells the caller that it is new and his to fill.
func (c *Cache) entry(q question) (e *entry, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e = c.m[q]; e != nil {
		select {
		case <-e.done:
			if time.Now().Before(e.expires) {
				return e, false
			}
		default:
			return e, false
		}
	}
	if len(c.m) >= c.o.MaxEntries {
		c.shrink()
	}
	e = &entry{done: make(chan struct{})}
	c.m[q] = e
	return e, true
}

// shrink makes room: what has expired goes, and if that is not enough, whatever the map yields first.
func (c *Cache) shrink() {
	now := time.Now()
	for q, e := range c.m {
		if !e.expires.IsZero() && now.After(e.expires) {
			delete(c.m, q)
		}
	}
	for q, e := range c.m {
		if len(c.m) < c.o.MaxEntries*9/10 {
			return
		}
		if !e.expires.IsZero() {
			delete(c.m, q)
		}
	}
}

// keep sets when the filled entry expires, and drops it when it must not be kept at all.
func (c *Cache) keep(q question, e *entry, givenUp bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ttl := c.ttl(e)
	if givenUp || ttl <= 0 {
		if c.m[q] == e {
			delete(c.m, q)
		}
		if !givenUp {
			e.expires = time.Now() // for those who wait it is an answer
		}
		return
	}
	e.expires = time.Now().Add(ttl)
}

func (c *Cache) ttl(e *entry) time.Duration {
	switch {
	case e.err != nil:
		return c.o.FailTTL
	case e.a.Exists && (len(e.a.MX) > 0 || len(e.a.Addrs) > 0):
		return min(max(e.a.TTL, c.o.MinTTL), c.o.MaxTTL)
	case e.a.NegTTL < 0:
		return 0 // RFC 2308 section 5: without SOA it should not be cached
	}
	return min(max(e.a.NegTTL, c.o.MinTTL), c.o.MaxNegTTL)
}

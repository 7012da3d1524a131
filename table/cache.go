package table

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/mtakit/mtakit"
)

// CacheOptions tunes a Cache. The zero value is ready for use.
type CacheOptions struct {
	// TTL is how long a value is believed. Zero means one minute.
	TTL time.Duration
	// NegativeTTL is how long the absence of a key is believed. Zero means ten seconds; negative values switch the
	// remembering of absences off.
	NegativeTTL time.Duration
	// MaxEntries bounds the cache; the entry unused longest goes first. Zero means 10000.
	MaxEntries int
}

// Cache remembers the answers of a slow table, such as one of sqltable. "Cannot tell" is never remembered.
type Cache struct {
	t mtakit.Table
	o CacheOptions

	mu      sync.Mutex
	entries map[string]*list.Element
	recent  *list.List // of *cacheEntry, the latest used in front
}

type cacheEntry struct {
	key, value string
	pos        mtakit.Position
	ok         bool
	until      time.Time
}

// NewCache returns a Cache in front of t. o may be nil.
func NewCache(t mtakit.Table, o *CacheOptions) *Cache {
	c := &Cache{t: t, entries: make(map[string]*list.Element), recent: list.New()}
	if o != nil {
		c.o = *o
	}
	if c.o.TTL == 0 {
		c.o.TTL = time.Minute
	}
	if c.o.NegativeTTL == 0 {
		c.o.NegativeTTL = 10 * time.Second
	}
	if c.o.MaxEntries <= 0 {
		c.o.MaxEntries = 10000
	}
	return c
}

// Lookup answers from memory while an answer is fresh, and from the table otherwise.
func (c *Cache) Lookup(ctx context.Context, key string) (string, bool, error) {
	v, _, ok, err := c.LookupPosition(ctx, key)
	return v, ok, err
}

// LookupPosition is Lookup with the position that the table told.
func (c *Cache) LookupPosition(ctx context.Context, key string) (string, mtakit.Position, bool, error) {
	if e, ok := c.get(key); ok {
		return e.value, e.pos, e.ok, nil
	}
	v, pos, ok, err := lookupPosition(ctx, c.t, key)
	if err != nil {
		return "", mtakit.Position{}, false, err
	}
	ttl := c.o.TTL
	if !ok {
		ttl = c.o.NegativeTTL
	}
	if ttl > 0 {
		c.put(&cacheEntry{key, v, pos, ok, time.Now().Add(ttl)})
	}
	return v, pos, ok, nil
}

func (c *Cache) get(key string) (*cacheEntry, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.entries[key]
	if !ok {
		return nil, false
	}
	e := el.Value.(*cacheEntry)
	if !time.Now().Before(e.until) {
		c.drop(el)
		return nil, false
	}
	c.recent.MoveToFront(el)
	return e, true
}

func (c *Cache) put(e *cacheEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.entries[e.key]; ok {
		c.drop(el)
	}
	c.entries[e.key] = c.recent.PushFront(e)
	for c.recent.Len() > c.o.MaxEntries {
		c.drop(c.recent.Back())
	}
}

// drop forgets an entry. c.mu is held.
func (c *Cache) drop(el *list.Element) {
	delete(c.entries, c.recent.Remove(el).(*cacheEntry).key)
}

// Len returns the number of answers in memory.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.recent.Len()
}

// Clear forgets everything.
func (c *Cache) Clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.entries)
	c.recent.Init()
}

package mta

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/mtakit/mtakit/access"
)

// clientNames finds the names of clients' addresses and remembers them for a while.
type clientNames struct {
	mu   sync.Mutex
	seen map[netip.Addr]clientName
}

type clientName struct {
	access.Client
	until time.Time
}

const (
	clientNameTTL     = 5 * time.Minute
	clientNameTimeout = 3 * time.Second
	clientNameMax     = 10_000
)

// lookup never fails: what is found out about the name is in Verified. The loopback network needs no DNS.
func (c *clientNames) lookup(ctx context.Context, ip netip.Addr) access.Client {
	if ip.IsLoopback() || !ip.IsValid() {
		return access.Client{Addr: ip, Name: "localhost", PTR: "localhost", Verified: access.NameOK}
	}
	now := time.Now()
	c.mu.Lock()
	n, ok := c.seen[ip]
	c.mu.Unlock()
	if ok && now.Before(n.until) {
		return n.Client
	}
	ctx, cancel := context.WithTimeout(ctx, clientNameTimeout)
	defer cancel()
	n = clientName{access.Identify(ctx, net.DefaultResolver, ip), now.Add(clientNameTTL)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil || len(c.seen) >= clientNameMax {
		c.seen = map[netip.Addr]clientName{}
	}
	c.seen[ip] = n
	return n.Client
}

// relayText is how maillog and Received fields name a client: "host [ip]", "[ip]", "host [ip] (may be forged)".
func relayText(c access.Client) string {
	lit := "[" + access.AddrKey(c.Addr) + "]"
	switch {
	case c.PTR == "":
		return lit
	case c.Verified != access.NameOK:
		return c.PTR + " " + lit + " (may be forged)"
	}
	return c.PTR + " " + lit
}

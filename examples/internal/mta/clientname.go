package mta

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// clientNames finds the names of clients' addresses and remembers them for a while.
type clientNames struct {
	mu   sync.Mutex
	seen map[netip.Addr]clientName
}

type clientName struct {
	host   string // "" when the address has no name
	forged bool   // the name does not lead back to the address
	until  time.Time
}

const (
	clientNameTTL     = 5 * time.Minute
	clientNameTimeout = 3 * time.Second
	clientNameMax     = 10_000
)

// lookup never fails: a client whose name cannot be found has none. The loopback network needs no DNS.
func (c *clientNames) lookup(ctx context.Context, ip netip.Addr) clientName {
	if ip.IsLoopback() || !ip.IsValid() {
		return clientName{host: "localhost"}
	}
	now := time.Now()
	c.mu.Lock()
	n, ok := c.seen[ip]
	c.mu.Unlock()
	if ok && now.Before(n.until) {
		return n
	}
	ctx, cancel := context.WithTimeout(ctx, clientNameTimeout)
	defer cancel()
	n = clientName{until: now.Add(clientNameTTL)}
	if names, err := net.DefaultResolver.LookupAddr(ctx, ip.String()); err == nil && len(names) > 0 {
		n.host = strings.ToLower(strings.TrimSuffix(names[0], "."))
		addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", names[0])
		n.forged = true
		for _, a := range addrs {
			if err == nil && a.Unmap() == ip {
				n.forged = false
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil || len(c.seen) >= clientNameMax {
		c.seen = map[netip.Addr]clientName{}
	}
	c.seen[ip] = n
	return n
}

// relayText is how maillog and Received fields name a client: "host [ip]", "[ip]", "host [ip] (may be forged)".
func relayText(n clientName, ip netip.Addr) string {
	lit := ip.String()
	if ip.Is6() {
		lit = "IPv6:" + ip.StringExpanded()
	}
	lit = "[" + lit + "]"
	switch {
	case n.host == "":
		return lit
	case n.forged:
		return n.host + " " + lit + " (may be forged)"
	}
	return n.host + " " + lit
}

package access

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
)

// DNS is the part of *net.Resolver that access checks need. A *net.DNSError with IsNotFound means that there is no
// such record; every other error means that the DNS cannot tell.
type DNS interface {
	LookupCNAME(ctx context.Context, host string) (string, error)
	LookupMX(ctx context.Context, domain string) ([]*net.MX, error)
	LookupHost(ctx context.Context, host string) ([]string, error)
	LookupAddr(ctx context.Context, addr string) ([]string, error)
}

// BackupMX knows the domains that this host is a mail exchanger of, for relay_based_on_MX. *mx.Planner is one.
type BackupMX interface {
	// IncludesSelf reports whether the MX list of domain names this host, with whatever preference. A domain without
	// MX records has no such list. An error means that the DNS cannot tell.
	IncludesSelf(ctx context.Context, domain string) (bool, error)
}

// BackupMXFunc makes a function a BackupMX.
type BackupMXFunc func(ctx context.Context, domain string) (bool, error)

// IncludesSelf calls f.
func (f BackupMXFunc) IncludesSelf(ctx context.Context, domain string) (bool, error) {
	return f(ctx, domain)
}

func notFound(err error) bool {
	var d *net.DNSError
	return errors.As(err, &d) && d.IsNotFound
}

// Identify looks up and verifies the name of a client: the name in the PTR record counts when one of its addresses
// is addr. The other fields of the Client are left to the caller. sendmail: hostnamebyanyaddr, and getauthinfo for the
// check.
func Identify(ctx context.Context, dns DNS, addr netip.Addr) Client {
	c := Client{Addr: addr.Unmap(), Verified: NameFail}
	names, err := dns.LookupAddr(ctx, c.Addr.WithZone("").String())
	switch {
	case err != nil && !notFound(err):
		c.Verified = NameTemp
		return c
	case len(names) == 0:
		return c
	}
	c.PTR = strings.TrimSuffix(names[0], ".")
	hosts, err := dns.LookupHost(ctx, c.PTR)
	if err != nil && !notFound(err) {
		c.Verified = NameTemp
		return c
	}
	c.Verified = NameForged
	for _, h := range hosts {
		if a, err := netip.ParseAddr(h); err == nil && a.Unmap() == c.Addr.WithZone("") {
			c.Verified, c.Name = NameOK, c.PTR
		}
	}
	return c
}

// canonical returns the name that host stands for in the DNS. When there is no answer the name stays as it is.
// sendmail: $[ name $].
func (p *Policy) canonical(ctx context.Context, host string) (name string, found bool) {
	host = strings.TrimSuffix(host, ".")
	if p.DNS == nil || host == "" || inDomains(host, p.Pseudo) {
		return host, false
	}
	name, err := p.DNS.LookupCNAME(ctx, host)
	if err != nil || name == "" {
		return host, false
	}
	return strings.TrimSuffix(name, "."), true
}

// exists says whether mail could be sent to domain: it has an MX or an address. A literal exists when its address has
// a name. sendmail: the resolve map.
func (p *Policy) exists(ctx context.Context, domain string) (bool, error) {
	if p.DNS == nil {
		return true, nil
	}
	var err error
	if lit, ok := strings.CutPrefix(domain, "["); ok {
		lit = strings.TrimPrefix(strings.TrimSuffix(lit, "]"), "IPv6:")
		if _, bad := netip.ParseAddr(lit); bad != nil {
			return false, nil
		}
		_, err = p.DNS.LookupAddr(ctx, lit)
	} else if _, err = p.DNS.LookupMX(ctx, domain); notFound(err) {
		_, err = p.DNS.LookupHost(ctx, domain)
	}
	switch {
	case err == nil:
		return true, nil
	case notFound(err):
		return false, nil
	}
	return false, err
}

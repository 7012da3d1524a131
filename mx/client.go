package mx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
)

// ClientOptions tunes a Client. The zero value takes everything from /etc/resolv.conf and /etc/hosts.
type ClientOptions struct {
	// Servers are recursive name servers, "address" or "address:port", asked in order. Nil means those of ResolvConf,
	// and 127.0.0.1 when it names none.
	Servers []string
	// ResolvConf is the file with the servers, time-out and attempts. "" means /etc/resolv.conf; it is not read when
	// Servers is set. Search domains are never applied.
	ResolvConf string
	// Hosts is a file of host names and addresses that goes before DNS for address questions, read again when it
	// changes. "" means /etc/hosts, "-" none. It is not used when Servers is set, unless given.
	Hosts string
	// Timeout is how long to wait for one answer. Zero means what ResolvConf says, else 5 s.
	Timeout time.Duration
	// Attempts is how often to go through the servers. Zero means what ResolvConf says, else 2.
	Attempts int
	// TrustAD accepts the AD bit from every server. Otherwise only servers on a loopback address are believed.
	TrustAD bool
	// Dial opens connections to a server, network "udp" or "tcp". Nil means the net package.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Client is a Resolver that asks recursive name servers: over UDP with EDNS first, over TCP when the answer was
// truncated, the next server when one fails. It keeps no state between questions; see Cache.
type Client struct {
	o     ClientOptions
	hosts *hostsFile
	conf  atomic.Pointer[config]
	file  watched // the resolv.conf; no name when the servers are given
}

// config is what a resolv.conf file and the options together say.
type config struct {
	servers  []server
	timeout  time.Duration
	attempts int
}

type server struct {
	addr    string
	trusted bool
}

const (
	ednsSize       = 1232 // fits any path without fragments (DNS flag day 2020)
	maxCNAMEs      = 16
	defaultServer  = "127.0.0.1"
	defaultTimeout = 5 * time.Second
	defaultTries   = 2
)

// NewClient returns a Client. Options may be nil. A configuration file that cannot be read counts as empty, as it does
// for the C library; it is read again when it changes.
func NewClient(o *ClientOptions) *Client {
	c := &Client{}
	if o != nil {
		c.o = *o
	}
	if c.o.Dial == nil {
		c.o.Dial = (&net.Dialer{}).DialContext
	}
	if c.o.Servers == nil {
		if c.file.name = c.o.ResolvConf; c.file.name == "" {
			c.file.name = "/etc/resolv.conf"
		}
		if c.o.Hosts == "" {
			c.o.Hosts = "/etc/hosts"
		}
	}
	if c.o.Hosts != "" && c.o.Hosts != "-" {
		c.hosts = &hostsFile{file: watched{name: c.o.Hosts}}
	}
	c.conf.Store(c.configure(&dns.ClientConfig{Servers: c.o.Servers}))
	c.config() // now, so that nobody meets the files half read
	c.hosts.lookup("")
	return c
}

// configure completes what a file says with options and defaults.
func (c *Client) configure(file *dns.ClientConfig) *config {
	conf := &config{timeout: c.o.Timeout, attempts: c.o.Attempts}
	if conf.timeout <= 0 {
		conf.timeout = time.Duration(file.Timeout) * time.Second
	}
	if conf.timeout <= 0 {
		conf.timeout = defaultTimeout
	}
	if conf.attempts <= 0 {
		conf.attempts = file.Attempts
	}
	if conf.attempts <= 0 {
		conf.attempts = defaultTries
	}
	list := file.Servers
	if len(list) == 0 {
		list = []string{defaultServer}
	}
	for _, s := range list {
		if _, _, err := net.SplitHostPort(s); err != nil {
			s = net.JoinHostPort(strings.Trim(s, "[]"), "53")
		}
		conf.servers = append(conf.servers, server{s, c.o.TrustAD || isLoopback(s)})
	}
	return conf
}

// config returns the configuration as it is now.
func (c *Client) config() *config {
	if text, changed := c.file.read(); changed {
		if file, err := dns.ClientConfigFromReader(strings.NewReader(text)); err == nil {
			c.conf.Store(c.configure(file))
		}
	}
	return c.conf.Load()
}

func isLoopback(hostport string) bool {
	a, err := netip.ParseAddrPort(hostport)
	return err == nil && a.Addr().IsLoopback()
}

// Lookup asks for the records of type t at name. Errors say which server answered what.
func (c *Client) Lookup(ctx context.Context, name string, t Type) (*Answer, error) {
	if t != TypeMX {
		if addrs := c.hosts.lookup(name); addrs != nil {
			return &Answer{Exists: true, Addrs: ofType(addrs, t), NegTTL: -1}, nil
		}
	}
	chain := chain{name: name, secure: true, ttl: -1}
	for {
		m, trusted, err := c.exchange(ctx, chain.name, t)
		if err != nil {
			return nil, err
		}
		a, err := chain.follow(m, t, trusted)
		if a != nil || err != nil {
			return a, err
		}
	}
}

// ofType keeps the addresses of one family.
func ofType(addrs []netip.Addr, t Type) []netip.Addr {
	var out []netip.Addr
	for _, a := range addrs {
		if a.Is4() == (t == TypeA) {
			out = append(out, a)
		}
	}
	return out
}

// exchange gets an answer with NOERROR or NXDOMAIN from the first server that gives one.
func (c *Client) exchange(ctx context.Context, name string, t Type) (m *dns.Msg, trusted bool, err error) {
	var last error
	conf := c.config()
	for range conf.attempts {
		for _, s := range conf.servers {
			m, err := c.ask(ctx, conf.timeout, s.addr, name, t)
			if err == nil {
				return m, s.trusted, nil
			}
			last = fmt.Errorf("%s %v at %s: %w", name, t, s.addr, err)
			if ctx.Err() != nil {
				return nil, false, last
			}
		}
		var refused *rcodeError
		if errors.As(last, &refused) && len(conf.servers) == 1 {
			break // the server has spoken; asking it again in the same second changes nothing
		}
	}
	return nil, false, last
}

type rcodeError struct{ rcode int }

func (e *rcodeError) Error() string { return dns.RcodeToString[e.rcode] }

// ask puts one question to one server. The EDNS option is left out when the server does not understand it, and a
// truncated answer is fetched again over TCP.
func (c *Client) ask(ctx context.Context, timeout time.Duration, addr, name string, t Type) (*dns.Msg, error) {
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), uint16(t))
	q.AuthenticatedData = true // asks for AD without the DNSSEC records (RFC 6840 section 5.7)
	q.SetEdns0(ednsSize, false)
	m, err := c.roundTrip(ctx, timeout, "udp", addr, q)
	if err == nil && (m.Rcode == dns.RcodeFormatError || m.Rcode == dns.RcodeNotImplemented) {
		q.Extra = nil // RFC 6891 section 7
		m, err = c.roundTrip(ctx, timeout, "udp", addr, q)
	}
	if err == nil && m.Truncated {
		m, err = c.roundTrip(ctx, timeout, "tcp", addr, q)
	}
	if err != nil {
		return nil, err
	}
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		return nil, &rcodeError{m.Rcode}
	}
	return m, nil
}

func (c *Client) roundTrip(ctx context.Context, timeout time.Duration, network, addr string, q *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	nc, err := c.o.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	conn := &dns.Conn{Conn: nc, UDPSize: ednsSize}
	if err := conn.WriteMsg(q); err != nil {
		return nil, err
	}
	for {
		m, err := conn.ReadMsg()
		if err == nil {
			if m.Id == q.Id && m.Response && sameQuestion(m, q) {
				return m, nil
			}
			err = errors.New("answer to another question")
		}
		// Over UDP anyone can send rubbish; the true answer may still come.
		var ne net.Error
		if network != "udp" || errors.As(err, &ne) {
			if ctx.Err() != nil {
				err = fmt.Errorf("no answer: %w", ctx.Err())
			}
			return nil, err
		}
	}
}

// sameQuestion reports whether m answers q. An error answer may lack the question (some servers' FORMERR does).
func sameQuestion(m, q *dns.Msg) bool {
	if len(m.Question) == 0 {
		return m.Rcode != dns.RcodeSuccess
	}
	a, b := m.Question[0], q.Question[0]
	return len(m.Question) == 1 && a.Qtype == b.Qtype && a.Qclass == b.Qclass && strings.EqualFold(a.Name, b.Name)
}

// chain follows CNAMEs, within one answer and over several.
type chain struct {
	name   string // where it has come to
	links  int
	secure bool
	ttl    time.Duration // the least so far; negative before the first record
}

var errCNAMELoop = errors.New("CNAME loop or chain of more than 16")

// follow reads an answer for the chain's name. It returns nil, nil when it ends in a name that must be asked for.
func (c *chain) follow(m *dns.Msg, t Type, trusted bool) (*Answer, error) {
	c.secure = c.secure && trusted && m.AuthenticatedData
	start := c.name
	for hop := true; hop; {
		hop = false
		for _, rr := range m.Answer {
			cn, ok := rr.(*dns.CNAME)
			if !ok || plainName(cn.Hdr.Name) != c.name {
				continue
			}
			if c.links++; c.links > maxCNAMEs {
				return nil, fmt.Errorf("%s %v: %w", start, t, errCNAMELoop)
			}
			c.name, hop = plainName(cn.Target), true
			c.lower(cn.Hdr.Ttl)
			break
		}
	}
	a := &Answer{Exists: m.Rcode != dns.RcodeNameError, Canonical: c.name, NegTTL: negTTL(m), Secure: c.secure}
	for _, rr := range m.Answer {
		if plainName(rr.Header().Name) != c.name || rr.Header().Rrtype != uint16(t) {
			continue
		}
		switch rr := rr.(type) {
		case *dns.MX:
			a.MX = append(a.MX, Record{rr.Preference, plainName(rr.Mx)})
		case *dns.A:
			if ip, ok := netip.AddrFromSlice(rr.A.To4()); ok {
				a.Addrs = append(a.Addrs, ip)
			}
		case *dns.AAAA:
			if ip, ok := netip.AddrFromSlice(rr.AAAA.To16()); ok {
				a.Addrs = append(a.Addrs, ip)
			}
		}
		c.lower(rr.Header().Ttl)
	}
	if len(a.MX) == 0 && len(a.Addrs) == 0 && c.name != start && a.Exists && a.NegTTL < 0 {
		return nil, nil // the server left the rest to us
	}
	if a.TTL = c.ttl; a.TTL < 0 {
		a.TTL = 0
	}
	return a, nil
}

func (c *chain) lower(ttl uint32) {
	if d := time.Duration(ttl) * time.Second; c.ttl < 0 || d < c.ttl {
		c.ttl = d
	}
}

// negTTL is how long a negative answer holds (RFC 2308 section 5), or -1.
func negTTL(m *dns.Msg) time.Duration {
	for _, rr := range m.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return time.Duration(min(soa.Hdr.Ttl, soa.Minttl)) * time.Second
		}
	}
	return -1
}

// plainName brings a name from the wire into the form of this package.
func plainName(s string) string { return strings.TrimSuffix(dns.CanonicalName(s), ".") }

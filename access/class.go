package access

import (
	"bufio"
	"context"
	"io"
	"strings"

	"github.com/mtakit/mtakit/internal/lex"
)

// RelayDomains is the class of domains and networks that relaying is permitted for. A domain covers its subdomains,
// a network is written like the keys of an access table: 192.0.2, IPv6:2001:db8. sendmail: class R.
type RelayDomains []string

// ReadRelayDomains reads a relay-domains file, or any other file that fills a class: words separated by blanks and
// line ends; a # begins a comment.
func ReadRelayDomains(r io.Reader) (RelayDomains, error) {
	var words RelayDomains
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		line, _, _ := strings.Cut(sc.Text(), "#")
		words = append(words, strings.Fields(line)...)
	}
	return words, sc.Err()
}

// domain reports whether domain is a member or, unless exact, lies in one.
func (rd RelayDomains) domain(domain string, exact bool) bool {
	for _, m := range rd {
		if strings.EqualFold(domain, m) || !exact && hasSuffixFold(domain, "."+m) {
			return true
		}
	}
	return false
}

// network reports whether addr, in the form of AddrKey, lies in a member.
func (rd RelayDomains) network(addr string) bool {
	for _, m := range rd {
		if len(addr) < len(m) || !strings.EqualFold(addr[:len(m)], m) {
			continue
		}
		if rest := addr[len(m):]; rest == "" || rest[0] == '.' || rest[0] == ':' {
			return true
		}
	}
	return false
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}

// inDomains reports whether domain is one of members or lies in one.
func inDomains(domain string, members []string) bool {
	return RelayDomains(members).domain(domain, false)
}

func (p *Policy) hostname() string { return or(p.Hostname, "localhost") }

// parentDomain is $m: the host name without its first label.
func (p *Policy) parentDomain() string {
	if _, d, ok := strings.Cut(p.Hostname, "."); ok {
		return d
	}
	return ""
}

func (p *Policy) parents() []string {
	if p.Parents == nil {
		if d := p.parentDomain(); d != "" {
			return []string{d}
		}
	}
	return p.Parents
}

// relayNetwork reports whether class R covers the client address. block_bad_helo adds the loopback addresses.
func (p *Policy) relayNetwork(addr string) bool {
	return p.Relay.network(addr) ||
		p.BlockBadHELO && (addr == "127.0.0.1" || addr == "IPv6:0:0:0:0:0:0:0:1")
}

// isLocal reports whether domain is in class w. block_bad_helo adds the loopback literals.
func (p *Policy) isLocal(ctx context.Context, domain string) (bool, error) {
	d := lex.Fold(domain)
	switch {
	case d == "localhost" || d == lex.Fold(p.hostname()):
		return true, nil
	case p.BlockBadHELO && (d == "[127.0.0.1]" || d == "[ipv6:0:0:0:0:0:0:0:1]" || d == "[ipv6:::1]"):
		return true, nil
	case p.Local == nil || d == "":
		return false, nil
	}
	return p.Local.Contains(ctx, d)
}

package access

import (
	"strings"

	"github.com/mtakit/mtakit/internal/lex"
)

// canonAddr is an address in the form in which rules look at it: the local part as written, the domain canonical and
// without trailing dot. A local name has no domain.
type canonAddr struct{ local, domain string }

// fault is why an address is none; sendmail reports it before any rule of this package runs.
type fault struct{ text, dsn string }

// canon brings an address, given without angle brackets, into standard form: route addresses, bang paths and the
// percent hack are resolved, the domain is made canonical, and local domains are stripped as long as what is left
// still names a host. sendmail: rulesets canonify and Parse0.
func (e *eval) canon(addr string) (canonAddr, *fault, error) {
	for {
		a, f := split(addr)
		if f != nil {
			return a, f, nil
		}
		if a.domain != "" {
			if err := e.canonDomain(&a); err != nil {
				return a, nil, err
			}
		}
		local := a.domain == ""
		if !local {
			var err error
			if local, err = e.p.isLocal(e.ctx, a.domain); err != nil {
				return a, nil, err
			}
		}
		if !local {
			return a, nil, nil
		}
		a.local = dequote(a.local)
		if a.local == "" {
			return a, &fault{"553 User address required", "5.1.3"}, nil
		}
		if !namesHost(a.local) {
			return a, nil, nil
		}
		if a.local == addr {
			// "!user" and the like name no host after all. sendmail recurses until it gives up.
			return a, &fault{"553 User address required", "5.1.3"}, nil
		}
		addr = a.local
	}
}

// split finds local part and domain.
func split(s string) (canonAddr, *fault) {
	s, f := stripComments(strings.TrimSpace(s))
	if f != nil {
		return canonAddr{}, f
	}
	if strings.HasPrefix(s, "<") && strings.HasSuffix(s, ">") {
		s = s[1 : len(s)-1]
	}
	s = stripRoute(s)
	if at := lastUnquoted(s, '@'); at >= 0 {
		a := canonAddr{local: s[:at], domain: strings.TrimSuffix(s[at+1:], ".")}
		return a, a.fault()
	}
	if bang := firstUnquoted(s, '!'); bang > 0 {
		a := canonAddr{local: s[bang+1:], domain: s[:bang]}
		if !strings.Contains(a.domain, ".") {
			a.domain += ".UUCP"
		}
		return a, a.fault()
	}
	if pct := lastUnquoted(s, '%'); pct >= 0 {
		a := canonAddr{local: s[:pct], domain: s[pct+1:]}
		return a, a.fault()
	}
	return canonAddr{local: s}, nil
}

// stripComments removes comments in parentheses, and finds quotes and brackets without a partner.
func stripComments(s string) (string, *fault) {
	unbalanced := func(c byte) *fault { return &fault{"553 Unbalanced '" + string(c) + "'", ""} }
	angles := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			n := quoted(s[i:])
			if n < 2 || s[i+n-1] != '"' {
				return s, unbalanced('"')
			}
			i += n - 1
		case '(':
			n := comment(s[i:])
			if s[i+n-1] != ')' {
				return s, unbalanced('(')
			}
			s = s[:i] + s[i+n:]
			i--
		case ')':
			return s, unbalanced(')')
		case '<':
			angles++
		case '>':
			if angles--; angles < 0 {
				return s, unbalanced('>')
			}
		}
	}
	if angles > 0 {
		return s, unbalanced('<')
	}
	return s, nil
}

func (a canonAddr) fault() *fault {
	switch {
	case a.local == "":
		return &fault{"553 User address required", "5.1.3"}
	case a.domain == "":
		return &fault{"553 Hostname required", "5.1.3"}
	case strings.HasPrefix(a.domain, ".") || strings.Contains(a.domain, ".."):
		return &fault{"553 Invalid host name", "5.1.2"}
	case firstUnquoted(a.local, '@') >= 0 || firstUnquoted(a.local, ',') >= 0:
		return &fault{"553 Invalid route address", "5.1.3"}
	case a.domain[0] == '[':
		if _, rest, _ := strings.Cut(a.domain, "]"); rest != "" && rest[0] != ':' && rest[0] != ',' {
			return &fault{"553 Invalid address", "5.1.2"}
		}
	case strings.Contains(a.domain, ":"):
		return &fault{"553 Colon illegal in host name part", "5.1.3"}
	}
	return nil
}

// stripRoute removes @a,@b: in front of an address (RFC 5321 appendix F.2).
func stripRoute(s string) string {
	if !strings.HasPrefix(s, "@") {
		return s
	}
	if colon := colonOutsideLiteral(s); colon >= 0 && colon+1 < len(s) {
		return s[colon+1:]
	}
	return s
}

func colonOutsideLiteral(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '[':
			depth++
		case ']':
			depth--
		case ':':
			if depth == 0 {
				return i
			}
		case '"':
			i += quoted(s[i:]) - 1
		}
	}
	return -1
}

// canonDomain replaces names of this host by its canonical name, and aliases by what they stand for.
func (e *eval) canonDomain(a *canonAddr) error {
	d := lex.Fold(a.domain)
	p := e.p
	if d == "localhost" || d == "localhost.uucp" || p.parentDomain() != "" && d == "localhost."+lex.Fold(p.parentDomain()) {
		a.domain = p.hostname()
		return nil
	}
	if d[0] == '[' {
		own, err := p.isLocal(e.ctx, d)
		if own {
			a.domain = p.hostname()
		}
		return err
	}
	if host, ok := strings.CutSuffix(d, ".uucp"); ok && !p.NoCanonify {
		if name, found := p.canonical(e.ctx, host); found {
			a.domain = name
			return nil
		}
	}
	if !p.NoCanonify {
		a.domain, _ = p.canonical(e.ctx, a.domain)
	}
	return nil
}

// namesHost reports whether a local part holds a character that makes sendmail look for another host in it. sendmail:
// class O.
func namesHost(local string) bool {
	return firstUnquoted(local, '@') >= 0 || firstUnquoted(local, '%') >= 0 || firstUnquoted(local, '!') >= 0
}

// dequote removes the quotes of a local part that is one quoted string, unless it holds a blank. sendmail: the dequote
// map.
func dequote(local string) string {
	if len(local) < 2 || local[0] != '"' || quoted(local) != len(local) || strings.ContainsAny(local, " \t") {
		return local
	}
	return unquote(local)
}

func firstUnquoted(s string, c byte) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case c:
			return i
		case '"':
			i += quoted(s[i:]) - 1
		case '\\':
			i++
		}
	}
	return -1
}

func lastUnquoted(s string, c byte) int {
	last := -1
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case c:
			last = i
		case '"':
			i += quoted(s[i:]) - 1
		case '\\':
			i++
		}
	}
	return last
}

// isLoopback reports whether addr, in the form of AddrKey, is this machine.
func isLoopback(addr string) bool {
	switch addr {
	case "", "0", "127.0.0.1", "IPv6:0:0:0:0:0:0:0:1":
		return true
	}
	return false
}

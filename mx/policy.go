package mx

import "strings"

// Mode is what an MTA-STS policy asks for (RFC 8461 section 3.2).
type Mode string

// The modes.
const (
	Enforce Mode = "enforce" // hosts that do not match are not used
	Testing Mode = "testing" // mismatches are only reported
	None    Mode = "none"    // there is no policy any more
)

// Policy is the part of a domain's MTA-STS policy that concerns the choice of hosts.
type Policy struct {
	Mode Mode
	MX   []string // host names, or "*." and a domain: exactly one more label
}

// Match reports whether host is one that the policy names. Letter case and a trailing dot do not matter.
func (p *Policy) Match(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	for _, pattern := range p.MX {
		pattern = strings.TrimSuffix(strings.ToLower(pattern), ".")
		if domain, wild := strings.CutPrefix(pattern, "*."); wild {
			if label, rest, ok := strings.Cut(host, "."); ok && label != "" && rest == domain {
				return true
			}
		} else if host == pattern {
			return true
		}
	}
	return false
}

// allows reports whether host may be used. A nil policy allows everything.
func (p *Policy) allows(host string) bool {
	return p == nil || p.Mode != Enforce || p.Match(host)
}

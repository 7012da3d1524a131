package mx

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// profile maps as UTS 46 does, non-transitionally, and leaves underscores alone: they do occur.
var profile = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false))

// asciiName brings a domain into the form that is queried and compared: A-labels, lower case, no trailing dot.
func asciiName(s string) (string, error) {
	ascii := true
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			ascii = false
			break
		}
	}
	if ascii {
		s = strings.ToLower(s)
	} else {
		var err error
		if s, err = profile.ToASCII(s); err != nil {
			return "", err
		}
	}
	s = strings.TrimSuffix(s, ".")
	if err := checkName(s); err != nil {
		return "", err
	}
	return s, nil
}

// checkName applies RFC 1035 section 2.3.1 as relaxed by RFC 1123 section 2.1, with underscores.
func checkName(s string) error {
	if s == "" {
		return errors.New("empty domain name")
	}
	if len(s) > 253 {
		return fmt.Errorf("domain name of %d bytes: at most 253 are allowed", len(s))
	}
	for label := range strings.SplitSeq(s, ".") {
		switch {
		case label == "":
			return fmt.Errorf("domain name %q: empty label", s)
		case len(label) > 63:
			return fmt.Errorf("domain name %q: label of %d bytes: at most 63 are allowed", s, len(label))
		case label[0] == '-' || label[len(label)-1] == '-':
			return fmt.Errorf("domain name %q: label begins or ends with a hyphen", s)
		}
		for i := 0; i < len(label); i++ {
			c := label[i]
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') {
				return fmt.Errorf("domain name %q: character %q", s, c)
			}
		}
	}
	if last := s[strings.LastIndexByte(s, '.')+1:]; strings.Trim(last, "0123456789") == "" {
		// No top-level domain is a number; this is an address without brackets, or half of one.
		return fmt.Errorf("domain name %q ends in a number: an address needs brackets", s)
	}
	return nil
}

// literal reads the inside of a bracketed next hop as an address: a dotted quad, "IPv6:" and an IPv6 address, or, as
// sendmail accepts for routing, an IPv6 address alone. isAddr is false when it can only be a host name.
func literal(s string) (addr netip.Addr, isAddr bool, err error) {
	tagged := len(s) >= 5 && strings.EqualFold(s[:5], "ipv6:")
	if tagged {
		s = s[5:]
	}
	if !tagged && !strings.Contains(s, ":") && strings.Trim(s, "0123456789.") != "" {
		return netip.Addr{}, false, nil
	}
	if addr, err = netip.ParseAddr(s); err != nil {
		return netip.Addr{}, true, err
	}
	if addr.Zone() != "" || tagged && !addr.Is6() {
		return netip.Addr{}, true, fmt.Errorf("address literal %q: not an address of the kind that it claims", s)
	}
	return addr, true, nil
}

// splitList cuts a colon list into its elements; colons inside brackets do not separate.
func splitList(s string) []string {
	var list []string
	depth, start := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '[':
			depth++
		case ']':
			depth--
		case ':':
			if depth <= 0 {
				list = append(list, s[start:i])
				start = i + 1
			}
		}
	}
	return append(list, s[start:])
}

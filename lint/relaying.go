package lint

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/access"
)

// relaying finds permission to relay for far too many: whole top level domains, and networks that nobody owns alone.
func (c *checker) relaying() {
	for e := range c.t.Access.All() {
		if access.ParseValue(e.Value).Kind != access.KindRelay {
			continue
		}
		tag, rest := e.Tag()
		switch tag {
		case "Connect":
			c.wideClient(e.Key, rest, e.Pos)
		case "To":
			c.wideDomain(e.Key, rest, e.Pos)
		case "":
			c.wideClient(e.Key, rest, e.Pos)
			c.wideDomain(e.Key, rest, e.Pos)
		}
	}
	for _, w := range c.t.Relay {
		c.wideClient(w.Text, w.Text, w.Pos)
		c.wideDomain(w.Text, w.Text, w.Pos)
	}
}

// wideDomain judges permission for a domain.
func (c *checker) wideDomain(key, rest string, pos mtakit.Position) {
	d := strings.Trim(strings.ToLower(rest), ".")
	if d == "" || strings.ContainsAny(d, "@:[") || strings.Contains(d, ".") || isNumber(d) || d == "localhost" {
		return
	}
	c.add(pos, Error, "open-relay", fmt.Sprintf("%s permits relaying for the whole top level domain %s", key, d))
}

// wideClient judges permission for clients by network.
func (c *checker) wideClient(key, rest string, pos mtakit.Position) {
	lower := strings.ToLower(rest)
	if lower == "ipv6" {
		c.add(pos, Error, "open-relay", key+" permits relaying to every IPv6 client")
		return
	}
	if v6, ok := strings.CutPrefix(lower, "ipv6:"); ok {
		groups := strings.Count(v6, ":") + 1
		if groups < 3 && !privateV6(v6) {
			c.add(pos, Error, "open-relay", fmt.Sprintf("%s permits relaying to a /%d of the IPv6 Internet", key, 16*groups))
		}
		return
	}
	part := strings.Split(lower, ".")
	for _, p := range part {
		if !isNumber(p) {
			return
		}
	}
	if privateV4(part) {
		return
	}
	switch len(part) {
	case 1:
		c.add(pos, Error, "open-relay", fmt.Sprintf("%s permits relaying to 16 million addresses of the Internet", key))
	case 2:
		c.add(pos, Warning, "open-relay", fmt.Sprintf("%s permits relaying to 65536 addresses of the Internet", key))
	}
}

// privateV4 reports whether a network given by its leading octets is private or loopback.
func privateV4(octets []string) bool {
	full := append(append([]string{}, octets...), "0", "0", "0")[:4]
	a, err := netip.ParseAddr(strings.Join(full, "."))
	if err != nil {
		return true // no network at all
	}
	return a.IsLoopback() || a.IsPrivate() && (octets[0] == "10" || len(octets) > 1)
}

func privateV6(groups string) bool {
	first, _, _ := strings.Cut(groups, ":")
	n, err := strconv.ParseUint(first, 16, 16)
	return err != nil || n&0xfe00 == 0xfc00 || n&0xffc0 == 0xfe80 || n == 0
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// CheckPolicy tells what is dangerous in the switches of a policy.
func CheckPolicy(p *access.Policy) []Finding {
	var found []Finding
	risk := func(on bool, s Severity, text string) {
		if on {
			found = append(found, Finding{Severity: s, Code: "open-relay", Text: text})
		}
	}
	risk(p.PromiscuousRelay, Error, "promiscuous_relay relays for everybody")
	risk(p.RelayLocalFrom, Error, "relay_local_from relays for everybody who claims to be a local sender")
	risk(p.RelayMailFrom == access.FromDomain, Error, "relay_mail_from with domains relays for everybody who claims to be in one of them")
	risk(p.RelayMailFrom == access.FromAddress, Warning, "relay_mail_from relays for everybody who claims to be a listed sender")
	risk(p.LooseRelayCheck, Warning, "loose_relay_check relays user%other@domain for every domain that we relay for")
	risk(p.RelayMX != nil, Note, "relay_based_on_MX relays for every domain whose owner names this host in its MX list")
	return found
}

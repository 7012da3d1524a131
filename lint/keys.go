package lint

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/access"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/mailertable"
	"github.com/mtakit/mtakit/virtuser"
)

// duplicates finds keys that are given twice. Of aliases the last one counts, of all other tables the first.
func (c *checker) duplicates() {
	seen := map[string]mtakit.Position{}
	for e := range c.t.Aliases.All() {
		if first, dup := seen[e.Key]; dup {
			c.add(first, Warning, "duplicate-key", fmt.Sprintf("alias %s is given again on line %d, which replaces this entry", e.Key, e.Pos.Line))
		}
		seen[e.Key] = e.Pos
	}
	once := func() func(key string, pos mtakit.Position) {
		seen := map[string]int{}
		return func(key string, pos mtakit.Position) {
			k := strings.ToLower(key)
			if first, dup := seen[k]; dup {
				c.add(pos, Warning, "duplicate-key", fmt.Sprintf("%s is given on line %d already, and that entry counts", key, first))
				return
			}
			seen[k] = pos.Line
		}
	}
	virtual, mailer, acc, local, relay := once(), once(), once(), once(), once()
	for e := range c.t.Virtual.All() {
		virtual(e.Key, e.Pos)
	}
	for e := range c.t.Mailer.All() {
		mailer(e.Key, e.Pos)
	}
	for e := range c.t.Access.All() {
		acc(e.Key, e.Pos)
	}
	for _, w := range c.t.Local {
		local(w.Text, w.Pos)
	}
	for _, w := range c.t.Relay {
		relay(w.Text, w.Pos)
	}
}

// probe is a question that only the entry at pos should answer.
type probe func(ctx context.Context) (mtakit.Step, bool)

// meets asks the probes and reports the entry at pos when none of them meets it. Entries that a duplicate hides were
// told already.
func (c *checker) meets(key string, pos mtakit.Position, hidden bool, probes ...probe) {
	var other mtakit.Step
	for _, ask := range probes {
		s, ok := ask(c.ctx)
		if ok && s.Pos == pos {
			return
		}
		if ok {
			other = s
		}
	}
	switch {
	case hidden:
	case other.Key != "":
		c.add(pos, Warning, "shadowed-key", fmt.Sprintf("%s is never met: %s on line %d comes before it", key, other.Key, other.Pos.Line))
	default:
		c.add(pos, Warning, "unreachable-key", fmt.Sprintf("%s is never asked for", key))
	}
}

// somebody is a local part that no table is supposed to know.
const somebody = "nobody-has-this-name"

func (c *checker) aliasKeys() {
	last := map[string]mtakit.Position{}
	for e := range c.t.Aliases.All() {
		last[e.Key] = e.Pos
	}
	m := alias.New(c.t.Aliases, alias.Options{})
	for e := range c.t.Aliases.All() {
		if strings.HasPrefix(e.Key, "owner-") {
			continue
		}
		ask := func(local string) probe {
			return func(ctx context.Context) (mtakit.Step, bool) {
				x, ok, err := m.Expand(ctx, mtakit.Address{Local: local})
				return x.Step, ok && err == nil
			}
		}
		probes := []probe{ask(e.Key)}
		if user, ok := strings.CutSuffix(e.Key, "+*"); ok {
			probes = append(probes, ask(user+"+"+somebody))
		}
		c.meets("alias "+e.Key, e.Pos, last[e.Key] != e.Pos, probes...)
	}
}

func (c *checker) virtualKeys() {
	first := map[string]mtakit.Position{}
	m := virtuser.New(c.t.Virtual)
	for e := range c.t.Virtual.All() {
		key := strings.ToLower(e.Key)
		hidden := false
		if _, hidden = first[key]; !hidden {
			first[key] = e.Pos
		}
		at := strings.LastIndexByte(key, '@')
		if at < 0 {
			c.add(e.Pos, Warning, "unreachable-key", fmt.Sprintf("%s has no domain, and is never asked for", e.Key))
			continue
		}
		domain := key[at+1:]
		if !c.t.isVirtual(domain) {
			c.add(e.Pos, Error, "not-our-domain", fmt.Sprintf("%s: %s is not a local domain, so this entry is never asked; see local-host-names", e.Key, domain))
			continue
		}
		var probes []probe
		for _, local := range virtualProbes(key[:at]) {
			probes = append(probes, func(ctx context.Context) (mtakit.Step, bool) {
				x, ok, err := m.Expand(ctx, mtakit.Address{Local: local, Domain: domain})
				return x.Step, ok && err == nil
			})
		}
		c.meets(e.Key, e.Pos, hidden, probes...)
	}
}

// virtualProbes are local parts that should lead to the key with this local part.
func virtualProbes(local string) []string {
	for _, wild := range []string{"++", "+*"} {
		if user, ok := strings.CutSuffix(local, wild); ok {
			if user == "" {
				user = somebody
			}
			return []string{user + "+x", user + "+"}
		}
	}
	if local == "" {
		return []string{somebody, somebody + "+x"}
	}
	return []string{local}
}

func (c *checker) mailerKeys() {
	first := map[string]mtakit.Position{}
	m := mailertable.New(c.t.Mailer)
	for e := range c.t.Mailer.All() {
		key := strings.ToLower(e.Key)
		hidden := false
		if _, hidden = first[key]; !hidden {
			first[key] = e.Pos
		}
		if c.t.isLocal(key) {
			c.add(e.Pos, Warning, "local-domain", fmt.Sprintf("%s is a local domain, so this entry is never asked", e.Key))
			continue
		}
		if strings.HasPrefix(key, "[") {
			c.add(e.Pos, Warning, "unreachable-key", fmt.Sprintf("%s: address literals are never looked up", e.Key))
			continue
		}
		if key != "." && strings.HasSuffix(key, ".") {
			c.add(e.Pos, Warning, "unreachable-key", fmt.Sprintf("%s is never asked for: keys have no final dot", e.Key))
			continue
		}
		mailer, _, ok := strings.Cut(e.Value, ":")
		if !ok || strings.HasPrefix(mailer, "[") {
			c.add(e.Pos, Warning, "no-mailer", fmt.Sprintf("value %q names no mailer, so %s is not sent there; write esmtp:%s", e.Value, e.Key, e.Value))
			continue
		}
		domain := key
		switch {
		case key == ".":
			domain = somebody + ".invalid"
		case key[0] == '.':
			domain = somebody + key
		}
		c.meets(e.Key, e.Pos, hidden, func(ctx context.Context) (mtakit.Step, bool) {
			d, ok, err := m.Route(ctx, mtakit.Address{Local: somebody, Domain: domain})
			return d.Step, ok && (err == nil || d.Step.Key != "")
		})
	}
}

func (c *checker) accessKeys() {
	first := map[string]bool{}
	m := access.New(c.t.Access, nil)
	for e := range c.t.Access.All() {
		key := strings.ToLower(e.Key)
		hidden := first[key]
		first[key] = true
		tag, rest := e.Tag()
		if tag == "" && strings.Contains(rest, ":") && !hasPrefixFold(rest, "IPv6:") && !hasPrefixFold(rest, "[IPv6:") {
			word, _, _ := strings.Cut(rest, ":")
			if _, err := netip.ParseAddr(rest); err == nil || isHex(word) {
				c.add(e.Pos, Warning, "unreachable-key", fmt.Sprintf("%s is never asked for: IPv6 addresses are written IPv6:2001:db8:…", e.Key))
			} else {
				c.add(e.Pos, Warning, "unreachable-key", fmt.Sprintf("%s is never asked for: there is no tag %s", e.Key, word))
			}
			continue
		}
		if why := neverMatches(rest); why != "" {
			c.add(e.Pos, Warning, "unreachable-key", fmt.Sprintf("%s is never asked for: %s", e.Key, why))
			continue
		}
		if tag == "Spam" && strings.HasSuffix(rest, "@") {
			c.spamUser(e)
		}
		c.meets(e.Key, e.Pos, hidden, accessProbes(m, tag, rest)...)
	}
}

// accessProbes are the searches that may meet a key, by what its tag is asked about.
func accessProbes(m *access.Map, tag, rest string) []probe {
	type search = func(context.Context, string) (access.Result, bool, error)
	client := []search{
		func(ctx context.Context, tag string) (access.Result, bool, error) {
			return m.Domain(ctx, tag, access.Both, rest)
		},
		func(ctx context.Context, tag string) (access.Result, bool, error) {
			return m.Network(ctx, tag, access.Both, rest)
		},
	}
	address := []search{func(ctx context.Context, tag string) (access.Result, bool, error) {
		local, domain, ok := strings.Cut(strings.Replace(rest, "+*@", "+x@", 1), "@")
		if !ok {
			return m.Domain(ctx, tag, access.Both, rest)
		}
		return m.Address(ctx, tag, access.Both, local, domain)
	}}
	exact := func(ctx context.Context, tag string) (access.Result, bool, error) {
		return m.Exact(ctx, tag, access.Both, rest)
	}
	isUser, isNet := strings.Contains(rest, "@"), isNetwork(rest)
	asked := map[string][]search{}
	switch {
	case isUser:
		asked["From"], asked["To"], asked["Spam"] = address, address, address
	case !isNet:
		asked["From"], asked["To"], asked["Spam"] = address, address, address
		asked["Connect"], asked["GreetPause"] = client, client
	default:
		asked["Connect"], asked["GreetPause"], asked["ClientRate"], asked["ClientConn"] = client, client, client, client
	}
	if rest == "" {
		asked["ClientRate"], asked["ClientConn"] = []search{exact}, []search{exact}
	}
	tags := []string{tag}
	switch tag {
	case "":
		tags = []string{"Connect", "From", "To"}
	case "Connect", "From", "To", "Spam", "ClientRate", "ClientConn", "GreetPause":
	default:
		asked[tag] = []search{exact} // tags that this toolkit does not ask for
	}
	var probes []probe
	for _, tag := range tags {
		for _, ask := range asked[tag] {
			probes = append(probes, func(ctx context.Context) (mtakit.Step, bool) {
				r, ok, err := ask(ctx, tag)
				return r.Step, ok && err == nil
			})
		}
	}
	return probes
}

// isNetwork reports whether an address part is an IPv4 or IPv6 address or network.
func isNetwork(rest string) bool {
	return rest == "" || hasPrefixFold(rest, "IPv6") || strings.Trim(rest, "0123456789.") == ""
}

// neverMatches says why no search asks for this address part.
func neverMatches(rest string) string {
	lower := strings.ToLower(rest)
	if v6, ok := strings.CutPrefix(lower, "ipv6:"); ok {
		if strings.Contains(v6, "::") || strings.HasSuffix(v6, ":") {
			return `IPv6 addresses are written without "::"`
		}
		for _, group := range strings.Split(v6, ":") {
			if len(group) > 1 && group[0] == '0' {
				return "the groups of IPv6 addresses have no leading zeros"
			}
			if !isHex(group) || len(group) > 4 {
				return "this is no IPv6 address or network"
			}
		}
		return ""
	}
	host := rest[strings.LastIndexByte(rest, '@')+1:]
	switch {
	case host != "." && strings.HasSuffix(host, "."):
		return "keys have no final dot"
	case strings.HasPrefix(host, "."):
		return "keys with a leading dot need FEATURE(access_db) with lookupdotdomain"
	case strings.HasSuffix(host, ".0") && isNetwork(host):
		return "networks are written without final zeros, 192.0.2 for 192.0.2.0/24"
	case strings.Contains(host, "/"):
		return "networks are written 192.0.2, on octet boundaries"
	case strings.Contains(rest, `"`):
		return "keys have no quotes"
	}
	return ""
}

func isHex(s string) bool {
	return s != "" && strings.Trim(strings.ToLower(s), "0123456789abcdef") == ""
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// spamUser finds Spam:user@ entries that a Spam:domain entry hides for every local domain.
func (c *checker) spamUser(e access.Entry) {
	var by string
	for d := range c.t.local {
		v, _, ok, _ := c.t.Access.LookupPosition(c.ctx, "spam:"+d)
		if !ok {
			return
		}
		by = "Spam:" + d + " " + v
	}
	c.add(e.Pos, Warning, "shadowed-key", fmt.Sprintf("%s is never met: domains come before users, see %s", e.Key, by))
}

// names lists names for people: at most ten of them.
func names(all []string) string {
	slices.Sort(all)
	all = slices.Compact(all)
	if more := len(all) - 10; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(all[:10], ", "), more)
	}
	return strings.Join(all, ", ")
}

package mx

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/mtakit/mtakit"
)

// Families says which address families may be used.
type Families uint8

// The values of Families.
const (
	BothFamilies Families = iota // IPv6 and IPv4, alternating, IPv6 first
	IPv4Only
	IPv6Only
)

// Planner finds where to connect for a next hop. Its fields must not change while it is in use; it may be used by
// several goroutines at once. The zero value asks the system's name servers and knows no own names.
type Planner struct {
	// Resolver answers DNS questions. Nil means a Client with the system's configuration.
	Resolver Resolver

	// Self tells which host names are this machine's (sendmail's class w). Nil means none.
	Self mtakit.Domains
	// SelfAddrs are the networks of this machine's own addresses, as the outside sees them. sendmail has no such test.
	SelfAddrs []netip.Prefix

	// Families are the address families to use.
	Families Families

	// Fallback is a next hop to try after all others and when the lookup fails (sendmail's FallbackMXhost), "" for
	// none. It is not used for a null MX, nor when this host is among the exchangers.
	Fallback string

	// STS finds the MTA-STS policy of a domain (RFC 8461), nil when it has none. An error defers the mail. A nil STS
	// means that there are no policies.
	STS func(ctx context.Context, domain string) (*Policy, error)

	// MaxHosts limits how many exchangers of one domain are considered, best first. Zero means 100, as in sendmail.
	MaxHosts int
	// MaxAddrs limits how many addresses of one host are considered. Zero means 16.
	MaxAddrs int
}

const (
	defaultMaxHosts = 100
	defaultMaxAddrs = 16
	maxListElements = 32
)

var (
	// ErrPolicy is the Cause of a plan whose hosts are all forbidden by the domain's MTA-STS policy.
	ErrPolicy = errors.New("no mail exchanger matches the domain's MTA-STS policy")
	// ErrTooLong is the Cause of a plan for a colon list with more than 32 elements.
	ErrTooLong = errors.New("too many next hops in one list")
)

var systemResolver = sync.OnceValue(func() Resolver { return NewCache(NewClient(nil), nil) })

func (p *Planner) resolver() Resolver {
	if p.Resolver != nil {
		return p.Resolver
	}
	return systemResolver()
}

// Plan finds the hosts for a next hop: a domain, which is subject to MX; a bracketed name or address literal, which is
// not; or several of these with colons between, tried in turn. It never fails: Plan.Err tells what went wrong. Equal
// preferences are shuffled for each call.
func (p *Planner) Plan(ctx context.Context, hop string) *Plan {
	plan := p.planList(ctx, hop)
	switch plan.Class {
	case OK, NoDomain, NoAddress, TempFail:
		if p.Fallback != "" && !plan.SelfIsMX {
			p.addFallback(ctx, plan)
		}
	}
	return plan
}

// planList plans a colon list, element by element; their preferences do not compare.
func (p *Planner) planList(ctx context.Context, hop string) *Plan {
	elements := []string{hop}
	if _, err := netip.ParseAddr(hop); err != nil { // a bare address is a single, bad element
		elements = splitList(hop)
	}
	if len(elements) == 1 {
		return p.planOne(ctx, hop)
	}
	all := &Plan{Query: hop, TTL: -1, NegTTL: -1}
	if len(elements) > maxListElements {
		all.Class, all.Cause = BadDomain, ErrTooLong
		return all
	}
	for _, e := range elements {
		one := p.planOne(ctx, e)
		all.List = append(all.List, one)
		all.SelfIsMX = all.SelfIsMX || one.SelfIsMX
		switch {
		case one.Class == OK && all.Class != OK:
			all.Groups = nil // what the failed ones before it had to show
			all.Class, all.Cause = OK, nil
		case one.Class == TempFail && all.Class != OK, all.Class == 0:
			all.Class, all.Cause = one.Class, one.Cause
		}
		if one.Class == OK || all.Class != OK {
			all.Groups = append(all.Groups, one.Groups...)
		}
	}
	return all
}

func (p *Planner) addFallback(ctx context.Context, plan *Plan) {
	fb := p.planList(ctx, p.Fallback)
	if fb.Class != OK || fb.SelfIsMX {
		return
	}
	for _, g := range fb.Groups {
		g.Preference, g.Fallback = FallbackPreference, true
		plan.Groups = append(plan.Groups, g)
	}
	if plan.Class != OK {
		plan.ClassBeforeFallback, plan.Class = plan.Class, OK
	}
}

// planOne plans one element: a domain or something in brackets.
func (p *Planner) planOne(ctx context.Context, hop string) *Plan {
	plan := &Plan{Query: hop, TTL: -1, NegTTL: -1}
	if strings.HasPrefix(hop, "[") {
		p.planBracket(ctx, plan)
		return plan
	}
	name, err := asciiName(hop)
	if err != nil {
		return plan.fail(BadDomain, err)
	}
	plan.Domain = name
	a, err := p.resolver().Lookup(ctx, name, TypeMX)
	if err != nil {
		return plan.fail(TempFail, err)
	}
	plan.Secure = a.Secure
	if !a.Exists {
		plan.NegTTL = a.NegTTL
		return plan.fail(NoDomain, nil)
	}
	var hosts []Record
	if len(a.MX) == 0 {
		plan.NegTTL, plan.Implicit = a.NegTTL, true
		hosts = []Record{{0, canonical(a, name)}} // RFC 5321 section 5.1: the domain itself is the exchanger
	} else {
		plan.TTL = a.TTL
		if hosts = p.exchangers(a.MX); len(hosts) == 0 {
			return plan.fail(NullMX, nil)
		}
		plan.MX = true
	}
	return p.planHosts(ctx, plan, hosts)
}

// planHosts settles who of the exchangers, sorted by preference, may and can be used.
func (p *Planner) planHosts(ctx context.Context, plan *Plan, hosts []Record) *Plan {
	hosts, self, err := p.dropSelfNames(ctx, hosts)
	if err != nil {
		return plan.fail(TempFail, err)
	}
	plan.SelfIsMX = self
	found := p.resolveAll(ctx, hosts)
	if n := p.selfAddr(hosts, found); n >= 0 {
		plan.SelfIsMX = true
		hosts, found = hosts[:n], found[:n]
	}
	if len(hosts) == 0 {
		return plan.fail(Loop, nil)
	}
	var policy *Policy
	if p.STS != nil {
		if policy, err = p.STS(ctx, plan.Domain); err != nil {
			return plan.fail(TempFail, err)
		}
	}
	for i, r := range hosts {
		if !policy.allows(r.Host) {
			plan.Excluded = append(plan.Excluded, r.Host)
			continue
		}
		if n := len(plan.Groups); n == 0 || plan.Groups[n-1].Preference != int(r.Preference) {
			plan.Groups = append(plan.Groups, Group{Preference: int(r.Preference)})
		}
		g := &plan.Groups[len(plan.Groups)-1]
		g.Hosts = append(g.Hosts, found[i])
	}
	if len(plan.Groups) == 0 {
		return plan.fail(TempFail, ErrPolicy)
	}
	for _, g := range plan.Groups {
		rand.Shuffle(len(g.Hosts), func(i, j int) { g.Hosts[i], g.Hosts[j] = g.Hosts[j], g.Hosts[i] })
	}
	plan.classify()
	return plan
}

// planBracket plans an address literal or a host that is not subject to MX.
func (p *Planner) planBracket(ctx context.Context, plan *Plan) {
	inside, ok := strings.CutSuffix(plan.Query[1:], "]")
	if !ok {
		plan.fail(BadDomain, fmt.Errorf("next hop %q: missing ]", plan.Query))
		return
	}
	addr, isAddr, err := literal(inside)
	if err != nil {
		plan.fail(BadDomain, err)
		return
	}
	if isAddr {
		plan.Groups = []Group{{Hosts: []Host{{Name: plan.Query, Addrs: []netip.Addr{addr}, Status: HostOK, Exists: true}}}}
		plan.Class = OK
		return
	}
	if plan.Domain, err = asciiName(inside); err != nil {
		plan.fail(BadDomain, err)
		return
	}
	if plan.Domain == "localhost" { // RFC 6761 section 6.3: never asked for; here it is meant, unlike in an MX record
		h := Host{Name: plan.Domain, Status: HostOK, Exists: true}
		h.Addrs = p.order([]netip.Addr{netip.IPv6Loopback(), netip.AddrFrom4([4]byte{127, 0, 0, 1})})
		plan.Class, plan.Groups = OK, []Group{{Hosts: []Host{h}}}
		return
	}
	h, exists := p.resolve(ctx, plan.Domain)
	switch {
	case h.Status == HostTempFail:
		plan.fail(TempFail, h.Err)
	case !exists:
		plan.fail(NoDomain, nil)
	case h.Status == HostNoAddr:
		plan.fail(NoAddress, nil)
	default:
		plan.Class, plan.Groups = OK, []Group{{Hosts: []Host{h}}}
	}
}

func (p *Plan) fail(c Class, cause error) *Plan {
	p.Class, p.Cause, p.Groups = c, cause, nil
	return p
}

// classify sets Class from the hosts that are left: one that works is enough, and one that may work later defers.
func (p *Plan) classify() {
	p.Class = NoAddress
	for _, g := range p.Groups {
		for _, h := range g.Hosts {
			switch h.Status {
			case HostOK:
				p.Class, p.Cause = OK, nil
				return
			case HostTempFail:
				p.Class, p.Cause = TempFail, h.Err
			}
		}
	}
}

// exchangers sorts MX records, drops the root (which next to real ones says nothing) and keeps the best preference of
// a host that is named twice.
func (p *Planner) exchangers(records []Record) []Record {
	var hosts []Record
	for _, r := range records {
		if r.Host != "" {
			hosts = append(hosts, r)
		}
	}
	slices.SortStableFunc(hosts, func(a, b Record) int { return int(a.Preference) - int(b.Preference) })
	seen := make(map[string]bool, len(hosts))
	hosts = slices.DeleteFunc(hosts, func(r Record) bool {
		dup := seen[r.Host]
		seen[r.Host] = true
		return dup
	})
	limit := p.MaxHosts
	if limit == 0 {
		limit = defaultMaxHosts
	}
	return hosts[:min(len(hosts), limit)]
}

// dropSelfNames cuts a sorted list before the preference at which an own name stands: a host may only pass mail on to
// better exchangers than itself (RFC 5321 section 5.1).
func (p *Planner) dropSelfNames(ctx context.Context, hosts []Record) (rest []Record, self bool, err error) {
	if p.Self == nil {
		return hosts, false, nil
	}
	for i, r := range hosts {
		own, err := p.Self.Contains(ctx, r.Host)
		if err != nil {
			return nil, false, err
		}
		if own {
			return hosts[:firstOf(hosts, i)], true, nil
		}
	}
	return hosts, false, nil
}

// selfAddr returns where to cut the list because a host has an own address, or -1.
func (p *Planner) selfAddr(hosts []Record, found []Host) int {
	if len(p.SelfAddrs) == 0 {
		return -1
	}
	for i, h := range found {
		for _, a := range h.Addrs {
			a = a.Unmap()
			if slices.ContainsFunc(p.SelfAddrs, func(n netip.Prefix) bool { return n.Contains(a) }) {
				return firstOf(hosts, i)
			}
		}
	}
	return -1
}

// firstOf returns the index of the first record with the preference of hosts[i].
func firstOf(hosts []Record, i int) int {
	for i > 0 && hosts[i-1].Preference == hosts[i].Preference {
		i--
	}
	return i
}

// resolveAll looks up the addresses of all hosts, a few at a time, in the order of hosts.
func (p *Planner) resolveAll(ctx context.Context, hosts []Record) []Host {
	found := make([]Host, len(hosts))
	if len(hosts) == 1 {
		found[0], _ = p.resolve(ctx, hosts[0].Host)
		return found
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for i, r := range hosts {
		wg.Add(1)
		slots <- struct{}{}
		go func() {
			defer wg.Done()
			found[i], _ = p.resolve(ctx, r.Host)
			<-slots
		}()
	}
	wg.Wait()
	return found
}

// resolve finds the addresses of one host. One family that fails does not spoil the other. exists is false when the
// name is known not to exist.
func (p *Planner) resolve(ctx context.Context, name string) (h Host, exists bool) {
	h.Name, h.Exists = name, true
	if a, err := netip.ParseAddr(name); err == nil && a.Is4() {
		// An MX that points to an address breaks RFC 1035, and sendmail and Postfix connect to it all the same.
		h.Status = HostOK
		if h.Addrs = p.order([]netip.Addr{a}); len(h.Addrs) == 0 {
			h.Status = HostNoAddr
		}
		return h, true
	}
	if checkName(name) != nil {
		h.Status, h.Exists = HostNoAddr, false
		return h, false
	}
	types := [...]Type{TypeAAAA, TypeA}
	h.Secure, h.Status = true, HostNoAddr
	var addrs []netip.Addr
	for _, t := range types {
		if t == TypeAAAA && p.Families == IPv4Only || t == TypeA && p.Families == IPv6Only {
			continue
		}
		a, err := p.resolver().Lookup(ctx, name, t)
		if err != nil {
			h.Err, h.Secure = err, false
			continue
		}
		exists = exists || a.Exists
		h.Secure = h.Secure && a.Secure
		addrs = append(addrs, a.Addrs...)
		if c := canonical(a, name); c != name && len(a.Addrs) > 0 {
			h.Canonical = c
		}
	}
	switch h.Addrs = p.order(addrs); {
	case len(h.Addrs) > 0:
		h.Status, h.Err = HostOK, nil
	case h.Err != nil:
		h.Status = HostTempFail
	}
	h.Exists = exists || h.Status == HostTempFail
	return h, h.Exists
}

// order drops doubles and what the host has no family for, shuffles each family and lets them take turns, IPv6 first,
// so that a machine with one broken family loses at most every other attempt (RFC 5321 section 5.1 leaves the order
// open).
func (p *Planner) order(addrs []netip.Addr) []netip.Addr {
	var v6, v4 []netip.Addr
	seen := make(map[netip.Addr]bool, len(addrs))
	for _, a := range addrs {
		switch u := a.Unmap(); {
		case seen[u]:
			continue
		case a.Is4() && p.Families != IPv6Only:
			v4 = append(v4, a)
		case a.Is6() && p.Families != IPv4Only:
			v6 = append(v6, a)
		default:
			continue
		}
		seen[a.Unmap()] = true
	}
	for _, f := range [...][]netip.Addr{v6, v4} {
		rand.Shuffle(len(f), func(i, j int) { f[i], f[j] = f[j], f[i] })
	}
	limit := p.MaxAddrs
	if limit == 0 {
		limit = defaultMaxAddrs
	}
	var out []netip.Addr
	for i := 0; i < max(len(v6), len(v4)); i++ {
		if i < len(v6) {
			out = append(out, v6[i])
		}
		if i < len(v4) {
			out = append(out, v4[i])
		}
	}
	return out[:min(len(out), limit)]
}

func canonical(a *Answer, name string) string {
	if a.Canonical != "" {
		return a.Canonical
	}
	return name
}

// IncludesSelf reports whether an MX record of domain, of whatever preference, names this host: the question of
// FEATURE(relay_based_on_MX). A domain without MX records has no such record, and one that cannot be a domain neither.
// An error means that the DNS cannot tell, and the answer to the client is a temporary one. Only names count, not
// SelfAddrs. Whoever controls a domain can point its MX here, so the feature opens the relay to strangers' domains.
func (p *Planner) IncludesSelf(ctx context.Context, domain string) (bool, error) {
	name, err := asciiName(domain)
	if err != nil || p.Self == nil {
		return false, nil
	}
	a, err := p.resolver().Lookup(ctx, name, TypeMX)
	if err != nil {
		return false, &mtakit.Error{Code: 451, Status: mtakit.StatusDirectory,
			Text: "Name server: " + name + ": host name lookup failure", Err: err}
	}
	for _, r := range a.MX {
		if own, err := p.Self.Contains(ctx, r.Host); own || err != nil {
			return own, err
		}
	}
	return false, nil
}

package access

import (
	"regexp"
	"strings"
)

// relayOuter says whether we relay for the domain of an address whose local part names a further host.
func (e *eval) relayOuter(a canonAddr) outcome {
	if e.p.RelayEntireDomain && inDomains(a.domain, e.p.parents()) || e.p.Relay.domain(a.domain, e.p.RelayHostsOnly) {
		return outcome{kind: relay}
	}
	r, ok, err := e.relayEntry("To", a.domain)
	if err != nil {
		return outcome{} // a failed look-up is no RELAY, and is met again later
	}
	if ok {
		if r.Value.Kind == KindRelay {
			return outcome{kind: relay}
		}
		return outcome{} // an entry of another kind also ends the question whether we are an MX
	}
	return e.servedMX(a.domain)
}

// relayEntry searches for a domain the way relay permission is searched for.
func (e *eval) relayEntry(tag, domain string) (Result, bool, error) {
	if e.p.RelayHostsOnly {
		return e.exact(tag, Both, domain)
	}
	return e.domain(tag, Both, domain)
}

// relayDomain says whether mail for a domain that is not local may be relayed, whoever sends it.
func (e *eval) relayDomain(a canonAddr) outcome {
	p := e.p
	switch {
	case p.RelayEntireDomain && inDomains(a.domain, p.parents()):
		return outcome{kind: relay, reason: "relay_entire_domain"}
	case p.Relay.domain(a.domain, p.RelayHostsOnly):
		return outcome{kind: relay, reason: "relay domain"}
	}
	r, ok, err := e.relayRecipient(a)
	switch {
	case err != nil:
		o := e.cannotTell(err)
		o.kind = temp
		return o
	case ok && r.Value.Kind == KindRelay:
		return outcome{kind: relay, reason: "entry " + r.Step.Key}
	}
	return e.servedMX(a.domain)
}

// relayRecipient searches for relay permission for the recipient.
func (e *eval) relayRecipient(a canonAddr) (r Result, ok bool, err error) {
	if e.p.Access == nil {
		return r, false, nil
	}
	full := e.p.Access.opt.RelayToFullAddress
	switch {
	case full && e.p.RelayHostsOnly:
		if r, ok, err = e.exact("To", Tagged, a.local+"@"+a.domain); ok || err != nil {
			return r, ok, err
		}
	case full:
		if r, ok, err = e.address("To", Both, a.local, a.domain); ok || err != nil {
			return r, ok, err
		}
		if r, ok, err = e.domain("To", Both, a.domain); ok || err != nil {
			return r, ok, err
		}
		return e.exact("To", Both, a.local+"@") // without the forms that spare a detail
	}
	return e.relayEntry("To", a.domain)
}

// servedMX is relay_based_on_MX: this host is in the MX list of domain.
func (e *eval) servedMX(domain string) outcome {
	if e.p.RelayMX == nil {
		return outcome{}
	}
	own, err := e.p.RelayMX.IncludesSelf(e.ctx, domain)
	switch {
	case err != nil:
		o := e.refuse("450 Can not check MX records for recipient host "+domain, "4.4.0", "relay_based_on_MX")
		o.kind, o.err.Err = temp, err
		return o
	case own:
		return outcome{kind: relay, reason: "relay_based_on_MX"}
	}
	return outcome{}
}

// relayOK says whether the client may relay to anybody: by address, by sender if so configured, by name.
func (e *eval) relayOK() outcome {
	addr := e.c.addr()
	switch {
	case isLoopback(addr):
		return outcome{kind: relay, reason: "client is this host"}
	case e.p.relayNetwork(addr):
		return outcome{kind: relay, reason: "relay network"}
	}
	r, ok, err := e.network("Connect", Both, addr)
	switch {
	case err != nil:
		o := e.cannotTell(err)
		o.kind = temp
		return o
	case ok && r.Value.Kind == KindRelay:
		return outcome{kind: relay, reason: "entry " + r.Step.Key}
	}
	if own, err := e.p.isLocal(e.ctx, "["+addr+"]"); own || err != nil {
		if err != nil {
			return e.cannotTell(err)
		}
		return outcome{kind: relay, reason: "client is this host"}
	}
	if e.p.RelayMailFrom != FromNever || e.p.RelayLocalFrom {
		if o := e.relaySender(); o.decided() {
			return o
		}
	}
	return e.relayName()
}

// relaySender says whether the sender's address permits relaying.
func (e *eval) relaySender() outcome {
	a, f, err := e.canon(e.from)
	switch {
	case err != nil:
		return e.cannotTell(err)
	case f != nil || a.domain == "":
		return outcome{}
	}
	if e.p.RelayLocalFrom {
		own, err := e.p.isLocal(e.ctx, a.domain)
		switch {
		case err != nil:
			return e.cannotTell(err)
		case own:
			return outcome{kind: relay, reason: "relay_local_from"}
		}
	}
	if e.p.RelayMailFrom == FromNever {
		return outcome{}
	}
	r, ok, err := e.address("From", Tagged, a.local, a.domain)
	if !ok && err == nil && e.p.RelayMailFrom == FromDomain {
		if e.p.RelayHostsOnly {
			r, ok, err = e.exact("From", Tagged, a.domain)
		} else {
			r, ok, err = e.domain("From", Tagged, a.domain)
		}
	}
	switch {
	case err != nil:
		o := e.cannotTell(err)
		o.kind = temp
		return o
	case ok && r.Value.Kind == KindRelay:
		return outcome{kind: relay, reason: "entry " + r.Step.Key}
	}
	return outcome{}
}

// relayName says whether the client's name permits relaying. A client without a verified name is told so.
func (e *eval) relayName() outcome {
	switch e.c.Verified {
	case NameTemp:
		o := e.refuse("450 Relaying temporarily denied. Cannot resolve PTR record for "+e.c.addr(), "4.4.0", "client name")
		o.kind = temp
		return o
	case NameForged:
		return e.refuse("550 Relaying denied. IP name possibly forged "+e.c.name(), "5.7.1", "client name")
	case NameFail:
		return e.refuse("550 Relaying denied. IP name lookup failed "+e.c.name(), "5.7.1", "client name")
	}
	p := e.p
	name, _ := p.canonical(e.ctx, e.c.name())
	if p.RelayEntireDomain && inDomains(name, p.parents()) {
		return outcome{kind: relay, reason: "relay_entire_domain"}
	}
	own, err := p.isLocal(e.ctx, name)
	switch {
	case err != nil:
		return e.cannotTell(err)
	case own:
		return outcome{kind: relay, reason: "client is this host"}
	case p.Relay.domain(name, p.RelayHostsOnly):
		return outcome{kind: relay, reason: "relay domain"}
	}
	r, ok, err := e.relayEntry("Connect", name)
	switch {
	case err != nil:
		o := e.cannotTell(err)
		o.kind = temp
		return o
	case ok && r.Value.Kind == KindRelay:
		return outcome{kind: relay, reason: "entry " + r.Step.Key}
	}
	if p.BlockBadHELO && p.DelayChecks == CheckAtOnce {
		return e.badHELO()
	}
	return outcome{}
}

// trustedAuth reports whether the client's authentication permits relaying.
func (e *eval) trustedAuth() bool {
	if e.c.AuthMechanism == "" {
		return false
	}
	for _, m := range e.p.TrustedAuth {
		if m == "*" || strings.EqualFold(m, e.c.AuthMechanism) {
			return true
		}
	}
	return false
}

// badMXName and badMXAddr are what FEATURE(badmx) refuses: an MX that is an address or the root, and an MX whose
// address is no use to anybody else.
var (
	badMXName = regexp.MustCompile(`^(([0-9]{1,3}\.){3}[0-9])?\.$`)
	badMXAddr = regexp.MustCompile(`^(127\.|10\.|0\.0\.0\.0)`)
)

// badMX checks where the mail exchangers of the sender's domain point.
func (e *eval) badMX(domain string) outcome {
	if domain == "" || e.p.DNS == nil {
		return outcome{}
	}
	hosts := []string{domain} // RFC 5321 section 5.1: no MX means the domain itself
	list, err := e.p.DNS.LookupMX(e.ctx, domain)
	if err != nil && !notFound(err) {
		o := e.refuse("450 MX lookup failure for "+domain, "4.1.2", "badmx")
		o.err.Err = err
		return o
	}
	if len(list) > 0 {
		hosts = hosts[:0]
	}
	for _, mx := range list {
		switch {
		case mx.Host == ".": // RFC 7505: null MX
		case badMXName.MatchString(strings.TrimSuffix(mx.Host, ".") + "."):
			return e.refuse("550 Illegal MX record for host "+domain, "5.1.2", "badmx")
		default:
			hosts = append(hosts, strings.TrimSuffix(mx.Host, "."))
		}
	}
	for _, h := range hosts {
		addrs, err := e.p.DNS.LookupHost(e.ctx, h)
		if err != nil {
			continue // as in sendmail, a host that does not resolve proves nothing
		}
		for _, a := range addrs {
			if badMXAddr.MatchString(a) {
				return e.refuse("550 Invalid MX record for host "+domain, "5.1.2", "badmx")
			}
		}
	}
	return outcome{}
}

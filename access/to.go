package access

import (
	"context"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/lex"
)

// To decides whether a recipient may be mailed to by this client and sender: blocked recipients, relaying, and under
// DelayChecks everything that Connect and From left. It does not know whether the recipient exists.
// sendmail: check_rcpt.
func (p *Policy) To(ctx context.Context, c Client, from, rcpt mtakit.Address) Decision {
	return p.ToPath(ctx, c, from.String(), rcpt.String())
}

// ToPath is To for addresses as the client wrote them, without angle brackets.
func (p *Policy) ToPath(ctx context.Context, c Client, from, rcpt string) Decision {
	e := &eval{p: p, ctx: ctx, c: &c, from: from, about: "<" + rcpt + ">"}
	o := e.checkRcpt(rcpt)
	if p.DelayChecks == CheckAtOnce {
		return e.decision(o)
	}
	switch o.kind {
	case temp, refuse, discard, hold, final:
		return e.decision(o)
	}
	return e.decision(e.delayed(rcpt))
}

// checkRcpt runs the checks of a recipient: is it blocked, may mail for it be relayed, may this client relay.
func (e *eval) checkRcpt(rcpt string) outcome {
	if rcpt == "" {
		return e.refuse("553 User address required", "", "empty address")
	}
	to := e.rcptOK(rcpt)
	switch to.kind {
	case refuse, discard, hold, relay, final:
		return to
	}
	if e.p.PromiscuousRelay {
		return outcome{reason: "promiscuous_relay"}
	}
	if by := e.relayOK(); by.decided() {
		return by
	}
	if to.kind == temp {
		return to
	}
	return e.refuse(or(e.p.RelayText, "550 Relaying denied"), "5.7.1", "relaying denied")
}

// rcptOK says what the recipient itself permits or forbids.
func (e *eval) rcptOK(rcpt string) outcome {
	a, o := e.parseRecipient(rcpt)
	if o.decided() {
		return o
	}
	local := false
	if a.domain != "" {
		var err error
		if local, err = e.p.isLocal(e.ctx, a.domain); err != nil {
			return e.cannotTell(err)
		}
	}
	if e.p.BlocklistRecipients {
		if o := e.blocked(a, local); o.decided() {
			return o
		}
	}
	if e.p.PromiscuousRelay {
		if e.p.BlockBadHELO && e.p.DelayChecks == CheckAtOnce {
			return e.badHELO()
		}
		return outcome{}
	}
	if e.trustedAuth() {
		return outcome{kind: final, reason: "authenticated by " + e.c.AuthMechanism}
	}
	switch {
	case a.domain == "":
		return outcome{kind: relay, reason: "local name"}
	case local:
		return outcome{kind: relay, reason: "local domain"}
	}
	return e.relayDomain(a)
}

// parseRecipient brings the recipient into canonical form. As long as the domain is one that we relay for and the local
// part names another host, that host is what counts.
func (e *eval) parseRecipient(rcpt string) (canonAddr, outcome) {
	for {
		a, f, err := e.canon(rcpt)
		switch {
		case err != nil:
			return a, e.cannotTell(err)
		case f != nil:
			return a, e.refuse(f.text, f.dsn, "address syntax")
		case e.p.LooseRelayCheck:
			return a, outcome{}
		}
		a.local = dequote(a.local)
		if a.domain == "" || !namesHost(a.local) {
			return a, outcome{}
		}
		o := e.relayOuter(a)
		if o.kind != relay {
			if o.kind == next {
				return a, outcome{}
			}
			return a, o
		}
		rcpt = a.local
	}
}

// blocked searches for a refusal of this recipient.
func (e *eval) blocked(a canonAddr, local bool) outcome {
	r, ok, err := e.searchRecipient("To", Both, a, local)
	switch {
	case err != nil:
		return e.cannotTell(err)
	case !ok, r.Value.Kind == KindOK, r.Value.Kind == KindRelay, r.Value.Kind == KindSkip && e.p.Access.opt.Skip:
		return outcome{}
	}
	return e.apply(r, or(e.p.MailboxText, "550 Mailbox disabled for this recipient"), "5.2.1")
}

// searchRecipient looks for the address, for the user if the domain is local, and for the domain. A local name is only
// found as a user.
func (e *eval) searchRecipient(tag string, mark Mark, a canonAddr, local bool) (r Result, ok bool, err error) {
	if a.domain == "" {
		return e.address(tag, mark, a.local, "")
	}
	if r, ok, err = e.address(tag, mark, a.local, a.domain); ok || err != nil {
		return r, ok, err
	}
	if local {
		if r, ok, err = e.address(tag, mark, a.local, ""); ok || err != nil {
			return r, ok, err
		}
	}
	return e.domain(tag, mark, a.domain)
}

// delayed runs the checks that DelayChecks postponed, once the recipient itself is fine.
func (e *eval) delayed(rcpt string) outcome {
	if e.p.DelayChecks != Delay {
		skip, o := e.spam(rcpt)
		if skip || o.decided() {
			return o
		}
	}
	if o := e.checkMail(e.sender()); o.decided() {
		return o
	}
	switch o := e.checkRelay(); o.kind {
	case refuse, discard, hold:
		return o
	}
	if e.p.BlockBadHELO {
		return e.badHELO()
	}
	return outcome{}
}

// spam reports whether the recipient's Spam: entry spares it the further checks.
func (e *eval) spam(rcpt string) (skip bool, o outcome) {
	a, f, err := e.canon(rcpt)
	if err != nil {
		return false, e.cannotTell(err)
	}
	if f != nil {
		return false, e.refuse(f.text, f.dsn, "address syntax")
	}
	if a.domain == "" {
		a.domain = e.p.hostname()
	}
	local, err := e.p.isLocal(e.ctx, a.domain)
	if err != nil {
		return false, e.cannotTell(err)
	}
	r, ok, err := e.address("Spam", Tagged, a.local, a.domain)
	if !ok && err == nil {
		r, ok, err = e.domain("Spam", Tagged, a.domain)
	}
	if !ok && err == nil && local {
		r, ok, err = e.address("Spam", Tagged, a.local, "")
	}
	if err != nil {
		// The marker of a failed look-up is neither FRIEND nor HATER.
		return e.p.DelayChecks == DelayHater, outcome{}
	}
	if e.p.DelayChecks == DelayFriend {
		if skip = ok && r.Value.Kind == KindFriend; skip {
			o.reason = "entry " + r.Step.Key
		}
		return skip, o
	}
	if skip = !ok || r.Value.Kind != KindHater; skip {
		o.reason = "not a spam hater"
	}
	return skip, o
}

// badHELO refuses a client that greeted with a name that cannot be its own.
func (e *eval) badHELO() outcome {
	addr, helo := e.c.addr(), e.c.HELO
	if e.c.AuthUser != "" || addr == "" || e.p.relayNetwork(addr) {
		return outcome{}
	}
	for _, name := range [...]string{helo, "[" + helo + "]"} {
		own, err := e.p.isLocal(e.ctx, name)
		if err != nil {
			return e.cannotTell(err)
		}
		if own {
			return e.bogusHELO()
		}
	}
	words := tokens(helo)
	for i := 1; i < len(words)-1; i++ {
		if words[i] == "." {
			return outcome{}
		}
	}
	if len(words) > 2 && words[1] == ":" && lex.Fold(words[0]) == "ipv6" {
		return outcome{}
	}
	return e.bogusHELO()
}

func (e *eval) bogusHELO() outcome {
	return e.refuse("550 bogus HELO name used: "+e.c.HELO, "5.7.1", "block_bad_helo")
}

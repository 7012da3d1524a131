package access

import (
	"context"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/lex"
)

// From decides whether a sender may send. The null sender always may. Under DelayChecks only the syntax is
// checked, and To asks the question again. sendmail: check_mail.
func (p *Policy) From(ctx context.Context, c Client, from mtakit.Address) Decision {
	return p.FromPath(ctx, c, from.String())
}

// FromPath is From for an address as the client wrote it, without angle brackets: replies show it unchanged, and
// quotes are kept.
func (p *Policy) FromPath(ctx context.Context, c Client, from string) Decision {
	e := &eval{p: p, ctx: ctx, c: &c, from: from, about: "<" + from + ">"}
	if from != "" {
		if _, f := split(from); f != nil {
			return e.decision(e.refuse(f.text, f.dsn, "address syntax"))
		}
	}
	if p.DelayChecks != CheckAtOnce {
		return Decision{}
	}
	return e.decision(e.checkMail(from))
}

// checkMail runs the checks of the sender, who is as the client wrote it at MAIL, and canonical later.
func (e *eval) checkMail(from string) outcome {
	if from == "" {
		return outcome{}
	}
	if o := e.fromLocalhost(from); o.decided() {
		return o
	}
	a, f, err := e.canon(from)
	switch {
	case err != nil:
		return e.cannotTell(err)
	case f != nil:
		return e.refuse(f.text, f.dsn, "address syntax")
	}
	known := e.senderDomain(a.domain)
	r, ok, err := e.searchSender(a)
	if err != nil {
		return e.cannotTell(err)
	}
	if ok {
		mark, is := marks[strings.ToUpper(strings.TrimSpace(r.Text))]
		if !is {
			return e.senderEntry(r)
		}
		known = mark
	}
	switch known {
	case domainNone:
		if e.c.Addr.IsValid() && !e.p.AcceptUnqualified {
			return e.refuse("553 Domain name required for sender address "+e.sender(), "5.5.4", "unqualified sender")
		}
		return outcome{}
	case domainTemp:
		return e.refuse("451 Domain of sender address "+e.sender()+" does not resolve", "4.1.8", "sender's domain")
	case domainAbsent:
		return e.refuse("553 Domain of sender address "+e.sender()+" does not exist", "5.1.8", "sender's domain")
	}
	if e.p.BadMX {
		return e.badMX(a.domain)
	}
	return outcome{}
}

// fromLocalhost refuses senders at localhost unless the client is this host.
func (e *eval) fromLocalhost(from string) outcome {
	if e.p.AcceptUnqualified {
		return outcome{}
	}
	domain := lex.Fold(from[strings.LastIndexByte(from, '@')+1:])
	switch domain {
	case "localhost", "[127.0.0.1]", "[ipv6:0:0:0:0:0:0:0:1]", "[ipv6:::1]", "localhost.uucp":
	default:
		if d := e.p.parentDomain(); d == "" || domain != "localhost."+lex.Fold(d) {
			return outcome{}
		}
	}
	name := e.c.name()
	if name == "" {
		return outcome{}
	}
	own, err := e.p.isLocal(e.ctx, name)
	switch {
	case err != nil:
		return e.cannotTell(err)
	case own:
		return outcome{}
	}
	return e.refuse("553 Real domain name required for sender address", "5.5.4", "sender at localhost")
}

// sender is the sender in canonical form, as replies show it and as it is known once MAIL is over. sendmail: the macro f.
func (e *eval) sender() string {
	a, f := split(e.from)
	if f != nil || a.domain == "" || e.canonDomain(&a) != nil {
		return e.from
	}
	if host, ok := strings.CutSuffix(lex.Fold(a.domain), ".uucp"); ok {
		return a.domain[:len(host)] + "!" + a.local
	}
	if at := lastUnquoted(a.local, '%'); at > 0 {
		// user%host@host with two names of our own: the first one is enough. sendmail: the end of ruleset final.
		inner, err := e.p.isLocal(e.ctx, a.local[at+1:])
		outer, err2 := e.p.isLocal(e.ctx, a.domain)
		if inner && outer && err == nil && err2 == nil {
			return a.local[:at] + "@" + a.local[at+1:]
		}
	}
	return a.local + "@" + a.domain
}

type domainState uint8

const (
	domainNone   domainState = iota // the address has none
	domainGood                      // it exists, or need not
	domainTemp                      // the DNS cannot tell
	domainAbsent                    // it does not exist
)

// senderDomain finds out whether the sender's domain exists. Of the local domains only our own name is exempt.
func (e *eval) senderDomain(domain string) domainState {
	switch {
	case domain == "":
		return domainNone
	case inDomains(domain, e.p.Pseudo), strings.EqualFold(domain, e.p.hostname()), e.p.AcceptUnresolvable:
		return domainGood
	}
	ok, err := e.p.exists(e.ctx, domain)
	switch {
	case err != nil:
		return domainTemp
	case ok:
		return domainGood
	}
	return domainAbsent
}

// marks are values that happen to be the words in which sendmail's rules keep the state of the sender's domain, and so
// replace it.
var marks = map[string]domainState{"OKR": domainGood, "TEMP": domainTemp, "PERM": domainAbsent}

func (e *eval) searchSender(a canonAddr) (r Result, ok bool, err error) {
	if a.domain != "" {
		if r, ok, err = e.address("From", Both, a.local, a.domain); ok || err != nil {
			return r, ok, err
		}
	}
	if r, ok, err = e.address("From", Both, a.local, ""); ok || err != nil || a.domain == "" {
		return r, ok, err
	}
	return e.domain("From", Both, a.domain)
}

func (e *eval) senderEntry(r Result) outcome {
	if r.Value.Kind == KindOK || r.Value.Kind == KindRelay {
		return outcome{kind: final, reason: "entry " + r.Step.Key}
	}
	text, dsn := e.p.reject()
	return e.apply(r, text, dsn)
}

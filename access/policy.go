package access

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/mtakit/mtakit"
)

// Policy answers the three questions of an SMTP server: may this client connect, may this sender send, may this
// recipient receive. A field says which m4 line of sendmail's configuration it stands for.
//
// The zero value is a closed system: no access table, no local domain but localhost, mail for nobody else is relayed
// except from this machine, and senders need a domain. Fields must not change while the Policy is in use; it is then
// safe for concurrent use.
type Policy struct {
	// Access is the access table, FEATURE(access_db). Nil means that there is none.
	Access *Map
	// Hostname is the canonical name of this host ($j). Empty means localhost.
	Hostname string
	// Local is the class of local domains ($=w). Hostname and localhost belong to it in any case.
	Local mtakit.Domains
	// Relay is the class of domains and networks that relaying is permitted for ($=R, relay-domains).
	Relay RelayDomains
	// Parents are the domains that relay_entire_domain speaks of ($=m). Nil means Hostname without its first label.
	Parents []string
	// Pseudo lists domains that are never looked up in the DNS and always good ($=P).
	Pseudo []string
	// DNS answers questions about senders' domains and canonical names. Nil means that no question is asked and every
	// domain exists. *net.Resolver is one.
	DNS DNS

	// DelayChecks postpones Connect and From to To, FEATURE(delay_checks).
	DelayChecks DelayChecks
	// BlocklistRecipients refuses recipients by To: and untagged entries, FEATURE(blocklist_recipients).
	BlocklistRecipients bool
	// AcceptUnresolvable does not ask the DNS about senders' domains, FEATURE(accept_unresolvable_domains).
	AcceptUnresolvable bool
	// AcceptUnqualified accepts senders without a domain and at localhost, FEATURE(accept_unqualified_senders).
	AcceptUnqualified bool
	// NoCanonify leaves host names in addresses as they are, FEATURE(nocanonify).
	NoCanonify bool
	// RequireRDNS refuses clients whose address has no verified name, FEATURE(require_rdns).
	RequireRDNS bool
	// UseClientPTR lets Connect look up the name of the PTR record even if it was not verified,
	// FEATURE(use_client_ptr).
	UseClientPTR bool
	// BlockBadHELO refuses clients that greet with our own name or with none, FEATURE(block_bad_helo). Without
	// DelayChecks it only concerns recipients that we would have to relay to, as in sendmail.
	BlockBadHELO bool
	// BadMX refuses senders whose MX leads to a useless address, FEATURE(badmx).
	BadMX bool
	// RateControl and ConnControl apply ClientRate: and ClientConn: entries, FEATURE(ratecontrol) and
	// FEATURE(conncontrol). With ControlNow they are applied at the connection even under DelayChecks (argument
	// nodelay); with ControlClose the reply code is 421 and ends the session (argument terminate).
	RateControl, ConnControl, ControlNow, ControlClose bool
	// GreetPause is what GreetPauseFor answers for clients that no GreetPause: entry knows. Zero is no pause.
	GreetPause time.Duration

	// RelayHostsOnly takes the entries of Relay and of the table for host names, not for domains,
	// FEATURE(relay_hosts_only).
	RelayHostsOnly bool
	// RelayEntireDomain permits relaying from and to every host in Parents, FEATURE(relay_entire_domain).
	RelayEntireDomain bool
	// RelayMailFrom permits relaying for senders that From: entries give RELAY, FEATURE(relay_mail_from).
	// Senders are easy to forge: this makes an open relay for those who guess one.
	RelayMailFrom RelayMailFrom
	// RelayLocalFrom permits relaying for senders in local domains, FEATURE(relay_local_from). The same warning applies.
	RelayLocalFrom bool
	// RelayMX permits relaying to domains whose MX list names this host, FEATURE(relay_based_on_MX). Nil turns it off.
	RelayMX BackupMX
	// LooseRelayCheck looks only at the outermost domain of user%inner@outer, FEATURE(loose_relay_check).
	LooseRelayCheck bool
	// TrustedAuth lists the SASL mechanisms that give relay permission (TRUST_AUTH_MECH); "*" stands for all.
	TrustedAuth []string
	// PromiscuousRelay relays for everybody, FEATURE(promiscuous_relay). It makes an open relay.
	PromiscuousRelay bool

	// RejectText replaces the reply to REJECT for clients and senders (confREJECT_MSG). A reply code and an enhanced
	// status may stand in front. Empty means "550 5.7.1 Access denied".
	RejectText string
	// RelayText replaces "550 Relaying denied" (confRELAY_MSG).
	RelayText string
	// MailboxText replaces "550 Mailbox disabled for this recipient" (confRCPTREJ_MSG).
	MailboxText string
	// TempFailText replaces "451 Temporary system failure. Please try again later." (confTEMPFAIL_MSG).
	TempFailText string
}

// DelayChecks says whether and for whom the checks of client and sender wait until a recipient is known.
type DelayChecks uint8

// Values of DelayChecks, with the argument of FEATURE(delay_checks).
const (
	CheckAtOnce DelayChecks = iota // no delay_checks
	Delay                          // without argument: all checks run at RCPT
	DelayFriend                    // friend: recipients with Spam:… FRIEND skip them
	DelayHater                     // hater: only recipients with Spam:… HATER get them
)

// RelayMailFrom says which From: entries permit relaying.
type RelayMailFrom uint8

// Values of RelayMailFrom.
const (
	FromNever   RelayMailFrom = iota // none
	FromAddress                      // From:user@domain
	FromDomain                       // From:domain as well (argument domain)
)

// Client is what a server knows about its peer. The zero value is a local submission: it may do anything that the
// table does not forbid.
type Client struct {
	// Addr is the peer's address; the zero Addr means that the message did not come over the network.
	Addr netip.Addr
	// Name is the verified host name. It is ignored unless Verified is NameOK.
	Name string
	// PTR is the name in the PTR record, verified or not.
	PTR string
	// Verified says how the look-up of the name ended.
	Verified NameStatus
	// HELO is the argument of HELO or EHLO.
	HELO string
	// AuthMechanism and AuthUser are set when the client has authenticated.
	AuthMechanism, AuthUser string
	// Rate is the number of connections from Addr within the last minute, and Open the number of those that are open
	// now, this one included. Connections counts them.
	Rate, Open int
}

// NameStatus says how the look-up of a client's name ended. sendmail: the macro {client_resolve}.
type NameStatus uint8

// Values of NameStatus.
const (
	NameOK     NameStatus = iota // the address has a name, and the name has the address
	NameFail                     // the address has no name
	NameTemp                     // the DNS could not tell
	NameForged                   // the name does not lead back to the address
)

// name returns the name that rules and replies use: the verified name, else the address in brackets.
func (c *Client) name() string {
	switch {
	case !c.Addr.IsValid():
		return c.Name
	case c.Verified == NameOK && c.Name != "":
		return strings.TrimSuffix(c.Name, ".")
	}
	return "[" + c.addr() + "]"
}

// addr returns the address as sendmail writes it: IPv6 with a tag and all groups, without leading zeros.
func (c *Client) addr() string { return AddrKey(c.Addr) }

// AddrKey returns the form that addr has in access tables: dotted quad, or IPv6: and eight groups without leading
// zeros and without "::". An IPv4 address mapped into IPv6 counts as IPv4; the zero Addr gives "".
func AddrKey(addr netip.Addr) string {
	if addr = addr.Unmap(); !addr.Is6() {
		if !addr.IsValid() {
			return ""
		}
		return addr.String()
	}
	const hex = "0123456789abcdef"
	b := append(make([]byte, 0, 45), "IPv6"...)
	a := addr.As16()
	for i := 0; i < 16; i += 2 {
		b = append(b, ':')
		started := false
		for _, nibble := range [4]byte{a[i] >> 4, a[i] & 15, a[i+1] >> 4, a[i+1] & 15} {
			if nibble != 0 || started {
				b, started = append(b, hex[nibble]), true
			}
		}
		if !started {
			b = append(b, '0')
		}
	}
	return string(b)
}

// Verdict is the short form of a Decision.
type Verdict uint8

// The verdicts. Reject and TempFail come with an Err, Quarantine with a Reason.
const (
	Accept Verdict = iota
	Reject
	TempFail
	Discard    // answer as if accepted, and drop the whole message
	Quarantine // accept, and hold the whole message
)

var verdictNames = [...]string{"accept", "reject", "tempfail", "discard", "quarantine"}

// String returns the verdict as a word: accept, reject, tempfail, discard, quarantine.
func (v Verdict) String() string { return verdictNames[v] }

// Decision is the answer to one of the three questions.
type Decision struct {
	Verdict Verdict
	// Err is the reply to send when the verdict is Reject or TempFail, address and all. Code 421 means that the
	// connection ends. A table may begin its text with a code of class 2: the client then reads success, yet sender or
	// recipient is refused like with any other text.
	Err *mtakit.Error
	// Reason is why a message is held, and otherwise a few words on which rule decided.
	Reason string
	// Steps are the searches that were made, in order; the last one decided, if the table did.
	Steps []mtakit.Step
}

// outcome is the result of a rule or a group of rules.
type outcome struct {
	kind   outcomeKind
	err    *mtakit.Error
	reason string
}

type outcomeKind uint8

const (
	next    outcomeKind = iota // nothing was decided
	relay                      // permitted
	final                      // permitted, and no further check is made
	temp                       // a temporary failure that a later permission overrides
	refuse                     // refused with err
	discard                    // drop
	hold                       // quarantine
)

func (o outcome) decided() bool { return o.kind != next }

// eval is one question being answered: the Policy, its input, and the steps so far.
type eval struct {
	p     *Policy
	ctx   context.Context
	c     *Client
	about string // "<address>" for replies; "" at connection time
	from  string // sender as given, without angle brackets
	steps []mtakit.Step
}

// decision turns the outcome of all rules into the answer.
func (e *eval) decision(o outcome) Decision {
	d := Decision{Reason: o.reason, Steps: e.steps}
	switch o.kind {
	case temp, refuse:
		d.Err, d.Verdict = o.err, Reject
		if o.err.Temporary() {
			d.Verdict = TempFail
		}
	case discard:
		d.Verdict = Discard
	case hold:
		d.Verdict = Quarantine
	}
	return d
}

func (e *eval) refuse(text, dsn, reason string) outcome {
	return outcome{kind: refuse, err: reply(text, dsn, e.about), reason: reason}
}

// cannotTell is the outcome of a failed look-up in the access table.
func (e *eval) cannotTell(err error) outcome {
	o := e.refuse(or(e.p.TempFailText, "451 Temporary system failure. Please try again later."), "4.3.0", "table cannot tell")
	o.err.Err = err
	return o
}

func or(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}

// Shorthand for the searches of Map, which record their step. Without a table nothing is found.

func (e *eval) search(f func(m *Map) (Result, bool, error)) (Result, bool, error) {
	if e.p.Access == nil {
		return Result{}, false, nil
	}
	r, ok, err := f(e.p.Access)
	e.steps = append(e.steps, r.Step)
	return r, ok, err
}

func (e *eval) domain(tag string, mark Mark, domain string) (Result, bool, error) {
	return e.search(func(m *Map) (Result, bool, error) { return m.Domain(e.ctx, tag, mark, domain) })
}

func (e *eval) network(tag string, mark Mark, addr string) (Result, bool, error) {
	return e.search(func(m *Map) (Result, bool, error) { return m.Network(e.ctx, tag, mark, addr) })
}

func (e *eval) address(tag string, mark Mark, local, domain string) (Result, bool, error) {
	return e.search(func(m *Map) (Result, bool, error) { return m.Address(e.ctx, tag, mark, local, domain) })
}

func (e *eval) exact(tag string, mark Mark, key string) (Result, bool, error) {
	return e.search(func(m *Map) (Result, bool, error) { return m.Exact(e.ctx, tag, mark, key) })
}

// apply is the outcome of an entry for the checks of client, sender and blocked recipient: everything but OK and RELAY,
// which the caller has dealt with. rejectText and rejectDSN belong to REJECT.
func (e *eval) apply(r Result, rejectText, rejectDSN string) outcome {
	why := "entry " + r.Step.Key
	switch r.Value.Kind {
	case KindReject:
		return e.refuse(rejectText, rejectDSN, why)
	case KindDiscard:
		return outcome{kind: discard, reason: why}
	case KindQuarantine:
		return outcome{kind: hold, reason: r.Value.Text}
	case KindError:
		return e.refuse(r.Value.Text, r.Value.Status, why)
	case KindText:
		return e.refuse(r.Value.Text, "", why)
	}
	// A keyword that has no meaning here is refusal text like any other.
	return e.refuse(join(tokens(r.Text)), "", why)
}

// reject is the text and status of REJECT for clients and senders.
func (p *Policy) reject() (text, dsn string) {
	if p.RejectText != "" {
		return p.RejectText, ""
	}
	return "550 Access denied", "5.7.1"
}

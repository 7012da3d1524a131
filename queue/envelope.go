package queue

import (
	"strings"
	"time"

	"github.com/mtakit/mtakit"
)

// Envelope is what the units of a message have in common.
type Envelope struct {
	// ID is the queue id of the first unit. Empty lets the store choose one, which is the rule.
	ID ID
	// Sender is the reverse-path as it came: "<ann@example.org>" from SMTP, bare from the command line, "MAILER-DAEMON" for
	// a report, "<>" for the null one. SenderAddress parses it.
	Sender string
	// Header is the message header with LF line ends, without the empty line that ends it. Lines that are neither fields nor
	// continuations are an error at the commit.
	Header []byte
	// Created is the time of acceptance, from which expiry counts. Zero means now. The spool keeps whole seconds.
	Created time.Time
	// Class is sendmail's precedence class (special-delivery 100 … junk -100). It is not stored; Priority is.
	Class int
	// Priority decides who goes first, lowest value first. Zero means Priority(size, Class, recipients), with the total over
	// all units.
	Priority int64
	Flags    Flags
	// BodyType is the BODY= parameter: "7BIT", "8BITMIME" or "".
	BodyType string
	// EnvID and Auth are the ENVID= and AUTH= parameters, xtext decoded. Auth may be "<>".
	EnvID, Auth string
	// DeliverBy is the BY= parameter, zero if none.
	DeliverBy DeliverBy
	// Macros are values that later attempts, headers and logs need. sendmail: class {persistentMacros}.
	Macros []Macro
	// Status is the text of the last attempt that mailq shows for the whole message. sendmail: the M line before S.
	Status string
	// Quarantine, if not empty, sets the message aside at once, with this reason.
	Quarantine string
	// SMTPUTF8 is set when the message needs RFC 6531. sendmail: flag e of builds that support it.
	SMTPUTF8 bool
	// Units are the groups of recipients. There is at least one, and each has at least one recipient.
	Units []UnitSpec
}

// UnitSpec is one unit of a new message.
type UnitSpec struct {
	// Dest is the destination key for limits and back-off, normally the recipient domain in lower case, "local", or
	// "relay:host". Empty means DestKey of the first recipient. The spool does not keep it.
	Dest  string
	Rcpts []Recipient
	// Sender, if not empty, replaces Envelope.Sender in this unit: owner-LIST for the members of LIST.
	Sender string
	// Group is the queue group; empty means the default one.
	Group string
}

// Unit is what is queued: a message for one group of recipients. Envelope.Units is nil in it.
type Unit struct {
	Envelope
	Dest        string
	Group       string
	Rcpts       []Recipient // those that are not settled
	State       State
	Due         time.Time // next attempt; zero means as soon as possible
	LastAttempt time.Time // zero if never
	Attempts    int
	BodySize    int64  // bytes of the body; -1 when it is missing
	Version     uint64 // changes with every write
}

// Size is the number of bytes that Claim.Open yields, or -1.
func (u *Unit) Size() int64 {
	if u.BodySize < 0 {
		return -1
	}
	return int64(len(u.Header)) + 1 + u.BodySize
}

// Recipient is one recipient that is not settled.
type Recipient struct {
	// Addr is what the recipient is resolved from at each attempt: "<ann@example.org>" as SMTP gave it, or what an alias or
	// forward file made of it: an address, a login name, "/path", "|command", quoted where it has blanks.
	Addr  string
	Flags RcptFlags
	// Original is the ORCPT= parameter, "rfc822;ann@example.org", xtext decoded.
	Original string
	// Final is the Final-Recipient for reports: "RFC822; ann@example.org". Empty until an alias or an attempt sets it.
	Final string
	// Control is the controlling user, zero if none.
	Control mtakit.Control
	// Status is the text of the last attempt, as mailq -v shows it.
	Status string

	xtext string // Original as it was read, so that it is written unchanged
}

// Address parses Addr without angle brackets, source route and quotes.
func (r Recipient) Address() mtakit.Address { return parsePath(r.Addr) }

// Notify returns the NOTIFY= parameter, zero if none was given.
func (r Recipient) Notify() mtakit.Notify {
	if r.Flags&RcptNotify == 0 {
		return 0
	}
	var n mtakit.Notify
	if r.Flags&RcptSuccess != 0 {
		n |= mtakit.NotifySuccess
	}
	if r.Flags&RcptFailure != 0 {
		n |= mtakit.NotifyFailure
	}
	if r.Flags&RcptDelay != 0 {
		n |= mtakit.NotifyDelay
	}
	if n == 0 {
		return mtakit.NotifyNever
	}
	return n
}

// NotifyFlags returns the flags for a NOTIFY= parameter; zero stands for failure and delay, as sendmail has it.
func NotifyFlags(n mtakit.Notify) RcptFlags {
	if n == 0 {
		return RcptFailure | RcptDelay
	}
	f := RcptNotify
	if n&mtakit.NotifySuccess != 0 {
		f |= RcptSuccess
	}
	if n&mtakit.NotifyFailure != 0 {
		f |= RcptFailure
	}
	if n&mtakit.NotifyDelay != 0 {
		f |= RcptDelay
	}
	return f
}

// RcptFlags are the letters before the colon of an R line.
type RcptFlags uint16

// Flags of a recipient, in the order in which they are written. A recipient from a client without DSN parameters has
// RcptPrimary|RcptFailure|RcptDelay; one that an alias made lacks RcptPrimary.
const (
	RcptPrimary RcptFlags = 1 << iota // P: named by the client, not by an alias
	RcptNotify                        // N: NOTIFY= was given
	RcptSuccess                       // S: report success
	RcptFailure                       // F: report failure
	RcptDelay                         // D: report delay
	RcptBcc                           // B
	RcptAlias                         // A: Control.Origin is an alias
	RcptDynamic                       // Y
)

const rcptLetters = "PNSFDBAY"

// Flags are the letters of an F line.
type Flags uint16

// Flags of an envelope, in the order in which they are written.
const (
	FlagWarned    Flags = 1 << iota // w: the delay warning was sent
	FlagResponse                    // r: this is a report; failures go to the postmaster
	Flag8Bit                        // 8: the body has 8-bit data
	FlagDeleteBcc                   // b: remove Bcc at delivery
	FlagRet                         // d: RET= was given
	FlagNoBody                      // n: with FlagRet RET=HDRS
	FlagSplit                       // s: was split already
	FlagUTF8                        // e: SMTPUTF8
)

const flagLetters = "wr8bdnse"

// Macro is a sendmail macro with its value. Name has no dollar sign and no braces: "r", "daemon_flags".
type Macro struct{ Name, Value string }

// DeliverBy is the BY= parameter (RFC 2852). Mode zero means none.
type DeliverBy struct {
	Mode  byte // 0x01 notify, 0x02 return, plus 0x10 trace
	After time.Duration
}

// Modes of DeliverBy.
const (
	ByNotify byte = 0x01
	ByReturn byte = 0x02
	ByTrace  byte = 0x10
)

// Macro returns the value of a macro, "" if it has none.
func (e *Envelope) Macro(name string) string {
	for _, m := range e.Macros {
		if m.Name == name {
			return m.Value
		}
	}
	return ""
}

// SenderAddress parses Sender. It is the null reverse-path for "<>", for "MAILER-DAEMON" and for every report.
func (e *Envelope) SenderAddress() mtakit.Address {
	if e.Flags&FlagResponse != 0 || strings.EqualFold(e.Sender, "MAILER-DAEMON") {
		return mtakit.Address{}
	}
	return parsePath(e.Sender)
}

// Ret returns the RET= parameter: "FULL", "HDRS" or "".
func (e *Envelope) Ret() string {
	switch {
	case e.Flags&FlagRet == 0:
		return ""
	case e.Flags&FlagNoBody != 0:
		return "HDRS"
	}
	return "FULL"
}

// Priority is sendmail's initial priority: size − class·1800 + recipients·30000, where size counts header and body.
// Each reading for an attempt adds RetryFactor.
func Priority(size int64, class, rcpts int) int64 {
	return size - int64(class)*1800 + int64(rcpts)*30000
}

// RetryFactor is added to the priority at each attempt, so that what failed before goes later.
const RetryFactor = 90000

// DestKey is the destination that a recipient belongs to when nobody said: its domain in lower case, or "local".
func DestKey(r Recipient) string {
	if d := r.Address().Domain; d != "" {
		return strings.ToLower(d)
	}
	return "local"
}

// parsePath parses the text of a path: optional angle brackets, optional source route, local part quoted or not.
func parsePath(s string) mtakit.Address {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "<") && strings.HasSuffix(s, ">") {
		s = s[1 : len(s)-1]
	}
	if strings.HasPrefix(s, "@") { // RFC 5321 section 4.1.2: A-d-l, to be ignored
		if i := strings.IndexByte(s, ':'); i >= 0 {
			s = s[i+1:]
		}
	}
	if s != "" && (s[0] == '/' || s[0] == '|') {
		return mtakit.Address{Local: s}
	}
	at := lastAt(s)
	if at < 0 {
		return mtakit.Address{Local: unquote(s)}
	}
	return mtakit.Address{Local: unquote(s[:at]), Domain: strings.TrimSuffix(s[at+1:], ".")}
}

// lastAt finds the @ that divides local part and domain: the last one outside quotes.
func lastAt(s string) int {
	at, quoted := -1, false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			quoted = !quoted
		case '@':
			if !quoted {
				at = i
			}
		}
	}
	return at
}

func unquote(s string) string {
	if !strings.ContainsAny(s, `"\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			continue
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

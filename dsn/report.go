package dsn

import (
	"fmt"
	"strings"
	"time"

	"github.com/mtakit/mtakit"
)

// Action is what was done about a recipient (RFC 3464 section 2.3.3).
type Action uint8

// The values of Action. The zero value is an action that is missing or not known, which says nothing: least of all that
// delivery failed.
const (
	Failed    Action = iota + 1 // given up
	Delayed                     // not delivered yet, and still being tried
	Delivered                   // in the mailbox
	Relayed                     // handed to a host that sends no reports
	Expanded                    // handed to several addresses, as by a list
)

var actionNames = [...]string{"unknown", "failed", "delayed", "delivered", "relayed", "expanded"}

// String gives the word that stands in a report.
func (a Action) String() string {
	if int(a) >= len(actionNames) {
		a = 0
	}
	return actionNames[a]
}

// ParseAction reads the word of a report, in any case; other words give zero.
func ParseAction(s string) Action {
	for i, name := range actionNames {
		if i > 0 && strings.EqualFold(s, name) {
			return Action(i)
		}
	}
	return 0
}

// Report is the part of a notification that programs read: what happened to some recipients of one message.
type Report struct {
	ReportingMTA string    // host that reports, without "dns;"
	ReceivedFrom string    // host that the message came from, without "dns;"; "" if not known
	EnvID        string    // ENVID= parameter of the original, xtext decoded; "" if none
	Arrived      time.Time // when the message arrived; zero if not known
	Recipients   []Recipient
	Fields       []Field // others about the whole message, in order
}

// Recipient is what happened to one recipient.
type Recipient struct {
	Original    string // ORCPT= parameter, "rfc822;ann@example.org", xtext decoded; "" if none
	Final       string // the address that was tried, in the same form; see TypedAddress
	Actual      string // what Final led to, in the same form ("x-unix;|prog"); "" when it is nothing else
	Action      Action
	Status      mtakit.Status
	RemoteMTA   string        // host whose answer it was, without "dns;"; "" when no host was asked
	Diagnostic  string        // its answer, "550 5.1.1 No such user"; "" if none
	LastAttempt time.Time     // zero if not known
	RetryUntil  time.Time     // for Delayed: when it will be given up; zero if not known
	Notify      mtakit.Notify // what the sender asked for; not part of a report
	Reason      string        // for people, when there is no Diagnostic: "User unknown"; not part of a report
	Fields      []Field       // others, in order
}

// Field is a field of a report that has no place of its own.
type Field struct{ Name, Value string }

// Wanted tells whether the sender asked to be told (RFC 3461 section 4.1): about failures and delays when there was no
// NOTIFY parameter, otherwise what that says.
func (r *Recipient) Wanted() bool {
	n := r.Notify
	if n == 0 {
		n = mtakit.NotifyFailure | mtakit.NotifyDelay
	}
	switch r.Action {
	case Failed:
		return n&mtakit.NotifyFailure != 0
	case Delayed:
		return n&mtakit.NotifyDelay != 0
	case Delivered, Relayed, Expanded:
		return n&mtakit.NotifySuccess != 0
	}
	return false
}

// Address returns the address that the report is about, as the sender knows it: that of Original, or else of Final.
func (r *Recipient) Address() (mtakit.Address, error) {
	if r.Original != "" {
		if a, err := ParseTyped(r.Original); err == nil {
			return a, nil
		}
	}
	return ParseTyped(r.Final)
}

// Failures returns the recipients that were given up.
func (r *Report) Failures() []Recipient { return r.with(Failed) }

// Delays returns the recipients that are still being tried.
func (r *Report) Delays() []Recipient { return r.with(Delayed) }

func (r *Report) with(a Action) []Recipient {
	var out []Recipient
	for _, rc := range r.Recipients {
		if rc.Action == a {
			out = append(out, rc)
		}
	}
	return out
}

// TypedAddress gives an address in the form of reports and of the ORCPT= parameter: "rfc822;ann@example.org", or with type
// utf-8 when it is not ASCII (RFC 6533 section 3).
func TypedAddress(a mtakit.Address) string {
	s := a.String()
	if isASCII(s) {
		return "rfc822;" + s
	}
	return "utf-8;" + s
}

// ParseTyped reads an address of type rfc822 or utf-8, the latter also with characters written as \x{E9}.
func ParseTyped(s string) (mtakit.Address, error) {
	typ, addr := cutType(s)
	switch strings.ToLower(typ) {
	case "rfc822":
	case "utf-8":
		var err error
		if addr, err = decodeUTF8(addr); err != nil {
			return mtakit.Address{}, err
		}
	default:
		return mtakit.Address{}, fmt.Errorf("address type %q is not one of mail", typ)
	}
	addr = strings.TrimSuffix(strings.TrimPrefix(addr, "<"), ">")
	return mtakit.ParseAddress(addr)
}

// cutType splits "type; text" and takes comments off the type.
func cutType(s string) (typ, text string) {
	typ, text, ok := strings.Cut(s, ";")
	if !ok {
		return "", strings.TrimSpace(s)
	}
	return strings.TrimSpace(stripComments(typ)), strings.TrimSpace(text)
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

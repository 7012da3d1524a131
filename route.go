package mtakit

import "context"

// Route is where a message goes: sendmail's triple. Mailer names a delivery agent ("local", "prog", "*file*",
// "esmtp", "relay", "discard", "error"); the set is open. Host is the next hop, a name that is subject to MX, a
// bracketed one that is not, or for the local mailer the detail of user+detail. User is what the mailer is told to
// deliver to: a login name, a path, a command with its leading bar, or an address.
type Route struct {
	Mailer, Host, User string
}

func (r Route) isZero() bool { return r.Mailer == "" && r.Host == "" && r.User == "" }

// Names of sendmail's built-in mailers, as they stand in a Route.
const (
	MailerLocal   = "local"
	MailerProgram = "prog"
	MailerFile    = "*file*"
	MailerESMTP   = "esmtp"
	MailerRelay   = "relay"
	MailerDiscard = "discard"
	MailerError   = "error"
)

// Router finds the route for mail to a domain that is not local: the meaning of a mailertable.
type Router interface {
	// Route answers for addr. ok is false when no entry matches; the resolver then sends the message to the domain
	// itself through the esmtp mailer. A verdict of the table (error:…) is returned as *Error in err with ok true;
	// err with ok false means that the table cannot tell.
	Route(ctx context.Context, addr Address) (d Routing, ok bool, err error)
}

// Routing is a Router's answer with its explanation.
type Routing struct {
	Route Route
	Step  Step
}

// Step is one link of an explanation: which stage asked which table, the keys tried in order, and the one that
// matched. sendmail shows the same with -bt and address rewriting traces.
type Step struct {
	Stage string   `json:"stage"`           // "virtusertable", "aliases", "forward", "include", "mailertable", "local", …
	Input string   `json:"input,omitempty"` // what was asked about
	Tried []string `json:"tried,omitempty"` // keys in the order they were looked up, the matching one last
	Key   string   `json:"key,omitempty"`   // the key that matched; "" when none did
	Value string   `json:"value,omitempty"` // what it said
	Pos   Position `json:"pos,omitzero"`    // where it says so
	Note  string   `json:"note,omitempty"`  // anything else worth knowing: "self reference", "duplicate suppressed", …
}

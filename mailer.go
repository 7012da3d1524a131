package mtakit

import (
	"context"
	"io"
	"time"
)

// Mailer performs deliveries: it appends to a mailbox, runs a program, or speaks SMTP to the next hop. Mailers are
// found by the name in a Route.
type Mailer interface {
	// Deliver tries every recipient of a and returns exactly one Result for each, in order. It never panics on
	// hostile content, returns soon after ctx ends (what was not finished is then a temporary failure), and may be
	// called by several goroutines at once with different attempts. A nil Result.Err means that the message is safe at
	// its destination: synced to disk, or accepted by the peer.
	Deliver(ctx context.Context, a *Attempt) []Result
}

// MailerFunc makes a function a Mailer.
type MailerFunc func(ctx context.Context, a *Attempt) []Result

// Deliver calls f.
func (f MailerFunc) Deliver(ctx context.Context, a *Attempt) []Result { return f(ctx, a) }

// Attempt is one delivery of one message to recipients that share a mailer and a host.
type Attempt struct {
	ID     string  // queue id, for logs and Received lines
	From   Address // envelope sender of this delivery; the zero value is the null reverse-path
	Mailer string  // the name under which the mailer was found
	Host   string  // the route's host: next hop, or empty
	Rcpts  []Recipient

	// Open returns the message, header, empty line and body, with LF line ends and no dot stuffing. Each call starts
	// at the beginning; the caller closes it.
	Open func(ctx context.Context) (io.ReadCloser, error)
	Size int64 // of what Open returns, in bytes; -1 when not known

	Arrived  time.Time // when the message was accepted
	BodyType string    // BODY= parameter: "7BIT", "8BITMIME" or ""
	SMTPUTF8 bool      // RFC 6531
	EnvID    string    // ENVID= parameter, xtext decoded
	Ret      string    // RET= parameter: "FULL", "HDRS" or ""
}

// Recipient is one recipient of an Attempt.
type Recipient struct {
	Addr     Address // the final address
	Route    Route
	Control  Control // whose rights a program or file delivery uses
	Original string  // ORCPT= parameter, "rfc822;ann@example.org", xtext decoded; "" if none
	Notify   Notify
}

// Notify is the NOTIFY= parameter of RCPT (RFC 3461 section 4.1). The zero value means that none was given, which
// stands for failure and delay.
type Notify uint8

// Values of NOTIFY; NotifyNever excludes the others.
const (
	NotifyNever Notify = 1 << iota
	NotifySuccess
	NotifyFailure
	NotifyDelay
)

// Result says how the delivery to one recipient went.
type Result struct {
	// Err is nil when the message reached its destination. Otherwise Temporary(Err) decides whether it is tried again;
	// an *Error carries the status and the text for logs and reports.
	Err error

	Relay string // the host that answered, as maillog shows it: "mx.example.net. [192.0.2.1]"; "" for local mailers
	Reply string // the peer's last reply with its codes, first line; for success the text after the code
	// Relayed is true when the peer took responsibility but did not announce DSN support (RFC 3461 section 6.2.6).
	Relayed bool
	// Uncertain is true when the connection died after the final dot, so that the peer may have the message all
	// the same (RFC 1047). Err is then temporary.
	Uncertain bool
}

package mtakit

import "time"

// EventKind tells what an Event reports.
type EventKind uint8

// The kinds of Event, in the order of a message's life.
const (
	EventConnect    EventKind = iota + 1 // a client connected or left; Text says what happened
	EventReject                          // a client, sender, recipient or message was refused; Err says why
	EventAccept                          // a message entered: sendmail's from= line
	EventQueue                           // recipients were queued without an attempt: stat=queued
	EventDeliver                         // recipients were delivered: stat=Sent
	EventDefer                           // recipients will be tried again: stat=Deferred
	EventBounce                          // recipients failed for good
	EventReport                          // a delivery status notification was made; Text names its kind, NewID its message
	EventQuarantine                      // a message was set aside; Text is the reason
	EventDone                            // the last recipient was settled and the message left the queue
	EventProblem                         // something an operator should see; Err says what
)

// Event is something that happened to a message. Logs and statistics are made from events; whoever emits one does
// not know who listens. Fields that do not apply are zero.
type Event struct {
	Time time.Time
	Kind EventKind
	ID   string // queue id; "" when there is no envelope

	// Accept
	From     Address
	Size     int64 // header and body
	Class    int   // from Precedence
	NRcpts   int
	MsgID    string
	BodyType string
	Proto    string // "ESMTP"; "" for local submission
	Daemon   string
	Client   string // the from= line's relay: "host [ip]", "user@localhost"

	// Queue, Deliver, Defer, Bounce
	To         []string // as maillog shows them: "<ann@example.org>"
	FromMailer string   // the mailer that the sender's address belongs to, for statistics
	Mailer     string
	Control    Control
	Delay      time.Duration // since the message was accepted
	XDelay     time.Duration // of this attempt; negative when nothing was attempted
	Priority   int64
	Relay      string
	Tries      int // attempts so far, for Done
	Status     Status
	Reply      string
	Stat       string // "Sent", "Deferred: Connection refused", "User unknown", …

	// Reject, Report, Quarantine, Problem
	NewID string
	Text  string
	Err   error
}

// Listener receives events. It must not block for long, and is called from several goroutines.
type Listener func(Event)

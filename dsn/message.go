package dsn

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mtakit/mtakit"
)

// Original is the message that is reported about.
type Original struct {
	From     mtakit.Address // envelope sender; the null reverse-path makes the report a double bounce
	EnvID    string         // ENVID= parameter, xtext decoded; "" if none
	Ret      string         // RET= parameter: "FULL", "HDRS" or ""
	Client   string         // where it came from, for people: "client.example.com [192.0.2.55]"; "" if local
	Arrived  time.Time
	SMTPUTF8 bool   // it needed RFC 6531, so its sender can be sent the form of RFC 6533
	BodyType string // "8BITMIME" spares a look for 8-bit data
	Size     int64  // of what Open yields; -1 if not known

	// Open returns the message, header, empty line and body, with LF line ends. Each call starts at the beginning.
	// Nil, or an error that is fs.ErrNotExist, leaves the message out of the report.
	Open func(ctx context.Context) (io.ReadCloser, error)
}

// Options tunes New. Host is required.
type Options struct {
	// Host names this mail system: Reporting-MTA, and the domain of the report's sender address and Message-Id.
	Host string
	// ID is the queue id of the report. It appears in Message-Id, Received and boundary. Empty means a random one.
	ID string
	// Date is that of the report. Zero means now.
	Date time.Time
	// Text is the log's word for what happened, from the queue: "Cannot send message for 5 days". It becomes the subject
	// of a delay report. Empty means one made from the recipients.
	Text string
	// Postmaster receives double bounces. Empty means postmaster@Host.
	Postmaster mtakit.Address
	// NoDoubleBounce drops failures of messages with null sender (sendmail: an empty DoubleBounceAddress).
	NoDoubleBounce bool
	// MaxOriginal is the largest original returned in full, in bytes; of larger ones only the header goes back. Zero
	// means 1 MiB, negative means no limit.
	MaxOriginal int64
	// MaxHeader is how much of an original's header is returned, in bytes. Zero means 256 KiB.
	MaxHeader int64
}

// Message is a notification to be sent. Its envelope sender must be the null reverse-path (RFC 3464 section 2), its envelope
// recipient is To with NOTIFY=NEVER or none.
type Message struct {
	Report
	To       mtakit.Address // never null
	Original Original

	opts     Options
	double   bool // goes to the postmaster in place of a null sender
	boundary string
}

// New makes the notification about the recipients whose sender wants one, or nil when there is none to be sent: nobody asked, or
// the sender is null. Failures of a message with null sender go to the postmaster instead (a double bounce), unless it was
// for the postmaster, too.
func New(o *Original, rcpts []Recipient, opts Options) *Message {
	if opts.Date.IsZero() {
		opts.Date = time.Now()
	}
	if opts.Postmaster.IsNull() {
		opts.Postmaster = mtakit.Address{Local: "postmaster", Domain: opts.Host}
	}
	if opts.MaxOriginal == 0 {
		opts.MaxOriginal = 1 << 20
	}
	if opts.MaxHeader == 0 {
		opts.MaxHeader = 256 << 10
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails, says its documentation
	random := hex.EncodeToString(b[:])
	if opts.ID == "" {
		opts.ID = random
	}
	m := &Message{To: o.From, Original: *o, opts: opts, boundary: boundary(opts.ID + "." + random + "/" + opts.Host)}
	m.ReportingMTA, m.EnvID, m.Arrived = opts.Host, o.EnvID, o.Arrived
	if host, addr, ok := strings.Cut(o.Client, " ["); ok && host != "" {
		m.ReceivedFrom = host
	} else if strings.HasPrefix(addr, "[") || strings.HasPrefix(host, "[") {
		m.ReceivedFrom, _, _ = strings.Cut(o.Client, " ")
	}
	if o.From.IsNull() {
		m.To, m.double = opts.Postmaster, true
	}
	for _, r := range rcpts {
		switch {
		case !m.double && r.Wanted(), m.double && r.Action == Failed && !opts.NoDoubleBounce && !samePostmaster(&r, opts.Postmaster):
			m.Recipients = append(m.Recipients, r)
		}
	}
	if len(m.Recipients) == 0 {
		return nil
	}
	return m
}

func samePostmaster(r *Recipient, postmaster mtakit.Address) bool {
	a, err := r.Address()
	return err == nil && strings.EqualFold(a.Local, postmaster.Local) && (a.Domain == "" || strings.EqualFold(a.Domain, postmaster.Domain))
}

// boundary makes s fit for a MIME boundary: 70 characters of a small set (RFC 2046 section 5.1.1).
func boundary(s string) string {
	b := []byte(s)
	for i, c := range b {
		switch {
		case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c == '.', c == '/', c == '-', c == '_':
		default:
			b[i] = '_'
		}
	}
	return string(b[:min(len(b), 70)])
}

// has tells whether some recipient has the action.
func (m *Message) has(a Action) bool {
	for i := range m.Recipients {
		if m.Recipients[i].Action == a {
			return true
		}
	}
	return false
}

// Kind names the notification as the log does (mtakit.Event.Text of EventReport): "DSN", "sender notify" for a delay,
// "return to sender" for a message given up after too long a time, "postmaster notify" for a double bounce.
func (m *Message) Kind() string {
	switch {
	case m.double:
		return "postmaster notify"
	case m.has(Failed) && strings.HasPrefix(m.opts.Text, "Cannot send message for"):
		return "return to sender"
	case !m.has(Failed) && m.has(Delayed):
		return "sender notify"
	}
	return "DSN"
}

// Summary is what the log says behind the kind: Options.Text, or a text made from the recipients.
func (m *Message) Summary() string {
	switch {
	case m.opts.Text != "":
		return m.opts.Text
	case m.has(Failed):
		for _, r := range m.Recipients {
			if r.Action == Failed && r.Reason != "" {
				return r.Reason
			}
		}
		return "Service unavailable"
	case m.has(Delayed):
		return "Warning: could not send message for past " + spell(m.opts.Date.Sub(m.Original.Arrived))
	}
	return "Return receipt"
}

// Subject is that of the message.
func (m *Message) Subject() string {
	switch {
	case m.double:
		return "Postmaster notify: see transcript for details"
	case m.has(Failed):
		return "Returned mail: see transcript for details"
	case m.has(Delayed):
		return m.Summary()
	}
	return "Return receipt"
}

// HeadersOnly tells whether the report contains just the header of the original: because the sender asked for it, because
// nothing failed (RFC 3461 section 4.3), or because it is big.
func (m *Message) HeadersOnly() bool {
	o := &m.Original
	return strings.EqualFold(o.Ret, "HDRS") || !m.has(Failed) || m.opts.MaxOriginal >= 0 && o.Size > m.opts.MaxOriginal
}

// BodyType is the BODY= parameter to send the report with, "8BITMIME" or "7BIT". It may have to read the original once.
func (m *Message) BodyType(ctx context.Context) (string, error) {
	if m.Original.SMTPUTF8 || m.Original.BodyType == "8BITMIME" && !m.HeadersOnly() {
		return "8BITMIME", nil
	}
	eight, err := m.scan(ctx)
	if err != nil {
		return "", err
	}
	if eight {
		return "8BITMIME", nil
	}
	return "7BIT", nil
}

// spell gives a time as sendmail words it: "4 hours", "1 day".
func spell(d time.Duration) string {
	unit := func(n int64, name string) string {
		if n == 1 {
			return "1 " + name
		}
		return fmt.Sprintf("%d %ss", n, name)
	}
	switch s := int64(d / time.Second); {
	case s >= 2*86400:
		return unit(s/86400, "day")
	case s >= 3600:
		return unit(s/3600, "hour")
	case s >= 60:
		return unit(s/60, "minute")
	default:
		return unit(max(s, 0), "second")
	}
}

// ErrNullRecipient is returned for a notification whose To was made null: it must not be sent.
var ErrNullRecipient = errors.New("a report must not go to the null reverse-path")

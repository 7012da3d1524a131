package logfmt

import (
	"math"
	"strconv"
	"time"

	"github.com/mtakit/mtakit/internal/lex"
)

// From is the text of a from= line: a message was accepted.
type From struct {
	From     string // as it was given: "<ann@example.org>", "<>", or bare for local submission
	Size     int64  // header and body; negative prints as the largest number
	Class    int
	NRcpts   int
	MsgID    string // "" when no message was collected
	BodyType string
	Proto    string // "ESMTP"; "" for local submission
	Daemon   string
	Relay    string // "host [ip]", "user@localhost"
}

// AppendTo appends the text, unescaped.
func (f *From) AppendTo(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, "from="...)
	dst = append(dst, cut(f.From, 200)...)
	dst = append(dst, ", size="...)
	dst = appendNonNegative(dst, f.Size)
	dst = append(dst, ", class="...)
	dst = strconv.AppendInt(dst, int64(f.Class), 10)
	dst = append(dst, ", nrcpts="...)
	dst = strconv.AppendInt(dst, int64(f.NRcpts), 10)
	if f.MsgID != "" {
		dst = append(dst, ", msgid="...)
		dst = append(dst, cut(f.MsgID, 100)...)
	}
	if f.BodyType != "" {
		dst = append(dst, ", bodytype="...)
		dst = append(dst, cut(f.BodyType, 20)...)
	}
	if f.Proto != "" {
		dst = append(dst, ", proto="...)
		dst = append(dst, cut(f.Proto, 20)...)
	}
	if f.Daemon != "" {
		dst = append(dst, ", daemon="...)
		dst = append(dst, cut(f.Daemon, 20)...)
	}
	if len(dst)-start > 850 {
		dst = dst[:start+850]
	}
	dst = append(dst, ", relay="...)
	return append(dst, f.Relay...)
}

// To is the text of a to= line: how delivery to one or more recipients went.
type To struct {
	To         []string // in the order of the line, which is the reverse of the RCPT commands
	More       bool     // the list goes on in the next line of the same id; set by the parser alone
	Control    string   // ctladdr: the controlling address; "" if none
	HasIDs     bool     // UID and GID are given
	UID, GID   int
	Delay      time.Duration // since the message was accepted
	XDelay     time.Duration // of this attempt; negative when nothing was attempted
	Mailer     string
	Priority   int64 // negative prints as the largest number
	Relay      string
	Quarantine string
	DSN        string // "2.0.0"; "" for plain queueing
	Reply      string // last reply of the peer, for failures and deferrals
	Stat       string // "Sent (Ok)", "Deferred: …", "User unknown"
}

// Outcome is what a to= line means for its recipients.
type Outcome uint8

// The outcomes of a to= line.
const (
	Queued   Outcome = iota + 1 // put in the queue without an attempt, or set aside there
	Sent                        // delivered, or handed to the next host
	Deferred                    // to be tried again
	Failed                      // given up
	Dropped                     // discarded on purpose
)

// String names the outcome in lower case.
func (o Outcome) String() string {
	names := [...]string{"unknown", "queued", "sent", "deferred", "failed", "discarded"}
	if int(o) >= len(names) {
		o = 0
	}
	return names[o]
}

// Outcome tells by the stat text and the status what became of the recipients. Two stat texts of sendmail need the
// status: "Please try again later" and the like, a temporary refusal of a whole message, which the sender keeps, counts
// as failed here.
func (t *To) Outcome() Outcome {
	switch {
	case hasWord(t.Stat, "Sent"):
		return Sent
	case hasWord(t.Stat, "queued"), hasWord(t.Stat, "quarantined"):
		return Queued
	case hasWord(t.Stat, "discarded"):
		return Dropped
	case hasWord(t.Stat, "Deferred"):
		return Deferred
	}
	return Failed
}

// hasWord tells whether s begins with word, as a whole.
func hasWord(s, word string) bool {
	if len(s) < len(word) || s[:len(word)] != word {
		return false
	}
	return len(s) == len(word) || s[len(word)] == ' ' || s[len(word)] == ':'
}

// appendRest appends what follows the list of recipients.
func (t *To) appendRest(dst []byte) []byte {
	if t.Control != "" {
		dst = append(dst, ", ctladdr="...)
		dst = lex.AppendShort(dst, t.Control, 83)
		if t.HasIDs {
			dst = append(dst, " ("...)
			dst = strconv.AppendInt(dst, int64(t.UID), 10)
			dst = append(dst, '/')
			dst = strconv.AppendInt(dst, int64(t.GID), 10)
			dst = append(dst, ')')
		}
	}
	dst = append(dst, ", delay="...)
	dst = appendDelay(dst, t.Delay)
	if t.XDelay >= 0 {
		dst = append(dst, ", xdelay="...)
		dst = appendDelay(dst, t.XDelay)
	}
	if t.Mailer != "" {
		dst = append(dst, ", mailer="...)
		dst = append(dst, t.Mailer...)
	}
	dst = append(dst, ", pri="...)
	dst = appendNonNegative(dst, t.Priority)
	switch {
	case t.Quarantine != "":
		dst = append(dst, ", quarantine="...)
		dst = lex.AppendShort(dst, t.Quarantine, 40)
	case t.Relay != "":
		host, addr := cutRelay(t.Relay)
		dst = append(dst, ", relay="...)
		dst = lex.AppendShort(dst, host, 40)
		dst = append(dst, addr...)
	}
	if t.DSN != "" {
		dst = append(dst, ", dsn="...)
		dst = lex.AppendShort(dst, t.DSN, 10)
	}
	if t.Reply != "" {
		dst = append(dst, ", reply="...)
		dst = lex.AppendShort(dst, t.Reply, 203)
	}
	dst = append(dst, ", stat="...)
	return lex.AppendShort(dst, t.Stat, 203)
}

// cutRelay splits "host [ip]" before the blank.
func cutRelay(s string) (host, addr string) {
	if n := len(s); n > 0 && s[n-1] == ']' {
		for i := n - 1; i > 0; i-- {
			if s[i] == '[' && s[i-1] == ' ' {
				return s[:i-1], s[i-1:]
			}
		}
	}
	return s, ""
}

// listSize is how long the list of recipients and the rest of a to= line may be together. sendmail: logdelivery.
const listSize = lineSize - 100

// emit makes the lines that t needs: one, or several when the list of recipients is long.
func (t *To) emit(s *scratch) {
	b := t.appendRest(s.text[:0])
	nrest := len(b)
	for i, a := range t.To {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, a...)
	}
	from, nlist := nrest, len(b)
	line := func(end int, more string) {
		b = append(b[:nlist], "to="...)
		b = append(b, b[from:end]...)
		b = append(b, more...)
		b = append(b, b[:nrest]...)
		s.emit(b[nlist:])
	}
	most := listSize - nrest
	for most > 0 && nlist-from >= most {
		end := from + most
		if end == nlist {
			end-- // the byte behind the list is not a comma
		}
		for end > from && b[end] != ',' {
			end--
		}
		if end == from {
			break
		}
		line(end+1, " [more]")
		from = end + 1
	}
	end := nlist
	if most > 0 && end-from > most {
		end = from + most
	}
	line(end, "")
	s.text = b
}

// appendDelay appends hh:mm:ss, with days+ before it when there are any.
func appendDelay(dst []byte, d time.Duration) []byte {
	s := max(int64(d/time.Second), 0)
	if days := s / 86400; days > 0 {
		dst = strconv.AppendInt(dst, days, 10)
		dst = append(dst, '+')
	}
	dst = append2(dst, int(s/3600%24))
	dst = append(dst, ':')
	dst = append2(dst, int(s/60%60))
	dst = append(dst, ':')
	return append2(dst, int(s%60))
}

func append2(dst []byte, n int) []byte { return append(dst, '0'+byte(n/10%10), '0'+byte(n%10)) }

// appendNonNegative appends n, or the largest number in place of a negative one.
func appendNonNegative(dst []byte, n int64) []byte {
	if n < 0 {
		n = math.MaxInt64
	}
	return strconv.AppendInt(dst, n, 10)
}

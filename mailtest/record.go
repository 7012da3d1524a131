package mailtest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Message is a message that a Server accepted, fully or for some of its recipients.
type Message struct {
	Session int    // which session brought it, from 1
	Helo    string // the client's name
	TLS     bool
	User    string // who was authenticated, "" for nobody

	From   string // without angle brackets; "" is the null reverse-path
	Params string // what followed the address in MAIL: "SIZE=100 BODY=8BITMIME"
	Rcpts  []Rcpt // the accepted ones

	Data []byte // as it came, with CRLF, dots unstuffed
	Time time.Time
}

// Rcpt is a recipient of a Message.
type Rcpt struct {
	Addr   string // without angle brackets
	Params string // "NOTIFY=NEVER ORCPT=rfc822;…"
}

// To lists the addresses of the recipients.
func (m *Message) To() []string {
	to := make([]string, len(m.Rcpts))
	for i, r := range m.Rcpts {
		to[i] = r.Addr
	}
	return to
}

// Text is Data with LF line ends.
func (m *Message) Text() string {
	return string(bytes.ReplaceAll(m.Data, []byte("\r\n"), []byte("\n")))
}

// Line is one line of a dialogue.
type Line struct {
	Client bool // who said it
	Text   string
}

// Session is everything that was said on one connection. Messages are abbreviated to their number of bytes.
type Session struct {
	Number int
	Lines  []Line
	Closed bool // the connection has ended
}

// String prints the dialogue, "C: " before the client's lines and "S: " before the server's.
func (s Session) String() string {
	var b strings.Builder
	for _, l := range s.Lines {
		who := "S: "
		if l.Client {
			who = "C: "
		}
		b.WriteString(who + l.Text + "\n")
	}
	return b.String()
}

// Messages returns the messages accepted so far, oldest first.
func (s *Server) Messages() []*Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// Count is how many messages were accepted so far, kept or not.
func (s *Server) Count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Take returns the messages accepted so far and forgets them.
func (s *Server) Take() []*Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.messages
	s.messages = nil
	return m
}

// Wait waits until n messages have been accepted, and returns them. It fails the test with the dialogue when that does
// not happen in ten seconds.
func (s *Server) Wait(n int) []*Message {
	s.tb.Helper()
	if !poll(waitLimit, func() bool { return s.Count() >= n }) {
		s.tb.Fatalf("mail server %s: %d messages after %v, want %d; dialogue:\n%s", s.Name, s.Count(), waitLimit, n, s.Dialogue())
	}
	return s.Messages()
}

// Sessions returns what was said so far, by connection.
func (s *Server) Sessions() []Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Session, len(s.sessions))
	for i, t := range s.sessions {
		out[i] = Session{t.Number, slices.Clone(t.Lines), t.Closed}
	}
	return out
}

// Dialogue prints all sessions, one after the other.
func (s *Server) Dialogue() string {
	var b strings.Builder
	for _, t := range s.Sessions() {
		fmt.Fprintf(&b, "-- session %d\n%v", t.Number, t)
	}
	return b.String()
}

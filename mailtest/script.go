package mailtest

import (
	"strings"
	"time"
)

// Stage is a point in a session at which a server can be told to misbehave.
type Stage string

// The stages, in the order of a session.
const (
	OnConnect  Stage = "connect"  // the greeting
	OnHello    Stage = "hello"    // HELO, EHLO, LHLO
	OnSTARTTLS Stage = "starttls" // the reply to STARTTLS
	OnAuth     Stage = "auth"     // the reply to AUTH
	OnMail     Stage = "mail"
	OnRcpt     Stage = "rcpt"
	OnData     Stage = "data" // the reply to DATA
	OnBody     Stage = "body" // while the message comes in; see Step.After
	OnDot      Stage = "dot"  // the reply to the final dot; in LMTP once for each recipient
	OnRset     Stage = "rset"
	OnQuit     Stage = "quit"
)

// Step is what a server does at one stage instead of the normal thing. Delay, Reply and Drop combine, in this order.
type Step struct {
	Delay time.Duration // wait first
	Reply string        // send this instead of the normal reply; lines are separated by "\n". "" is the normal reply
	Raw   string        // send exactly these bytes instead of a reply
	Drop  bool          // then close the connection; with neither Reply nor Raw, without any reply
	Hang  bool          // never answer; the connection stays open until the server is closed or the client leaves
	After int           // OnBody: act when this many bytes of the message have come in
	Keep  bool          // OnDot: keep the message although the reply is not a 2yz
}

// Reply answers with text, such as "451 4.7.1 Try again later". A 421 also closes the connection.
func Reply(text string) Step { return Step{Reply: text, Drop: strings.HasPrefix(text, "421")} }

// Delay answers normally, but late.
func Delay(d time.Duration) Step { return Step{Delay: d} }

// Drop closes the connection without an answer.
func Drop() Step { return Step{Drop: true} }

// Hang leaves the client waiting.
func Hang() Step { return Step{Hang: true} }

// Raw answers with exactly these bytes, which need not be a reply at all.
func Raw(bytes string) Step { return Step{Raw: bytes} }

// Command is what a Handler sees.
type Command struct {
	Stage   Stage
	Line    string // as the client sent it, without line end; "" for OnConnect, OnBody and OnDot
	Address string // MAIL, RCPT, and OnDot in LMTP: the address, without angle brackets
	Session int    // counts from 1
	Count   int    // messages accepted in this session so far
}

// script is the steps that a test has set.
type script struct {
	queued map[Stage][]Step
	always map[Stage]Step
	byRcpt map[Stage]map[string]Step
}

func (*script) set(m *map[Stage]Step, stage Stage, st Step) {
	if *m == nil {
		*m = make(map[Stage]Step)
	}
	(*m)[stage] = st
}

// next finds the step for a command, if there is one.
func (s *script) next(c Command) (Step, bool) {
	if st, ok := s.byRcpt[c.Stage][strings.ToLower(c.Address)]; ok && c.Address != "" {
		return st, true
	}
	if q := s.queued[c.Stage]; len(q) > 0 {
		s.queued[c.Stage] = q[1:]
		return q[0], true
	}
	st, ok := s.always[c.Stage]
	return st, ok
}

// Script sets what the server does the next times it comes to a stage, in whatever session: the first time the first
// step, and so on. Then it behaves normally again (or as Always says).
func (s *Server) Script(stage Stage, steps ...Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.script.queued == nil {
		s.script.queued = make(map[Stage][]Step)
	}
	s.script.queued[stage] = append(s.script.queued[stage], steps...)
}

// Always sets what the server does whenever it comes to a stage.
func (s *Server) Always(stage Stage, step Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script.set(&s.script.always, stage, step)
}

// Recipient sets what the server does for one recipient, at OnRcpt, or in LMTP at OnDot.
func (s *Server) Recipient(addr string, stage Stage, step Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.script.byRcpt == nil {
		s.script.byRcpt = make(map[Stage]map[string]Step)
	}
	if s.script.byRcpt[stage] == nil {
		s.script.byRcpt[stage] = make(map[string]Step)
	}
	s.script.byRcpt[stage][strings.ToLower(addr)] = step
}

// Reset forgets all steps.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = script{}
}

package mta

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/access"
	"github.com/mtakit/mtakit/examples/internal/smtpd"
	"github.com/mtakit/mtakit/queue"
)

// session is one SMTP client: who it is, and the transaction that is open.
type session struct {
	m        *MTA
	client   access.Client
	text     string // how logs and trace fields name the client
	helo     string
	extended bool
	tx       *transaction
	discard  bool // whatever this client sends is thrown away
}

// transaction is what MAIL began and the end of DATA, or Reset, ends.
type transaction struct {
	mail    smtpd.Mail
	from    mtakit.Address
	rcpts   []acceptedRcpt
	tables  uint64 // generation of the tables at MAIL
	discard bool
	hold    string // reason to quarantine the message, "" for none
}

// acceptedRcpt is a recipient that was accepted, with where it leads.
type acceptedRcpt struct {
	cmd  smtpd.Rcpt
	addr mtakit.Address
	res  *mtakit.Resolution
}

// openSession is the server's smtpd.NewSession: it asks access whether the client may talk to us.
func (m *MTA) openSession(ctx context.Context, remote net.Addr) (smtpd.Session, error) {
	s := &session{m: m}
	var ip netip.Addr
	switch r := remote.(type) {
	case *net.TCPAddr:
		ip = r.AddrPort().Addr().Unmap()
	case stdioAddr:
		s.text = r.String()
	}
	s.client = m.names.lookup(ctx, ip)
	if s.text == "" {
		s.text = relayText(s.client)
	}
	s.client.Rate, s.client.Open = m.clients.Open(ip)
	m.observe(mtakit.Event{Kind: mtakit.EventConnect, Client: s.text})
	d := m.policy.Load().Connect(ctx, s.client)
	if d.Err != nil {
		m.observe(mtakit.Event{Kind: mtakit.EventReject, FromMailer: mtakit.MailerESMTP, Client: s.text, Text: "check_relay", Err: d.Err})
		return s, d.Err
	}
	s.discard = d.Verdict == access.Discard
	return s, nil
}

// Close implements smtpd.Session.
func (s *session) Close() { s.m.clients.Close(s.client.Addr) }

// Hello implements smtpd.Session.
func (s *session) Hello(_ context.Context, name string, extended bool) error {
	s.helo, s.extended, s.client.HELO = name, extended, name
	return nil
}

// proto is the protocol's name in trace fields and logs (RFC 3848).
func (s *session) proto() string {
	switch {
	case s.tx.mail.SMTPUTF8:
		return "UTF8SMTP"
	case s.extended:
		return "ESMTP"
	}
	return "SMTP"
}

// Mail implements smtpd.Session.
func (s *session) Mail(ctx context.Context, cmd smtpd.Mail) error {
	from, _, err := mtakit.ParsePath(cmd.Path)
	if err != nil {
		return about(cmd.Path, err)
	}
	if err := s.m.room(cmd.Size); err != nil {
		return err
	}
	tx := &transaction{mail: cmd, from: from, tables: s.m.tables.Generation().Number, discard: s.discard}
	d := s.m.policy.Load().FromPath(ctx, s.client, inside(cmd.Path))
	if err := s.decided(tx, d, "check_mail", cmd.Path); err != nil {
		return err
	}
	s.tx = tx
	return nil
}

// decided applies an access decision to tx and returns the reply that refuses, if it does.
func (s *session) decided(tx *transaction, d access.Decision, ruleset, arg string) error {
	switch d.Verdict {
	case access.Discard:
		tx.discard = true
	case access.Quarantine:
		tx.hold = d.Reason
	}
	if d.Err == nil {
		return nil
	}
	s.m.observe(mtakit.Event{Kind: mtakit.EventReject, From: tx.from, FromMailer: s.m.mailerOf(tx.from), To: []string{arg}, Client: s.text, Text: ruleset, Err: d.Err})
	return d.Err
}

// Rcpt implements smtpd.Session. The recipient is resolved all the way now: one whose every branch is known to be bad
// is refused here and never bounced later.
func (s *session) Rcpt(ctx context.Context, cmd smtpd.Rcpt) error {
	addr, _, err := mtakit.ParsePath(cmd.Path)
	if err != nil {
		return about(cmd.Path, err)
	}
	if !s.tx.mail.SMTPUTF8 && !ascii(cmd.Path) {
		return &mtakit.Error{Code: 553, Status: mtakit.StatusNonASCIIAddress, Text: cmd.Path + "... Address needs SMTPUTF8"}
	}
	d := s.m.policy.Load().ToPath(ctx, s.client, inside(s.tx.mail.Path), inside(cmd.Path))
	if err := s.decided(s.tx, d, "check_rcpt", cmd.Path); err != nil {
		return err
	}
	res, err := s.m.resolver.Resolve(ctx, s.tx.from, addr)
	if err == nil {
		s.m.warn(res)
		err = res.Err()
	}
	if err != nil {
		err = about(cmd.Path, err)
		s.m.observe(mtakit.Event{Kind: mtakit.EventReject, From: s.tx.from, FromMailer: s.m.mailerOf(s.tx.from), To: []string{cmd.Path}, Client: s.text, Err: err})
		return err
	}
	s.tx.rcpts = append(s.tx.rcpts, acceptedRcpt{cmd, addr, res})
	return nil
}

// Data implements smtpd.Session.
func (s *session) Data(ctx context.Context, msg *smtpd.Message) (string, error) {
	tx := s.tx
	if tx.discard {
		id := queue.NewID()
		s.m.observe(mtakit.Event{Kind: mtakit.EventReject, ID: string(id), From: tx.from, Client: s.text, Text: "discard"})
		return string(id), nil
	}
	sub := &submission{
		from: tx.from, fromText: tx.mail.Path, tables: tx.tables, header: msg.Header(), body: msg.Body, bodySize: msg.BodySize(),
		bodyType: tx.mail.BodyType, utf8: tx.mail.SMTPUTF8, eightBit: msg.EightBit(),
		ret: tx.mail.Ret, envID: tx.mail.EnvID, auth: tx.mail.Auth, hold: tx.hold,
		helo: s.helo, client: s.text, proto: s.proto(), daemon: "MTA",
	}
	sub.memory, sub.inMemory = msg.MemoryBody()
	for _, r := range tx.rcpts {
		sub.rcpts = append(sub.rcpts, submittedRcpt{text: r.cmd.Path, notify: r.cmd.Notify, original: r.cmd.Original, res: r.res})
	}
	id, err := s.m.accept(ctx, sub)
	return string(id), err
}

// Verify implements smtpd.Session: whether the address leads anywhere.
func (s *session) Verify(ctx context.Context, arg string) ([]string, error) {
	if s.stranger() {
		return nil, smtpd.ErrNoVerify
	}
	res, err := s.lookup(ctx, arg)
	if err != nil {
		return nil, err
	}
	if err := res.Err(); err != nil {
		return nil, about(arg, err)
	}
	addr, _, err := mtakit.ParsePath(arg)
	if err != nil {
		return nil, about(arg, err)
	}
	if addr.Domain == "" {
		addr.Domain = s.m.cfg.Hostname
	}
	return []string{addr.Path()}, nil
}

// Expand implements smtpd.Session: the final addresses behind an alias.
func (s *session) Expand(ctx context.Context, arg string) ([]string, error) {
	if s.stranger() {
		return nil, &mtakit.Error{Code: 502, Status: mtakit.StatusSecurity, Text: "Sorry, we do not allow this operation"}
	}
	res, err := s.lookup(ctx, arg)
	if err != nil {
		return nil, err
	}
	if err := res.Err(); err != nil {
		return nil, about(arg, err)
	}
	var lines []string
	for _, l := range res.Leaves {
		if l.Err == nil {
			lines = append(lines, "<"+l.Text+">")
		}
	}
	return lines, nil
}

// stranger reports whether the client is on another machine: it is not told who is here.
func (s *session) stranger() bool { return s.client.Addr.IsValid() && !s.client.Addr.IsLoopback() }

// lookup resolves the argument of VRFY and EXPN.
func (s *session) lookup(ctx context.Context, arg string) (*mtakit.Resolution, error) {
	addr, _, err := mtakit.ParsePath(arg)
	if err != nil {
		return nil, about(arg, err)
	}
	return s.m.resolver.Resolve(ctx, mtakit.Address{}, addr)
}

// Reset implements smtpd.Session.
func (s *session) Reset() { s.tx = nil }

// about puts the address in front of a verdict's text, as sendmail's replies have it.
func about(path string, err error) error {
	var e *mtakit.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: %w", path, err)
	}
	withPath := *e
	withPath.Text = path + "... " + e.Text
	return &withPath
}

// inside removes the angle brackets of a path.
func inside(path string) string { return strings.TrimSuffix(strings.TrimPrefix(path, "<"), ">") }

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

package smtpd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/mtakit/mtakit"
)

const (
	statusOK       = mtakit.StatusSuccess
	statusSequence = mtakit.StatusPermanent // sendmail answers 503 with 5.0.0
)

// command carries out one line. The texts of the replies are sendmail's.
func (c *conn) command(ctx context.Context, line string) {
	verb, arg, _ := strings.Cut(strings.TrimLeft(line, " \t"), " ")
	arg = strings.TrimSpace(arg)
	if c.chunks != nil {
		switch strings.ToUpper(verb) {
		case "BDAT", "RSET", "QUIT", "NOOP":
		default: // RFC 3030 section 2: nothing else between chunks
			c.badCommand(503, mtakit.StatusInvalidCommand, "Only BDAT is expected here")
			return
		}
	}
	switch strings.ToUpper(verb) {
	case "HELO", "EHLO":
		c.hello(ctx, strings.ToUpper(verb), arg)
	case "MAIL":
		c.mailFrom(ctx, arg)
	case "RCPT":
		c.rcptTo(ctx, arg)
	case "DATA":
		c.data(ctx, arg)
	case "BDAT":
		c.bdat(ctx, arg)
	case "RSET":
		c.reset()
		c.reply(250, statusOK, "Reset state")
	case "NOOP":
		c.reply(250, statusOK, "OK")
	case "VRFY":
		c.lookup(ctx, "VRFY", arg)
	case "EXPN":
		c.lookup(ctx, "EXPN", arg)
	case "HELP":
		c.reply(214, statusOK, "Commands: HELO EHLO MAIL RCPT DATA BDAT RSET NOOP VRFY EXPN HELP QUIT", "End of HELP info")
	case "QUIT":
		c.reply(221, statusOK, c.srv.opt.Hostname+" closing connection")
		c.closing = true
	default:
		c.badCommand(500, mtakit.StatusInvalidCommand, fmt.Sprintf("Command unrecognized: \"%s\"", printable(line)))
	}
}

// printable makes client text safe to repeat in one line of a reply.
func printable(s string) string {
	if len(s) > 200 {
		s = s[:200] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
}

// maxHello is how long the argument of HELO may be (sendmail: MAXNAME).
const maxHello = 256

// validHello reports whether a client may call itself so: the characters that sendmail lets through unless AllowBogusHELO
// is set. The name goes into trace fields and logs, where blanks, parentheses and control characters would mean something.
func validHello(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("[].-_#:", c) >= 0) {
			return false
		}
	}
	return len(name) <= maxHello
}

func (c *conn) hello(ctx context.Context, verb, arg string) {
	if arg == "" {
		c.badCommand(501, statusSequence, verb+" requires domain address")
		return
	}
	if !validHello(arg) {
		c.badCommand(501, statusSequence, "Invalid domain name")
		return
	}
	name := arg
	c.reset()
	if c.sess != nil {
		if err := c.sess.Hello(ctx, name, verb == "EHLO"); err != nil {
			c.replyError("", err)
			return
		}
	}
	c.helo, c.esmtp = name, verb == "EHLO"
	greeting := fmt.Sprintf("%s Hello %s, pleased to meet you", c.srv.opt.Hostname, printable(name))
	if verb == "HELO" {
		c.reply(250, 0, greeting)
		return
	}
	c.reply(250, 0, greeting, "ENHANCEDSTATUSCODES", "PIPELINING", "CHUNKING", "EXPN", "8BITMIME", "SMTPUTF8",
		"SIZE "+strconv.FormatInt(c.srv.opt.MaxMessageBytes, 10), "DSN", "HELP")
}

// after returns what follows keyword and a colon at the start of arg, in any case.
func after(arg, keyword string) (string, bool) {
	n := len(keyword)
	if len(arg) <= n || !strings.EqualFold(arg[:n], keyword) {
		return "", false
	}
	rest, ok := strings.CutPrefix(strings.TrimLeft(arg[n:], " "), ":")
	return rest, ok
}

func (c *conn) mailFrom(ctx context.Context, arg string) {
	if c.mail {
		c.badCommand(503, mtakit.StatusProtocol, "Sender already specified")
		return
	}
	if c.refused != nil {
		c.replyError("", c.refused)
		return
	}
	rest, ok := after(arg, "FROM")
	if !ok {
		c.badCommand(501, mtakit.StatusSyntax, fmt.Sprintf("Syntax error in parameters scanning \"%s\"", printable(arg)))
		return
	}
	m, err := parseMail(rest)
	if err == nil && m.Size > c.srv.opt.MaxMessageBytes {
		err = &mtakit.Error{Code: 552, Status: mtakit.StatusMailboxTooBig,
			Text: fmt.Sprintf("Message size exceeds fixed maximum message size (%d)", c.srv.opt.MaxMessageBytes)}
	}
	if err == nil {
		err = checkPath(m.Path, mtakit.StatusSenderSyntax)
	}
	if err == nil && !m.SMTPUTF8 && !isASCII(m.Path) {
		err = &mtakit.Error{Code: 553, Status: mtakit.StatusNonASCIIAddress, Text: "Address needs SMTPUTF8"}
	}
	if err != nil {
		c.replyError(printable(m.Path)+"... ", err)
		return
	}
	if err := c.sess.Mail(ctx, m); err != nil {
		c.replyError("", err)
		return
	}
	c.mail = true
	c.reply(250, mtakit.Status(2_001_000), m.Path+"... Sender ok")
}

// checkPath refuses addresses that could not be repeated on a line of their own: in a reply, a trace field, a log. What is
// not ASCII must at least be UTF-8.
func checkPath(path string, status mtakit.Status) error {
	for i := 0; i < len(path); i++ {
		if path[i] < ' ' || path[i] == 0x7f {
			return &mtakit.Error{Code: 501, Status: status,
				Text: fmt.Sprintf("Syntax error in mailbox address \"%s\" (non-printable character)", printable(path))}
		}
	}
	if !utf8.ValidString(path) {
		return &mtakit.Error{Code: 501, Status: status, Text: "Syntax error in mailbox address (not UTF-8)"}
	}
	return nil
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func (c *conn) rcptTo(ctx context.Context, arg string) {
	if !c.mail {
		c.badCommand(503, statusSequence, "Need MAIL before RCPT")
		return
	}
	rest, ok := after(arg, "TO")
	if !ok {
		c.badCommand(501, mtakit.StatusSyntax, fmt.Sprintf("Syntax error in parameters scanning \"%s\"", printable(arg)))
		return
	}
	if c.rcpts >= c.srv.opt.MaxRecipients {
		c.reply(452, mtakit.StatusTooManyRcpts.AsTemporary(), "Too many recipients")
		return
	}
	r, err := parseRcpt(rest)
	if err == nil {
		err = checkPath(r.Path, mtakit.StatusMailboxSyntax)
	}
	if err != nil {
		c.replyError(printable(r.Path)+"... ", err)
		return
	}
	if err := c.sess.Rcpt(ctx, r); err != nil {
		c.replyError("", err)
		return
	}
	c.rcpts++
	c.reply(250, mtakit.StatusAddressValid, r.Path+"... Recipient ok")
}

// ready reports whether a message may follow, and says why not.
func (c *conn) ready() bool {
	switch {
	case !c.mail:
		c.badCommand(503, statusSequence, "Need MAIL command")
	case c.rcpts == 0:
		c.badCommand(503, statusSequence, "Need RCPT (recipient)")
	default:
		return true
	}
	return false
}

func (c *conn) data(ctx context.Context, arg string) {
	if arg != "" {
		c.badCommand(501, mtakit.StatusInvalidArguments, "DATA takes no parameters")
		return
	}
	if !c.ready() {
		return
	}
	c.reply(354, 0, `Enter mail, end with "." on a line by itself`)
	c.wait = c.srv.opt.DataTimeout
	m := newMessage(&c.srv.opt)
	err := m.readData(c.br)
	if err != nil && !isVerdict(err) {
		if m.bareLF && errors.Is(err, io.EOF) { // a script at the other end of a pipe has lines of its own kind, and waits
			c.reply(421, mtakit.Status(4_005_000), "Bare linefeed (LF) not allowed")
		}
		m.Close()
		c.closing = true // the client is gone, or too slow: there is nobody to answer
		return
	}
	c.finish(ctx, m, err)
}

// finish hands a complete message to the session and replies.
func (c *conn) finish(ctx context.Context, m *Message, err error) {
	defer c.reset()
	defer m.Close()
	id := ""
	if err == nil {
		id, err = c.sess.Data(ctx, m)
	}
	if err != nil {
		c.replyError("", err)
		return
	}
	c.reply(250, statusOK, id+" Message accepted for delivery")
}

// bdat takes one chunk (RFC 3030). The bytes that follow the command are always read, so that the dialogue stays in
// step whatever the answer is.
func (c *conn) bdat(ctx context.Context, arg string) {
	sizeText, last, _ := strings.Cut(arg, " ")
	last = strings.ToUpper(strings.TrimSpace(last))
	size, err := strconv.ParseInt(sizeText, 10, 64)
	if err != nil || size < 0 || last != "" && last != "LAST" {
		// How many bytes follow is anybody's guess.
		c.reply(501, mtakit.StatusInvalidArguments, "Bad argument to BDAT; closing connection")
		c.closing, c.unasked = true, true
		return
	}
	c.wait = c.srv.opt.DataTimeout
	if !c.mail || c.rcpts == 0 {
		if c.readFull(io.Discard, size) != nil {
			c.closing = true
			return
		}
		c.ready()
		return
	}
	if c.chunks == nil {
		c.chunks = newMessage(&c.srv.opt)
	}
	if err := c.chunks.readChunk(c.br, size); err != nil {
		c.closing = true
		return
	}
	if last == "" {
		c.reply(250, statusOK, fmt.Sprintf("%d octets received", size))
		return
	}
	m := c.chunks
	c.chunks = nil
	c.finish(ctx, m, m.endChunks())
}

// lookup answers VRFY and EXPN.
func (c *conn) lookup(ctx context.Context, verb, arg string) {
	if arg == "" {
		c.badCommand(501, mtakit.StatusSyntax, "Argument required")
		return
	}
	if c.refused != nil {
		c.replyError("", c.refused)
		return
	}
	if err := checkPath(arg, mtakit.StatusMailboxSyntax); err != nil {
		c.replyError("", err)
		return
	}
	ask := c.sess.Verify
	if verb == "EXPN" {
		ask = c.sess.Expand
	}
	lines, err := ask(ctx, arg)
	if errors.Is(err, ErrNoVerify) {
		c.reply(252, mtakit.Status(2_005_002), "Cannot VRFY user; try RCPT to attempt delivery (or try finger)")
		return
	}
	if err != nil {
		c.replyError("", err)
		return
	}
	c.reply(250, mtakit.StatusAddressValid, lines...)
}

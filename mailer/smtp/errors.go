package smtp

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/strerror"
)

// stage is the command that a reply belongs to; sendmail words and numbers refusals by it.
type stage uint8

const (
	stageGreeting stage = iota // also EHLO and STARTTLS
	stageMail
	stageRcpt
	stageData
	stageDot
)

// result turns a reply into a Result. Texts of refusals are sendmail's; those of deferrals are the server's own, which
// logs show after "Deferred: ".
func (c *conn) result(rep reply, s stage) mtakit.Result {
	if rep.code/100 == 2 {
		return mtakit.Result{Relay: c.relay, Reply: rep.text(c.ext.enhanced), Relayed: !c.ext.dsn && !c.m.o.LMTP}
	}
	return replyResult(c.relay, rep, s)
}

func replyResult(relay string, rep reply, s stage) mtakit.Result {
	e := &mtakit.Error{Code: rep.code, Status: replyStatus(rep, s)}
	switch rep.code / 100 {
	case 4:
		e.Text = rep.text(true)
	case 5:
		e.Text = refusal(rep.code, s)
	default: // no reply that belongs here; what is not understood is temporary
		e.Code, e.Text = 451, "Remote protocol error"
	}
	return mtakit.Result{Relay: relay, Reply: rep.line, Err: e}
}

// refusal is the text for a 5yz reply.
func refusal(code int, s stage) string {
	switch {
	case s == stageRcpt && (code == 550 || code == 551 || code == 553):
		return "User unknown"
	case s == stageMail && (code == 501 || code == 553):
		return "Data format error"
	case s == stageDot && code/10 != 55:
		return "Remote protocol error"
	}
	return "Service unavailable"
}

// replyStatus is the enhanced status that goes with a reply. Mostly it is the one in the reply, if its class fits the
// code. sendmail does not look there before MAIL, at DATA, and in a 421 to MAIL.
func replyStatus(rep reply, s stage) mtakit.Status {
	class := rep.code / 100
	switch {
	case class != 4 && class != 5:
		return mtakit.StatusProtocol.AsTemporary()
	case s == stageGreeting && class == 4:
		return mtakit.StatusProtocol.AsTemporary()
	case s == stageGreeting:
		return mtakit.StatusProtocol
	case s == stageData && class == 4, s == stageMail && rep.code == 421:
		return mtakit.StatusTemporary
	case s == stageData:
		return mtakit.StatusPermanent
	}
	if st := rep.status(); st != 0 {
		return st
	}
	return statusOf(rep.code, s)
}

// statusOf is the status for a reply that has none.
func statusOf(code int, s stage) mtakit.Status {
	switch s {
	case stageMail:
		switch code {
		case 501:
			return mtakit.StatusSyntax
		case 552:
			return mtakit.StatusTooBig
		case 553:
			return mtakit.StatusMailboxSyntax
		}
		if code >= 500 {
			return mtakit.StatusPermanent
		}
	case stageRcpt:
		switch code {
		case 550:
			return mtakit.StatusBadMailbox
		case 553:
			return mtakit.StatusMailboxSyntax
		}
	}
	switch code {
	case 450:
		return mtakit.StatusMailbox.AsTemporary()
	case 451:
		return mtakit.StatusSystem.AsTemporary()
	case 452:
		return mtakit.StatusSystemFull
	case 500:
		return mtakit.StatusSyntax
	case 501, 504:
		return mtakit.StatusInvalidArguments
	case 502, 503:
		return mtakit.StatusInvalidCommand
	case 550:
		return mtakit.StatusMailbox
	case 551:
		return mtakit.StatusMoved
	case 552:
		return mtakit.StatusMailboxFull.AsPermanent()
	case 553:
		return mtakit.StatusAddress
	}
	if code >= 500 {
		return mtakit.StatusPermanent
	}
	return mtakit.StatusTemporary
}

// lost is the result for a session that broke.
func (c *conn) lost(stage string, err error) mtakit.Result {
	if stage != "" {
		err = &stageError{stage, err}
	}
	return mtakit.Result{Relay: c.relay, Err: lostError(c.host, err)}
}

// connectResult is the result for a server that no session could be opened with.
func connectResult(t target, err error) mtakit.Result {
	var re *replyError
	if errors.As(err, &re) {
		return replyResult(t.relay, re.reply, stageGreeting)
	}
	e := lostError(t.host, err)
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" || e.Status == mtakit.StatusBadConnection && !errors.As(err, new(*stageError)) {
		e.Status = mtakit.StatusNoAnswer
	}
	switch {
	case errors.Is(err, errHandshake):
		e.Status, e.Text = mtakit.StatusSecurity.AsTemporary(), "TLS handshake failed."
	case errors.Is(err, errNoTLS):
		e.Status, e.Text = mtakit.StatusSecurity.AsTemporary(), "TLS is required, and the server does not offer it"
	}
	return mtakit.Result{Relay: t.relay, Err: e}
}

// lostError words a broken connection as sendmail does. host is its name in logs.
func lostError(host string, err error) *mtakit.Error {
	e := &mtakit.Error{Code: 421, Status: mtakit.StatusBadConnection, Err: err}
	var ne net.Error
	var errno syscall.Errno
	switch {
	case errors.As(err, new(*protocolError)):
		e.Status, e.Text = mtakit.StatusProtocol.AsTemporary(), "Remote protocol error"
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Text = "Connection refused by " + host
	case errors.Is(err, context.Canceled):
		e.Text = "Delivery was interrupted"
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &ne) && ne.Timeout():
		e.Text = "Connection timed out with " + host
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF):
		e.Text = "Connection reset by " + host
	case errors.As(err, &errno):
		e.Text = host + ": " + strerror.Text(errno)
	default:
		e.Text = ""
	}
	return e
}

// localError is for a fault of our own: the message cannot be read.
func localError(err error) *mtakit.Error {
	return &mtakit.Error{Code: 451, Status: mtakit.StatusSystem.AsTemporary(), Text: "I/O error", Err: err}
}

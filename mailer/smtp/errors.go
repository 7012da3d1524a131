package smtp

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/mtakit/mtakit"
)

// stage is the command that a reply belongs to; sendmail words refusals by it.
type stage uint8

const (
	stageAny stage = iota
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
	code, st := rep.code, rep.status()
	if s == stageRcpt && st == statusOf(code) && code == 552 {
		// Long ago 552 stood for "too many recipients", too; it means a full mailbox now (RFC 5321 section 4.5.3.1.10).
		st = mtakit.StatusMailboxFull.AsPermanent()
	}
	text := rep.text(true)
	switch {
	case code/100 == 5 && s == stageRcpt && (code == 550 || code == 551 || code == 553):
		text = "User unknown"
	case code/100 == 5 && s == stageMail && code == 501:
		text = "Data format error"
	case code/100 == 5:
		text = "Service unavailable"
	case code/100 != 4:
		code, st = 451, mtakit.StatusProtocol.AsTemporary()
	}
	return mtakit.Result{Relay: relay, Reply: rep.line, Err: &mtakit.Error{Code: code, Status: st, Text: text}}
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
		return replyResult(t.relay, re.reply, stageAny)
	}
	e := lostError(t.host, err)
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" || e.Status == mtakit.StatusBadConnection && !errors.As(err, new(*stageError)) {
		e.Status = mtakit.StatusNoAnswer
	}
	if errors.Is(err, errHandshake) {
		e.Status, e.Text = mtakit.StatusSecurity.AsTemporary(), "TLS handshake failed."
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
		t := errno.Error()
		e.Text = host + ": " + strings.ToUpper(t[:1]) + t[1:]
	default:
		e.Text = ""
	}
	return e
}

// localError is for a fault of our own: the message cannot be read.
func localError(err error) *mtakit.Error {
	return &mtakit.Error{Code: 451, Status: mtakit.StatusSystem.AsTemporary(), Text: "I/O error", Err: err}
}

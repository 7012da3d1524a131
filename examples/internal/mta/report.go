package mta

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/dsn"
	"github.com/mtakit/mtakit/queue"
)

// reportQueued tells a sender what became of a queued message. It returns nil when the report is safe: only then does
// the queue forget the recipients.
func (m *MTA) reportQueued(ctx context.Context, r *queue.Report) error {
	u := r.Claim.Unit()
	o := &dsn.Original{
		From: u.SenderAddress(), EnvID: u.EnvID, Ret: u.Ret(), Client: u.Macro("_"), Arrived: u.Created,
		SMTPUTF8: u.SMTPUTF8, BodyType: u.BodyType, Size: u.Size(), Open: r.Claim.Open,
	}
	if r.Sender != "" { // failures of a list are its owner's business
		o.From, o.Ret = senderAddress(r.Sender), ""
	}
	var rcpts []dsn.Recipient
	for _, rr := range r.Rcpts {
		rcpts = append(rcpts, reportRcpt(rr, r.Expires))
	}
	return m.sendReport(ctx, string(u.ID), o, rcpts, r.Text)
}

// reportDirect tells the sender of a message that is being accepted what became of recipients that are settled already:
// failures beside deliveries, and deliveries that the sender wants to hear of (NOTIFY=SUCCESS). An error means that a
// failure could not be reported.
func (m *MTA) reportDirect(ctx context.Context, msg *message, settled []*target) error {
	var errs []error
	type kind struct {
		owner  string // failures of a list are its owner's business
		action queue.ReportAction
	}
	reports := map[kind][]dsn.Recipient{}
	for _, t := range settled {
		k := kind{t.Sender, queue.ActionFailed}
		wanted := t.rcpt.Flags&queue.RcptFailure != 0 || msg.sub.response
		if t.result.Err == nil {
			k = kind{"", queue.ActionDelivered}
			wanted = t.rcpt.Flags&queue.RcptSuccess != 0
			if isRelay(t.Route) { // a next hop that knows DSN tells the sender itself
				k.action = queue.ActionRelayed
				wanted = wanted && t.result.Relayed
			}
		}
		if wanted {
			rr := queue.ReportRcpt{Recipient: t.rcpt, Action: k.action, Target: t.Target, Result: t.result, Attempt: msg.arrived}
			reports[k] = append(reports[k], reportRcpt(rr, time.Time{}))
		}
	}
	for k, rcpts := range reports {
		o := &dsn.Original{
			From: msg.from, EnvID: msg.sub.envID, Ret: msg.sub.ret, Client: msg.sub.client, Arrived: msg.arrived,
			SMTPUTF8: msg.sub.utf8, BodyType: msg.sub.bodyType, Size: msg.content.size, Open: msg.content.Open,
		}
		if k.owner != "" {
			o.From = senderAddress(k.owner)
		}
		text := ""
		if k.action != queue.ActionFailed {
			text = "Return receipt"
		}
		switch err := m.sendReport(ctx, string(msg.id), o, rcpts, text); {
		case err == nil:
		case k.action == queue.ActionFailed:
			errs = append(errs, err)
		default: // a receipt is not worth a second copy of the message
			m.problem(string(msg.id), fmt.Errorf("the sender gets no receipt: %w", err))
		}
	}
	return errors.Join(errs...)
}

func reportRcpt(rr queue.ReportRcpt, expires time.Time) dsn.Recipient {
	r := dsn.Recipient{
		Original: rr.Original, Final: dsn.TypedAddress(rr.Target.Addr), Action: dsn.ParseAction(string(rr.Action)),
		Status: statusOf(rr.Result.Err), Diagnostic: rr.Result.Reply, LastAttempt: rr.Attempt, Notify: rr.Notify(),
	}
	if typ, addr, ok := strings.Cut(rr.Recipient.Final, ";"); ok { // what the client named, when an alias led on
		actual := r.Final
		if m := rr.Target.Route.Mailer; m == mtakit.MailerProgram || m == mtakit.MailerFile {
			actual = "x-unix;" + rr.Target.Addr.Local
		}
		r.Final = strings.ToLower(typ) + ";" + strings.TrimSpace(addr)
		if !strings.EqualFold(actual, r.Final) { // which member of a list it was, for whoever keeps the list
			r.Actual = actual
		}
	}
	if rr.Result.Err != nil {
		r.Reason = textOf(rr.Result.Err)
	}
	if rr.Result.Relay != "" {
		host, _, _ := strings.Cut(rr.Result.Relay, " ")
		r.RemoteMTA = strings.TrimSuffix(host, ".")
	}
	if r.Action == dsn.Delayed {
		r.RetryUntil = expires
	}
	return r
}

// sendReport makes the report and takes responsibility for it, as for any message. Without anybody to tell, what
// failed is at an end; the log has it.
func (m *MTA) sendReport(ctx context.Context, id string, o *dsn.Original, rcpts []dsn.Recipient, text string) error {
	postmaster := mtakit.Address{Local: "postmaster", Domain: m.cfg.Hostname}
	reportID := queue.NewID()
	msg := dsn.New(o, rcpts, dsn.Options{Host: m.cfg.Hostname, ID: string(reportID), Text: text, Postmaster: postmaster})
	if msg == nil {
		return nil
	}
	var header, body bytes.Buffer
	if err := msg.WriteHeader(ctx, &header); err != nil {
		return err
	}
	if err := msg.WriteBody(ctx, &body); err != nil {
		return err
	}
	bodyType, err := msg.BodyType(ctx)
	if err != nil {
		return err
	}
	res, err := m.resolver.Resolve(ctx, mtakit.Address{}, msg.To)
	if err != nil {
		return err
	}
	sub := &submission{
		id: reportID, fromText: "MAILER-DAEMON", header: header.Bytes(), memory: body.Bytes(), inMemory: true, bodySize: int64(body.Len()),
		body:     func() io.Reader { return bytes.NewReader(body.Bytes()) },
		bodyType: bodyType, eightBit: bodyType == "8BITMIME", utf8: o.SMTPUTF8, response: true, client: "localhost",
		rcpts: []submittedRcpt{{text: msg.To.Path(), res: res}},
	}
	m.observe(mtakit.Event{Kind: mtakit.EventReport, ID: id, NewID: string(reportID), FromMailer: mtakit.MailerLocal,
		Size: int64(header.Len() + body.Len()), Text: msg.Kind(), Stat: msg.Summary()})
	_, err = m.accept(ctx, sub)
	var v *mtakit.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &v) && !v.Temporary() && !o.From.IsNull():
		// The sender's own address is bad: it becomes the postmaster's business.
		null := *o
		null.From = mtakit.Address{}
		return m.sendReport(ctx, id, &null, rcpts, text)
	case errors.As(err, &v) && !v.Temporary():
		// Nobody can be told, and nothing may be lost: it waits for an administrator, in quarantine.
		return m.keep(ctx, sub, "undeliverable report: "+v.Text)
	}
	return err
}

// keep puts a message that cannot go anywhere into quarantine.
func (m *MTA) keep(ctx context.Context, sub *submission, reason string) error {
	sub.hold = reason
	for i := range sub.rcpts {
		sub.rcpts[i].unresolved = true
	}
	_, err := m.accept(ctx, sub)
	return err
}

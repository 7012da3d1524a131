package mta

import (
	"errors"
	"strings"
	"syscall"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/queue"
)

// observe gives an event to the log and the statistics.
func (m *MTA) observe(e mtakit.Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	m.logger.Event(e)
	m.counters.Event(e)
}

// problem reports what an operator should see.
func (m *MTA) problem(id string, err error) {
	if err != nil {
		m.observe(mtakit.Event{Kind: mtakit.EventProblem, ID: id, Err: err})
	}
}

// warn reports what a resolution passed over: forward files that others could have written, and the like.
func (m *MTA) warn(res *mtakit.Resolution) {
	for _, err := range res.Warnings {
		m.problem("", err)
	}
}

func (m *MTA) observeAccept(msg *message, sub *submission, class int) {
	m.observe(mtakit.Event{
		Kind: mtakit.EventAccept, Time: msg.arrived, ID: string(msg.id), From: sub.from, Size: msg.content.size, Class: class,
		NRcpts: len(sub.rcpts), MsgID: headerValue(sub.header, "Message-ID"), BodyType: sub.bodyType, Proto: sub.proto,
		Daemon: sub.daemon, Client: sub.client, FromMailer: m.mailerOf(sub.from),
	})
}

// mailerOf says which mailer the statistics count a sender's messages under.
func (m *MTA) mailerOf(from mtakit.Address) string {
	if from.Domain == "" || m.local.fixed[strings.ToLower(from.Domain)] {
		return mtakit.MailerLocal
	}
	return mtakit.MailerESMTP
}

// observeAttempt reports one attempt: targets with the same outcome share a line.
func (m *MTA) observeAttempt(msg *message, group []*target, took time.Duration) {
	for len(group) > 0 {
		first := group[0]
		n := 1
		for n < len(group) && sameOutcome(first, group[n]) {
			n++
		}
		e := m.outcome(msg, first, took)
		for i := n - 1; i >= 0; i-- { // sendmail lists the last recipient first
			e.To = append(e.To, group[i].rcpt.Addr)
		}
		m.observe(e)
		group = group[n:]
	}
}

func sameOutcome(a, b *target) bool {
	x, y := a.result, b.result
	if (x.Err == nil) != (y.Err == nil) || x.Reply != y.Reply || x.Relay != y.Relay || a.Control != b.Control {
		return false
	}
	return x.Err == nil || x.Err.Error() == y.Err.Error()
}

// outcome is the event of one target's result.
func (m *MTA) outcome(msg *message, t *target, took time.Duration) mtakit.Event {
	e := mtakit.Event{
		ID: string(msg.id), Mailer: t.Route.Mailer, Control: t.rcpt.Control, Delay: time.Since(msg.arrived), XDelay: took,
		Priority: msg.priority, Relay: t.result.Relay, FromMailer: m.mailerOf(msg.from), Size: msg.content.size, Status: statusOf(t.result.Err), From: msg.from,
	}
	switch err := t.result.Err; {
	case err == nil:
		e.Kind, e.Reply = mtakit.EventDeliver, t.result.Reply
	case mtakit.Temporary(err):
		e.Kind, e.Reply = mtakit.EventDefer, t.result.Reply
		e.Stat = "Deferred: " + statText(t)
	default:
		e.Kind, e.Reply, e.Err = mtakit.EventBounce, t.result.Reply, err
		e.Stat = textOf(err)
	}
	return e
}

// statText is what stands after "Deferred: ", and what mailq shows: the server's reply, or our own words.
func statText(t *target) string {
	if t.result.Reply != "" {
		return t.result.Reply
	}
	return textOf(t.result.Err)
}

func textOf(err error) string {
	var e *mtakit.Error
	if errors.As(err, &e) && e.Text != "" {
		return e.Text
	}
	return err.Error()
}

// headerValue returns the value of the first field of that name, unfolded, or "".
func headerValue(header []byte, name string) string {
	for n, v := range fields(header) {
		if strings.EqualFold(n, name) {
			return v
		}
	}
	return ""
}

// noSpace reports whether err says that a disk, a quota or the table of open files is full.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// destKey is the destination that a target's unit belongs to: what limits and back-off go by.
func destKey(t *target) string {
	switch {
	case t.Err != nil:
		return queue.DestKey(t.rcpt)
	case t.Route.Host == "" || t.Route.Mailer == mtakit.MailerLocal:
		return t.Route.Mailer
	}
	return t.Route.Host
}

// statusOf returns the enhanced status that a result stands for.
func statusOf(err error) mtakit.Status {
	var e *mtakit.Error
	switch {
	case err == nil:
		return mtakit.StatusSuccess
	case errors.As(err, &e):
		return e.EnhancedStatus()
	}
	return mtakit.StatusTemporary
}

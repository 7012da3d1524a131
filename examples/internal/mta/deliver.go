package mta

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/queue"
)

// target is one final recipient of a message that is being accepted.
type target struct {
	queue.Target
	rcpt    queue.Recipient // as it stands in the queue if it has to wait
	result  mtakit.Result
	settled bool // result is final: delivered, or failed for good
}

// key tells targets apart that would get the same message twice (sendmail: duplicate suppression). A program is run for
// each of its controlling users.
func (t *target) key() string {
	k := t.Route.Mailer + "\x00" + t.Route.Host + "\x00" + t.Route.User
	if t.Route.Mailer == mtakit.MailerProgram {
		k += "\x00" + strconv.Itoa(t.Control.UID)
	}
	return k
}

// message is one message being accepted: what all its targets share.
type message struct {
	id       queue.ID
	from     mtakit.Address
	content  *content
	arrived  time.Time
	priority int64
	sub      *submission
}

// targetOf makes a queue target of a leaf. Everything that leads somewhere is made of leaves, so that an explanation
// and a delivery cannot disagree.
func targetOf(l *mtakit.Leaf) queue.Target {
	t := queue.Target{Addr: l.Addr, Route: l.Route, Sender: l.Owner, Err: l.Err}
	t.Queue, t.Control = queueAs(l)
	if t.Route.Mailer == mtakit.MailerError && t.Err == nil {
		t.Err = &mtakit.Error{Status: mtakit.StatusMisconfigured.AsTemporary(), Text: "error mailer without a verdict"}
	}
	return t
}

// queueAs is what stands in the queue for a leaf. Its origin marks it as final: resolveQueued does not expand it again.
// Where nobody could tell how it goes on, as with a forward file that cannot be read now, it has to be looked up in all
// tables again, as if the sender had named it. An include file that cannot be read keeps its origin, as in sendmail's
// queue: senders may not name one.
func queueAs(l *mtakit.Leaf) (addr string, control mtakit.Control) {
	origin := l.Control.Origin
	switch {
	case l.Err == nil, origin == "", strings.EqualFold(origin, l.Text), isInclude(l.Text):
	case strings.HasPrefix(strings.TrimLeft(l.Text, `"`), "/"), strings.HasPrefix(strings.TrimLeft(l.Text, `"`), "|"):
	default:
		return l.Text, mtakit.Control{}
	}
	return l.Text, l.Control
}

// isInclude reports whether an address is an include file.
func isInclude(text string) bool {
	const prefix = ":include:"
	text = strings.TrimLeft(text, `"`)
	return len(text) > len(prefix) && strings.EqualFold(text[:len(prefix)], prefix)
}

// targetsOf collects the leaves of all recipients. One that was reached twice gets the message once; it is primary if
// it was once.
func targetsOf(sub *submission) []*target {
	var all []*target
	seen := map[string]*target{}
	for i := range sub.rcpts {
		r := &sub.rcpts[i]
		if r.unresolved {
			rcpt := queue.Recipient{Addr: r.text, Flags: queue.NotifyFlags(r.notify) | queue.RcptPrimary, Original: r.original}
			all = append(all, &target{rcpt: rcpt, Target: queue.Target{Addr: rcpt.Address()}})
			continue
		}
		for j := range r.res.Leaves {
			l := &r.res.Leaves[j]
			t := &target{Target: targetOf(l)}
			t.rcpt = queue.Recipient{Addr: r.text, Flags: queue.NotifyFlags(r.notify), Original: r.original}
			if l.Primary {
				t.rcpt.Flags |= queue.RcptPrimary
			}
			if l.Control.Origin != "" { // not what the client named: keep the leaf, and where it came from
				t.rcpt.Addr, t.rcpt.Control = t.Queue, t.Control
				t.rcpt.Final = "RFC822; " + inside(r.text)
				if t.Control.Alias {
					t.rcpt.Flags |= queue.RcptAlias
				}
			} else if namesItself(r.res) {
				t.rcpt.Control = itself(r.text)
			}
			if l.Err != nil {
				t.result.Err = l.Err
				t.settled = !mtakit.Temporary(l.Err)
			} else if first := seen[t.key()]; first != nil {
				first.rcpt.Flags |= t.rcpt.Flags & queue.RcptPrimary
				continue
			} else {
				seen[t.key()] = t
			}
			all = append(all, t)
		}
	}
	return all
}

// maxParallel bounds the mailers that work on one message at once.
const maxParallel = 8

// deliver tries all targets and fills in their results. Those with the same mailer, host and envelope sender share an
// attempt. It returns when all have been tried.
func (m *MTA) deliver(ctx context.Context, msg *message, targets []*target) {
	groups := groupTargets(targets)
	if len(groups) == 1 {
		m.attempt(ctx, msg, groups[0])
		return
	}
	var wg sync.WaitGroup
	limit := make(chan struct{}, maxParallel)
	for _, g := range groups {
		limit <- struct{}{}
		wg.Go(func() {
			defer func() { <-limit }()
			m.attempt(ctx, msg, g)
		})
	}
	wg.Wait()
}

func groupTargets(targets []*target) [][]*target {
	var groups [][]*target
next:
	for _, t := range targets {
		for i, g := range groups {
			if g[0].Route.Mailer == t.Route.Mailer && g[0].Route.Host == t.Route.Host && g[0].Sender == t.Sender {
				groups[i] = append(g, t)
				continue next
			}
		}
		groups = append(groups, []*target{t})
	}
	return groups
}

// attempt hands one group to its mailer and reports the outcome.
func (m *MTA) attempt(ctx context.Context, msg *message, group []*target) {
	start := time.Now()
	name := group[0].Route.Mailer
	var results []mtakit.Result
	if mailer := m.mailers[name]; mailer != nil {
		results = mailer.Deliver(ctx, msg.attemptFor(group))
	}
	if len(results) != len(group) { // no such mailer, or one that breaks its contract, which must not lose mail
		err := &mtakit.Error{Code: 451, Status: mtakit.StatusMisconfigured.AsTemporary(), Text: "Local configuration error",
			Err: fmt.Errorf("mailer %q gave %d results for %d recipients", name, len(results), len(group))}
		results = make([]mtakit.Result, len(group))
		for i := range results {
			results[i].Err = err
		}
	}
	for i, t := range group {
		t.result = results[i]
		t.settled = t.result.Err == nil || !mtakit.Temporary(t.result.Err)
	}
	m.observeAttempt(msg, group, time.Since(start))
}

func (msg *message) attemptFor(group []*target) *mtakit.Attempt {
	first, sub := group[0], msg.sub
	a := &mtakit.Attempt{
		ID: string(msg.id), From: msg.from, Mailer: first.Route.Mailer, Host: first.Route.Host,
		Open: msg.content.Open, Size: msg.content.size, Arrived: msg.arrived,
		BodyType: sub.bodyType, SMTPUTF8: sub.utf8, EnvID: sub.envID, Ret: sub.ret,
		Rcpts: make([]mtakit.Recipient, len(group)),
	}
	if first.Sender != "" {
		a.From = senderAddress(first.Sender)
	}
	for i, t := range group {
		a.Rcpts[i] = mtakit.Recipient{Addr: t.Addr, Route: t.Route, Control: t.Control, Original: t.rcpt.Original, Notify: t.rcpt.Notify()}
	}
	return a
}

// senderAddress parses the text of an envelope sender. What cannot be parsed is kept as a local name, so that a
// report to it fails visibly instead of vanishing.
func senderAddress(text string) mtakit.Address {
	a, _, err := mtakit.ParsePath(text)
	if err != nil {
		return mtakit.Address{Local: strings.Trim(text, "<>")}
	}
	return a
}

// asSelf is a mailer whose programs and files use this process's own rights, whoever controls them: the users of this
// server are not the machine's.
func asSelf(next mtakit.Mailer) mtakit.Mailer {
	return mtakit.MailerFunc(func(ctx context.Context, a *mtakit.Attempt) []mtakit.Result {
		for i := range a.Rcpts {
			a.Rcpts[i].Control.UID, a.Rcpts[i].Control.GID = -1, -1
		}
		return next.Deliver(ctx, a)
	})
}

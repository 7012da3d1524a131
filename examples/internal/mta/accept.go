package mta

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/queue"
)

// submission is a message with its recipients resolved, ready to be taken responsibility for.
type submission struct {
	from     mtakit.Address
	fromText string // as the queue keeps it: "<ann@example.org>", or bare from the command line
	rcpts    []submittedRcpt
	tables   uint64 // generation of the tables that rcpts were resolved with, or an earlier one

	header   []byte // without trace fields of ours
	body     func() io.Reader
	memory   []byte // the body, if inMemory
	inMemory bool
	bodySize int64
	eightBit bool

	bodyType, ret, envID, auth string
	utf8                       bool
	hold                       string
	response                   bool     // a report: failures go to the postmaster
	id                         queue.ID // of a report, whose header names it already; "" for others
	queueOnly                  bool     // queue even local mail, and leave the first attempt to a queue run

	helo, client, proto, daemon string
}

// submittedRcpt is one recipient of a submission.
type submittedRcpt struct {
	text     string // as the client gave it, with angle brackets
	notify   mtakit.Notify
	original string // ORCPT
	res      *mtakit.Resolution

	unresolved bool // queue it as it is, wherever it leads
}

// accept takes responsibility for a message: when it returns nil, every recipient has the message in its mailbox,
// synced, or has a place in the queue, synced. An error means that nobody has it, and is the reply to the client.
//
// In interactive mode local mailboxes are written at once, since a message that is safe in its mailbox needs no
// second copy in the queue, and a next hop that takes mail quickly gets it at once (see hops). The queue comes first
// nevertheless: a full disk is then found out before anything was delivered, and the client's next try makes no
// duplicates.
func (m *MTA) accept(ctx context.Context, sub *submission) (queue.ID, error) {
	a := m.newAcceptance(sub)
	a.plan()
	if err := a.store(ctx); err != nil {
		return "", err
	}
	a.deliver(ctx)
	if err := a.storeLate(ctx); err != nil {
		return "", err
	}
	if err := a.report(ctx); err != nil {
		return "", err
	}
	a.handOver()
	return a.msg.id, nil
}

// acceptance is a message on its way through accept. Each step leaves the targets where the next one finds them.
type acceptance struct {
	m      *MTA
	sub    *submission
	msg    *message
	header []byte // with our trace field
	class  int

	direct []*target // to be delivered while the client waits
	queued []*target // to be stored first
	failed []*target // settled for the worse
	done   []*target // delivered
	late   []*target // tried without success: mailboxes that were locked, full disks and the like
	claims []queue.Claim
}

func (m *MTA) newAcceptance(sub *submission) *acceptance {
	now := time.Now()
	a := &acceptance{m: m, sub: sub, header: sub.header, class: queue.Class(headerValue(sub.header, "Precedence"))}
	a.msg = &message{id: sub.id, from: sub.from, arrived: now, sub: sub}
	if a.msg.id == "" {
		a.msg.id = queue.NewID()
		a.header = m.withTrace(sub, string(a.msg.id), now)
	}
	a.msg.content = newContent(a.header, sub.memory, sub.inMemory, sub.body, sub.bodySize)
	a.msg.priority = queue.Priority(a.msg.content.size, a.class, len(sub.rcpts))
	return a
}

// plan says what happens to each target first: direct, queued, or failed for branches that resolution found bad. Who is
// in direct may have claimed a place at a next hop, which deliver gives back.
func (a *acceptance) plan() {
	a.direct, a.queued, a.failed = a.m.plan(a.sub, targetsOf(a.sub))
}

// store queues what has to be queued first, and claims it. After an error nobody has the message.
func (a *acceptance) store(ctx context.Context) (err error) {
	if len(a.queued) == 0 {
		return nil
	}
	if a.claims, err = a.m.enqueue(ctx, a.msg, a.sub, a.header, a.queued); err != nil {
		a.m.leaveHop(a.direct)
		return a.m.storeVerdict(err)
	}
	return nil
}

// deliver tries the direct targets and sorts them by their outcome.
func (a *acceptance) deliver(ctx context.Context) {
	if !a.sub.response { // sendmail tells of its own reports in the line of their parent
		a.m.observeAccept(a.msg, a.sub, a.class)
	}
	a.m.deliverNow(ctx, a.msg, a.direct)
	for _, t := range a.direct {
		switch {
		case !t.settled:
			a.late = append(a.late, t)
		case t.result.Err != nil:
			a.failed = append(a.failed, t)
		default:
			a.done = append(a.done, t)
		}
	}
}

// storeLate queues what could not be delivered at once. When that fails and nobody has the message yet, or when all
// targets have failed, the client is told. It is not refused when some have it, which would give them a second copy: the
// others are then refused in a report.
func (a *acceptance) storeLate(ctx context.Context) error {
	if len(a.late) > 0 {
		more, err := a.m.enqueueLate(ctx, a.msg, a.sub, a.header, a.late, len(a.claims) > 0)
		switch {
		case err == nil:
			a.claims = append(a.claims, more...)
		case len(a.done) == 0:
			a.m.takeBack(ctx, a.claims)
			return a.m.storeVerdict(errors.Join(a.late[0].result.Err, err))
		default:
			for _, t := range a.late {
				t.result.Err = &mtakit.Error{Status: mtakit.StatusSystem, Text: "cannot be delivered or queued", Err: err}
			}
			a.failed = append(a.failed, a.late...)
		}
	}
	if len(a.done) == 0 && len(a.claims) == 0 && len(a.failed) > 0 {
		return a.failed[0].result.Err // nobody has it: the client is told, and no report is needed
	}
	return nil
}

// report tells the sender what became of the targets that are settled.
func (a *acceptance) report(ctx context.Context) error {
	if a.sub.hold != "" {
		a.m.observe(mtakit.Event{Kind: mtakit.EventQuarantine, ID: string(a.msg.id), Text: a.sub.hold})
	}
	if err := a.m.reportDirect(ctx, a.msg, append(a.failed, a.done...)); err != nil {
		// Somebody does not have it and nobody would hear of that: the client shall try again, although those who have it
		// get a second copy then.
		a.m.takeBack(ctx, a.claims)
		return a.m.storeVerdict(fmt.Errorf("the sender cannot be told: %w", err))
	}
	return nil
}

// handOver gives what is queued to the runner.
func (a *acceptance) handOver() {
	a.m.handOver(a.sub, a.claims)
	if len(a.claims) == 0 {
		a.m.observe(mtakit.Event{Kind: mtakit.EventDone, ID: string(a.msg.id)})
	}
}

// withTrace puts our Received field on top of the header.
func (m *MTA) withTrace(sub *submission, id string, now time.Time) []byte {
	tr := trace{helo: sub.helo, client: sub.client, proto: sub.proto, id: id, when: now}
	if len(sub.rcpts) == 1 {
		tr.rcpt = sub.rcpts[0].text
	}
	b := tr.append(make([]byte, 0, 512+len(sub.header)), m.cfg.Hostname)
	return append(b, sub.header...)
}

// plan says what happens to each target first. failed ones are branches that resolution found bad. Who is in direct may
// have claimed a place at a next hop, which deliverNow gives back.
func (m *MTA) plan(sub *submission, targets []*target) (direct, queued, failed []*target) {
	now := sub.hold == "" && !sub.queueOnly && m.cfg.SuperSafe == "interactive"
	relayed := now && !sub.response && sub.inMemory && m.relayNow(targets)
	for _, t := range targets {
		switch {
		case t.settled:
			failed = append(failed, t)
		case now && t.result.Err == nil && (isMailbox(t.Route) || relayed && isRelay(t.Route)):
			direct = append(direct, t)
		default:
			queued = append(queued, t)
		}
	}
	return direct, queued, failed
}

// relayNow reports whether the remote targets can be tried while the client waits: they have one next hop, and that has
// lately been quick. It then has claimed a place there.
func (m *MTA) relayNow(targets []*target) bool {
	var first *target
	for _, t := range targets {
		switch {
		case t.Err != nil || !isRelay(t.Route):
		case first == nil:
			first = t
		case t.Route.Mailer != first.Route.Mailer || t.Route.Host != first.Route.Host || t.Sender != first.Sender:
			return false
		}
	}
	return first != nil && m.hops.enter(first.Route.Host)
}

// deliverNow delivers while the client waits.
func (m *MTA) deliverNow(ctx context.Context, msg *message, direct []*target) {
	defer m.leaveHop(direct)
	if slices.ContainsFunc(direct, toRelay) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, hopPatience)
		defer cancel()
	}
	m.deliver(ctx, msg, direct)
}

// leaveHop gives back the place at a next hop that plan claimed. All remote targets in direct have the same.
func (m *MTA) leaveHop(direct []*target) {
	if i := slices.IndexFunc(direct, toRelay); i >= 0 {
		m.hops.leave(direct[i].Route.Host)
	}
}

func toRelay(t *target) bool { return isRelay(t.Route) }

// isRelay reports whether delivery to route means handing the message to another host.
func isRelay(route mtakit.Route) bool {
	switch route.Mailer {
	case mtakit.MailerESMTP, mtakit.MailerRelay, "smtp", "smtp8", "dsmtp":
		return true
	}
	return false
}

// isMailbox reports whether delivery to route is a synced write to a file of ours. Programs are not: they may take long,
// and running one twice may matter.
func isMailbox(route mtakit.Route) bool {
	return route.Mailer == mtakit.MailerLocal || route.Mailer == mtakit.MailerFile
}

// enqueue makes the queue entries for targets, one unit per destination and envelope sender, and keeps hold of them.
func (m *MTA) enqueue(ctx context.Context, msg *message, sub *submission, header []byte, targets []*target) ([]queue.Claim, error) {
	env := m.envelope(msg, sub, header)
	index := map[[2]string]int{}
	var units [][]*target
	for _, t := range targets {
		k := [2]string{destKey(t), t.Sender}
		i, ok := index[k]
		if !ok {
			i = len(env.Units)
			index[k] = i
			env.Units = append(env.Units, queue.UnitSpec{Dest: k[0], Sender: t.Sender})
			units = append(units, nil)
		}
		env.Units[i].Rcpts = append(env.Units[i].Rcpts, t.rcpt)
		units[i] = append(units[i], t)
	}
	draft, err := m.queue.Create(ctx, env)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(draft, sub.body()); err != nil {
		return nil, errors.Join(err, draft.Abort())
	}
	claims, err := draft.CommitClaimed(ctx)
	if err != nil {
		return nil, errors.Join(err, draft.Abort())
	}
	if !sub.queueOnly && sub.hold == "" && len(claims) == len(units) {
		for i, c := range claims {
			m.handed.give(c.Unit().ID, sub.tables, units[i])
		}
	}
	return claims, nil
}

// enqueueLate queues targets whose direct delivery failed for now.
func (m *MTA) enqueueLate(ctx context.Context, msg *message, sub *submission, header []byte, late []*target, queued bool) ([]queue.Claim, error) {
	second := *msg
	if queued {
		second.id = queue.NewID() // the first one is taken
	}
	return m.enqueue(ctx, &second, sub, header, late)
}

// takeBack removes queue entries that nobody has tried yet, because the client is about to be refused.
func (m *MTA) takeBack(ctx context.Context, claims []queue.Claim) {
	for _, c := range claims {
		if err := c.Complete(ctx); err != nil {
			m.problem(string(c.Unit().ID), fmt.Errorf("removing a refused message: %w", err))
			c.Release() // it is there, and will be delivered: better soon than after a restart
		}
	}
}

// envelope is what the queue keeps of a submission.
func (m *MTA) envelope(msg *message, sub *submission, header []byte) *queue.Envelope {
	env := &queue.Envelope{
		ID: msg.id, Sender: sub.fromText, Header: header, Created: msg.arrived, Priority: msg.priority,
		BodyType: sub.bodyType, EnvID: sub.envID, Auth: sub.auth, SMTPUTF8: sub.utf8, Quarantine: sub.hold,
		Macros: []queue.Macro{{Name: "r", Value: sub.proto}, {Name: "s", Value: sub.helo}, {Name: "_", Value: sub.client}},
	}
	if sub.eightBit {
		env.Flags |= queue.Flag8Bit
	}
	if sub.response {
		env.Flags |= queue.FlagResponse
	}
	switch sub.ret {
	case "FULL":
		env.Flags |= queue.FlagRet
	case "HDRS":
		env.Flags |= queue.FlagRet | queue.FlagNoBody
	}
	return env
}

// storeVerdict turns a failure of the queue into the reply that the client deserves.
func (m *MTA) storeVerdict(err error) error {
	e := &mtakit.Error{Code: 451, Status: mtakit.Status(4_003_000), Text: "Cannot store the message; try again later", Err: err}
	if errors.Is(err, queue.ErrFull) || noSpace(err) {
		e = &mtakit.Error{Code: 452, Status: mtakit.StatusSystemFull, Text: "Insufficient disk space; try again later", Err: err}
	}
	m.problem("", err)
	return e
}

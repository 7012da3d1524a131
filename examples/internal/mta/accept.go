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
// second copy in the queue, and a next hop that takes mail quickly gets it at once (see hops). The queue comes first nevertheless: a full disk is then found out before anything was
// delivered, and the client's next try makes no duplicates.
func (m *MTA) accept(ctx context.Context, sub *submission) (queue.ID, error) {
	now := time.Now()
	msg := &message{id: sub.id, from: sub.from, arrived: now, sub: sub}
	header := sub.header
	if msg.id == "" {
		msg.id = queue.NewID()
		header = m.withTrace(sub, string(msg.id), now)
	}
	msg.content = newContent(header, sub.memory, sub.inMemory, sub.body, sub.bodySize)
	class := queue.Class(headerValue(sub.header, "Precedence"))
	msg.priority = queue.Priority(msg.content.size, class, len(sub.rcpts))

	targets := targetsOf(sub)
	direct, queued, failed := m.plan(sub, targets)
	var claims []queue.Claim
	if len(queued) > 0 {
		var err error
		if claims, err = m.enqueue(ctx, msg, sub, header, queued); err != nil {
			m.leaveHop(direct)
			return "", m.storeVerdict(err)
		}
	}
	if !sub.response { // sendmail tells of its own reports in the line of their parent
		m.observeAccept(msg, sub, class)
	}
	m.deliverNow(ctx, msg, direct)

	var late []*target // mailboxes that were locked, full disks and the like
	var done []*target
	for _, t := range direct {
		switch {
		case !t.settled:
			late = append(late, t)
		case t.result.Err != nil:
			failed = append(failed, t)
		default:
			done = append(done, t)
		}
	}
	if len(late) > 0 {
		more, err := m.enqueueLate(ctx, msg, sub, header, late, len(claims) > 0)
		if err != nil {
			if len(done) == 0 {
				m.takeBack(ctx, claims)
				return "", m.storeVerdict(errors.Join(late[0].result.Err, err))
			}
			// Some have it: refusing now would give them a second copy, so the others are refused in a report.
			for _, t := range late {
				t.result.Err = &mtakit.Error{Status: mtakit.StatusSystem, Text: "cannot be delivered or queued", Err: err}
			}
			failed, more = append(failed, late...), nil
		}
		claims = append(claims, more...)
	}
	if len(done) == 0 && len(claims) == 0 && len(failed) > 0 {
		return "", failed[0].result.Err // nobody has it: the client is told, and no report is needed
	}
	if sub.hold != "" {
		m.observe(mtakit.Event{Kind: mtakit.EventQuarantine, ID: string(msg.id), Text: sub.hold})
	}
	if err := m.reportDirect(ctx, msg, append(failed, done...)); err != nil {
		// Somebody does not have it and nobody would hear of that: the client shall try again, although those who have it
		// get a second copy then.
		m.takeBack(ctx, claims)
		return "", m.storeVerdict(fmt.Errorf("the sender cannot be told: %w", err))
	}
	m.handOver(sub, claims)
	if len(claims) == 0 {
		m.observe(mtakit.Event{Kind: mtakit.EventDone, ID: string(msg.id)})
	}
	return msg.id, nil
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
	for _, t := range targets {
		k := [2]string{destKey(t), t.Sender}
		i, ok := index[k]
		if !ok {
			i = len(env.Units)
			index[k] = i
			env.Units = append(env.Units, queue.UnitSpec{Dest: k[0], Sender: t.Sender})
		}
		env.Units[i].Rcpts = append(env.Units[i].Rcpts, t.rcpt)
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

package queue

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/mtakit/mtakit"
)

// Report asks for a delivery status notification about some recipients of a unit. Options.Report decides whom to tell:
// nobody when the sender is null, the postmaster when the unit is a report itself.
type Report struct {
	// Claim is the unit as it was before the attempt, with its body. It is for the time of the call.
	Claim Claim
	Rcpts []ReportRcpt
	// Sender is whom the report concerns in place of the unit's sender: the owner of the list that the recipients are members
	// of. Empty means the unit's.
	Sender string
	// Text is the summary that logs show after "DSN: ": "User unknown", "Return receipt", "Warning: could not send
	// message for past 4 hours", "Cannot send message for 5 days".
	Text string
	// Expires is when the message will bounce, for reports of a delay.
	Expires time.Time
}

// Action is what a report says of a recipient (RFC 3464 section 2.3.3).
type ReportAction string

// The values of ReportAction.
const (
	ActionFailed    ReportAction = "failed"
	ActionDelayed   ReportAction = "delayed"
	ActionDelivered ReportAction = "delivered"
	ActionRelayed   ReportAction = "relayed"
	ActionExpanded  ReportAction = "expanded"
)

// ReportRcpt is one recipient in a Report.
type ReportRcpt struct {
	Recipient
	Action  ReportAction
	Target  Target // where it went
	Result  mtakit.Result
	Attempt time.Time
}

// work claims a unit if need be, attempts it and settles what became of it.
func (r *Runner) work(ctx context.Context, it *item) {
	r.mu.Lock()
	a := r.kept[it]
	delete(r.kept, it)
	r.mu.Unlock()
	if a == nil {
		if a = r.try(ctx, it); a == nil {
			return
		}
	}
	u, err := a.settle(ctx)
	if err == nil {
		r.after(it, u)
		return
	}
	r.problem(it.id, err)
	if a.decided() && a.c.Valid() && r.keep(it, a) {
		return
	}
	a.giveUp()
	r.after(it, a.afterError(ctx))
}

// try claims a unit if need be and attempts it. It returns nil when the unit was not to be had or not due.
func (r *Runner) try(ctx context.Context, it *item) *attempt {
	r.mu.Lock()
	c, overdue, blocked := it.claim, it.overdue, r.blocked(it.lane, time.Now())
	it.claim = nil
	version := it.version
	r.mu.Unlock()
	if c == nil {
		cs, err := r.o.Store.Claim(ctx, ClaimRequest{IDs: []ID{it.id}})
		if len(cs) == 0 {
			r.unclaimed(ctx, it, err)
			return nil
		}
		c = cs[0]
		r.mu.Lock()
		it.told = nil // is older than what was claimed
		r.mu.Unlock()
		if u := c.Unit(); u.Version != version && !overdue && r.dueAt(u).After(time.Now()) {
			c.Release() // somebody else tried it in the meantime
			r.after(it, u)
			return nil
		}
	}
	a := &attempt{r: r, c: c, u: c.Unit(), lane: it.lane, began: time.Now()}
	if !overdue || !blocked {
		a.run(ctx)
	} else {
		a.expireOnly = true
	}
	return a
}

// after plans the next attempt; u is nil when the unit is gone.
func (r *Runner) after(it *item, u *Unit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.learn(it.id)
	it.running = false
	if it.told != nil && (u == nil || it.told.Version != u.Version) {
		u = it.told // somebody changed it since
	}
	it.told = nil
	if u == nil || u.State > Deferred {
		r.forget(it)
		return
	}
	r.plan(it, u)
}

// keep holds on to an attempt whose outcome could not be written, to write it later. It returns false when there are too
// many of them.
func (r *Runner) keep(it *item, a *attempt) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.kept) >= r.o.MaxParked {
		return false
	}
	r.learn(it.id)
	it.running, it.told = false, nil
	r.plan(it, a.u)
	r.kept[it] = a
	// As its deadline, since it does not matter whether the destination answers.
	r.unready(it)
	now := time.Now()
	it.due, it.expire = maxDue, now.Add(time.Minute).UnixNano()
	r.place(it, now)
	return true
}

// unclaimed is for a unit that could not be claimed: it is gone, set aside, damaged, or in other hands.
func (r *Runner) unclaimed(ctx context.Context, it *item, err error) {
	if err != nil {
		r.problem(it.id, err)
	}
	r.mu.Lock()
	told := it.told
	it.told = nil
	r.mu.Unlock()
	u, gerr := r.o.Store.Get(ctx, it.id)
	if errors.Is(gerr, ErrNotFound) {
		r.after(it, nil)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.learn(it.id)
	heard := told != nil || it.told != nil // whoever held it let go of it in the meantime
	switch {
	case it.told != nil:
		u = it.told // is newer than what was read
	case gerr != nil:
		u = told
	}
	it.running, it.told = false, nil
	if u != nil {
		if u.State > Deferred {
			r.forget(it)
			return
		}
		r.plan(it, u)
	}
	if heard {
		return
	}
	// Ask again in a while; the version makes sure that a change is seen sooner, and notify that a release is.
	now := time.Now()
	it.busy = true
	r.unready(it)
	it.due = max(it.due, now.Add(30*time.Second).UnixNano())
	it.expire = max(it.expire, now.Add(time.Minute).UnixNano())
	r.place(it, now)
}

// attempt is one attempt on one unit.
type attempt struct {
	r          *Runner
	c          Claim
	u          *Unit // as it was before
	lane       *lane
	began      time.Time
	out        []Outcome
	expireOnly bool // nothing was tried, because the destination is down

	// What settle made of it. A settle that failed is repeated from where it got to.
	sorted  time.Time   // when that was
	warned  bool        // the sender hears of the delay
	rest    []Recipient // what stays queued
	forks   map[string][]Recipient
	reports []ReportRcpt
	status  string    // for the message as a whole
	tell    []*Report // those that are not safe yet
	told    bool      // at least one is
	forked  []Claim   // new units; they wait for this one
}

// run asks the mailers and tells the lane how it went.
func (a *attempt) run(ctx context.Context) {
	r := a.r
	if r.o.Attempt != nil {
		a.out = r.o.Attempt(ctx, a.c)
	} else {
		a.out = r.deliver(ctx, a.c)
	}
	tried, down := 0, 0
	for _, o := range a.out {
		if o.Tried {
			tried++
			if downStatus(o.Result.Err) {
				down++
			}
		}
	}
	if tried == 0 || ctx.Err() != nil {
		return
	}
	if r.o.HostStatus != nil {
		a.recordHosts()
	}
	r.mu.Lock()
	var release []Claim
	if down == tried {
		release = r.destDown(a.lane, time.Now())
	} else {
		r.destUp(a.lane)
	}
	r.mu.Unlock()
	releaseAll(release)
}

// recordHosts keeps the last result of each host that was talked to.
func (a *attempt) recordHosts() {
	seen := make(map[string]bool)
	for _, o := range slices.Backward(a.out) {
		host, _, _ := strings.Cut(o.Result.Relay, " ")
		if host == "" || seen[host] {
			continue
		}
		seen[host] = true
		s := HostStatus{Host: host, Used: time.Now(), Status: mtakit.StatusSuccess, Reply: o.Result.Reply}
		if e, ok := asVerdict(o.Result.Err); ok {
			s.Status = e.EnhancedStatus()
			var errno syscall.Errno
			if errors.As(e.Err, &errno) {
				s.Errno = int(errno)
			}
			if downStatus(o.Result.Err) {
				s.Exit = 75
			}
		}
		if err := a.r.o.HostStatus.Write(s); err != nil {
			a.r.problem(a.u.ID, err)
		}
	}
}

// settle turns outcomes into what is queued from now on: reports first, so that a failure is never forgotten before
// somebody was told, then new units, then the unit itself. It returns the unit, or nil when it is complete. After an error
// it may be called again, and does what was not done.
func (a *attempt) settle(ctx context.Context) (*Unit, error) {
	ctx = context.WithoutCancel(ctx) // what a peer accepted is accepted, even when we are told to stop
	if a.sorted.IsZero() {
		a.sorted = time.Now()
		a.sort()
		a.warned = a.expireOrWarn(a.sorted)
		a.collectReports()
	}
	if err := a.report(ctx); err != nil {
		return nil, err
	}
	for _, sender := range slices.Sorted(maps.Keys(a.forks)) {
		c, err := a.c.Fork(ctx, UnitSpec{Sender: sender, Rcpts: a.forks[sender]})
		if err != nil {
			return nil, err
		}
		delete(a.forks, sender)
		a.forked = append(a.forked, c)
	}
	u, err := a.write(ctx)
	if err != nil {
		return nil, err
	}
	for _, c := range a.forked {
		f := c.Unit()
		if err := c.Reschedule(ctx, a.sorted.Add(a.r.o.retry(f)), func(u *Unit) {
			u.Attempts, u.LastAttempt = 1, a.sorted
			u.Flags &^= FlagRet
		}); err != nil {
			a.r.problem(f.ID, err)
			c.Release() // it is tried sooner
		}
	}
	return u, nil
}

// write changes the unit itself.
func (a *attempt) write(ctx context.Context) (*Unit, error) {
	if len(a.rest) == 0 {
		if err := a.c.Complete(ctx); err != nil {
			return nil, err
		}
		now := time.Now()
		a.r.emit(mtakit.Event{Time: now, Kind: mtakit.EventDone, ID: string(a.u.ID), Delay: now.Sub(a.u.Created)})
		return nil, nil
	}
	if a.expireOnly && !a.warned {
		a.c.Release()
		return a.u, nil
	}
	change := func(u *Unit) {
		u.Rcpts, u.Status = a.rest, a.status
		if !a.expireOnly {
			u.Attempts, u.LastAttempt, u.Priority = a.u.Attempts+1, a.sorted, a.u.Priority+RetryFactor
		}
		if a.warned {
			u.Flags |= FlagWarned
		}
	}
	next := a.u.clone()
	change(next)
	due := next.LastAttempt
	if !due.IsZero() {
		due = due.Add(a.r.o.retry(next))
	}
	if err := a.c.Reschedule(ctx, due, change); err != nil {
		return nil, err
	}
	return a.c.Unit(), nil
}

// decided reports whether something happened that must not happen again: everything but deferrals.
func (a *attempt) decided() bool {
	return a.told || len(a.forked) > 0 || slices.ContainsFunc(a.out, func(o Outcome) bool { return !mtakit.Temporary(o.Result.Err) })
}

// giveUp ends the claims of an attempt whose outcome could not be written. The new units are taken back, since the old one
// still has their recipients.
func (a *attempt) giveUp() {
	for _, c := range a.forked {
		if err := c.Complete(context.Background()); err != nil {
			a.r.problem(c.Unit().ID, err)
			c.Release()
		}
	}
	a.c.Release()
}

// afterError says when to try again after an attempt whose outcome could not be written and does not matter, or whose claim
// is lost.
func (a *attempt) afterError(ctx context.Context) *Unit {
	u, err := a.r.o.Store.Get(context.WithoutCancel(ctx), a.u.ID)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		u = a.u
	}
	u = u.clone()
	u.Due = time.Now().Add(max(time.Minute, a.r.o.MinQueueAge))
	return u
}

// sort divides the outcomes into what stays queued and what is reported, and emits the events.
func (a *attempt) sort() {
	u := a.u
	seen := make([]bool, len(u.Rcpts))
	expanded := make([]bool, len(u.Rcpts))
	a.status = u.Status
	var events []*mtakit.Event
	for _, o := range a.out {
		if o.Index < 0 || o.Index >= len(u.Rcpts) {
			continue
		}
		seen[o.Index] = true
		rcpt := u.Rcpts[o.Index]
		e := a.event(o, rcpt)
		if prev := sameEvent(events, e); prev != nil {
			prev.To = append(prev.To, e.To...)
		} else {
			events = append(events, e)
		}
		if o.Target.Queue != "" && o.Expanded {
			rcpt.Addr = o.Target.Queue
			rcpt.Flags &^= RcptPrimary | RcptAlias
			rcpt.Control = o.Target.Control
			if rcpt.Control.Alias {
				rcpt.Flags |= RcptAlias
			}
		}
		if o.Target.owned(u) {
			// From here on it is the owner's mail: what the sender asked to hear ends with the list.
			if rcpt.Flags&RcptSuccess != 0 && !expanded[o.Index] {
				expanded[o.Index] = true
				a.reports = append(a.reports, ReportRcpt{u.Rcpts[o.Index], ActionExpanded, Target{Addr: u.Rcpts[o.Index].Address()}, mtakit.Result{}, a.began})
			}
			rcpt.Flags = rcpt.Flags&^(RcptNotify|RcptSuccess) | RcptFailure | RcptDelay
		}
		switch {
		case o.Result.Err == nil:
			if rcpt.Flags&RcptSuccess != 0 {
				action := ActionDelivered
				if o.Result.Relayed {
					action = ActionRelayed
				}
				a.reports = append(a.reports, ReportRcpt{rcpt, action, o.Target, o.Result, a.began})
			}
		case mtakit.Temporary(o.Result.Err):
			rcpt.Status = statusText(o.Result)
			a.status = rcpt.Status
			if o.Target.owned(u) {
				if a.forks == nil {
					a.forks = make(map[string][]Recipient)
				}
				a.forks[o.Target.Sender] = append(a.forks[o.Target.Sender], rcpt)
			} else {
				a.rest = append(a.rest, rcpt)
			}
		default:
			a.status = statusText(o.Result)
			a.reports = append(a.reports, ReportRcpt{rcpt, ActionFailed, o.Target, o.Result, a.began})
		}
	}
	for i, rcpt := range u.Rcpts {
		if !seen[i] {
			a.rest = append(a.rest, rcpt)
		}
	}
	for _, e := range events {
		slices.Reverse(e.To) // as sendmail lists the recipients of one transaction
		a.r.emit(*e)
	}
}

// sameEvent finds the event that differs from e in nothing but the recipient.
func sameEvent(events []*mtakit.Event, e *mtakit.Event) *mtakit.Event {
	for _, p := range events {
		if p.Kind == e.Kind && p.Mailer == e.Mailer && p.Relay == e.Relay && p.Stat == e.Stat && p.Control == e.Control {
			return p
		}
	}
	return nil
}

// event describes an outcome for logs and statistics.
func (a *attempt) event(o Outcome, rcpt Recipient) *mtakit.Event {
	now := time.Now()
	res := o.Result
	e := &mtakit.Event{Time: now, ID: string(a.u.ID), From: a.u.SenderAddress(), Size: a.u.Size(), Mailer: o.Target.Route.Mailer,
		Control: o.Target.Control, Delay: now.Sub(a.u.Created), XDelay: now.Sub(a.began), Priority: a.u.Priority, Relay: res.Relay}
	to := rcpt.Addr
	if o.Expanded && o.Target.Queue != "" {
		to = o.Target.Queue
	}
	e.To = []string{to}
	if e.Control == (mtakit.Control{}) {
		e.Control = rcpt.Control
	}
	if !o.Tried {
		e.XDelay = -1
	}
	switch {
	case res.Err == nil:
		e.Kind, e.Status = mtakit.EventDeliver, mtakit.StatusSuccess
		e.Stat = "Sent"
		if res.Reply != "" {
			e.Stat = "Sent (" + res.Reply + ")"
		}
		return e
	case mtakit.Temporary(res.Err):
		e.Kind, e.Status = mtakit.EventDefer, mtakit.StatusTemporary
	default:
		e.Kind, e.Status = mtakit.EventBounce, mtakit.StatusPermanent
	}
	if v, ok := asVerdict(res.Err); ok {
		e.Status = v.EnhancedStatus()
	}
	e.Reply, e.Stat, e.Err = res.Reply, statusText(res), res.Err
	return e
}

// expireOrWarn fails what waited too long, and reports whether the sender is to hear of the delay.
func (a *attempt) expireOrWarn(now time.Time) (warned bool) {
	if len(a.rest) == 0 {
		return false
	}
	left := a.u.clone()
	left.Rcpts = a.rest
	expire, warn := a.r.o.deadlines(left)
	switch {
	case !now.Before(expire):
		status, text := mtakit.StatusExpired.AsTemporary(), "Cannot send message for "+spell(expire.Sub(a.u.Created))
		if deliverByExpired(a.u, now) {
			status = mtakit.StatusExpired
			text = fmt.Sprintf("delivery time expired %ds", int64(a.u.DeliverBy.After/time.Second))
		}
		var to []string
		for _, rcpt := range a.rest {
			res := mtakit.Result{Err: &mtakit.Error{Code: 554, Status: status, Text: text}}
			a.reports = append(a.reports, ReportRcpt{rcpt, ActionFailed, Target{Addr: rcpt.Address()}, res, a.began})
			to = append(to, rcpt.Addr)
		}
		a.rest, a.status = nil, text
		a.r.emit(mtakit.Event{Time: now, Kind: mtakit.EventBounce, ID: string(a.u.ID), From: a.u.SenderAddress(), To: to,
			Delay: now.Sub(a.u.Created), XDelay: -1, Priority: a.u.Priority, Status: status, Stat: text})
	case !warn.IsZero() && !now.Before(warn):
		text := "Warning: could not send message for past " + spell(warn.Sub(a.u.Created))
		if by := a.u.DeliverBy; by.Mode&ByNotify != 0 && warn.Equal(a.u.Created.Add(by.After)) {
			text = fmt.Sprintf("Warning: Delivery time (%ds) exceeded", int64(by.After/time.Second))
		}
		for _, rcpt := range a.rest {
			if rcpt.Flags&RcptDelay != 0 {
				var err error = &mtakit.Error{Status: mtakit.StatusTemporary, Text: strings.TrimPrefix(rcpt.Status, "Deferred: ")}
				a.reports = append(a.reports, ReportRcpt{rcpt, ActionDelayed, Target{Addr: rcpt.Address()}, a.resultOf(rcpt, err), a.began})
			}
		}
		a.status = text
		return true
	}
	return false
}

// resultOf finds the result of this attempt for a recipient that stays queued.
func (a *attempt) resultOf(rcpt Recipient, otherwise error) mtakit.Result {
	for _, o := range a.out {
		if o.Result.Err != nil && (o.Target.Queue == rcpt.Addr || a.u.Rcpts[o.Index].Addr == rcpt.Addr) {
			return o.Result
		}
	}
	return mtakit.Result{Err: otherwise}
}

// collectReports makes one report per action: failures, those of each list's members apart, delays, successes.
func (a *attempt) collectReports() {
	if a.r.o.Report == nil {
		return
	}
	var failed, delayed, done []ReportRcpt
	owners := make(map[string][]ReportRcpt)
	for _, rr := range a.reports {
		switch {
		case rr.Action == ActionFailed && (rr.Flags&RcptFailure != 0 || a.u.Flags&FlagResponse != 0):
			if rr.Target.owned(a.u) {
				owners[rr.Target.Sender] = append(owners[rr.Target.Sender], rr)
			} else {
				failed = append(failed, rr)
			}
		case rr.Action == ActionDelayed:
			delayed = append(delayed, rr)
		case rr.Action != ActionFailed:
			done = append(done, rr)
		}
	}
	expires, _ := a.r.o.deadlines(a.u)
	parts := []*Report{{Rcpts: failed, Text: failureText(failed)}, {Rcpts: delayed, Text: a.status}, {Rcpts: done, Text: "Return receipt"}}
	for _, owner := range slices.Sorted(maps.Keys(owners)) {
		parts = append(parts, &Report{Rcpts: owners[owner], Text: failureText(owners[owner]), Sender: owner})
	}
	for _, part := range parts {
		if len(part.Rcpts) > 0 {
			part.Claim, part.Expires = a.c, expires
			a.tell = append(a.tell, part)
		}
	}
}

// report hands over what has to be heard.
func (a *attempt) report(ctx context.Context) error {
	for len(a.tell) > 0 {
		if err := a.r.o.Report(ctx, a.tell[0]); err != nil {
			return fmt.Errorf("%s: report: %w", a.u.ID, err)
		}
		a.tell, a.told = a.tell[1:], true
	}
	return nil
}

func failureText(rs []ReportRcpt) string {
	if len(rs) == 0 {
		return ""
	}
	return statusText(rs[len(rs)-1].Result)
}

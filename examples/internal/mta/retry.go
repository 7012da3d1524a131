package mta

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/queue"
)

// openQueue opens the spool and prepares the runner that works on it.
func (m *MTA) openQueue() error {
	dir, err := queue.Open(m.cfg.QueueDir, &queue.DirOptions{Create: true, Listener: m.observe})
	if err != nil {
		return err
	}
	m.queue, m.found.Dir = dir, dir
	o := queue.Options{
		Store: &m.found, Resolve: m.resolveQueued, Mailers: m.mailers, Report: m.reportQueued, Listener: m.observe,
		Rescan: time.Duration(m.cfg.QueueInterval), Retry: m.retryAfter,
		DestinationBackoff: queue.Backoff{First: min(time.Minute, time.Duration(m.cfg.QueueInterval)), Max: 30 * time.Minute},
	}
	o.Return.SetAll(time.Duration(m.cfg.QueueReturn))
	o.Warn.SetAll(time.Duration(m.cfg.QueueWarn))
	if m.cfg.QueueWarn == 0 {
		o.Warn.SetAll(-1)
	}
	m.runner = queue.NewRunner(o)
	return nil
}

// found is the queue as the runner sees it: what it finds there, it tries. A command that only wants to see its own
// message off hides the rest, which is the server's work.
type found struct {
	*queue.Dir
	nothing atomic.Bool
}

// List implements queue.Store.
func (f *found) List(ctx context.Context, filter queue.Filter) iter.Seq2[*queue.Unit, error] {
	if f.nothing.Load() {
		return func(func(*queue.Unit, error) bool) {}
	}
	return f.Dir.List(ctx, filter)
}

// retryAfter is the wait after an attempt: the queue interval first, then longer and longer, up to four hours.
func (m *MTA) retryAfter(u *queue.Unit) time.Duration {
	return queue.Backoff{First: time.Duration(m.cfg.QueueInterval)}.Delay(u.ID, u.Attempts)
}

// handOver gives new queue entries to the runner for their first attempt, or leaves them to a queue run.
func (m *MTA) handOver(sub *submission, claims []queue.Claim) {
	switch {
	case sub.queueOnly:
		for _, c := range claims {
			c.Release()
		}
	case len(claims) > 0:
		m.runner.Submit(claims...)
	}
}

// resolveQueued says where a queued recipient goes now. What the client named is looked up again in all tables. What an
// alias or a forward file made of it is final: expanding it again would multiply mail whose alias names itself, and
// would refuse the programs and files that only tables may name. An include file that could not be read is read now, for
// itself: the other members of its alias have their copies or places in the queue.
func (m *MTA) resolveQueued(ctx context.Context, u *queue.Unit, r queue.Recipient) ([]queue.Target, error) {
	if to, ok := m.handed.take(u, r, m.tables.Generation().Number); ok {
		return []queue.Target{to}, nil
	}
	var res *mtakit.Resolution
	var err error
	switch {
	case r.Control.Origin == "":
		res, err = m.resolver.ResolveText(ctx, u.SenderAddress(), r.Addr)
	case isInclude(r.Addr):
		res, err = m.resolver.ResolveMember(ctx, u.SenderAddress(), r.Addr, r.Control)
	default:
		return m.finalTarget(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	targets := make([]queue.Target, len(res.Leaves))
	for i := range res.Leaves {
		targets[i] = targetOf(&res.Leaves[i])
		if res.Leaves[i].Control.Origin == "" { // the recipient itself
			targets[i].Queue = ""
			if namesItself(res) {
				targets[i].Queue, targets[i].Control = r.Addr, itself(r.Addr)
			}
		}
	}
	return targets, nil
}

// namesItself reports whether a recipient's own alias or forward file has it among others.
func namesItself(res *mtakit.Resolution) bool { return len(res.Leaves) > 1 }

// itself marks a recipient as a member of its own alias, so that the other members get no second copy when it has to wait
// and is tried again.
func itself(addr string) mtakit.Control { return mtakit.Control{Origin: inside(addr), Alias: true} }

func (m *MTA) finalTarget(ctx context.Context, r queue.Recipient) ([]queue.Target, error) {
	_, route, _, err := m.resolver.Parse(ctx, r.Addr)
	if err != nil {
		return nil, err
	}
	if route.Mailer == mtakit.MailerLocal {
		_, ok, err := m.accounts.Account(ctx, unquoted(route.User))
		if err != nil {
			return nil, fmt.Errorf("looking up %s: %w", route.User, err)
		}
		if !ok {
			return nil, &mtakit.Error{Code: 550, Status: mtakit.StatusBadMailbox, Text: "User unknown"}
		}
	}
	return []queue.Target{{Addr: r.Address(), Route: route, Control: r.Control}}, nil
}

// unquoted removes quotes and backslashes, as in \ann.
func unquoted(user string) string {
	var b strings.Builder
	for i := 0; i < len(user); i++ {
		switch {
		case user[i] == '"':
			continue
		case user[i] == '\\' && i+1 < len(user):
			i++
		}
		b.WriteByte(user[i])
	}
	return b.String()
}

// RunQueue tries what f selects in the queue once, whether or not it is due, and returns when all attempts have ended.
func (m *MTA) RunQueue(ctx context.Context, f queue.Filter) error {
	if _, err := m.queue.Admin(ctx, f, queue.Action{Kind: queue.ActionRetry}); err != nil {
		return err
	}
	for u, err := range m.queue.List(ctx, f) {
		if err != nil {
			m.problem("", err)
			continue
		}
		claims, err := m.queue.Claim(ctx, queue.ClaimRequest{IDs: []queue.ID{u.ID}})
		if err != nil {
			m.problem(string(u.ID), err)
			continue
		}
		m.runner.Submit(claims...)
	}
	m.found.nothing.Store(len(f.Patterns) > 0)
	return m.finish(ctx)
}

// Finish runs the first attempts of what was accepted, for a process that is about to end. What cannot be delivered now
// waits for the server.
func (m *MTA) Finish(ctx context.Context) error {
	m.found.nothing.Store(true)
	return m.finish(ctx)
}

func (m *MTA) finish(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- m.runner.Run(ctx) }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			if s := m.runner.Stats(); s.Running == 0 && s.Ready == 0 {
				stop()
			}
		}
	}
}

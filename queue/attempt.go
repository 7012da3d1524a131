package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/mtakit/mtakit"
)

// Target is one place that a recipient's mail goes to.
type Target struct {
	// Addr, Route and Control are handed to the mailer.
	Addr    mtakit.Address
	Route   mtakit.Route
	Control mtakit.Control
	// Queue is what to keep in the queue when this target has to wait: the address that resolves to it. Empty means the
	// recipient itself, which is right when it has this one target.
	Queue string
	// Sender replaces the envelope sender (owner-LIST). Empty keeps it.
	Sender string
	// Err, if not nil, is the verdict on this target without a delivery.
	Err error
}

// owned reports whether what goes to a target has a sender of its own, the owner of a list.
func (t *Target) owned(u *Unit) bool { return t.Sender != "" && t.Sender != u.Sender }

// Outcome is what became of one target of one recipient.
type Outcome struct {
	Index  int // of the recipient in Unit.Rcpts
	Target Target
	Result mtakit.Result
	// Expanded is true when the recipient has several targets or another address than its own.
	Expanded bool
	// Tried is false when no mailer was asked.
	Tried bool
}

// resolveAll asks where each recipient goes.
func (r *Runner) resolveAll(ctx context.Context, u *Unit) []Outcome {
	var out []Outcome
	for i, rcpt := range u.Rcpts {
		targets, err := r.o.Resolve(ctx, u, rcpt)
		if err == nil && len(targets) == 0 {
			err = &mtakit.Error{Status: mtakit.StatusSystem.AsTemporary(), Text: "Recipient has no destination"}
		}
		if err != nil {
			out = append(out, Outcome{Index: i, Target: Target{Addr: rcpt.Address()}, Result: mtakit.Result{Err: err}})
			continue
		}
		for _, t := range targets {
			o := Outcome{Index: i, Target: t, Expanded: len(targets) > 1 || t.Queue != "" && t.Queue != rcpt.Addr}
			o.Result.Err = t.Err
			out = append(out, o)
		}
	}
	return out
}

// group is the outcomes that one call of a mailer decides.
type group struct {
	mailer, host, sender string
	index                []int
}

// deliver is the default Attempt: resolve, group by mailer, host and sender, and call the mailers.
func (r *Runner) deliver(ctx context.Context, c Claim) []Outcome {
	u := c.Unit()
	out := r.resolveAll(ctx, u)
	groups := groupOutcomes(out)
	if len(groups) == 1 {
		r.callMailer(ctx, c, &groups[0], out)
		return out
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, 4) // mailers at once for one message
	for i := range groups {
		slots <- struct{}{}
		wg.Go(func() {
			r.callMailer(ctx, c, &groups[i], out)
			<-slots
		})
	}
	wg.Wait()
	return out
}

func groupOutcomes(out []Outcome) []group {
	var groups []group
next:
	for i, o := range out {
		if o.Result.Err != nil {
			continue
		}
		t := o.Target
		for g := range groups {
			if p := &groups[g]; p.mailer == t.Route.Mailer && p.host == t.Route.Host && p.sender == t.Sender {
				p.index = append(p.index, i)
				continue next
			}
		}
		groups = append(groups, group{t.Route.Mailer, t.Route.Host, t.Sender, []int{i}})
	}
	return groups
}

// callMailer fills in the results of one group.
func (r *Runner) callMailer(ctx context.Context, c Claim, g *group, out []Outcome) {
	fail := func(err error) {
		for _, i := range g.index {
			out[i].Result = mtakit.Result{Err: err}
		}
	}
	m := r.o.Mailers[g.mailer]
	if m == nil {
		fail(&mtakit.Error{Status: mtakit.StatusMisconfigured.AsTemporary(), Text: "Local configuration error",
			Err: fmt.Errorf("no mailer %q", g.mailer)})
		return
	}
	if !c.Valid() {
		fail(ErrClaimLost)
		return
	}
	u := c.Unit()
	a := &mtakit.Attempt{ID: string(u.ID), From: u.SenderAddress(), Mailer: g.mailer, Host: g.host, Size: u.Size(),
		Open: func(ctx context.Context) (io.ReadCloser, error) { return c.Open(ctx) }, Arrived: u.Created,
		BodyType: u.BodyType, SMTPUTF8: u.SMTPUTF8, EnvID: u.EnvID, Ret: u.Ret()}
	if g.sender != "" {
		a.From = parsePath(g.sender)
	}
	for _, i := range g.index {
		rcpt := &u.Rcpts[out[i].Index]
		t := &out[i].Target
		mr := mtakit.Recipient{Addr: t.Addr, Route: t.Route, Control: t.Control, Original: rcpt.Original, Notify: rcpt.Notify()}
		if t.owned(u) {
			mr.Notify, a.Ret = 0, "" // the owner asked for nothing
		}
		if mr.Control == (mtakit.Control{}) {
			mr.Control = rcpt.Control
		}
		a.Rcpts = append(a.Rcpts, mr)
	}
	res := m.Deliver(ctx, a)
	if len(res) != len(g.index) {
		fail(fmt.Errorf("mailer %q returned %d results for %d recipients", g.mailer, len(res), len(g.index)))
		return
	}
	for k, i := range g.index {
		out[i].Result, out[i].Tried = res[k], true
	}
}

// asVerdict finds the verdict in an error.
func asVerdict(err error) (*mtakit.Error, bool) {
	var e *mtakit.Error
	ok := errors.As(err, &e)
	return e, ok
}

// statusText is what mailq shows and logs say of a failure: "Deferred: …" with the peer's reply if there was one, or the
// verdict's text.
func statusText(res mtakit.Result) string {
	text := ""
	if e, ok := asVerdict(res.Err); ok {
		text = e.Text
	} else if res.Err != nil {
		text = res.Err.Error()
	}
	if !mtakit.Temporary(res.Err) {
		return text
	}
	if res.Reply != "" {
		text = res.Reply
	}
	if text == "" {
		return "Deferred"
	}
	return "Deferred: " + strings.ReplaceAll(text, "\n", " ")
}

// cutID finds the queue id that a Store's error begins with.
func cutID(err error) (ID, string, bool) {
	id, rest, ok := strings.Cut(err.Error(), ": ")
	return ID(id), rest, ok && ValidID(ID(id))
}

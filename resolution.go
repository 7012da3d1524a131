package mtakit

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/mtakit/mtakit/internal/lex"
)

// Resolution is where mail for one or several recipients goes. It has at least one leaf.
type Resolution struct {
	From   Address // the envelope sender
	Leaves []Leaf  // deliveries and failures, in the order in which they were found

	// Reports are the errors in the order in which sendmail -bv prints them. They say the same as the leaves' errors,
	// sometimes more than once, and name what was repaired.
	Reports  []Report
	Warnings []error // forward files that were skipped, and the like: for the log

	nodes   []*node // all addresses on the way
	dropped []*node // those that were there already
}

// Leaf is an end of a resolution: a delivery, or the reason why there is none.
type Leaf struct {
	Addr    Address // final address; the local part of a program or file is its text
	Text    string  // the final address as it was written, sendmail's R line
	Route   Route
	Control Control // whose rights a program or file uses; the zero value when the sender named the recipient
	Owner   string  // replaces the envelope sender of this delivery; "" leaves it as it is
	Primary bool    // the sender named it, or it is the only result of what the sender named: reports may say so
	Alias   bool    // it stands in an alias: sendmail's flag A
	Detail  string  // user+detail: the part after the plus sign

	// Canonical tells that Route.Host is a canonical domain name, which sendmail shows with a final dot.
	Canonical bool

	// Verified tells that the address exists, but was not followed: see Resolver.Verify.
	Verified bool

	// Err is nil for a delivery. Otherwise Temporary(Err) tells whether the recipient has to wait or has failed, and an
	// *Error in it says what to tell the sender.
	Err error

	// Lost tells that sendmail would drop this branch without a word, because others lived: an alias that leads back to
	// itself, or one without members. Err says so.
	Lost bool

	Where Position // line of the list file that names it; zero elsewhere

	node *node
}

// Report is an error message about an address.
type Report struct {
	Addr  string   // as written
	Where Position // line of the list file being read
	Err   error

	plain   bool // sendmail sets no exit status for it
	ofOwner bool // it is about an address that takes over as envelope sender
}

// Steps tells how the leaf was found, first the recipient, last the leaf: which tables were asked, which keys were
// tried, which line decided.
func (l *Leaf) Steps() []Step {
	if l.node == nil {
		return nil
	}
	var chain []*node
	for n := l.node; n != nil; n = n.parent {
		chain = append(chain, n)
	}
	var steps []Step
	for i := len(chain) - 1; i >= 0; i-- {
		steps = append(steps, chain[i].trace()...)
	}
	return append(steps, Step{Stage: l.stage(), Input: l.Text, Value: l.result(), Pos: l.Where})
}

// trace is what the tables said about n.
func (n *node) trace() []Step {
	steps := slices.Clip(n.noted().steps)
	if n.step != nil {
		steps = append(steps, *n.step)
	}
	return steps
}

func (l *Leaf) stage() string {
	switch {
	case l.Err == nil:
		return l.Route.Mailer
	case Temporary(l.Err):
		return "deferred"
	}
	return "failed"
}

// result is what a leaf comes to, on one line.
func (l *Leaf) result() string {
	if l.Err != nil {
		return l.Err.Error()
	}
	s := l.Route.User
	if l.Route.Host != "" {
		s += " host " + l.Route.Host
	}
	return s
}

// Err returns the verdict to give when the recipient is named: nil as long as any branch can be delivered or may be
// later, else the first failure.
func (r *Resolution) Err() error {
	for i := range r.Leaves {
		if l := &r.Leaves[i]; l.Err == nil || Temporary(l.Err) {
			return nil
		}
	}
	if len(r.Leaves) == 0 {
		return errEmpty
	}
	return r.Leaves[0].Err
}

var errEmpty = &Error{Code: 451, Status: StatusSystem.AsTemporary(), Text: "Try again later", Err: errors.New("resolution without leaves")}

// Group is the part of a resolution that is sent with one envelope sender.
type Group struct {
	Owner  string // replaces the envelope sender; "" for the group that keeps it
	Leaves []*Leaf
}

// Groups divides the leaves that can be delivered, now or later, by owner, the group without owner first. Delivery
// failures of a list are its owner's business. sendmail makes one envelope of each group.
func (r *Resolution) Groups() []Group {
	var groups []Group
	for i := range r.Leaves {
		l := &r.Leaves[i]
		if l.Err != nil && !Temporary(l.Err) {
			continue
		}
		at := len(groups)
		for j := range groups {
			if groups[j].Owner == l.Owner {
				at = j
				break
			}
		}
		if at == len(groups) {
			if groups = append(groups, Group{Owner: l.Owner}); l.Owner == "" {
				copy(groups[1:], groups)
				groups[0], at = Group{}, 0
			}
		}
		groups[at].Leaves = append(groups[at].Leaves, l)
	}
	return groups
}

// finish makes the leaves.
func (w *walk) finish() *Resolution {
	res := w.res
	res.nodes = w.queue
	if w.r.NoMeToo {
		w.removeSender()
	}
	if len(w.queue) > 2 {
		res.Leaves = make([]Leaf, 0, len(w.queue))
	}
	for _, n := range w.queue {
		if n.state.dead() {
			if !n.fruitful && !n.removed && !w.told(n) {
				w.lost(n)
			}
			continue
		}
		w.addLeaf(n)
	}
	if w.mode == modeExpand {
		w.checkOwners()
	}
	for _, n := range w.cut {
		if n.parent == nil || n.parent.state != bad { // else the parent's leaf says it
			w.addLeaf(n)
		}
	}
	for _, l := range w.loops {
		if !l.ancestor.selfRef && !w.told(l.elem) {
			w.lost(l.elem)
		}
	}
	return res
}

// checkOwners reports what is wrong with the addresses that take over as envelope senders, those of failed members
// included. sendmail does this last, from the last member to the first, and names no address, except where it repairs
// one, which it does twice if it is a good one then.
func (w *walk) checkOwners() {
	var seen map[string]bool
	done := len(w.res.Reports)
	for i := len(w.res.Leaves) - 1; i >= 0; i-- {
		l := &w.res.Leaves[i]
		if l.Owner == "" || l.Lost || seen[l.Owner] {
			continue
		}
		if seen == nil {
			seen = make(map[string]bool)
		}
		seen[l.Owner] = true
		owner := &node{}
		if !w.r.parse(w.ctx, l.Owner, &owner.parsed) {
			continue
		}
		repairs := owner.noted().repairs
		w.repaired(l.Owner, repairs)
		switch {
		case owner.err == nil:
			w.repaired(l.Owner, repairs)
			w.begin(owner)
		case len(repairs) == 0 || owner.err.Error() != repairs[0].Error(): // else nothing was left to repair
			w.begin(owner)
		}
	}
	for i := range w.res.Reports[done:] {
		w.res.Reports[done+i].ofOwner = true
	}
}

func (w *walk) repaired(text string, faults []error) {
	for _, err := range faults {
		w.complain(&node{text: text}, err)
	}
}

// told reports whether the sender hears of a failure of the recipient that n comes from.
func (w *walk) told(n *node) bool {
	for n.parent != nil {
		n = n.parent
	}
	return n.state == bad
}

// lost adds a failure for a branch that sendmail would drop silently: nothing comes of n, while others live.
func (w *walk) lost(n *node) {
	n.err = &Error{Code: 554, Status: StatusLoop, Text: loopBroken, Exit: exitUsage}
	w.addLeaf(n).Lost = true
}

// addLeaf makes n a leaf.
func (w *walk) addLeaf(n *node) *Leaf {
	w.res.Leaves = append(w.res.Leaves, Leaf{})
	l := &w.res.Leaves[len(w.res.Leaves)-1] // filled in place: it is big
	l.Addr, l.Text, l.Route, l.Where, l.node = n.addr, n.text, n.route, n.where.orZero(), n
	l.Primary, l.Canonical, l.Verified = n.primary, n.canonical, n.state == verified
	if n.parent != nil {
		l.Control = n.controller(w.r)
	}
	if n.state != alive && n.state != verified {
		l.Err = n.err
	}
	if l.Addr.IsNull() {
		l.Addr.Local = loginName(n.route.User)
	}
	if n.route.Mailer == MailerLocal {
		l.Detail = n.route.Host
	}
	l.Alias = n.parent != nil && n.parent.alias
	for a := n; a != nil; a = a.parent {
		if a.owner != "" {
			if a.owner != addressText(w.res.From) {
				l.Owner = a.owner
			}
			break
		}
	}
	return l
}

// removeSender takes the sender out of the lists it sends to, but not where it named itself, and never as the last one.
func (w *walk) removeSender() {
	if w.res.From.IsNull() {
		return
	}
	sender := &node{}
	if !w.r.parse(w.ctx, addressText(w.res.From), &sender.parsed) {
		return
	}
	var found *node
	others := false
	for _, q := range w.queue {
		switch {
		case q.state.dead():
		case found == nil && !q.primary && q.state.sendable() && w.same(q, sender):
			found = q
		default:
			others = true
		}
	}
	if found != nil && others {
		found.state, found.removed = replaced, true
	}
}

// controller is the controlling user as the queue file's C line has it. Recipients that the sender named have none: n is
// what came of another address.
func (n *node) controller(r *Resolver) Control {
	c := n.controlUser(r)
	c.Origin, c.Alias = n.parent.text, n.parent.alias
	return c
}

// controlUser finds the first address on the way to n that stands for a user.
func (n *node) controlUser(r *Resolver) Control {
	for ; n != nil; n = n.parent {
		switch {
		case n.account != nil:
			return Control{User: n.account.Name, UID: n.account.UID, GID: n.account.GID}
		case n.control != nil:
			return *n.control
		case n.alias:
			name := n.route.User
			if n.step != nil && n.step.Key != "" {
				name = n.step.Key
			}
			// sendmail sets the user id alone: its C lines read name:1:0. Mailers put the default group in place of 0.
			return Control{User: name, UID: r.DefaultUser.UID}
		}
	}
	return Control{}
}

// Lines prints the resolution as sendmail -bv does: first the errors, then one line per recipient that can be
// delivered.
func (r *Resolution) Lines() []string {
	var lines []string
	for _, report := range r.Reports {
		lines = append(lines, report.String())
	}
	for i := range r.Leaves {
		if l := &r.Leaves[i]; l.Err == nil || Temporary(l.Err) || l.deferredError() {
			lines = append(lines, l.String())
		}
	}
	return lines
}

// deferredError tells whether the leaf is a verdict that sendmail keeps in the queue.
func (l *Leaf) deferredError() bool { return l.node != nil && l.node.state == waiting }

// String prints the leaf as sendmail -bv does: addr... deliverable: mailer M, host H, user U.
func (l *Leaf) String() string {
	if l.Err != nil && !Temporary(l.Err) && !l.deferredError() {
		return Report{Addr: l.Text, Where: l.Where, Err: l.Err}.String()
	}
	mailer := l.Route.Mailer
	if mailer == MailerError {
		mailer = "*error*"
	}
	s := l.Text + "... deliverable: mailer " + mailer
	if l.Route.Host != "" {
		s += ", host " + l.Route.Host
		if l.Canonical {
			s += "."
		}
	}
	return s + ", user " + l.Route.User
}

// String prints the report as sendmail does: without codes, with the address only for the reply codes that are about
// an address.
func (r Report) String() string {
	s := ""
	if r.Where.File != "" {
		s = lex.Short(r.Where.File, lex.ShortFile) + ": line " + strconv.Itoa(r.Where.Line) + ": "
	}
	var e *Error
	if !errors.As(r.Err, &e) {
		return s + r.Err.Error()
	}
	code := e.Code
	if code == 0 {
		code = e.ReplyCode()
	}
	switch code {
	case 250, 252, 450, 550, 553:
		if r.Addr != "" {
			s += r.Addr + "... "
		}
	}
	return s + strings.TrimRight(e.Text, "\r\n")
}

// ExitStatus returns what sendmail exits with after these reports: the status of the first permanent verdict that has one,
// 0 when there are only temporary ones, 64 when there are others, 0 when all is well. What is said of owners counts when
// nothing else does.
func (r *Resolution) ExitStatus() int {
	held, others := false, false
	for _, report := range r.Reports {
		if report.ofOwner && others && !held {
			break
		}
		var e *Error
		if report.plain || !errors.As(report.Err, &e) || e.Exit == exitUsage && e.Status.Class() == ClassSuccess {
			others = others || !report.ofOwner
			continue
		}
		status := e.ExitStatus()
		if status != exitTempFail {
			return status
		}
		held = true
	}
	if others && !held {
		return exitUsage
	}
	return 0
}

package mtakit

import (
	"context"
	"errors"
	"strconv"
	"strings"
)

type mode uint8

const (
	modeExpand mode = iota // walk everything
	modeVerify             // stop at the first sign of life, as RCPT does
)

// mailerInclude is the pseudo mailer of :include: addresses; no leaf ever has it.
const mailerInclude = "*include*"

// node is an address on its way: sendmail's ADDRESS. Its states follow recipient() in recipient.c.
type node struct {
	parsed
	text   string    // as written
	parent *node     // what it was made from; nil for a recipient of the run
	where  *Position // line of the list file that it stands on; nil outside of list files
	state  state

	removed  bool // it is the sender, who does not want a copy
	primary  bool // the sender named it, or it is the only result of what the sender named
	alias    bool // it was an alias
	selfRef  bool // its own expansion names it again
	settled  bool // all work on it is done
	thisPass bool // it was reached from the recipient at hand
	fruitful bool // its expansion had members

	owner   string
	account *Account // set once a user was found; the controlling user of what it forwards to
	control *Control // set for aliases and include files
	unsafe  *Error   // programs and files that it names fail with this
	step    *Step    // what expanded it
	next    *node    // the next one with the same user part in the walk's index
	note    string
}

type state uint8

const (
	alive    state = iota // to be delivered
	bad                   // failed; err says why
	waiting               // nobody can tell now; err says why
	verified              // exists, and that was the question
	replaced              // its expansion, or its rewritten form, takes its place
)

func (s state) dead() bool     { return s == replaced }
func (s state) sendable() bool { return s == alive || s == waiting || s == verified }

// walk is one run over one or several recipients: sendmail's send queue.
type walk struct {
	r    *Resolver
	ctx  context.Context
	mode mode

	queue []*node
	index map[string]chain // of the queue by user part, built when the queue gets long
	loops []loop
	cut   []*node   // too deep; they are not in the queue, and do not count as alive
	where *Position // line of the list file being read
	fresh []node    // not used yet

	res  *Resolution
	room *room
}

// room is a Resolution with the memory that a run with a single recipient and leaf needs.
type room struct {
	res     Resolution
	nodes   [1]node
	queue   [1]*node
	account Account
	leaves  [1]Leaf
}

// loop is an element that was dropped because it leads back to where it came from.
type loop struct{ elem, ancestor *node }

// chain is a list of nodes with the same user part, in the order of the queue.
type chain struct{ first, last *node }

func newWalk(r *Resolver, ctx context.Context, from Address, m mode) walk {
	room := new(room)
	room.res.From = from
	room.res.Leaves = room.leaves[:0]
	return walk{r: r, ctx: ctx, mode: m, queue: room.queue[:0], fresh: room.nodes[:], res: &room.res, room: room}
}

func (w *walk) newNode() *node {
	if len(w.fresh) == 0 {
		return new(node)
	}
	n := &w.fresh[0]
	w.fresh = w.fresh[1:]
	return n
}

// sendOne takes text as a single address, however it looks.
func (w *walk) sendOne(text string, parent *node, depth int) {
	n := w.newNode()
	n.text, n.parent = text, parent
	if !w.r.parse(w.ctx, text, &n.parsed) {
		p := parser{r: w.r, ctx: w.ctx, out: &n.parsed}
		p.syntax(StatusMailboxSyntax, "User address required")
	}
	w.repaired(n.text, n.noted().repairs)
	w.begin(n)
	w.recipient(n, depth)
}

// begin takes over what the address rules said.
func (w *walk) begin(n *node) {
	for _, err := range n.noted().tooDeep {
		w.report(n, err)
	}
	if n.err == nil {
		return
	}
	if n.wait {
		n.state = waiting
	} else {
		n.state = bad
	}
	if !n.silent {
		w.report(n, n.err)
	}
}

// sendTo handles the members of one list: all are read first, then they are followed from the last to the first.
func (w *walk) sendTo(members []Member, parent *node, depth int) (n int) {
	var room [8]*node
	nodes := room[:0]
	if len(members) > len(room) {
		nodes = make([]*node, 0, len(members))
	}
	if len(members) > longQueue {
		w.makeIndex(len(members))
	}
	for i := range members {
		if len(w.fresh) == 0 && len(members)-i > 1 {
			w.fresh = make([]node, min(len(members)-i, 32))
		}
		if e := w.element(&members[i], parent); e != nil {
			nodes = append(nodes, e)
		}
	}
	for i := len(nodes) - 1; i >= 0 && w.ctx.Err() == nil; i-- {
		w.recipient(nodes[i], depth)
	}
	return len(nodes)
}

// element reads one member of a list. It returns nil when there is nothing to follow: the member cannot be read, or it
// leads back to an address that is kept instead.
func (w *walk) element(m *Member, parent *node) *node {
	e := w.newNode()
	e.parent, e.where = parent, w.where
	if fail, ok := m.To.(Fail); ok && fail != nobody {
		e.text = m.Text
		if fail.repaired() {
			w.complain(e, fail.Err())
			return nil
		}
		p := parser{r: w.r, ctx: w.ctx, out: &e.parsed}
		p.verdict(fail.Err(), fail.Route)
		w.begin(e)
		if parent != nil {
			parent.fruitful = true
		}
		return e
	}
	e.text = m.text()
	if !w.r.parse(w.ctx, e.text, &e.parsed) {
		return nil
	}
	w.begin(e)
	if parent == nil {
		return e
	}
	parent.fruitful = true
	if w.same(parent, e) {
		parent.selfRef = true
	}
	if keep := w.selfReference(e); keep != nil {
		keep.selfRef = true
		e.state, e.note = replaced, "self reference"
		w.res.dropped = append(w.res.dropped, e)
		return nil
	}
	return e
}

// selfReference finds out whether e is its own ancestor, and then which address on the way to it has a mailbox: mail
// stops there instead of going round. The nearest one counts, even if it lies before the circle. It returns nil when
// there is no circle, or no mailbox.
func (w *walk) selfReference(e *node) *node {
	top := e.parent
	for top != nil && !w.same(e, top) {
		top = top.parent
	}
	if top == nil {
		return nil
	}
	for c := e; c != nil; c = c.parent {
		if c.route.Mailer == MailerLocal {
			if _, ok, err := w.r.account(w.ctx, c.route.User); ok && err == nil {
				if c == e {
					return top
				}
				return c
			}
		}
	}
	return nil
}

// same reports whether two addresses are one. The same program is two when two users run it.
func (w *walk) same(a, b *node) bool {
	if a.route.User != b.route.User || a.route.Mailer != b.route.Mailer || !strings.EqualFold(a.route.Host, b.route.Host) {
		return false
	}
	if a.route.Mailer == MailerProgram {
		ua, oka := a.uid(w.r)
		ub, okb := b.uid(w.r)
		return !oka || !okb || ua == ub
	}
	return a.route.Mailer != MailerError
}

// uid finds the controlling user's number.
func (n *node) uid(r *Resolver) (int, bool) {
	for ; n != nil; n = n.parent {
		switch {
		case n.account != nil:
			return n.account.UID, true
		case n.control != nil:
			return n.control.UID, true
		case n.alias:
			return r.DefaultUser.UID, true
		}
	}
	return 0, false
}

// find looks for an address that is the same as n in the queue. A recipient that is still being worked on does not
// count: its own members may name it.
func (w *walk) find(n *node) *node {
	if len(w.queue) > longQueue {
		w.makeIndex(0)
	}
	if w.index != nil {
		for q := w.index[n.route.User].first; q != nil; q = q.next {
			if (q.settled || !q.primary) && w.same(q, n) {
				return q
			}
		}
		return nil
	}
	for _, q := range w.queue {
		if (q.settled || !q.primary) && w.same(q, n) {
			return q
		}
	}
	return nil
}

// longQueue is the length of a queue that is searched by index.
const longQueue = 32

// makeIndex makes the index, with room for more nodes than there are.
func (w *walk) makeIndex(more int) {
	if w.index != nil {
		return
	}
	w.index = make(map[string]chain, len(w.queue)+more)
	for _, q := range w.queue {
		w.enter(q)
	}
}

// enter puts n into the index.
func (w *walk) enter(n *node) {
	if n.route.Mailer == MailerError { // never the same as another one
		return
	}
	c, found := w.index[n.route.User]
	if found {
		c.last.next, c.last = n, n
	} else {
		c = chain{n, n}
	}
	w.index[n.route.User] = c
}

func (w *walk) insert(n *node) {
	w.queue = append(w.queue, n)
	if w.index != nil {
		w.enter(n)
	}
}

// recipient follows one address. depth counts the aliases, forward and include files on the way to it.
//
// The order is law: an alias comes before local rewriting, that before the password file, and that before the
// user's forward file.
func (w *walk) recipient(n *node, depth int) {
	if depth == 0 {
		n.primary = true
	}
	if limit := w.r.maxDepth(); depth > limit {
		w.tooDeep(n, depth, limit)
		return
	}
	if n.route.Mailer == MailerProgram {
		w.checkDirect(n, "programs")
	}
	if q := w.find(n); q != nil {
		w.duplicate(n, q)
		w.settle(q, depth)
		return
	}
	w.insert(n)
	if n.route.Mailer == MailerFile {
		w.checkDirect(n, "files")
	}
	quoted := strings.IndexByte(n.route.User, '\\') >= 0
	if (n.state == alive || n.state == waiting) && n.route.Mailer == mailerInclude {
		w.include(n, depth)
	}
	if n.state == alive && n.route.Mailer == MailerLocal && !quoted {
		w.aliases(n, depth)
	}
	if n.state == alive && n.route.Mailer == MailerLocal && !n.noRewrite {
		w.rewrite(n, depth)
	}
	if n.state == alive && n.route.Mailer == MailerLocal {
		w.user(n, depth, quoted)
	}
	w.settle(n, depth)
}

// tooDeep breaks a chain of aliases that does not end.
func (w *walk) tooDeep(n *node, depth, limit int) {
	err := &Error{Code: 554, Status: StatusLoop, Exit: exitUsage, Text: "aliasing/forwarding loop broken (" +
		strconv.Itoa(depth) + " aliases deep; " + strconv.Itoa(limit) + " max)"}
	if n.parent != nil {
		n.parent.state, n.parent.err = bad, err
	}
	w.bad(n, err)
	w.cut = append(w.cut, n)
}

// checkDirect refuses programs and files that nobody here vouches for: named by the sender, by a user without a
// proper shell, or in a list that others could have written. Programs are looked at before duplicates are suppressed, files
// after it: a file that is named twice is reported once.
func (w *walk) checkDirect(n *node, what string) {
	switch {
	case n.state != alive && n.state != waiting:
	case n.parent == nil:
		w.bad(n, notAuthorized("Cannot mail directly to "+what))
	case n.parent.unsafe != nil:
		err := *n.parent.unsafe
		if err.Text == "" {
			err.Text = "Address " + n.parent.text + " is unsafe for mailing to programs"
		}
		if what == "files" {
			err.Text = strings.Replace(err.Text, " to programs", " to files", 1)
		}
		if err.Exit == 0 {
			err.Exit = exitUsage
		}
		w.bad(n, &err)
	case n.parent.account != nil && !w.validShell(n.parent.account):
		w.bad(n, notAuthorized("User "+n.parent.account.Name+"@"+w.r.hostname()+" doesn't have a valid shell for mailing to "+what))
	}
}

func notAuthorized(text string) *Error {
	return &Error{Code: 550, Status: StatusNotAuthorized, Text: text, Exit: exitUsage}
}

func (w *walk) validShell(a *Account) bool { return w.r.ValidShell == nil || w.r.ValidShell(a.Shell) }

// duplicate drops n in favour of q, which is the same address.
func (w *walk) duplicate(n, q *node) {
	for a := n.parent; a != nil; a = a.parent {
		if a == q || w.same(a, n) {
			w.loops = append(w.loops, loop{n, q})
			break
		}
	}
	switch {
	case !q.primary:
		q.primary = n.primary
		q.selfRef = q.selfRef || n.selfRef
	case q.selfRef:
		q.state = n.state
	}
	if n.state == alive {
		n.note = "duplicate suppressed"
	}
	n.state = replaced
	w.res.dropped = append(w.res.dropped, n)
}

// settle ends the work on n. A recipient of the run from which nothing is left, while nothing else lives either, was a
// circle.
func (w *walk) settle(n *node, depth int) {
	n.thisPass = true
	if n.parent == nil && n.state.dead() && w.allDead() {
		w.bad(n, &Error{Code: 554, Status: StatusLoop, Text: loopBroken, Exit: exitUsage})
	}
	if depth == 0 {
		w.promote()
	}
	n.settled = true
}

const loopBroken = "aliasing/forwarding loop broken"

func (w *walk) allDead() bool {
	for _, q := range w.queue {
		if !q.state.dead() {
			return false
		}
	}
	return true
}

// promote makes the only result of a recipient a primary one: a report may name it.
func (w *walk) promote() {
	var only *node
	count := 0
	for _, q := range w.queue {
		if q.thisPass && q.state.sendable() {
			count++
			only = q
		}
		q.thisPass = false
	}
	if count != 1 {
		return
	}
	for a := only.parent; a != nil; a = a.parent {
		if a.owner != "" {
			return
		}
	}
	only.primary = true
}

// aliases replaces n by the members of its alias.
func (w *walk) aliases(n *node, depth int) {
	if w.r.Aliases == nil {
		return
	}
	var x Expansion
	var ok bool
	var err error
	if a, named := w.r.Aliases.(NameExpander); named {
		x, ok, err = a.ExpandName(w.ctx, n.route.User)
	} else {
		x, ok, err = w.r.Aliases.Expand(w.ctx, Address{Local: n.route.User})
	}
	if err != nil {
		w.wait(n, err)
		return
	}
	if !ok {
		n.missed(&x)
		return
	}
	n.expanded(&x)
	if w.mode == modeVerify {
		n.state = verified
		return
	}
	n.selfRef, n.state, n.alias = false, replaced, true
	n.unsafe = x.Unsafe
	if x.Control != nil {
		n.control = x.Control
	}
	where := w.where
	w.sendTo(x.To, n, depth+1)
	w.where = where
	if n.selfRef && n.state == replaced {
		n.state = alive
	}
	n.owner = x.Owner
}

// expanded keeps what a table said for explanations.
func (n *node) expanded(x *Expansion) {
	step := x.Step
	n.step = &step
}

// missed keeps the keys that a table was asked for in vain, which it only tells under WithTracing.
func (n *node) missed(x *Expansion) {
	if len(x.Step.Tried) > 0 {
		n.addStep(x.Step)
	}
}

// include reads a list file.
func (w *walk) include(n *node, depth int) {
	n.state = replaced
	if n.parent == nil {
		w.bad(n, notAuthorized("Cannot mail directly to :include:s"))
		return
	}
	if w.r.Includes == nil {
		w.bad(n, &Error{Code: 550, Status: StatusListExpansion, Exit: exitUnavailable, Text: "Cannot open " + n.route.User + ": list files are not supported here"})
		return
	}
	if w.mode == modeVerify {
		n.state = verified
		return
	}
	x, err := w.r.Includes.Include(w.ctx, n.route.User, n.controlUser(w.r), n.fromAlias())
	if err != nil {
		w.failed(n, err)
		return
	}
	n.expanded(&x)
	n.control, n.unsafe = x.Control, x.Unsafe
	w.lines(x.To, n, depth)
}

// fromAlias reports whether the reference to an include file stands in an alias, perhaps through other include files.
func (n *node) fromAlias() bool {
	for a := n.parent; a != nil; a = a.parent {
		switch {
		case a.alias:
			return true
		case a.route.Mailer != mailerInclude:
			return false
		}
	}
	return false
}

// lines handles the members of a file, one line after the other.
func (w *walk) lines(members []Member, n *node, depth int) (count int) {
	outer := w.where
	for len(members) > 0 {
		pos := members[0].Pos
		end := 1
		for end < len(members) && members[end].Pos.Line == pos.Line {
			end++
		}
		w.where = &Position{File: pos.File, Line: pos.Line}
		count += w.sendTo(members[:end], n, depth+1)
		members = members[end:]
	}
	w.where = outer
	return count
}

// rewrite applies local rewriting; a changed address takes n's place.
func (w *walk) rewrite(n *node, depth int) {
	var to parsed
	if !w.r.rewriteLocal(w.ctx, n.route.User, n.route.Host, &to) {
		return
	}
	e := &node{parsed: to, text: n.text, parent: n, where: n.where}
	if w.same(n, e) {
		return
	}
	n.state = replaced
	n.fruitful = true
	w.begin(e)
	e.primary = n.primary
	w.recipient(e, depth+1)
}

// user looks n up in the password file, and then for a forward file.
func (w *walk) user(n *node, depth int, quoted bool) {
	acct, ok, err := w.r.account(w.ctx, loginName(n.route.User))
	switch {
	case err != nil:
		w.wait(n, err)
		return
	case !ok:
		w.bad(n, &Error{Code: 550, Status: StatusBadMailbox, Text: "User unknown", Exit: exitNoUser})
		return
	}
	if n.account = &w.room.account; n != &w.room.nodes[0] {
		n.account = new(Account)
	}
	*n.account = acct
	if w.mode == modeVerify {
		n.state = verified
		return
	}
	if w.r.Forward == nil || quoted {
		return
	}
	x, ok, err := w.r.Forward.Forward(w.ctx, acct, n.route.Host)
	if err != nil {
		w.wait(n, err)
		return
	}
	w.res.Warnings = append(w.res.Warnings, x.Warnings...)
	if !ok {
		n.missed(&x)
		return
	}
	n.expanded(&x)
	n.unsafe = x.Unsafe
	n.selfRef = false
	count := w.lines(x.To, n, depth)
	if count > 0 && !n.selfRef {
		n.state = replaced
	}
}

// loginName is a local user part without quotes and backslashes.
func loginName(user string) string {
	if strings.IndexByte(user, '\\') < 0 {
		return stripQuotes(user)
	}
	b := make([]byte, 0, len(user))
	for i := 0; i < len(user); i++ {
		if c := user[i]; c == '\\' && i+1 < len(user) {
			i++
			b = append(b, user[i])
		} else if c != '"' {
			b = append(b, c)
		}
	}
	return string(b)
}

// bad fails n and reports it.
func (w *walk) bad(n *node, err *Error) {
	n.state, n.err = bad, err
	if err.Exit == exitUsage {
		w.complain(n, err)
	} else {
		w.report(n, err)
	}
}

// wait defers n. A verdict is reported; other reasons go to the log with the leaf.
func (w *walk) wait(n *node, err error) {
	n.state, n.err = waiting, asTemporary(err)
	if isVerdict(err) {
		w.report(n, err)
	}
}

func isVerdict(err error) bool {
	var e *Error
	return errors.As(err, &e)
}

// failed fails or defers n by the kind of err.
func (w *walk) failed(n *node, err error) {
	if Temporary(err) {
		n.state, n.err = waiting, asTemporary(err)
		w.report(n, n.err)
		return
	}
	var e *Error
	errors.As(err, &e)
	w.bad(n, e)
}

// asTemporary makes a verdict of an error that has none.
func asTemporary(err error) error {
	if isVerdict(err) {
		return err
	}
	return &Error{Code: 451, Status: StatusSystem.AsTemporary(), Text: "Try again later", Err: err}
}

func (w *walk) report(n *node, err error) {
	w.res.Reports = append(w.res.Reports, Report{Addr: n.text, Where: w.where.orZero(), Err: err})
}

// complain reports an error for which sendmail sets no exit status of its own.
func (w *walk) complain(n *node, err error) {
	w.report(n, err)
	w.res.Reports[len(w.res.Reports)-1].plain = true
}

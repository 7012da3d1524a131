package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/access"
)

// printText prints explanations as indented text.
func printText(out io.Writer, all []explanation) error {
	w := &writer{out: bufio.NewWriter(out)}
	for i, x := range all {
		if i > 0 {
			w.line(0, "")
		}
		for _, c := range x.Checks {
			w.line(0, "%s %s: %s", c.Question, c.About, c.summary())
			w.steps(1, c.Steps)
		}
		for _, b := range x.Resolution.Tree() {
			w.branch(0, b)
		}
		for _, warning := range x.Resolution.Warnings {
			w.line(1, "warning: %v", warning)
		}
		w.line(0, "=> %s", x.Conclusion)
		for i := len(x.Resolution.Leaves) - 1; i >= 0; i-- {
			w.line(1, "%s", describe(&x.Resolution.Leaves[i]))
		}
	}
	return w.out.Flush()
}

type writer struct{ out *bufio.Writer }

func (w *writer) line(depth int, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if text != "" {
		text = strings.Repeat("  ", depth) + text
	}
	fmt.Fprintln(w.out, text) // errors show when the buffer is flushed
}

// steps prints the questions to tables: what matched, and before it what was tried in vain.
func (w *writer) steps(depth int, steps []mtakit.Step) {
	for _, s := range steps {
		w.line(depth, "%s", s)
		if s.Key != "" && len(s.Tried) > 1 {
			w.line(depth+1, "tried %s", strings.Join(s.Tried, ", "))
		}
	}
}

// branch prints an address and all that comes of it.
func (w *writer) branch(depth int, b mtakit.Branch) {
	w.line(depth, "%s", b.Text)
	w.steps(depth+1, b.Steps)
	if b.Note != "" {
		w.line(depth+1, "(%s)", b.Note)
	}
	if b.Leaf != nil {
		w.line(depth+1, "%s", describe(b.Leaf))
	}
	for _, next := range slices.Backward(b.Branches) { // the last one is resolved first; people read the first one first
		if next.Text == b.Text && len(b.Branches) == 1 {
			next.Text = "" // the same name in another form
		}
		w.branch1(depth+1, next)
	}
}

// branch1 prints a branch, without repeating the name of the one above.
func (w *writer) branch1(depth int, b mtakit.Branch) {
	if b.Text != "" {
		w.branch(depth, b)
		return
	}
	w.steps(depth, b.Steps)
	if b.Leaf != nil {
		w.line(depth, "%s", describe(b.Leaf))
	}
	for _, next := range slices.Backward(b.Branches) {
		w.branch(depth, next)
	}
}

// describe says what becomes of a leaf.
func describe(l *mtakit.Leaf) string {
	var s string
	switch {
	case l.Err == nil:
		s = "deliver: mailer " + l.Route.Mailer
		if l.Route.Host != "" {
			s += ", host " + l.Route.Host
		}
		s += ", user " + l.Route.User
	case mtakit.Temporary(l.Err):
		s = fmt.Sprintf("wait: %s: %v", l.Text, l.Err)
	default:
		s = fmt.Sprintf("fail: %s: %v", l.Text, l.Err)
	}
	if l.Lost {
		s += " (sendmail drops this branch without a word)"
	}
	if l.Err == nil && (l.Route.Mailer == mtakit.MailerProgram || l.Route.Mailer == mtakit.MailerFile) {
		user := l.Control.User
		if user == "" || l.Control.Alias {
			user = "the default user"
		}
		s += ", with the rights of " + user
	}
	if l.Owner != "" {
		s += ", failures go to " + l.Owner
	}
	return s
}

// conclude sums an explanation up: the first access rule that does not let the message pass, and where it would go.
func (x *explanation) conclude() string {
	routing := outcome(x.Resolution)
	for _, c := range x.Checks {
		if c.Verdict != access.Accept.String() {
			return fmt.Sprintf("%s by the access rules (%s); else %s", stopped[c.Verdict], c.Question, routing)
		}
	}
	return routing
}

// stopped are the verdicts that are no Accept, as participles.
var stopped = map[string]string{
	access.Reject.String(): "refused", access.TempFail.String(): "refused for now", access.Discard.String(): "discarded",
	access.Quarantine.String(): "quarantined",
}

// outcome counts what a resolution leads to.
func outcome(r *mtakit.Resolution) string {
	var good, wait, bad int
	for i := range r.Leaves {
		switch err := r.Leaves[i].Err; {
		case err == nil:
			good++
		case mtakit.Temporary(err):
			wait++
		default:
			bad++
		}
	}
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{good, "delivered"}, {wait, "deferred"}, {bad, "failed"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	if parts == nil {
		return "no recipient" // of an address such as "," or (a comment)
	}
	return strings.Join(parts, ", ")
}

func (c *check) summary() string {
	s := c.Verdict
	if c.Reply != "" {
		s += ": " + c.Reply
	}
	if c.Reason != "" {
		s += " (" + c.Reason + ")"
	}
	return s
}

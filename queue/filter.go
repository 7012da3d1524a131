package queue

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// Filter selects units. The zero value selects everything that waits for an attempt: Ready and Deferred. Conditions
// are combined with "and"; values within one, with "or".
type Filter struct {
	IDs    []ID
	States []State // empty means Ready and Deferred
	// Sender and Rcpt compare addresses without angle brackets, ignoring case. "@example.org" means the whole domain, "<>"
	// the null sender.
	Sender, Rcpt []string
	Domain       []string // domain of a recipient, ignoring case
	Dest         []string // destination key
	Groups       []string // queue group, ignoring case; "mqueue" is the default one
	// OlderThan and NewerThan bound the age since Created.
	OlderThan, NewerThan time.Duration
	// MinSize and MaxSize bound the size of the body in bytes; zero means no bound.
	MinSize, MaxSize int64
	MinAttempts      int
	// Reason is a substring, ignoring case, of the quarantine reason or of a status text.
	Reason []string
	// Patterns are the substrings of sendmail's options -qI, -qS, -qR and -qQ.
	Patterns []Pattern
	// Limit ends a listing after so many units; zero means never.
	Limit int
}

// Pattern is one of sendmail's queue run patterns: a substring of the queue id (exact case), of the sender, of any
// recipient or of the quarantine reason (any case). Several of one kind are alternatives. A negated one for recipients
// selects a unit that has a recipient without the text.
type Pattern struct {
	Kind byte // 'I', 'S', 'R' or 'Q'
	Text string
	Not  bool
}

// Match reports whether u is selected at the time now. It ignores Limit.
func (f *Filter) Match(u *Unit, now time.Time) bool {
	switch {
	case len(f.IDs) > 0 && !slices.Contains(f.IDs, u.ID),
		len(f.States) == 0 && u.State > Deferred,
		len(f.States) > 0 && !slices.Contains(f.States, u.State),
		f.OlderThan > 0 && now.Sub(u.Created) < f.OlderThan,
		f.NewerThan > 0 && now.Sub(u.Created) > f.NewerThan,
		f.MinSize > 0 && u.BodySize < f.MinSize,
		f.MaxSize > 0 && u.BodySize > f.MaxSize,
		u.Attempts < f.MinAttempts,
		len(f.Dest) > 0 && !slices.Contains(f.Dest, u.Dest),
		len(f.Groups) > 0 && !slices.ContainsFunc(f.Groups, func(g string) bool { return strings.EqualFold(g, cmp.Or(u.Group, "mqueue")) }),
		len(f.Sender) > 0 && !matchAddress(f.Sender, u.Sender),
		len(f.Rcpt) > 0 && !slices.ContainsFunc(u.Rcpts, func(r Recipient) bool { return matchAddress(f.Rcpt, r.Addr) }),
		len(f.Domain) > 0 && !f.matchDomain(u),
		len(f.Reason) > 0 && !f.matchReason(u):
		return false
	}
	return f.matchPatterns(u)
}

func matchAddress(want []string, text string) bool {
	a := parsePath(text)
	for _, w := range want {
		switch {
		case w == "<>":
			if a.IsNull() || strings.EqualFold(text, "MAILER-DAEMON") {
				return true
			}
		case strings.HasPrefix(w, "@"):
			if strings.EqualFold(a.Domain, w[1:]) {
				return true
			}
		default:
			if b := parsePath(w); strings.EqualFold(a.Local, b.Local) && strings.EqualFold(a.Domain, b.Domain) {
				return true
			}
		}
	}
	return false
}

func (f *Filter) matchDomain(u *Unit) bool {
	return slices.ContainsFunc(u.Rcpts, func(r Recipient) bool {
		d := r.Address().Domain
		return slices.ContainsFunc(f.Domain, func(w string) bool { return strings.EqualFold(d, w) })
	})
}

func (f *Filter) matchReason(u *Unit) bool {
	return slices.ContainsFunc(f.Reason, func(w string) bool {
		return containsFold(u.Quarantine, w) || containsFold(u.Status, w) ||
			slices.ContainsFunc(u.Rcpts, func(r Recipient) bool { return containsFold(r.Status, w) })
	})
}

func (f *Filter) matchPatterns(u *Unit) bool {
	for _, kind := range []byte("ISRQ") {
		asked, hit := false, false
		for _, p := range f.Patterns {
			if p.Kind == kind {
				asked = true
				hit = hit || p.match(u)
			}
		}
		if asked && !hit {
			return false
		}
	}
	return true
}

// match looks at each recipient apart, like sendmail: a negated pattern matches when one of them lacks the text.
func (p Pattern) match(u *Unit) bool {
	switch p.Kind {
	case 'I':
		return strings.Contains(string(u.ID), p.Text) != p.Not
	case 'S':
		return containsFold(u.Sender, p.Text) != p.Not
	case 'R':
		return slices.ContainsFunc(u.Rcpts, func(r Recipient) bool { return containsFold(r.Addr, p.Text) != p.Not })
	}
	return containsFold(u.Quarantine, p.Text) != p.Not
}

func containsFold(s, sub string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(sub))
}

// Action is what Admin does to each selected unit.
type Action struct {
	Kind ActionKind
	// Reason is the reason of ActionHold and ActionQuarantine, and the note in the journal of ActionDelete.
	Reason string
	// Do is called by ActionCall with each unit claimed. It ends the claim itself or returns with it still held, which
	// releases it. Bounce, reroute and undo are made of it.
	Do func(ctx context.Context, c Claim) error
	// Progress, if not nil, is called after each unit, one call at a time.
	Progress func(u *Unit, err error)
}

// ActionKind names an Action.
type ActionKind uint8

// Kinds of Action.
const (
	ActionHold       ActionKind = iota + 1 // set aside by an operator
	ActionRelease                          // back from Held and Quarantined
	ActionQuarantine                       // set aside by a policy
	ActionRetry                            // due at once
	ActionRequeue                          // due at once, with the counters of a new message; expiry still counts from Created
	ActionRemove                           // forget it without a report
	ActionDelete                           // forget it, but so that Undelete brings it back (Dir only)
	ActionCall                             // whatever Do does
)

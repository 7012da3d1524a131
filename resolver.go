package mtakit

import (
	"context"
	"slices"
	"strings"

	"github.com/mtakit/mtakit/internal/lex"
)

// Resolver decides where mail for an address goes, in sendmail's order: virtusertable, aliases, local rewriting (see
// MailHub and its neighbours), accounts, forward files; mailertable and smart host for what is not local. Every slot may
// be nil: the feature is then absent. A Resolver must not be changed while in use; it may then be used by several
// goroutines at once, as far as its tables may.
type Resolver struct {
	// Hostname is the fully qualified name of this host, sendmail's $j. It is always local, and so is localhost. Empty
	// means "localhost".
	Hostname string

	LocalDomains   Domains  // class w: domains whose users are ours; [literals] may be in it, too
	VirtualDomains Domains  // class VirtHost: domains that the virtusertable answers for
	Virtual        Expander // virtusertable; gives exactly one member
	Aliases        Expander
	Includes       Includer
	Accounts       Accounts // nil: every name is a user
	Forward        Forwarder
	Router         Router // mailertable

	// Canonify asks DNS for the canonical name of a host: ok is false when there is no such name, an error means that
	// nobody knows. Nil is FEATURE(nocanonify): names with a dot are taken as they are.
	Canonify func(ctx context.Context, host string) (name string, ok bool, err error)

	// SmartHost is where mail for other hosts goes when the Router has no answer. Zero: to the domain itself. Without a
	// mailer it is relay, and esmtp for address literals.
	SmartHost Route

	UserRelay  Route // LUSER_RELAY: where mail for unknown local names goes; a local User gets them all
	MailHub    Route // MAIL_HUB: where mail for every local name without alias goes
	LocalRelay Route // LOCAL_RELAY: as MailHub, when there is none
	StickyHost bool  // FEATURE(stickyhost): user@local.domain goes to MailHub without looking at aliases
	Redirect   bool  // FEATURE(redirect): user@domain.REDIRECT bounces with the new address

	// UserRelayError is LUSER_RELAY with an error value: the verdict on unknown local names.
	UserRelayError *Error

	// PreserveDetail is FEATURE(preserve_local_plus_detail): user+detail is one name.
	PreserveDetail bool

	// VirtualRecursion says what happens to an answer of the virtusertable.
	VirtualRecursion VirtualRecursion

	// MaxDepth is MaxAliasRecursion: how many aliases, forward and include files may lead to an address. Zero means 10.
	MaxDepth int

	// NoMeToo is MeToo=False: the sender is removed from the lists it sends to.
	NoMeToo bool

	// DefaultUser runs the programs and writes the files of aliases. Only Name, UID and GID count.
	DefaultUser Account

	// ValidShell reports whether a user with this login shell may have programs and files. Nil accepts every shell.
	ValidShell func(shell string) bool

	// Mailers are the names that a Router may send to, besides local, prog, smtp, esmtp, smtp8, dsmtp and relay. Others
	// are a configuration error of the table, 554 5.3.5.
	Mailers []string
}

// VirtualRecursion says what happens to an answer of the virtusertable.
type VirtualRecursion uint8

const (
	RecurseAlways     VirtualRecursion = iota // it is resolved from the start, virtusertable included
	RecurseNever                              // it is final (_NO_VIRTUSER_RECURSION_)
	RecurseUnlessSelf                         // only user@domain that maps to itself is final (_VIRTUSER_STOP_ONE_LEVEL_RECURSION_)
)

// Resolve follows rcpt through all tables to the last leaf. from is the envelope sender; it only matters for NoMeToo and
// for owners. The error is that of ctx; whatever happens to the address is in the Resolution's leaves, of which there
// is at least one.
func (r *Resolver) Resolve(ctx context.Context, from, rcpt Address) (*Resolution, error) {
	return r.resolve(ctx, from, addressText(rcpt), modeExpand)
}

// Verify looks at rcpt as sendmail's RCPT command does when it queues all mail: the name must have an alias or be a
// user, but aliases, include files and forward files are not read. It finds fewer faults than Resolve, and is quicker.
func (r *Resolver) Verify(ctx context.Context, from, rcpt Address) (*Resolution, error) {
	return r.resolve(ctx, from, addressText(rcpt), modeVerify)
}

// ResolveText resolves several recipients in one run, as sendmail does with its arguments: each text is an address or a
// list of them. A text without any of , ; < ( is split at blanks, others at commas. What is common to the recipients of
// a run happens once.
func (r *Resolver) ResolveText(ctx context.Context, from Address, texts ...string) (*Resolution, error) {
	w := newWalk(r, ctx, from, modeExpand)
	for _, text := range texts {
		w.sendTo(splitArgument(text), nil, 0)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	return w.finish(), nil
}

// VerifyText is Verify for text as it stands between RCPT TO: and its parameters.
func (r *Resolver) VerifyText(ctx context.Context, from Address, text string) (*Resolution, error) {
	w := newWalk(r, ctx, from, modeVerify)
	if tokens, _, faults := lex.Scan(text, 0); len(faults) == 0 && len(tokens) == 2 && tokens[0] == "<" && tokens[1] == ">" {
		// check_rcpt refuses this before the address is parsed.
		refused := Fail{Code: 553, Status: StatusPermanent, Text: "User address required", Exit: exitNoUser}
		w.sendTo([]Member{{To: refused, Text: text}}, nil, 0)
	} else {
		w.sendOne(text, nil, 0)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return w.finish(), nil
}

// ResolveMember resolves a member of an alias, a forward or an include file by itself: one that had to wait, such as a
// list file that could not be read, and whose siblings have long been served. by is the Control of its leaf.
func (r *Resolver) ResolveMember(ctx context.Context, from Address, text string, by Control) (*Resolution, error) {
	w := newWalk(r, ctx, from, modeExpand)
	origin := &node{text: by.Origin, alias: by.Alias, control: &by, state: replaced}
	w.res.dropped = append(w.res.dropped, origin) // for Explain: it is not followed
	w.sendOne(text, origin, 1)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return w.finish(), nil
}

func (r *Resolver) resolve(ctx context.Context, from Address, text string, m mode) (*Resolution, error) {
	w := newWalk(r, ctx, from, m)
	w.sendOne(text, nil, 0)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return w.finish(), nil
}

// Parse applies the address rules alone, without aliases and what follows them, and returns sendmail's triple as its
// address test mode shows it ("3,0 address" in sendmail -bt), the route that the mailer gets, and the tables that
// were asked. err is what is wrong with the address, or why it must wait.
func (r *Resolver) Parse(ctx context.Context, text string) (triple, route Route, steps []Step, err error) {
	var out parsed
	p := parser{r: r, ctx: ctx, out: &out, triple: &triple}
	if !p.parse(text) {
		return triple, route, nil, badAddress(StatusMailboxSyntax, "User address required")
	}
	notes := out.noted()
	if faults := append(notes.repairs, notes.tooDeep...); len(faults) > 0 {
		return triple, out.route, notes.steps, faults[0]
	}
	return triple, out.route, notes.steps, out.err
}

// splitArgument makes members of a command line argument.
func splitArgument(text string) []Member {
	if strings.ContainsAny(text, ",;<(") {
		return ParseList(text, Position{})
	}
	return parseList(text, Position{}, ' ')
}

// addressText prints a so that the address rules read it back. Only what they would take apart is quoted: a user part
// may hold dots, plus, percent and bang.
func addressText(a Address) string {
	s := a.Local
	for i := 0; i < len(s); i++ {
		if !plainByte[s[i]] && mustQuote(s[i]) {
			s = quoteText(s)
			break
		}
	}
	if a.Domain == "" {
		return s
	}
	return s + "@" + a.Domain
}

func mustQuote(c byte) bool {
	return c <= ' ' || c == 0x7f || strings.IndexByte(`()<>:;@,"`, c) >= 0
}

func (r *Resolver) hostname() string {
	if r.Hostname == "" {
		return "localhost"
	}
	return r.Hostname
}

// isLocal asks class w.
func (r *Resolver) isLocal(ctx context.Context, domain string) (bool, error) {
	if strings.EqualFold(domain, r.hostname()) {
		return true, nil
	}
	return contains(ctx, r.LocalDomains, domain)
}

func contains(ctx context.Context, d Domains, domain string) (bool, error) {
	if d == nil {
		return false, nil
	}
	return d.Contains(ctx, lex.Fold(domain))
}

func (r *Resolver) knowsMailer(name string) bool {
	switch name {
	case MailerLocal, MailerProgram, MailerFile, MailerESMTP, MailerRelay, "smtp", "smtp8", "dsmtp":
		return true
	}
	return slices.Contains(r.Mailers, name)
}

func (r *Resolver) maxDepth() int {
	if r.MaxDepth == 0 {
		return 10
	}
	return r.MaxDepth
}

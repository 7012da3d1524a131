package mtakit

import "context"

// Expander turns an address into the list of destinations that a table gives for it. virtuser.Map and alias.Map
// are Expanders.
type Expander interface {
	// Expand answers for addr.
	//
	//	x, true,  nil   the table has an entry; x.To holds its members in the order of the table
	//	_, false, nil   the table has no entry for addr
	//	_, false, err   the table cannot tell; the branch is deferred
	//
	// A bad member is a Fail destination among the good ones: it never hides them.
	Expand(ctx context.Context, addr Address) (x Expansion, ok bool, err error)
}

// ExpanderFunc makes a function an Expander.
type ExpanderFunc func(ctx context.Context, addr Address) (Expansion, bool, error)

// Expand calls f.
func (f ExpanderFunc) Expand(ctx context.Context, addr Address) (Expansion, bool, error) {
	return f(ctx, addr)
}

// NameExpander is an Expander that can be asked about a name as it stands, without its detail being put aside. It is
// optional: the Resolver finds it by assertion. It handles user+detail itself, since each step of that is an address
// of its own, which may be where a circle is broken.
type NameExpander interface {
	Expander
	// ExpandName is Expand for this very name.
	ExpandName(ctx context.Context, name string) (x Expansion, ok bool, err error)
}

// Forwarder finds and reads a user's forward file. forward.Forward is one.
type Forwarder interface {
	// Forward answers for the account; detail is the part after the plus sign, "" if none. The three outcomes are those
	// of Expander. A file that exists but is refused for safety reasons is skipped and named in x.Warnings, so ok may
	// be false while Warnings is not empty.
	Forward(ctx context.Context, acct Account, detail string) (x Expansion, ok bool, err error)
}

// Includer reads a mailing list file for the :include: destination. alias.Includer is one.
type Includer interface {
	// Include reads path with the rights of ctl. fromAlias says that the reference stands in an alias or another
	// include, not in a forward file: only then may the file's owner become the controlling user of its members, which
	// x.Control tells. A file that cannot be used is an *Error.
	Include(ctx context.Context, path string, ctl Control, fromAlias bool) (x Expansion, err error)
}

// Expansion is what a table, a forward file or an include file says about an address.
type Expansion struct {
	To      []Member // in file order
	Owner   string   // aliases: value that replaces the envelope sender (owner-NAME); "" when there is none
	Control *Control // who controls programs and files among To; nil leaves it as it was
	// Unsafe, if not nil, is the verdict on programs and files among To. Its Text speaks of programs; for a file, the
	// Resolver says files instead. An empty Text means that somebody else may have written the list: Address … is
	// unsafe for mailing to programs, with the address that led to it.
	Unsafe   *Error
	Step     Step    // which key or file answered
	Warnings []error // files skipped, entries repaired: for the log and explanations, never fatal
}

// Member is one element of a list, with the text it was written as and where it stands. To is a Fail when the text
// could not be understood.
type Member struct {
	To   Destination
	Text string   // as written, without surrounding blanks
	Pos  Position // of the line the element stands on
}

type tracingKey struct{}

// WithTracing returns a context that asks tables to tell the keys that they tried in vain, too. It costs time, and is
// meant for explanations.
func WithTracing(ctx context.Context) context.Context {
	return context.WithValue(ctx, tracingKey{}, true)
}

// Tracing reports whether ctx comes from WithTracing. A table that answers "absent" then fills Expansion.Step or
// Routing.Step all the same.
func Tracing(ctx context.Context) bool { return ctx.Value(tracingKey{}) != nil }

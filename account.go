package mtakit

import "context"

// Account is a local user, with what passwd(5) says of it.
type Account struct {
	Name     string
	UID, GID int
	FullName string // the first part of the GECOS field
	Home     string
	Shell    string
}

// Accounts finds local users by login name.
type Accounts interface {
	// Account returns the account with exactly this name. ok is false when there is none; an error means that the
	// directory cannot tell, and the mail waits.
	Account(ctx context.Context, name string) (a Account, ok bool, err error)
}

// AccountsFunc makes a function Accounts.
type AccountsFunc func(ctx context.Context, name string) (Account, bool, error)

// Account calls f.
func (f AccountsFunc) Account(ctx context.Context, name string) (Account, bool, error) {
	return f(ctx, name)
}

// Domains tells which domains belong to a class (sendmail's class w for local ones, VirtHost for virtual ones).
type Domains interface {
	// Contains reports whether domain, in lower case and without trailing dot, is in the class.
	Contains(ctx context.Context, domain string) (bool, error)
}

// DomainSet is Domains in memory. Keys are in lower case and without trailing dot.
type DomainSet map[string]bool

// Contains never fails.
func (s DomainSet) Contains(_ context.Context, domain string) (bool, error) { return s[domain], nil }

// Control is the controlling user of a program or file delivery: whose rights it uses, and the address that led
// there. The zero value means the default user (sendmail's DefaultUser option). sendmail: the C line of a qf file.
type Control struct {
	User     string // login name; empty means the default user
	UID, GID int
	Origin   string // the address (alias or user) that produced the delivery
	Alias    bool   // Origin is an alias
}

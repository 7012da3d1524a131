package mx

import (
	"context"
	"net/netip"
	"time"
)

// Type is the kind of record that a Resolver is asked for, numbered as in DNS.
type Type uint16

// The types that a Planner asks for.
const (
	TypeA    Type = 1
	TypeMX   Type = 15
	TypeAAAA Type = 28
)

// String returns "A", "MX" or "AAAA".
func (t Type) String() string {
	switch t {
	case TypeA:
		return "A"
	case TypeMX:
		return "MX"
	case TypeAAAA:
		return "AAAA"
	}
	return "TYPE?"
}

// Resolver answers one DNS question.
type Resolver interface {
	// Lookup asks for the records of type t at name, an absolute name in A-label form without trailing dot; no search
	// list may be applied. There are three outcomes:
	//
	//	a, nil with a.Exists          the name exists; a.MX or a.Addrs may be empty (no such record)
	//	a, nil without a.Exists       the name, or the end of its CNAME chain, does not exist
	//	_, err                        cannot tell (server failure, time-out, CNAME loop): try later
	//
	// CNAMEs are followed. It may be called by several goroutines at once, and the answer must not be changed.
	Lookup(ctx context.Context, name string, t Type) (*Answer, error)
}

// ResolverFunc makes a function a Resolver.
type ResolverFunc func(ctx context.Context, name string, t Type) (*Answer, error)

// Lookup calls f.
func (f ResolverFunc) Lookup(ctx context.Context, name string, t Type) (*Answer, error) {
	return f(ctx, name, t)
}

// Answer is what a Resolver found.
type Answer struct {
	Exists    bool
	Canonical string // the name that owns the records, in lower case without trailing dot; "" means the one asked for
	MX        []Record
	Addrs     []netip.Addr
	TTL       time.Duration // the least TTL of the records and the CNAMEs that led to them
	NegTTL    time.Duration // how long the absence holds (RFC 2308: least of SOA TTL and minimum); negative when unknown
	Secure    bool          // a trusted resolver set AD
}

// Record is one MX record. Host is in lower case without trailing dot; "" is the root, which means "no mail".
type Record struct {
	Preference uint16
	Host       string
}

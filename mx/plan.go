package mx

import (
	"fmt"
	"iter"
	"net/netip"
	"strconv"
	"time"

	"github.com/mtakit/mtakit"
)

// Class is the outcome of planning: whether there is somewhere to connect to and, if not, why.
type Class uint8

// The classes. The comment gives the status that Plan.Err carries.
const (
	OK        Class = iota + 1 // at least one host has an address
	NullMX                     // the domain accepts no mail (RFC 7505): 556 5.1.10
	Loop                       // this host is the best exchanger: 5.3.5
	NoDomain                   // the domain does not exist: 5.1.2
	NoAddress                  // no host has an address: 5.1.2
	TempFail                   // the DNS cannot tell: 4.4.3
	BadDomain                  // not a domain name or literal: 5.1.3
)

var classNames = [...]string{"", "ok", "null_mx", "loop", "nxdomain", "no_address", "tempfail", "bad_domain"}

// String returns a short lower-case name, such as "null_mx"; "nxdomain" stands for NoDomain.
func (c Class) String() string {
	if int(c) < len(classNames) && c != 0 {
		return classNames[c]
	}
	return "Class(" + strconv.Itoa(int(c)) + ")"
}

// HostStatus says whether a host can be connected to.
type HostStatus uint8

// The values of HostStatus.
const (
	HostOK       HostStatus = iota + 1 // it has an address of a wanted family
	HostNoAddr                         // it does not exist or has no such address
	HostTempFail                       // its addresses could not be looked up
)

// String returns "ok", "noaddr" or "tempfail".
func (s HostStatus) String() string {
	switch s {
	case HostOK:
		return "ok"
	case HostNoAddr:
		return "noaddr"
	case HostTempFail:
		return "tempfail"
	}
	return "HostStatus(" + strconv.Itoa(int(s)) + ")"
}

// Host is one mail exchanger. Names are in lower case, in A-label form, without a trailing dot; that of an address
// literal keeps its brackets.
type Host struct {
	Name      string
	Canonical string       // the name at the end of the CNAME chain, when Name is an alias; "" otherwise
	Addrs     []netip.Addr // in the order to try them
	Status    HostStatus
	Exists    bool  // false when the name is known not to exist
	Secure    bool  // every address answer was authenticated (AD), which DANE demands
	Err       error // why Status is HostTempFail
}

// Group is the hosts that share a preference, in the order to try them. Hosts of different next hops of a list are
// never in one group.
type Group struct {
	Preference int
	Hosts      []Host
	Fallback   bool // from Planner.Fallback; Preference is then FallbackPreference
}

// FallbackPreference is the Preference of a fallback group: worse than any that DNS can express.
const FallbackPreference = 65536

// Plan is the answer to "where to connect for this next hop?". Groups are in ascending preference. Hosts that cannot
// be used are listed with their status, to explain the choice; Candidates leaves them out.
type Plan struct {
	Query    string // as asked
	Domain   string // what was looked up: lower case, A-labels, no trailing dot; "" for a literal or list
	Class    Class
	MX       bool // MX records decided; false for implicit MX, brackets and literals
	Implicit bool // there is no MX: the domain itself (its canonical name) is the only host
	SelfIsMX bool // this host is among the exchangers; it and those no better were left out
	Groups   []Group

	TTL    time.Duration // how long the MX answer is good for; negative when there is none
	NegTTL time.Duration // the same for "no such record"; negative when not known
	Secure bool          // the MX answer was authenticated

	Excluded            []string // hosts that the MTA-STS policy forbids
	ClassBeforeFallback Class    // when only the fallback made Class OK: what it was without; 0 otherwise
	List                []*Plan  // the parts of a colon list, in order; nil for a single next hop
	Cause               error    // what the resolver or the parser said; nil when Class tells everything
}

// Candidate is one connection to try.
type Candidate struct {
	Host *Host
	Addr netip.Addr
}

// Candidates yields every address to connect to, best first. An address that several hosts share comes once.
func (p *Plan) Candidates() iter.Seq[Candidate] {
	return func(yield func(Candidate) bool) {
		seen := make(map[netip.Addr]bool)
		for g := range p.Groups {
			for h := range p.Groups[g].Hosts {
				host := &p.Groups[g].Hosts[h]
				if host.Status != HostOK {
					continue
				}
				for _, a := range host.Addrs {
					if seen[a] {
						continue
					}
					seen[a] = true
					if !yield(Candidate{host, a}) {
						return
					}
				}
			}
		}
	}
}

// Err is nil when there is a candidate, and otherwise the verdict about the recipient, worded as sendmail does.
func (p *Plan) Err() error {
	switch p.Class {
	case OK:
		return nil
	case NullMX:
		return &mtakit.Error{Code: 556, Status: mtakit.StatusNullMX, Text: "Service unavailable", Err: p.Cause}
	case Loop:
		return &mtakit.Error{Code: 554, Status: mtakit.StatusMisconfigured, Text: "Local configuration error",
			Err: fmt.Errorf("MX list for %s. points back to this host", p.Domain)}
	case NoDomain:
		return &mtakit.Error{Code: 550, Status: mtakit.StatusBadSystem,
			Text: "Host unknown (Name server: " + p.Relay() + ": host not found)", Err: p.Cause}
	case NoAddress:
		why := "no data known"
		if h := p.blame(HostNoAddr); h != nil && !h.Exists {
			why = "host not found"
		}
		return &mtakit.Error{Code: 550, Status: mtakit.StatusBadSystem,
			Text: "Host unknown (Name server: " + p.Relay() + ": " + why + ")", Err: p.Cause}
	case BadDomain:
		return &mtakit.Error{Code: 501, Status: mtakit.StatusMailboxSyntax, Text: "Invalid host name", Err: p.Cause}
	}
	return &mtakit.Error{Code: 451, Status: mtakit.StatusDirectory,
		Text: "Name server: " + p.Relay() + ": host name lookup failure", Err: p.Cause}
}

// blame is the host that is named when there is none to connect to: the last one that was of no use.
func (p *Plan) blame(st HostStatus) (last *Host) {
	for _, g := range p.Groups {
		for i := range g.Hosts {
			if g.Hosts[i].Status == st {
				last = &g.Hosts[i]
			}
		}
	}
	return last
}

// Relay is how sendmail's logs name a next hop that was never connected to (relay=): the exchanger that has no address,
// else the domain; with a dot at the end when it came from DNS.
func (p *Plan) Relay() string {
	st := HostNoAddr
	switch p.Class {
	case NullMX, Loop:
		return p.Domain + "."
	case TempFail:
		st = HostTempFail
	}
	if h := p.blame(st); h != nil && p.MX {
		return h.Name + "."
	}
	if p.Domain != "" && p.Query[0] != '[' {
		return p.Domain
	}
	return p.Query
}

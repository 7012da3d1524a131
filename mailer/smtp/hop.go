package smtp

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"strconv"
	"strings"

	"github.com/mtakit/mtakit/mx"
)

// Planner finds the hosts of a next hop. *mx.Planner is one.
type Planner interface {
	Plan(ctx context.Context, hop string) *mx.Plan
}

// target is one connection to try, with the names that logs use for it.
type target struct {
	network, address string // for Dial
	host, relay      string // "mx.example.net." and "mx.example.net. [192.0.2.1]"
	tlsName          string
	peer             netip.AddrPort
}

// hop is one element of a next hop: what the planner is asked, and the port.
type hop struct {
	plan string
	port uint16
}

// parseHop reads the forms of a next hop that the package comment lists, except for socket paths.
func parseHop(s string, defaultPort uint16) ([]hop, error) {
	if s == "" {
		return nil, fmt.Errorf("no next hop")
	}
	var hops []hop
	withPort := false
	for _, e := range splitHops(s) {
		n, err := strconv.ParseUint(e, 10, 16)
		if err != nil || len(hops) == 0 || hops[len(hops)-1].port != 0 {
			hops = append(hops, hop{plan: e})
			continue
		}
		if n == 0 {
			return nil, fmt.Errorf("next hop %q: port 0", s)
		}
		withPort = true
		last := &hops[len(hops)-1]
		last.port = uint16(n)
		if !strings.HasPrefix(last.plan, "[") {
			last.plan = "[" + last.plan + "]" // a port names one service: no MX
		}
	}
	if !withPort {
		return []hop{{s, defaultPort}}, nil // the planner knows lists, and its fallback comes once
	}
	for i := range hops {
		if hops[i].port == 0 {
			hops[i].port = defaultPort
		}
	}
	return hops, nil
}

// splitHops cuts at colons outside brackets.
func splitHops(s string) []string {
	inside := false
	return strings.FieldsFunc(s, func(r rune) bool {
		switch r {
		case '[':
			inside = true
		case ']':
			inside = false
		}
		return r == ':' && !inside
	})
}

// targets plans the hops one after the other. A plan without candidates is yielded as an error with the name that
// logs use for it.
func (m *Mailer) targets(ctx context.Context, hops []hop) iter.Seq2[target, error] {
	return func(yield func(target, error) bool) {
		for _, h := range hops {
			plan := m.o.Planner.Plan(ctx, h.plan)
			if err := plan.Err(); err != nil {
				if !yield(target{host: plan.Relay()}, err) {
					return
				}
				continue
			}
			for cand := range plan.Candidates() {
				if !yield(newTarget(plan, cand, h.port), nil) {
					return
				}
			}
		}
	}
}

func newTarget(p *mx.Plan, c mx.Candidate, port uint16) target {
	t := target{network: "tcp", peer: netip.AddrPortFrom(c.Addr, port), tlsName: c.Host.Name}
	t.address = t.peer.String()
	switch {
	case strings.HasPrefix(c.Host.Name, "["):
		t.host, t.tlsName = c.Host.Name, c.Addr.String()
	default:
		t.host = c.Host.Name + "."
	}
	t.relay = t.host + " " + bracketed(c.Addr)
	return t
}

// bracketed prints an address as sendmail's logs do: IPv6 in full, without zero compression.
func bracketed(a netip.Addr) string {
	if a.Is4() {
		return "[" + a.String() + "]"
	}
	b := a.As16()
	var s strings.Builder
	s.WriteString("[IPv6")
	for i := 0; i < 16; i += 2 {
		s.WriteByte(':')
		s.WriteString(strconv.FormatUint(uint64(b[i])<<8|uint64(b[i+1]), 16))
	}
	s.WriteByte(']')
	return s.String()
}

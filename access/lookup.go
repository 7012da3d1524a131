package access

import (
	"context"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/maptext"
)

// Tags are the tags that sendmail looks for, in its own spelling. Case does not matter in a table.
var Tags = []string{
	"Connect", "From", "To", "Spam", "ClientRate", "ClientConn", "GreetPause", "Srv_Features", "Clt_Features",
	"TLS_Clt", "TLS_Srv", "TLS_Rcpt", "TLS_Srv_features", "TLS_Clt_features", "Try_TLS", "AuthInfo",
}

// Options are the arguments of FEATURE(access_db). The zero value is sendmail's default.
type Options struct {
	// Skip gives the value SKIP its meaning in searches for domains and networks. Otherwise it is refusal text.
	Skip bool
	// LookupDotDomain also looks for ".example.com" when the key is a host in example.com.
	LookupDotDomain bool
	// RelayToFullAddress lets To:user@domain RELAY and To:user@ RELAY permit relaying.
	RelayToFullAddress bool
}

// Map is the meaning of an access table over any mtakit.Table. It is immutable and safe for concurrent use.
type Map struct {
	table mtakit.Table
	pos   mtakit.PositionTable
	opt   Options
}

// New returns the Map over table, whose keys are in lower case. opt may be nil. When table is a mtakit.PositionTable,
// such as a *File, answers say where their entry stands.
func New(table mtakit.Table, opt *Options) *Map {
	m := &Map{table: table}
	m.pos, _ = table.(mtakit.PositionTable)
	if opt != nil {
		m.opt = *opt
	}
	return m
}

// Result is the outcome of a search that met an entry.
type Result struct {
	Text  string // the entry's value, with %0 expanded
	Value Value  // and its meaning
	Step  mtakit.Step
}

// Mark says whether entries without a tag count as well. sendmail: the + and ! marks of SearchList.
type Mark bool

// The two marks.
const (
	Both   Mark = false // at each key, with the tag first and then without
	Tagged Mark = true  // only with the tag
)

// search is one elementary search: the keys are tried in order until one is found.
type search struct {
	m    *Map
	tag  string
	mark Mark
	skip bool // SKIP ends the search
	res  Result
	done bool
	err  error
}

// try looks for one key and reports whether the search is over.
func (s *search) try(ctx context.Context, key string) bool {
	if s.lookup(ctx, s.tag+":"+key) {
		return true
	}
	return s.mark == Both && s.lookup(ctx, key)
}

func (s *search) lookup(ctx context.Context, asked string) bool {
	key := maptext.Key(asked) // sendmail strips quotes from the keys of every map without the flag -q
	var (
		value string
		pos   mtakit.Position
		ok    bool
		err   error
	)
	if s.m.pos != nil {
		value, pos, ok, err = s.m.pos.LookupPosition(ctx, key)
	} else {
		value, ok, err = s.m.table.Lookup(ctx, key)
	}
	s.res.Step.Tried = append(s.res.Step.Tried, key)
	switch {
	case err != nil:
		s.err, s.done = err, true
		s.res.Step.Note = "cannot tell: " + err.Error()
	case ok:
		s.done = true
		s.res.Text = maptext.Expand(value, asked)
		s.res.Value = ParseValue(s.res.Text)
		s.res.Step.Key, s.res.Step.Value, s.res.Step.Pos = key, value, pos
	}
	return s.done
}

// end gives the answer: found, not found, or cannot tell.
func (s *search) end() (Result, bool, error) {
	found := s.done && s.err == nil
	if found && s.skip && s.res.Value.Kind == KindSkip {
		s.res.Step.Note = "SKIP: the search ends here"
		found = false
	}
	return s.res, found, s.err
}

func (m *Map) search(tag string, mark Mark, input string) *search {
	return &search{m: m, tag: tag, mark: mark, res: Result{Step: mtakit.Step{Stage: "access", Input: tag + ":" + input}}}
}

// Domain searches for a domain and its parents: a.b.c, b.c, c. A literal in brackets loses its parts from the right:
// [192.0.2.1], [192.0.2], [192.0], [192]. ok is false when nothing was found; res.Step tells which keys were tried in
// any case. sendmail: ruleset D.
func (m *Map) Domain(ctx context.Context, tag string, mark Mark, domain string) (res Result, ok bool, err error) {
	s := m.search(tag, mark, domain)
	s.skip = m.opt.Skip
	for domain != "" && !s.try(ctx, domain) {
		parent, inside := parent(domain)
		if inside && m.opt.LookupDotDomain && s.try(ctx, "."+parent) {
			break
		}
		domain = parent
	}
	return s.end()
}

// parent returns the next, more general, key after domain, and "" after the last one. inside tells that it is a
// domain that domain lies in, and not a shortened literal.
func parent(domain string) (next string, inside bool) {
	if strings.HasPrefix(domain, "[") && strings.HasSuffix(domain, "]") {
		if next = network(domain[1 : len(domain)-1]); next != "" {
			next = "[" + next + "]"
		}
		return next, false
	}
	_, next, _ = strings.Cut(domain, ".")
	return next, next != ""
}

// network cuts the last octet or group off an address, and returns "" when there was only one.
func network(addr string) string {
	i := strings.LastIndexByte(addr, ':')
	if i < 0 {
		i = strings.LastIndexByte(addr, '.')
	}
	if i < 0 {
		return ""
	}
	return strings.TrimSuffix(addr[:i], ":")
}

// Network searches for an address and the networks it lies in: 192.0.2.1, 192.0.2, 192.0, 192, or, with all groups
// written out, IPv6:2001:db8:0:0:0:0:0:1 down to IPv6. sendmail: ruleset A.
func (m *Map) Network(ctx context.Context, tag string, mark Mark, addr string) (res Result, ok bool, err error) {
	s := m.search(tag, mark, addr)
	s.skip = m.opt.Skip
	for addr != "" && !s.try(ctx, addr) {
		addr = network(addr)
	}
	return s.end()
}

// Address searches for local@domain. With a detail, user+detail@domain, user+*@domain and user@domain are tried.
// An empty domain asks for user@ entries. sendmail: rulesets F and U.
func (m *Map) Address(ctx context.Context, tag string, mark Mark, local, domain string) (res Result, ok bool, err error) {
	s := m.search(tag, mark, local+"@"+domain)
	if !s.try(ctx, local+"@"+domain) {
		if user, _, detail := cutDetail(local); detail {
			_ = s.try(ctx, user+"+*@"+domain) || s.try(ctx, user+"@"+domain)
		}
	}
	return s.end()
}

// cutDetail splits user+detail. A plus sign in front or in quotes is no separator.
func cutDetail(local string) (user, detail string, ok bool) {
	for i := 0; i < len(local); i++ {
		switch {
		case local[i] == '"':
			i += quoted(local[i:]) - 1
		case local[i] == '+' && i > 0:
			return local[:i], local[i+1:], true
		}
	}
	return local, "", false
}

// Exact searches for key alone. An empty key asks for the default entry of a tag: "ClientRate:". sendmail: ruleset E.
func (m *Map) Exact(ctx context.Context, tag string, mark Mark, key string) (res Result, ok bool, err error) {
	s := m.search(tag, mark, key)
	s.try(ctx, key)
	return s.end()
}

package mx_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/mailtest"
	"github.com/mtakit/mtakit/mx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// records is a Resolver in memory: "name TYPE" to an answer. What it does not have does not exist.
type records map[string]*mx.Answer

func (r records) Lookup(_ context.Context, name string, t mx.Type) (*mx.Answer, error) {
	if a, ok := r[name+" "+t.String()]; ok {
		if a == nil {
			return nil, errors.New("server failure")
		}
		return a, nil
	}
	for key := range r {
		if strings.HasPrefix(key, name+" ") {
			return &mx.Answer{Exists: true, NegTTL: -1}, nil
		}
	}
	return &mx.Answer{NegTTL: -1}, nil
}

func mxAnswer(list ...mx.Record) *mx.Answer { return &mx.Answer{Exists: true, MX: list} }

func addrAnswer(list ...string) *mx.Answer {
	a := &mx.Answer{Exists: true}
	for _, s := range list {
		a.Addrs = append(a.Addrs, netip.MustParseAddr(s))
	}
	return a
}

// Equal preferences come in every order, also when the answer is from a cache.
func TestShuffle(t *testing.T) {
	t.Parallel()
	r := records{"d.test MX": mxAnswer(mx.Record{10, "a.test"}, mx.Record{10, "b.test"}, mx.Record{10, "c.test"}, mx.Record{5, "first.test"})}
	for i, h := range []string{"a", "b", "c", "first"} {
		r[h+".test A"] = addrAnswer(fmt.Sprintf("192.0.2.%d", i+1))
	}
	p := &mx.Planner{Resolver: mx.NewCache(r, nil)}
	orders := map[string]int{}
	for range 600 {
		var order []string
		for c := range p.Plan(t.Context(), "d.test").Candidates() {
			order = append(order, c.Host.Name)
		}
		require.Equal(t, "first.test", order[0])
		orders[strings.Join(order, " ")]++
	}
	require.Len(t, orders, 6)
	for o, n := range orders {
		assert.Greater(t, n, 40, o) // 100 on average; that few happens once in billions of runs
	}
}

// localhost is this machine where a next hop names it in brackets, and an ordinary name where DNS does.
func TestLocalhost(t *testing.T) {
	t.Parallel()
	p := &mx.Planner{Resolver: records{"d.test MX": mxAnswer(mx.Record{1, "localhost"})}}
	assert.Equal(t, mx.NoAddress, p.Plan(t.Context(), "d.test").Class)
	var got []string
	for c := range p.Plan(t.Context(), "[localhost]").Candidates() {
		got = append(got, c.Addr.String())
	}
	assert.Equal(t, []string{"::1", "127.0.0.1"}, got)
}

// Families take turns, IPv6 first, and an address that two hosts share is tried once.
func TestCandidates(t *testing.T) {
	t.Parallel()
	r := records{
		"d.test MX": mxAnswer(mx.Record{1, "a.test"}, mx.Record{2, "b.test"}),
		"a.test A":  addrAnswer("192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.3"), "a.test AAAA": addrAnswer("2001:db8::1"),
		"b.test A": addrAnswer("192.0.2.1", "192.0.2.9"),
	}
	var got []string
	for c := range (&mx.Planner{Resolver: r}).Plan(t.Context(), "d.test").Candidates() {
		got = append(got, c.Addr.String())
	}
	require.Len(t, got, 5)
	assert.Equal(t, "2001:db8::1", got[0])
	assert.ElementsMatch(t, []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}, got[1:4])
	assert.Equal(t, "192.0.2.9", got[4])
	for range (&mx.Planner{Resolver: r}).Plan(t.Context(), "d.test").Candidates() {
		break // stopping early is fine
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	r, all := records{}, &mx.Answer{Exists: true}
	for i := range 150 {
		host := fmt.Sprintf("h%d.test", i)
		all.MX = append(all.MX, mx.Record{uint16(150 - i), host})
		r[host+" A"] = &mx.Answer{Exists: true}
		for k := range 20 {
			r[host+" A"].Addrs = append(r[host+" A"].Addrs, netip.AddrFrom4([4]byte{10, byte(i), 0, byte(k)}))
		}
	}
	r["d.test MX"] = all
	count := func(p *mx.Planner) (hosts, addrs int) {
		p.Resolver = r
		for _, g := range p.Plan(t.Context(), "d.test").Groups {
			hosts += len(g.Hosts)
			addrs += len(g.Hosts[0].Addrs)
		}
		return hosts, addrs
	}
	hosts, addrs := count(&mx.Planner{})
	assert.Equal(t, 100, hosts)
	assert.Equal(t, 1600, addrs)
	hosts, addrs = count(&mx.Planner{MaxHosts: 3, MaxAddrs: 2})
	assert.Equal(t, 3, hosts)
	assert.Equal(t, 6, addrs)

	plan := (&mx.Planner{Resolver: r}).Plan(t.Context(), strings.Repeat("h1.test:", 32)+"h1.test")
	assert.Equal(t, mx.BadDomain, plan.Class)
	assert.ErrorIs(t, plan.Cause, mx.ErrTooLong)
}

func TestFallback(t *testing.T) {
	t.Parallel()
	r := records{
		"ok.test MX": mxAnswer(mx.Record{10, "mx.test"}), "mx.test A": addrAnswer("192.0.2.1"),
		"self.test MX": mxAnswer(mx.Record{10, "mx.test"}, mx.Record{20, "me.test"}),
		"loop.test MX": mxAnswer(mx.Record{10, "me.test"}), "null.test MX": mxAnswer(mx.Record{0, ""}),
		"dead.test MX": mxAnswer(mx.Record{10, "gone.test"}), "fail.test MX": nil,
		"fb.test MX": mxAnswer(mx.Record{5, "fb1.test"}, mx.Record{6, "fb2.test"}),
		"fb1.test A": addrAnswer("192.0.2.11"), "fb2.test A": addrAnswer("192.0.2.12"), "fb.test A": addrAnswer("192.0.2.10"),
	}
	for _, tt := range []struct{ hop, fallback, want string }{
		{"ok.test", "fb.test", "mx.test fb1.test fb2.test"},
		{"ok.test", "[fb.test]", "mx.test fb.test"},
		{"ok.test", "gone.test", "mx.test"},
		{"ok.test", "loop.test", "mx.test"},
		{"self.test", "fb.test", "mx.test"},
		{"loop.test", "fb.test", "loop"},
		{"null.test", "fb.test", "null_mx"},
		{"a..test", "fb.test", "bad_domain"},
		{"dead.test", "[fb.test]", "fb.test"},
		{"fail.test", "[fb.test]", "fb.test"},
		{"gone.test", "[fb.test]", "fb.test"},
		{"gone.test", "fail.test", "nxdomain"},
		{"gone.test:fail.test", "", "tempfail"},
		{"gone.test:dead.test", "", "nxdomain"},
		{"gone.test:ok.test", "", "mx.test"},
	} {
		p := &mx.Planner{Resolver: r, Fallback: tt.fallback, Self: mtakit.DomainSet{"me.test": true}}
		plan := p.Plan(t.Context(), tt.hop)
		var got []string
		for c := range plan.Candidates() {
			got = append(got, c.Host.Name)
		}
		if got == nil {
			got = []string{plan.Class.String()}
		}
		assert.Equal(t, tt.want, strings.Join(got, " "), "%s with fallback %s", tt.hop, tt.fallback)
	}
}

func TestIncludesSelf(t *testing.T) {
	t.Parallel()
	r := records{
		"backup.test MX": mxAnswer(mx.Record{10, "mx.test"}, mx.Record{99, "me.test"}), "other.test MX": mxAnswer(mx.Record{10, "mx.test"}),
		"fail.test MX": nil, "me.test A": addrAnswer("192.0.2.1"),
	}
	unknown := errors.New("class file is being rebuilt")
	for _, tt := range []struct {
		domain string
		self   mtakit.Domains
		want   bool
		fails  bool
	}{
		{"backup.test", mtakit.DomainSet{"me.test": true}, true, false},
		{"BACKUP.test.", mtakit.DomainSet{"me.test": true}, true, false},
		{"other.test", mtakit.DomainSet{"me.test": true}, false, false},
		{"gone.test", mtakit.DomainSet{"me.test": true}, false, false},
		{"me.test", mtakit.DomainSet{"me.test": true}, false, false},
		{"a..b", mtakit.DomainSet{"me.test": true}, false, false},
		{"fail.test", mtakit.DomainSet{"me.test": true}, false, true},
		{"backup.test", nil, false, false},
		{"other.test", domainsFunc(func() (bool, error) { return false, unknown }), false, true},
	} {
		got, err := (&mx.Planner{Resolver: r, Self: tt.self}).IncludesSelf(t.Context(), tt.domain)
		assert.Equal(t, tt.want, got, tt.domain)
		assert.Equal(t, tt.fails, err != nil, tt.domain)
		if err != nil {
			assert.True(t, mtakit.Temporary(err), tt.domain)
		}
	}
	// The same doubt defers a delivery.
	plan := (&mx.Planner{Resolver: r, Self: domainsFunc(func() (bool, error) { return false, unknown })}).Plan(t.Context(), "other.test")
	assert.Equal(t, mx.TempFail, plan.Class)
	assert.ErrorIs(t, plan.Err(), unknown)
}

type domainsFunc func() (bool, error)

func (f domainsFunc) Contains(context.Context, string) (bool, error) { return f() }

func TestPolicy(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, host string
		want          bool
	}{
		{"mx.example.test", "mx.example.test", true},
		{"MX.Example.TEST.", "mx.example.test", true},
		{"mx.example.test", "amx.example.test", false},
		{"*.example.test", "mx.example.test", true},
		{"*.example.test", "example.test", false},
		{"*.example.test", "a.b.example.test", false},
		{"*.example.test", ".example.test", false},
		{"*", "mx.example.test", false},
		{"mx.*.test", "mx.example.test", false},
	} {
		p := mx.Policy{Mode: mx.Enforce, MX: []string{"other.test", tt.pattern}}
		assert.Equal(t, tt.want, p.Match(tt.host), "%s %s", tt.pattern, tt.host)
	}
	// A policy that cannot be fetched defers.
	p := &mx.Planner{Resolver: records{"d.test A": addrAnswer("192.0.2.1")},
		STS: func(context.Context, string) (*mx.Policy, error) { return nil, errors.New("cannot tell") }}
	assert.Equal(t, mx.TempFail, p.Plan(t.Context(), "d.test").Class)
}

// FuzzPlan: no next hop makes the planner panic or answer in two ways at once.
func FuzzPlan(f *testing.F) {
	for _, s := range []string{"example.test", "[192.0.2.1]", "[IPv6:2001:db8::1]", "a:b:[c]", "[", "]", "[]", ":", "a..b", "bücher.example",
		"2001:db8::1", "[2001:db8::1%eth0]", strings.Repeat("a.", 200), "xn--", "\xff", "[ipv6:1.2.3.4]", "例。test"} {
		f.Add(s)
	}
	r := records{"example.test MX": mxAnswer(mx.Record{1, "mx.test"}), "mx.test A": addrAnswer("192.0.2.1")}
	p := &mx.Planner{Resolver: r}
	f.Fuzz(func(t *testing.T, hop string) {
		plan := p.Plan(t.Context(), hop)
		n := 0
		for c := range plan.Candidates() {
			require.True(t, c.Addr.IsValid())
			require.Equal(t, mx.HostOK, c.Host.Status)
			n++
		}
		require.Equal(t, n > 0, plan.Class == mx.OK)
		require.Equal(t, n > 0, plan.Err() == nil)
		require.NotContains(t, plan.Class.String(), "Class(")
		_, err := p.IncludesSelf(t.Context(), hop)
		require.NoError(t, err)
	})
}

// BenchmarkPlan is a domain with two exchangers in a warm cache: what each message to it costs.
func BenchmarkPlan(b *testing.B) {
	zone := mailtest.NewDNS(b, `d.test. 300 IN MX 10 a.test.
d.test. 300 IN MX 10 b.test.
a.test. 300 IN A 192.0.2.1
b.test. 300 IN A 192.0.2.2
b.test. 300 IN AAAA 2001:db8::2
d.test. 300 IN SOA ns.test. root.test. 1 7200 900 1209600 300
test. 300 IN SOA ns.test. root.test. 1 7200 900 1209600 300
`)
	p := &mx.Planner{Resolver: mx.NewCache(newClient(zone), nil), Self: mtakit.DomainSet{"me.test": true}}
	b.ReportAllocs()
	for b.Loop() {
		if plan := p.Plan(context.Background(), "d.test"); plan.Class != mx.OK {
			b.Fatal(plan.Err())
		}
	}
}

// BenchmarkLookup is one question over loopback UDP without a cache.
func BenchmarkLookup(b *testing.B) {
	c := newClient(mailtest.NewDNS(b, clientZone))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Lookup(context.Background(), "example.test", mx.TypeMX); err != nil {
			b.Fatal(err)
		}
	}
}

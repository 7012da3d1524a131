package access

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
)

// Each search tries keys in one order. Nothing is found here, so that all of them are seen.
func TestKeysTried(t *testing.T) {
	ctx := context.Background()
	empty := New(mtakit.MapTable{}, nil)
	dotted := New(mtakit.MapTable{}, &Options{LookupDotDomain: true})
	for _, c := range []struct {
		name string
		ask  func() (Result, bool, error)
		want string
	}{
		{"domain", func() (Result, bool, error) { return empty.Domain(ctx, "From", Tagged, "A.b.Test") },
			"from:a.b.test from:b.test from:test"},
		{"domain, with and without tag", func() (Result, bool, error) { return empty.Domain(ctx, "To", Both, "b.test") },
			"to:b.test b.test to:test test"},
		{"domain, lookupdotdomain", func() (Result, bool, error) { return dotted.Domain(ctx, "To", Tagged, "a.b.test") },
			"to:a.b.test to:.b.test to:b.test to:.test to:test"},
		{"literal", func() (Result, bool, error) { return empty.Domain(ctx, "From", Tagged, "[192.0.2.1]") },
			"from:[192.0.2.1] from:[192.0.2] from:[192.0] from:[192]"},
		{"IPv6 literal", func() (Result, bool, error) { return empty.Domain(ctx, "From", Tagged, "[IPv6:2001:db8]") },
			"from:[ipv6:2001:db8] from:[ipv6:2001] from:[ipv6]"},
		{"network", func() (Result, bool, error) { return empty.Network(ctx, "Connect", Tagged, "192.0.2.1") },
			"connect:192.0.2.1 connect:192.0.2 connect:192.0 connect:192"},
		{"IPv6 network", func() (Result, bool, error) { return empty.Network(ctx, "Connect", Tagged, "IPv6:2001:db8:0") },
			"connect:ipv6:2001:db8:0 connect:ipv6:2001:db8 connect:ipv6:2001 connect:ipv6"},
		{"address", func() (Result, bool, error) { return empty.Address(ctx, "To", Tagged, "u", "b.test") },
			"to:u@b.test"},
		{"address with detail", func() (Result, bool, error) { return empty.Address(ctx, "To", Both, "u+d", "b.test") },
			"to:u+d@b.test u+d@b.test to:u+*@b.test u+*@b.test to:u@b.test u@b.test"},
		{"a plus in front is no detail", func() (Result, bool, error) { return empty.Address(ctx, "To", Tagged, "+d", "b.test") },
			"to:+d@b.test"},
		{"a quoted plus is no detail", func() (Result, bool, error) { return empty.Address(ctx, "To", Tagged, `"u+d"`, "b.test") },
			"to:u+d@b.test"},
		{"user", func() (Result, bool, error) { return empty.Address(ctx, "From", Tagged, "u+d", "") },
			"from:u+d@ from:u+*@ from:u@"},
		{"default of a tag", func() (Result, bool, error) { return empty.Exact(ctx, "ClientRate", Tagged, "") },
			"clientrate:"},
	} {
		r, ok, err := c.ask()
		require.NoError(t, err, c.name)
		assert.False(t, ok, c.name)
		assert.Equal(t, c.want, strings.Join(r.Step.Tried, " "), c.name)
		assert.Empty(t, r.Step.Key, c.name)
	}
}

func TestFoundWithPosition(t *testing.T) {
	f, err := Parse(strings.NewReader("b.test\tOK\nTo:b.test  RELAY\n"), "access")
	require.NoError(t, err)
	r, ok, err := New(f, nil).Domain(t.Context(), "To", Both, "a.b.test")
	require.NoError(t, err)
	require.True(t, ok)
	assert.Equal(t, Value{Kind: KindRelay}, r.Value)
	assert.Equal(t, mtakit.Step{Stage: "access", Input: "To:a.b.test", Tried: []string{"to:a.b.test", "a.b.test", "to:b.test"},
		Key: "to:b.test", Value: "RELAY", Pos: mtakit.Position{File: "access", Line: 2, Col: 1}}, r.Step)
}

func TestSkip(t *testing.T) {
	table := mtakit.MapTable{"a.test": "SKIP", "test": "REJECT", "u@a.test": "SKIP"}
	for _, skip := range []bool{false, true} {
		m := New(table, &Options{Skip: skip})
		r, ok, err := m.Domain(t.Context(), "From", Both, "b.a.test")
		require.NoError(t, err)
		assert.Equal(t, !skip, ok, "SKIP ends a search for domains when it is switched on")
		assert.Equal(t, "a.test", r.Step.Key)
		_, ok, _ = m.Address(t.Context(), "From", Both, "u", "a.test")
		assert.True(t, ok, "searches for addresses do not know it")
	}
}

// A table that cannot tell ends the search: a more general key must not decide.
func TestCannotTell(t *testing.T) {
	broken := errors.New("table is gone")
	m := New(mtakit.TableFunc(func(_ context.Context, key string) (string, bool, error) {
		if key == "to:a.test" {
			return "", false, broken
		}
		return "RELAY", true, nil
	}), nil)
	r, ok, err := m.Domain(t.Context(), "To", Both, "a.test")
	assert.ErrorIs(t, err, broken)
	assert.False(t, ok)
	assert.Equal(t, []string{"to:a.test"}, r.Step.Tried)
}

func TestAddrKey(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1":          "192.0.2.1",
		"::ffff:192.0.2.1":   "192.0.2.1",
		"2001:db8::5":        "IPv6:2001:db8:0:0:0:0:0:5",
		"::1":                "IPv6:0:0:0:0:0:0:0:1",
		"2001:db8:a0b::ff00": "IPv6:2001:db8:a0b:0:0:0:0:ff00",
		"fe80::1%eth0":       "IPv6:fe80:0:0:0:0:0:0:1",
	} {
		assert.Equal(t, want, AddrKey(netip.MustParseAddr(in)), in)
	}
	assert.Empty(t, AddrKey(netip.Addr{}))
}

func TestRelayDomains(t *testing.T) {
	rd, err := ReadRelayDomains(strings.NewReader("# ours\nlocal.test  10.1 # net\n\nIPv6:2001:db8\n"))
	require.NoError(t, err)
	assert.Equal(t, RelayDomains{"local.test", "10.1", "IPv6:2001:db8"}, rd)
	for domain, want := range map[string]bool{"local.test": true, "A.LOCAL.test": true, "xlocal.test": false, "test": false} {
		assert.Equal(t, want, rd.domain(domain, false), domain)
	}
	assert.False(t, rd.domain("a.local.test", true), "relay_hosts_only")
	for addr, want := range map[string]bool{"10.1.2.3": true, "10.1": true, "10.11.2.3": false,
		"IPv6:2001:db8:0:0:0:0:0:1": true, "IPv6:2001:db80:0:0:0:0:0:1": false} {
		assert.Equal(t, want, rd.network(addr), addr)
	}
}

package mx_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/vectordir"
	"github.com/mtakit/mtakit/mailtest"
	"github.com/mtakit/mtakit/mx"
)

// vector is one case; testdata/vectors/mx/README.md explains the fields.
type vector struct {
	ID        string            `json:"id"`
	About     string            `json:"about"`
	Zone      []string          `json:"zone"`
	Behaviour map[string]string `json:"behaviour"`
	Query     string            `json:"query"`
	Options   vectorOptions     `json:"options"`
	Expect    expectation       `json:"expect"`
	Basis     string            `json:"basis"`
	Oracle    json.RawMessage   `json:"oracle"`
	file      string
}

type vectorOptions struct {
	Self       []string `json:"self"`
	SelfAddrs  []string `json:"self_addrs"`
	Families   string   `json:"families"`
	Search     []string `json:"search"`
	ColonList  bool     `json:"colon_list"`
	FallbackMX string   `json:"fallback_mx"`
	STS        *struct {
		Mode string   `json:"mode"`
		MX   []string `json:"mx"`
	} `json:"sts"`
}

// expectation has pointers where a missing field means "not part of the case".
type expectation struct {
	Destination         string        `json:"destination"`
	Class               string        `json:"class"`
	Reason              string        `json:"reason"`
	Implicit            *bool         `json:"implicit"`
	MX                  *bool         `json:"mx"`
	SelfIsMX            *bool         `json:"self_is_mx"`
	TTL                 *int          `json:"ttl"`
	NegTTL              optionalInt   `json:"neg_ttl"`
	Groups              []vectorGroup `json:"groups"`
	Excluded            []string      `json:"excluded"`
	ClassBeforeFallback string        `json:"class_before_fallback"`
	List                []expectation `json:"list"`
	RelayBasedOnMX      any           `json:"relay_based_on_mx"`
}

type vectorGroup struct {
	Pref     int  `json:"pref"`
	Fallback bool `json:"fallback"`
	Hosts    []struct {
		Name      string   `json:"name"`
		Addrs     []string `json:"addrs"`
		Status    string   `json:"status"`
		Canonical string   `json:"canonical"`
	} `json:"hosts"`
}

// optionalInt tells a missing number (not part of the case) from null (there is none).
type optionalInt struct {
	given bool
	value *int
}

func (o *optionalInt) UnmarshalJSON(b []byte) error {
	o.given = true
	return json.Unmarshal(b, &o.value)
}

func TestVectorsMx(t *testing.T) {
	cases := loadVectors(t)
	require.NotEmpty(t, cases)
	var passed, failed atomic.Int32
	t.Run("cases", func(t *testing.T) {
		for _, v := range cases {
			t.Run(v.ID, func(t *testing.T) {
				t.Parallel()
				t.Cleanup(func() {
					if t.Failed() {
						failed.Add(1)
					} else {
						passed.Add(1)
					}
				})
				runVector(t, v)
			})
		}
	})
	t.Logf("vectors mx: %d passed, %d failed", passed.Load(), failed.Load())
}

func loadVectors(t *testing.T) []vector {
	set := vectordir.Open(t, "mx", "testdata/vectors/mx")
	var cases []vector
	for _, path := range vectordir.Files(t, set, ".jsonl") {
		data, err := fs.ReadFile(set, path)
		require.NoError(t, err)
		lines := bufio.NewScanner(bytes.NewReader(data))
		lines.Buffer(nil, 1<<24)
		for n := 1; lines.Scan(); n++ {
			v := vector{file: fmt.Sprintf("%s:%d", path, n)}
			dec := json.NewDecoder(bytes.NewReader(lines.Bytes()))
			dec.DisallowUnknownFields()
			require.NoError(t, dec.Decode(&v), v.file)
			cases = append(cases, v)
		}
		require.NoError(t, lines.Err(), path)
	}
	return cases
}

func runVector(t *testing.T, v vector) {
	zone := mailtest.NewDNS(t, strings.Join(v.Zone, "\n"))
	timeout := 5 * time.Second // a busy machine may take its time
	for question, b := range v.Behaviour {
		name, qtype, ok := strings.Cut(question, " ")
		require.True(t, ok, "behaviour %q", question)
		require.Contains(t, []string{"SERVFAIL", "REFUSED", "NOTIMP", "FORMERR", "NXDOMAIN", "TIMEOUT", "TRUNCATE"}, b)
		if b == "TIMEOUT" {
			timeout = mailtest.DNSTimeout
		}
		zone.Behave(name, qtype, mailtest.Behaviour(b))
	}
	o := v.Options
	p := &mx.Planner{
		Resolver: mx.NewCache(mx.NewClient(&mx.ClientOptions{Servers: []string{zone.Addr}, Timeout: timeout, Attempts: 1}), nil),
		Self:     ownNames(o.Self),
		Fallback: o.FallbackMX,
	}
	switch o.Families {
	case "", "both":
	case "ipv4":
		p.Families = mx.IPv4Only
	case "ipv6":
		p.Families = mx.IPv6Only
	default:
		t.Fatalf("%s: families %q is not known", v.file, o.Families)
	}
	for _, s := range o.SelfAddrs {
		p.SelfAddrs = append(p.SelfAddrs, netip.MustParsePrefix(s))
	}
	if o.STS != nil {
		p.STS = func(context.Context, string) (*mx.Policy, error) {
			return &mx.Policy{Mode: mx.Mode(o.STS.Mode), MX: o.STS.MX}, nil
		}
	}
	plan := p.Plan(t.Context(), v.Query)
	compare(t, v.Expect, plan)
	assert.Equal(t, o.ColonList, plan.List != nil)
	if plan.Class != mx.OK {
		assert.Error(t, plan.Err())
	} else {
		assert.NoError(t, plan.Err())
	}
	checkRelay(t, p, v)
	if t.Failed() {
		t.Logf("%s: %s\nzone:\n%s\nqueries: %q", v.file, v.About, strings.Join(v.Zone, "\n"), zone.Queries())
	}
}

func ownNames(names []string) mtakit.DomainSet {
	s := mtakit.DomainSet{}
	for _, n := range names {
		s[strings.ToLower(strings.TrimSuffix(n, "."))] = true // the form that DomainSet asks for
	}
	return s
}

// compare checks everything that the case says about a plan.
func compare(t *testing.T, want expectation, got *mx.Plan) {
	assert.Equal(t, want.Class, got.Class.String(), "class (cause %v)", got.Cause)
	equal := func(what string, want *bool, got bool) {
		if want != nil {
			assert.Equal(t, *want, got, what)
		}
	}
	equal("implicit", want.Implicit, got.Implicit)
	equal("mx", want.MX, got.MX)
	equal("self_is_mx", want.SelfIsMX, got.SelfIsMX)
	if want.TTL != nil {
		assert.Equal(t, time.Duration(*want.TTL)*time.Second, got.TTL, "ttl")
	}
	if n := want.NegTTL; n.given && n.value != nil {
		assert.Equal(t, time.Duration(*n.value)*time.Second, got.NegTTL, "neg_ttl")
	} else if n.given {
		assert.Negative(t, got.NegTTL, "neg_ttl")
	}
	if want.Destination != "" {
		assert.Equal(t, want.Destination, got.Query, "destination")
	}
	if want.ClassBeforeFallback != "" {
		assert.Equal(t, want.ClassBeforeFallback, got.ClassBeforeFallback.String(), "class_before_fallback")
	} else {
		assert.Zero(t, got.ClassBeforeFallback, "class_before_fallback")
	}
	assert.ElementsMatch(t, want.Excluded, got.Excluded, "excluded")
	switch want.Reason {
	case "":
		assert.False(t, errors.Is(got.Cause, mx.ErrPolicy), "reason")
	case "sts_no_match":
		assert.ErrorIs(t, got.Cause, mx.ErrPolicy, "reason")
	default:
		t.Errorf("reason %q is not known", want.Reason)
	}
	assert.Equal(t, wantGroups(want.Groups), gotGroups(got.Groups), "groups")
	if assert.Len(t, got.List, len(want.List), "list") {
		for i := range want.List {
			compare(t, want.List[i], got.List[i])
		}
	}
}

// Groups are compared as text, hosts and addresses sorted: their order is free.
func wantGroups(groups []vectorGroup) string {
	var b strings.Builder
	for _, g := range groups {
		var hosts []string
		for _, h := range g.Hosts {
			var addrs []netip.Addr
			for _, a := range h.Addrs {
				addrs = append(addrs, netip.MustParseAddr(a))
			}
			hosts = append(hosts, hostLine(h.Name, h.Canonical, h.Status, addrs))
		}
		slices.Sort(hosts)
		fmt.Fprintf(&b, "%d fallback=%v\n%s", g.Pref, g.Fallback, strings.Join(hosts, ""))
	}
	return b.String()
}

func gotGroups(groups []mx.Group) string {
	var b strings.Builder
	for _, g := range groups {
		var hosts []string
		for _, h := range g.Hosts {
			hosts = append(hosts, hostLine(h.Name, h.Canonical, h.Status.String(), h.Addrs))
		}
		slices.Sort(hosts)
		fmt.Fprintf(&b, "%d fallback=%v\n%s", g.Preference, g.Fallback, strings.Join(hosts, ""))
	}
	return b.String()
}

func hostLine(name, canonical, status string, addrs []netip.Addr) string {
	addrs = slices.SortedFunc(slices.Values(addrs), netip.Addr.Compare)
	return fmt.Sprintf("  %s canonical=%q %s %v\n", name, canonical, status, addrs)
}

func checkRelay(t *testing.T, p *mx.Planner, v vector) {
	got, err := p.IncludesSelf(t.Context(), v.Query)
	switch want := v.Expect.RelayBasedOnMX.(type) {
	case nil: // not asked
	case bool:
		assert.NoError(t, err, "relay_based_on_mx")
		assert.Equal(t, want, got, "relay_based_on_mx")
	case string:
		assert.Equal(t, "temp", want)
		assert.True(t, mtakit.Temporary(err), "relay_based_on_mx: %v", err)
		assert.False(t, got)
	default:
		t.Errorf("relay_based_on_mx %v is not known", want)
	}
}

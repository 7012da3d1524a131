package mx_test

import (
	"context"
	"fmt"
	"net/netip"
	"testing"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/mailtest"
	"github.com/mtakit/mtakit/mx"
)

// A Planner turns a next hop into hosts with addresses. Any function can be its Resolver; without one it asks the
// name servers of the system.
func ExamplePlanner_Plan() {
	p := &mx.Planner{
		Self: mtakit.DomainSet{"mail.example.org": true},
		Resolver: mx.ResolverFunc(func(_ context.Context, name string, t mx.Type) (*mx.Answer, error) {
			switch {
			case name == "example.com" && t == mx.TypeMX:
				return &mx.Answer{Exists: true, MX: []mx.Record{{20, "mail.example.org"}, {10, "mx.example.com"}, {30, "far.example.net"}}}, nil
			case name == "mx.example.com" && t == mx.TypeA:
				return &mx.Answer{Exists: true, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}}, nil
			case name == "mx.example.com":
				return &mx.Answer{Exists: true}, nil
			}
			return &mx.Answer{}, nil
		}),
	}
	for _, hop := range []string{"example.com", "[192.0.2.9]", "nowhere.example"} {
		plan := p.Plan(context.Background(), hop)
		fmt.Println(hop, plan.Class, plan.Err())
		for c := range plan.Candidates() {
			fmt.Println(" ", c.Host.Name, c.Addr)
		}
	}
	// Output:
	// example.com ok <nil>
	//   mx.example.com 192.0.2.1
	// [192.0.2.9] ok <nil>
	//   [192.0.2.9] 192.0.2.9
	// nowhere.example nxdomain 550 5.1.2 Host unknown (Name server: nowhere.example: host not found)
}

// A Client with a Cache asks real name servers; here one that lives in the test.
func ExampleNewClient() {
	mailtest.Run(func(tb testing.TB) {
		zone := mailtest.NewDNS(tb, "example.com. 300 IN MX 10 mx.example.com.\nmx.example.com. 300 IN A 192.0.2.1")
		p := &mx.Planner{Resolver: mx.NewCache(mx.NewClient(&mx.ClientOptions{Servers: []string{zone.Addr}}), nil)}
		for c := range p.Plan(tb.Context(), "example.com").Candidates() {
			fmt.Println(c.Host.Name, c.Addr)
		}
	})
	// Output: mx.example.com 192.0.2.1
}

// IncludesSelf answers for FEATURE(relay_based_on_MX): mail for a domain whose MX list names this host may be relayed.
func ExamplePlanner_IncludesSelf() {
	mailtest.Run(func(tb testing.TB) {
		zone := mailtest.NewDNS(tb, "example.com. 300 IN MX 10 mx.example.com.\nexample.com. 300 IN MX 90 mail.example.org.")
		p := &mx.Planner{
			Resolver: mx.NewClient(&mx.ClientOptions{Servers: []string{zone.Addr}}),
			Self:     mtakit.DomainSet{"mail.example.org": true},
		}
		fmt.Println(p.IncludesSelf(tb.Context(), "example.com"))
		fmt.Println(p.IncludesSelf(tb.Context(), "example.net"))
	})
	// Output:
	// true <nil>
	// false <nil>
}

package access_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/access"
)

// A server asks three questions and sends the reply that it gets.
func Example() {
	file, err := access.Parse(strings.NewReader(`
Connect:198.51.100      REJECT
Connect:192.0.2         RELAY
From:spam.example       ERROR:5.7.1:550 We do not like spam
To:customer.example     RELAY
`), "access")
	if err != nil {
		fmt.Println(err)
		return
	}
	policy := access.Policy{
		Access:   access.New(file, nil),
		Hostname: "mx.example.org",
		Local:    mtakit.DomainSet{"example.org": true},
	}
	ctx := context.Background()
	client := access.Client{Addr: netip.MustParseAddr("203.0.113.7"), Name: "mail.example.net"}
	sender := mtakit.Address{Local: "joe", Domain: "example.net"}

	fmt.Println(policy.Connect(ctx, client).Verdict)
	fmt.Println(policy.From(ctx, client, mtakit.Address{Local: "x", Domain: "spam.example"}).Err)
	for _, domain := range []string{"example.org", "customer.example", "far.example"} {
		d := policy.To(ctx, client, sender, mtakit.Address{Local: "ann", Domain: domain})
		fmt.Println(domain, d.Verdict, d.Reason)
	}
	client.Addr = netip.MustParseAddr("192.0.2.25")
	fmt.Println(policy.To(ctx, client, sender, mtakit.Address{Local: "ann", Domain: "far.example"}).Verdict)
	// Output:
	// accept
	// 550 5.7.1 <x@spam.example>... We do not like spam
	// example.org accept local domain
	// customer.example accept entry to:customer.example
	// far.example reject relaying denied
	// accept
}

// A Decision tells which keys were tried and which line decided.
func ExampleDecision_steps() {
	file, _ := access.Parse(strings.NewReader("From:example.net  REJECT\nFrom:joe@  OK\n"), "/etc/mail/access")
	policy := access.Policy{Access: access.New(file, nil)}
	d := policy.From(context.Background(), access.Client{}, mtakit.Address{Local: "ann", Domain: "news.example.net"})
	for _, s := range d.Steps {
		if s.Key == "" {
			fmt.Println(s.Tried, "absent")
		} else {
			fmt.Println(s.Tried, s.Value, s.Pos)
		}
	}
	// Output:
	// [from:ann@news.example.net ann@news.example.net] absent
	// [from:ann@ ann@] absent
	// [from:news.example.net news.example.net from:example.net] REJECT /etc/mail/access:1:1
}

// The address form of IPv6 in access tables has no "::".
func ExampleAddrKey() {
	fmt.Println(access.AddrKey(netip.MustParseAddr("2001:db8::25")))
	// Output: IPv6:2001:db8:0:0:0:0:0:25
}

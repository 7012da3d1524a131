package mtakit_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/mailertable"
	"github.com/mtakit/mtakit/virtuser"
)

// The whole wiring: three tables, the local users, and one question.
func Example() {
	virtual, _ := virtuser.Parse(strings.NewReader("info@example.org\tstaff\n"), "virtusertable")
	aliases, _ := alias.Parse(strings.NewReader("staff: ann, bob, ben@other.test\n"), "aliases")
	routes, _ := mailertable.Parse(strings.NewReader("other.test\tesmtp:[192.0.2.1]\n"), "mailertable")
	r := &mtakit.Resolver{
		Hostname:     "mx.example.org",
		LocalDomains: mtakit.DomainSet{"example.org": true},
		Virtual:      virtuser.New(virtual),
		Aliases:      alias.New(aliases, alias.Options{PreserveDetail: true}),
		Router:       mailertable.New(routes),
		Accounts: mtakit.AccountsFunc(func(_ context.Context, name string) (mtakit.Account, bool, error) {
			return mtakit.Account{Name: name, UID: 1000}, name == "ann", nil
		}),
	}
	res, err := r.Resolve(context.Background(), mtakit.Address{}, mtakit.Address{Local: "info", Domain: "example.org"})
	if err != nil {
		fmt.Println(err)
	}
	fmt.Print(res.Explain())
	// Output:
	// info@example.org
	//   virtusertable:1: info@example.org -> staff
	//   aliases:1: staff -> ann, bob, ben@other.test
	//     ben@other.test
	//       mailertable:1: other.test -> esmtp:[192.0.2.1]
	//       esmtp ben@other.test via [192.0.2.1]
	//     bob
	//       failed: 550 5.1.1 User unknown
	//     ann
	//       local ann
}

// A server asks at RCPT time whether there is any hope for the recipient.
func ExampleResolution_Err() {
	r := &mtakit.Resolver{
		LocalDomains: mtakit.DomainSet{"example.org": true},
		Accounts: mtakit.AccountsFunc(func(_ context.Context, name string) (mtakit.Account, bool, error) {
			return mtakit.Account{Name: name}, name == "ann", nil
		}),
	}
	for _, name := range []string{"ann", "eve"} {
		res, _ := r.Resolve(context.Background(), mtakit.Address{}, mtakit.Address{Local: name, Domain: "example.org"})
		fmt.Println(name, res.Err())
	}
	// Output:
	// ann <nil>
	// eve 550 5.1.1 User unknown
}

// Lines are what sendmail -bv would print.
func ExampleResolver_ResolveText() {
	aliases, _ := alias.Parse(strings.NewReader("staff: ann, \"|/usr/bin/archive staff\", x@example.net\n"), "aliases")
	r := &mtakit.Resolver{Aliases: alias.New(aliases, alias.Options{PreserveDetail: true})}
	res, _ := r.ResolveText(context.Background(), mtakit.Address{}, "staff, Bob <bob@localhost>")
	fmt.Println(strings.Join(res.Lines(), "\n"))
	fmt.Println("exit status", res.ExitStatus())
	// Output:
	// Bob <bob@localhost>... deliverable: mailer local, user bob
	// x@example.net... deliverable: mailer esmtp, host example.net., user x@example.net
	// "|/usr/bin/archive staff"... deliverable: mailer prog, user "|/usr/bin/archive staff"
	// ann... deliverable: mailer local, user ann
	// exit status 0
}

func ExampleParseList() {
	for _, m := range mtakit.ParseList(`Ann <ann@example.org>, \bob, "|/bin/archive -x", :include:/etc/mail/list`, mtakit.Position{}) {
		fmt.Printf("%T %s\n", m.To, m.To)
	}
	// Output:
	// mtakit.Mailbox ann@example.org
	// mtakit.User \bob
	// mtakit.Pipe "|/bin/archive -x"
	// mtakit.Include :include:/etc/mail/list
}

func ExampleParseAddress() {
	a, err := mtakit.ParseAddress(`"ann lee"@example.org`)
	fmt.Println(a.Local, "at", a.Domain, err)
	_, err = mtakit.ParseAddress("ann@example..org")
	fmt.Println(err)
	// Output:
	// ann lee at example.org <nil>
	// 553 5.1.2 Invalid host name
}

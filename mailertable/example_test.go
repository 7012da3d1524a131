package mailertable_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/mailertable"
)

func Example() {
	table, err := mailertable.Parse(strings.NewReader(`
example.com	esmtp:[192.0.2.1]
.example.com	relay:%1.hub.example.net
gone.test	error:5.1.2:550 No such domain
`), "mailertable")
	if err != nil {
		fmt.Println(err)
	}
	m := mailertable.New(table)
	for _, domain := range []string{"example.com", "a.b.example.com", "gone.test", "elsewhere.test"} {
		d, ok, err := m.Route(context.Background(), mtakit.Address{Local: "ann", Domain: domain})
		fmt.Println(domain, ok, d.Route.Mailer, d.Route.Host, err)
	}
	// Output:
	// example.com true esmtp [192.0.2.1] <nil>
	// a.b.example.com true relay a.b.hub.example.net <nil>
	// gone.test true error 5.1.2 550 5.1.2 No such domain
	// elsewhere.test false   <nil>
}

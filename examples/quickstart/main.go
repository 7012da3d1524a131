// Quickstart is the program in the README: where does an address go?
package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/virtuser"
)

func main() {
	virtual, _ := virtuser.Parse(strings.NewReader("info@example.org\tstaff\n"), "virtusertable")
	aliases, _ := alias.Parse(strings.NewReader("staff: ann, ben@other.test\n"), "aliases")
	r := &mtakit.Resolver{
		LocalDomains: mtakit.DomainSet{"example.org": true},
		Virtual:      virtuser.New(virtual),
		Aliases:      alias.New(aliases, alias.Options{}),
	}
	rcpt, _ := mtakit.ParseAddress("info@example.org")
	res, _ := r.Resolve(context.Background(), mtakit.Address{}, rcpt)
	fmt.Print(res.Explain())
}

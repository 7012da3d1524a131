package virtuser_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/virtuser"
)

func Example() {
	table, err := virtuser.Parse(strings.NewReader(`
info@example.org	staff
joe+*@example.org	joe+%2
old@example.org	error:5.1.6:551 Moved away
@example.org	%1@example.net
`), "virtusertable")
	if err != nil {
		fmt.Println(err)
	}
	m := virtuser.New(table)
	for _, local := range []string{"info", "joe+lists", "old", "eve"} {
		x, ok, err := m.Expand(context.Background(), mtakit.Address{Local: local, Domain: "example.org"})
		fmt.Println(local, "->", x.To[0].To, "by", x.Step.Key, ok, err)
	}
	// Output:
	// info -> staff by info@example.org true <nil>
	// joe+lists -> joe+lists by joe+*@example.org true <nil>
	// old -> error:5.1.6:551 Moved away by old@example.org true <nil>
	// eve -> eve@example.net by @example.org true <nil>
}

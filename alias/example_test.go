package alias_test

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
)

func Example() {
	file, err := alias.Parse(strings.NewReader(`
postmaster: root
team: ann, "Bob B." <bob@example.org>,
      :include:/etc/mail/team.list
owner-team: ann
robot: "|/usr/bin/robot --mail", \robot
`), "aliases")
	if err != nil {
		fmt.Println(err)
	}
	aliases := alias.New(file, alias.Options{})
	for _, name := range []string{"team", "robot+x", "nobody"} {
		x, ok, err := aliases.Expand(context.Background(), mtakit.Address{Local: name})
		fmt.Println(name, ok, err, x.Owner, x.Step.Pos)
		for _, m := range x.To {
			fmt.Printf("\t%T %v\n", m.To, m.To)
		}
	}
	// Output:
	// team true <nil> ann aliases:3:1
	// 	mtakit.Mailbox ann
	// 	mtakit.Mailbox bob@example.org
	// 	mtakit.Include :include:/etc/mail/team.list
	// robot+x true <nil>  aliases:6:1
	// 	mtakit.Pipe "|/usr/bin/robot --mail"
	// 	mtakit.User \robot
	// nobody false <nil>
}

// All mistakes are reported at once, and the good entries are there all the same.
func ExampleParse() {
	file, err := alias.Parse(strings.NewReader("ann: bob\nno colon here\n: nobody\ncarol: dan\n"), "aliases")
	fmt.Println(err)
	for e := range file.All() {
		fmt.Println(e.Pos, e.Key, "->", e.Value)
	}
	// Output:
	// aliases:2:1: missing colon
	// aliases:3:1: : nobody... illegal alias name
	// aliases:1:1 ann -> bob
	// aliases:4:1 carol -> dan
}

// An edit changes nothing but its own entry.
func ExampleFile_Set() {
	file, _ := alias.Parse(strings.NewReader("# our people\nann:\tbob ,\n\tcarol\n\ndan: eve\n"), "aliases")
	file, err := file.Set("ann", "frank")
	if err == nil {
		file, err = file.Remove("dan")
	}
	fmt.Println(err)
	file.WriteTo(os.Stdout)
	// Output:
	// <nil>
	// # our people
	// ann:	frank
}

// newaliases: the entries go wherever the Store puts them.
func ExampleBuilder() {
	var b alias.Builder
	report, err := b.Build(strings.NewReader("ann: bob\nANN: carol\nbad line\n"), "/etc/mail/aliases", func(key, value string) error {
		fmt.Println("store", key, value)
		return nil
	})
	fmt.Print(report)
	fmt.Println(report.Exit, err)
	// Output:
	// store ann bob
	// store ann carol
	// store @ @
	// /etc/mail/aliases: line 2: ANN... Warning: duplicate alias name ann
	// /etc/mail/aliases: line 3: missing colon
	// /etc/mail/aliases: 2 aliases, longest 5 bytes, 14 bytes total
	// 70 <nil>
}

func ExamplePraliases() {
	table := mtakit.MapTable{"ann": "bob", "@": "@"}
	alias.Praliases(context.Background(), os.Stdout, table, "ann", "carol")
	// Output:
	// ann:bob
	// carol: No such key
}

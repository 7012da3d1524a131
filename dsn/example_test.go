package dsn_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/dsn"
)

// A queue reports a failure. The message goes to m.To with the null reverse-path as its sender.
func ExampleNew() {
	at := time.Date(2026, 11, 22, 8, 5, 28, 0, time.UTC)
	m := dsn.New(&dsn.Original{
		From:    mtakit.Address{Local: "ann", Domain: "example.org"},
		Arrived: at,
		Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("Subject: hello\n\nbody\n")), nil
		},
	}, []dsn.Recipient{{
		Final:      dsn.TypedAddress(mtakit.Address{Local: "bob", Domain: "example.net"}),
		Action:     dsn.Failed,
		Status:     mtakit.StatusBadMailbox,
		RemoteMTA:  "mx.example.net",
		Diagnostic: "550 5.1.1 No such user",
	}}, dsn.Options{Host: "mx.example.org", Date: at})
	if m == nil {
		fmt.Println("nobody wants to hear of it")
		return
	}
	fmt.Println(m.To, "|", m.Kind(), "|", m.Subject())
	if _, err := m.WriteTo(io.Discard); err != nil {
		fmt.Println(err)
	}
	// Output: ann@example.org | DSN | Returned mail: see transcript for details
}

// Reports of others tell failures and delays apart by their action.
func ExampleParse() {
	f, err := os.Open("testdata/postfix-like.eml")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	r, err := dsn.Parse(f, "report", nil)
	if r == nil {
		fmt.Println(err)
		return
	}
	for _, rc := range r.Failures() {
		fmt.Println("failed:", rc.Final, rc.Status)
	}
	for _, rc := range r.Delays() {
		fmt.Println("still trying:", rc.Final)
	}
	// Output:
	// failed: utf-8;jörg@example.com 5.1.1
	// still trying: rfc822;late@example.com
}

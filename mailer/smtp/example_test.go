package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/mailer/smtp"
	"github.com/mtakit/mtakit/mailtest"
	"github.com/mtakit/mtakit/mx"
)

// Each recipient of an attempt gets its own result.
func Example() {
	mailtest.Run(func(tb testing.TB) {
		srv := mailtest.NewServer(tb)
		srv.Recipient("gone@example.com", mailtest.OnRcpt, mailtest.Reply("550 5.1.1 No such user"))
		srv.Recipient("busy@example.com", mailtest.OnRcpt, mailtest.Reply("451 4.2.1 Mailbox is being moved"))

		m := smtp.New(&smtp.Options{Hostname: "mail.example.org"})
		defer m.Close()
		text := "Subject: hello\n\nHello\n"
		a := &mtakit.Attempt{
			From: mtakit.Address{Local: "ann", Domain: "example.org"},
			Host: srv.Addr, // a smart host; "example.com" would ask for its MX records
			Size: int64(len(text)),
			Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
		}
		for _, name := range []string{"bob", "gone", "busy"} {
			a.Rcpts = append(a.Rcpts, mtakit.Recipient{Addr: mtakit.Address{Local: name, Domain: "example.com"}})
		}
		for i, r := range m.Deliver(tb.Context(), a) {
			var e *mtakit.Error
			switch {
			case r.Err == nil:
				fmt.Printf("%v: Sent (%s)\n", a.Rcpts[i].Addr, r.Reply)
			case mtakit.Temporary(r.Err):
				fmt.Printf("%v: Deferred: %s\n", a.Rcpts[i].Addr, r.Reply)
			case errors.As(r.Err, &e):
				fmt.Printf("%v: dsn=%v, reply=%s, stat=%s\n", a.Rcpts[i].Addr, e.Status, r.Reply, e.Text)
			}
		}
	})
	// Output:
	// bob@example.com: Sent (Ok: message 1.1)
	// gone@example.com: dsn=5.1.1, reply=550 5.1.1 No such user, stat=User unknown
	// busy@example.com: Deferred: 451 4.2.1 Mailbox is being moved
}

// The planner knows this machine's names, so that mail never loops, and the DNS.
func ExampleNew() {
	m := smtp.New(&smtp.Options{
		Hostname: "mail.example.org",
		Planner: &mx.Planner{
			Resolver: mx.NewCache(mx.NewClient(nil), nil),
			Self:     mtakit.DomainSet{"mail.example.org": true, "localhost": true},
			Fallback: "hub.example.org",
		},
		TLS: smtp.TLSOpportunistic,
	})
	defer m.Close()
	mailers := map[string]mtakit.Mailer{mtakit.MailerESMTP: m, mtakit.MailerRelay: m}
	fmt.Println(len(mailers))
	// Output: 2
}

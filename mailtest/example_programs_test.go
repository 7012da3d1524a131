package mailtest_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"os"
	"strings"
	"testing"

	"github.com/mtakit/mtakit/mailtest"
)

// confirmOrder is what a shop does when an order comes in.
func confirmOrder(server, customer string, order int) error {
	text := fmt.Sprintf("From: shop@example.org\r\nTo: %s\r\nSubject: Your order %d\r\n\r\nThank you.\r\n", customer, order)
	return smtp.SendMail(server, nil, "bounces@example.org", []string{customer}, []byte(text))
}

// A shop sends a confirmation: to the customer alone, with an envelope sender that takes bounces.
func Example_orderConfirmation() {
	mailtest.Run(func(tb testing.TB) {
		srv := mailtest.NewServer(tb)
		if err := confirmOrder(srv.Addr, "bob@example.com", 4711); err != nil {
			tb.Fatal(err)
		}
		for _, m := range srv.Take() {
			fmt.Println("from", m.From, "to", m.To())
			mailtest.Equal(tb, "From: shop@example.org\nTo: bob@example.com\nSubject: Your order 4711\n\nThank you.\n", m.Text())
		}
	})
	// Output: from bounces@example.org to [bob@example.com]
}

// newsletter sends one message to everybody, tries twice where it may, and returns who is to be struck off the list.
func newsletter(server string, list []string) (gone []string) {
	again := list
	for range 2 {
		var later []string
		for _, to := range again {
			err := smtp.SendMail(server, nil, "news@example.org", []string{to}, []byte("Subject: News\r\n\r\n…\r\n"))
			var reply *textproto.Error
			switch {
			case errors.As(err, &reply) && reply.Code >= 500:
				gone = append(gone, to)
			case err != nil:
				later = append(later, to)
			}
		}
		again = later
	}
	return gone
}

// A newsletter program must come back after 4yz, and must not after 5yz.
func Example_newsletter() {
	mailtest.Run(func(tb testing.TB) {
		srv := mailtest.NewUnstarted(tb)
		srv.Greylist = true
		srv.Start()
		srv.Recipient("left@example.com", mailtest.OnRcpt, mailtest.Reply("550 5.1.1 No such user"))
		srv.Script(mailtest.OnConnect, mailtest.Drop()) // the first connection fails altogether
		fmt.Println("struck off:", newsletter(srv.Addr, []string{"ann@example.com", "left@example.com", "bob@example.com"}))
		for _, m := range srv.Messages() {
			fmt.Println("sent to", m.To())
		}
	})
	// Output:
	// struck off: [left@example.com]
	// sent to [bob@example.com]
}

// sendReset mails a password reset link, and refuses to do so in the clear.
func sendReset(server string, conf *tls.Config, to string) error {
	c, err := smtp.Dial(server)
	if err != nil {
		return err
	}
	defer c.Close()
	if ok, _ := c.Extension("STARTTLS"); !ok {
		return errors.New("server does not offer TLS")
	}
	if err := c.StartTLS(conf); err != nil {
		return err
	}
	host, _, _ := strings.Cut(server, ":")
	for _, step := range []func() error{
		func() error { return c.Auth(smtp.PlainAuth("", "app", "secret", host)) },
		func() error { return c.Mail("app@example.org") },
		func() error { return c.Rcpt(to) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	fmt.Fprint(w, "Subject: Reset\r\n\r\nhttps://example.org/reset/…\r\n")
	return w.Close()
}

// Secrets go over TLS to the right server, or not at all.
func Example_passwordReset() {
	mailtest.Run(func(tb testing.TB) {
		conf := mailtest.DefaultCA().ClientConfig()
		conf.ServerName = "sink.test"

		srv := mailtest.NewSubmission(tb, map[string]string{"app": "secret"})
		fmt.Println(sendReset(srv.Addr, conf, "bob@example.com"), srv.Messages()[0].TLS, srv.Messages()[0].User)

		plain := mailtest.NewServer(tb)
		fmt.Println(sendReset(plain.Addr, conf, "bob@example.com"))

		forged := mailtest.NewUnstarted(tb)
		forged.STARTTLS, forged.CA = true, mailtest.NewCA()
		forged.Start()
		fmt.Println(sendReset(forged.Addr, conf, "bob@example.com") != nil, strings.Contains(forged.Dialogue(), "AUTH"))
	})
	// Output:
	// <nil> true app
	// server does not offer TLS
	// true false
}

// bounced lists the recipients that the delivery reports in an mbox file name.
func bounced(path string) (list []string, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for _, text := range strings.Split("\n"+string(data), "\nFrom ")[1:] {
		_, text, _ = strings.Cut(text, "\n")
		m, err := mail.ReadMessage(strings.NewReader(text))
		if err != nil || !strings.Contains(m.Header.Get("Content-Type"), "delivery-status") {
			continue
		}
		for line := range strings.Lines(text) {
			if rcpt, ok := strings.CutPrefix(line, "Final-Recipient: rfc822; "); ok {
				list = append(list, strings.TrimSpace(rcpt))
			}
		}
	}
	return list, nil
}

// A program that reads bounces from a mailbox, fed with real ones among other mail.
func Example_bounceProcessor() {
	mailtest.Run(func(tb testing.TB) {
		original := mailtest.Mail{From: "news@example.org", To: "left@example.com", Subject: "News"}.String()
		path := mailtest.WriteMbox(tb, mailtest.Mbox(mailtest.MboxRD,
			mailtest.MboxMessage{Text: mailtest.Report("mx.example.net", "news@example.org", "left@example.com", "5.1.1", "550 5.1.1 User unknown", original)},
			mailtest.MboxMessage{Sender: "bob@example.com", Text: mailtest.Mail{From: "bob@example.com", Subject: "Re: News", Text: "From me to you"}.String()},
			mailtest.MboxMessage{Text: mailtest.Generate(mailtest.DSN, 7).Text}))
		fmt.Println(bounced(path))
	})
	// Output: [left@example.com gone@example.net] <nil>
}

// archive appends a message to a file; it is there for good when archive returns nil.
func archive(fsys mailtest.FS, text string) error {
	f, err := fsys.OpenFile("archive", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write([]byte(text + "\n")); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return fsys.SyncDir(".")
}

// An archive of messages, with the power cut at every moment of its work.
func Example_archive() {
	ok := mailtest.Run(func(tb testing.TB) {
		n := mailtest.EachCrashPoint(tb, nil, func(fsys mailtest.FS) (safe []string) {
			for _, text := range []string{"one", "two", "three"} {
				if archive(fsys, text) == nil {
					safe = append(safe, text)
				}
			}
			return safe
		}, func(tb testing.TB, p mailtest.CrashPoint, safe []string, fsys mailtest.FS) {
			if got := load(fsys, "archive"); !strings.HasPrefix(got, strings.Join(append(safe, ""), "\n")) {
				tb.Fatalf("%v: %q is not all of %q", p, got, safe)
			}
		})
		fmt.Println(n > 50)
	})
	fmt.Println(ok)
	// Output:
	// true
	// true
}

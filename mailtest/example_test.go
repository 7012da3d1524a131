package mailtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/smtp"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mtakit/mtakit"
	mtasmtp "github.com/mtakit/mtakit/mailer/smtp"
	"github.com/mtakit/mtakit/mailtest"
	"github.com/mtakit/mtakit/mx"
)

// In a test, tb is its *testing.T; Run stands in for one here.
func Example() {
	mailtest.Run(func(tb testing.TB) {
		srv := mailtest.NewServer(tb)
		err := smtp.SendMail(srv.Addr, nil, "ann@example.org", []string{"bob@example.com"}, []byte("Subject: hi\r\n\r\nHello\r\n"))
		msg := srv.Messages()[0]
		fmt.Println(err, msg.From, msg.To())
		fmt.Print(msg.Text())
	})
	// Output:
	// <nil> ann@example.org [bob@example.com]
	// Subject: hi
	//
	// Hello
}

// printReply prints what a server said, or the error.
func printReply(err error) {
	var reply *textproto.Error
	if errors.As(err, &reply) {
		fmt.Println(reply.Code, reply.Msg)
		return
	}
	fmt.Println(err)
}

// Wait is for mail that is sent in the background.
func ExampleServer_Wait() {
	mailtest.Run(func(tb testing.TB) {
		srv := mailtest.NewServer(tb)
		for i := range 3 {
			go smtp.SendMail(srv.Addr, nil, "ann@example.org", []string{fmt.Sprintf("user%d@example.com", i)}, []byte("\r\n"))
		}
		fmt.Println(len(srv.Wait(3)))
	})
	// Output: 3
}

// Steps are taken once each, then the server is normal again.
func ExampleServer_Script() {
	mailtest.Run(func(tb testing.TB) {
		srv := mailtest.NewServer(tb)
		srv.Script(mailtest.OnMail, mailtest.Reply("451 4.3.2 Try later"))
		srv.Script(mailtest.OnData, mailtest.Drop())
		for range 3 {
			printReply(smtp.SendMail(srv.Addr, nil, "ann@example.org", []string{"bob@example.com"}, []byte("\r\n")))
		}
	})
	// Output:
	// 451 4.3.2 Try later
	// EOF
	// <nil>
}

func ExampleServer_Always() {
	mailtest.Run(func(tb testing.TB) {
		srv := mailtest.NewServer(tb)
		srv.Always(mailtest.OnConnect, mailtest.Reply("554 5.3.2 No mail today"))
		_, err := smtp.Dial(srv.Addr)
		printReply(err)
	})
	// Output: 554 5.3.2 No mail today
}

func ExampleServer_Recipient() {
	mailtest.Run(func(tb testing.TB) {
		srv := mailtest.NewServer(tb)
		srv.Recipient("gone@example.com", mailtest.OnRcpt, mailtest.Reply("550 5.1.1 Gone"))
		for _, to := range []string{"bob@example.com", "gone@example.com"} {
			printReply(smtp.SendMail(srv.Addr, nil, "ann@example.org", []string{to}, []byte("\r\n")))
		}
	})
	// Output:
	// <nil>
	// 550 5.1.1 Gone
}

// A Handler decides from the command itself.
func ExampleServer_Handler() {
	mailtest.Run(func(tb testing.TB) {
		srv := mailtest.NewUnstarted(tb)
		srv.Handler = func(c mailtest.Command) (mailtest.Step, bool) {
			if c.Stage == mailtest.OnRcpt && !strings.HasSuffix(c.Address, "@example.com") {
				return mailtest.Reply("550 5.7.1 Relaying denied"), true
			}
			return mailtest.Step{}, false
		}
		srv.Start()
		printReply(smtp.SendMail(srv.Addr, nil, "ann@example.org", []string{"bob@example.net"}, []byte("\r\n")))
	})
	// Output: 550 5.7.1 Relaying denied
}

func ExampleServer_Dialogue() {
	mailtest.Run(func(tb testing.TB) {
		srv := mailtest.NewUnstarted(tb)
		srv.Extensions = []string{"8BITMIME"}
		srv.Start()
		smtp.SendMail(srv.Addr, nil, "ann@example.org", []string{"bob@example.com"}, []byte("Subject: hi\r\n"))
		fmt.Print(srv.Dialogue())
	})
	// Output:
	// -- session 1
	// S: 220 sink.test ESMTP mailtest
	// C: EHLO localhost
	// S: 250-sink.test
	// S: 250 8BITMIME
	// C: MAIL FROM:<ann@example.org> BODY=8BITMIME
	// S: 250 2.1.0 Sender ok
	// C: RCPT TO:<bob@example.com>
	// S: 250 2.1.5 Recipient ok
	// C: DATA
	// S: 354 Go ahead
	// C: (message of 13 bytes)
	// S: 250 2.0.0 Ok: message 1.1
	// C: QUIT
	// S: 221 2.0.0 Bye
}

func ExampleNewSTARTTLS() {
	mailtest.Run(func(tb testing.TB) {
		srv := mailtest.NewSTARTTLS(tb)
		c, err := smtp.Dial(srv.Addr)
		if err != nil {
			tb.Fatal(err)
		}
		defer c.Close()
		conf := mailtest.DefaultCA().ClientConfig()
		conf.ServerName = "sink.test"
		fmt.Println(c.StartTLS(conf))
	})
	// Output: <nil>
}

func ExampleNewSubmission() {
	mailtest.Run(func(tb testing.TB) {
		srv := mailtest.NewSubmission(tb, map[string]string{"ann": "secret"})
		conf := mailtest.DefaultCA().ClientConfig()
		conf.ServerName = "sink.test"
		for _, password := range []string{"wrong", "secret"} {
			c, err := smtp.Dial(srv.Addr)
			if err != nil {
				tb.Fatal(err)
			}
			if err := c.StartTLS(conf); err != nil {
				tb.Fatal(err)
			}
			host, _, _ := strings.Cut(srv.Addr, ":")
			printReply(c.Auth(smtp.PlainAuth("", "ann", password, host)))
			c.Close()
		}
	})
	// Output:
	// 535 5.7.8 Wrong name or password
	// <nil>
}

// In LMTP the verdict comes after the message, once for each recipient.
func ExampleNewLMTP() {
	mailtest.Run(func(tb testing.TB) {
		srv := mailtest.NewLMTP(tb)
		srv.Recipient("full@example.com", mailtest.OnDot, mailtest.Reply("452 4.2.2 Mailbox full"))
		mailer := mtasmtp.New(&mtasmtp.Options{LMTP: true})
		defer mailer.Close()
		attempt := &mtakit.Attempt{
			From: mtakit.Address{Local: "ann", Domain: "example.org"}, Host: srv.Addr,
			Rcpts: []mtakit.Recipient{{Addr: mtakit.Address{Local: "bob", Domain: "example.com"}}, {Addr: mtakit.Address{Local: "full", Domain: "example.com"}}},
			Open: func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader("Subject: hi\n\nHello\n")), nil
			},
		}
		for _, r := range mailer.Deliver(tb.Context(), attempt) {
			fmt.Println(r.Err)
		}
		fmt.Println(srv.Messages()[0].To())
	})
	// Output:
	// <nil>
	// 452 4.2.2 Mailbox full
	// [bob@example.com]
}

// A Network in memory takes the place of TCP. Inside testing/synctest a delay of minutes then takes no time:
//
//	func TestPatience(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			var network mailtest.Network
//			srv := mailtest.NewUnstarted(t)
//			srv.Network = &network
//			srv.Start()
//			srv.Always(mailtest.OnDot, mailtest.Delay(9*time.Minute))
//			… a client whose Dial is network.Dial …
//		})
//	}
func ExampleNetwork() {
	mailtest.Run(func(tb testing.TB) {
		var network mailtest.Network
		srv := mailtest.NewUnstarted(tb)
		srv.Network = &network
		srv.Start()
		conn, err := network.Dial(context.Background(), "tcp", srv.Addr)
		if err != nil {
			tb.Fatal(err)
		}
		defer conn.Close()
		_, err = smtp.NewClient(conn, "sink.test")
		fmt.Println(srv.Addr, err)
	})
	// Output: 192.0.2.2:25 <nil>
}

func ExampleNewDNS() {
	mailtest.Run(func(tb testing.TB) {
		zone := mailtest.NewDNS(tb, `
example.com.     300 IN MX 10 mx.example.com.
mx.example.com.  300 IN A  192.0.2.1
null.example.    300 IN MX 0 .
`)
		zone.Behave("broken.example", "MX", mailtest.ServFail)
		client := mx.NewClient(&mx.ClientOptions{Servers: []string{zone.Addr}})
		planner := &mx.Planner{Resolver: client}
		for _, domain := range []string{"example.com", "null.example", "broken.example", "none.example"} {
			fmt.Println(domain, planner.Plan(tb.Context(), domain).Class)
		}
	})
	// Output:
	// example.com ok
	// null.example null_mx
	// broken.example tempfail
	// none.example nxdomain
}

func ExampleMail() {
	fmt.Print(mailtest.Mail{From: "Ann <ann@example.org>", To: "bob@example.com", Subject: "Größe", Text: "Hello"})
	// Output:
	// From: Ann <ann@example.org>
	// To: bob@example.com
	// Subject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=
	// Date: Fri, 02 Jan 2026 03:04:05 +0000
	// Message-ID: <444d50f3e600fa66@mailtest.example>
	//
	// Hello
}

func ExampleMessages() {
	n, size := 0, 0
	for s := range mailtest.Messages(1, 1000) {
		n++
		size += len(s.Text)
	}
	fmt.Println(n, size)
	// Output: 1000 8562131
}

func ExampleMbox() {
	fmt.Print(string(mailtest.Mbox(mailtest.MboxRD,
		mailtest.MboxMessage{Sender: "ann@example.org", Text: "Subject: one\n\nFrom here on\n"},
		mailtest.MboxMessage{Text: "Subject: two\n\nHello\n"})))
	// Output:
	// From ann@example.org Fri Jan  2 03:04:05 2026
	// Subject: one
	//
	// >From here on
	//
	// From MAILER-DAEMON Fri Jan  2 03:05:05 2026
	// Subject: two
	//
	// Hello
}

func ExampleMaildir() {
	mailtest.Run(func(tb testing.TB) {
		dir := mailtest.Maildir(tb, mailtest.NewMail(1, "Subject: new\n"), mailtest.SeenMail(2, "FS", "Subject: read\n"))
		files, _ := filepath.Glob(dir + "/*/*")
		for _, f := range files {
			rel, _ := filepath.Rel(dir, f)
			fmt.Println(rel)
		}
	})
	// Output:
	// cur/1767323047.M1P1Q2.host.example:2,FS
	// new/1767323046.M1P1Q1.host.example
}

func ExampleQueueDir() {
	mailtest.Run(func(tb testing.TB) {
		dir := mailtest.QueueDir(tb, mailtest.QueueMessage{From: "<ann@example.org>", To: mailtest.To("bob@example.com"), Body: "Hello\n"})
		files, _ := os.ReadDir(dir)
		for _, f := range files {
			fmt.Println(f.Name())
		}
	})
	// Output:
	// df60234500004711
	// qf60234500004711
}

// saveSafely writes a file so that a power cut leaves the old content or the new one.
func saveSafely(fsys mailtest.FS, name, content string) error {
	f, err := fsys.OpenFile(name+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write([]byte(content))
	if err == nil {
		err = f.Sync() // without this line the Example fails
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fsys.Rename(name+".new", name)
	}
	if err == nil {
		err = fsys.SyncDir(".")
	}
	return err
}

func load(fsys mailtest.FS, name string) string {
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	b := make([]byte, 100)
	n, _ := f.Read(b)
	return string(b[:n])
}

// The scenario is stopped before each of its operations; what it promised until then must be there afterwards.
func ExampleEachCrashPoint() {
	ok := mailtest.Run(func(tb testing.TB) {
		setup := &mailtest.CrashOptions{Setup: func(fsys mailtest.FS) { saveSafely(fsys, "state", "old") }}
		mailtest.EachCrashPoint(tb, setup, func(fsys mailtest.FS) (promised bool) {
			return saveSafely(fsys, "state", "new") == nil
		}, func(tb testing.TB, p mailtest.CrashPoint, promised bool, fsys mailtest.FS) {
			if got := load(fsys, "state"); got != "new" && (promised || got != "old") {
				tb.Fatalf("%v: %q", p, got)
			}
		})
	})
	fmt.Println(ok)
	// Output: true
}

// The disk is full at each write in turn: the old state must stay.
func ExampleEachFault() {
	ok := mailtest.Run(func(tb testing.TB) {
		setup := &mailtest.CrashOptions{Setup: func(fsys mailtest.FS) { saveSafely(fsys, "state", "old") }, Ops: mailtest.OpWrite}
		mailtest.EachFault(tb, syscall.ENOSPC, setup, func(fsys mailtest.FS) error {
			return saveSafely(fsys, "state", "new")
		}, func(tb testing.TB, c mailtest.Call, err error, fsys mailtest.FS) {
			if got := load(fsys, "state"); err != nil && got != "old" {
				tb.Fatalf("%v: %q", c, got)
			}
		})
	})
	fmt.Println(ok)
	// Output: true
}

func ExampleDiff() {
	fmt.Print(mailtest.Diff("Subject: a\r\n\r\nHello\r\n", "Subject: a\r\n\r\nHello \n"))
	// Output:
	// @@ line 1
	//  Subject: a\r
	//  \r
	// -Hello\r
	// +Hello·
}

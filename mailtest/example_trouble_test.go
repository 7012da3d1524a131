package mailtest_test

import (
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/mailtest"
)

// A server that says 421 when a session wants to send more than two messages.
func ExampleServer_maxMessages() {
	mailtest.Run(func(tb testing.TB) {
		srv := mailtest.NewUnstarted(tb)
		srv.MaxMessages = 2
		srv.Start()
		c, err := smtp.Dial(srv.Addr)
		if err != nil {
			tb.Fatal(err)
		}
		defer c.Close()
		for range 3 {
			if err := c.Mail("ann@example.org"); err != nil {
				printReply(err)
				break
			}
			c.Rcpt("bob@example.com")
			w, err := c.Data()
			if err != nil {
				tb.Fatal(err)
			}
			fmt.Println("sent", w.Close())
		}
		fmt.Println("open again:", smtp.SendMail(srv.Addr, nil, "ann@example.org", []string{"bob@example.com"}, []byte("\r\n")))
	})
	// Output:
	// sent <nil>
	// sent <nil>
	// 421 4.7.0 Too many messages in this session
	// open again: <nil>
}

// The first attempt of each pair of sender and recipient is put off.
func ExampleServer_greylist() {
	mailtest.Run(func(tb testing.TB) {
		srv := mailtest.NewUnstarted(tb)
		srv.Greylist = true
		srv.Start()
		for range 2 {
			printReply(smtp.SendMail(srv.Addr, nil, "ann@example.org", []string{"bob@example.com"}, []byte("\r\n")))
		}
	})
	// Output:
	// 451 4.7.1 Greylisted, try again later
	// <nil>
}

// STARTTLS is offered and accepted, and then the handshake goes wrong. A client that goes on in the clear on the same
// connection has lost.
func ExampleServer_badTLS() {
	mailtest.Run(func(tb testing.TB) {
		srv := mailtest.NewUnstarted(tb)
		srv.STARTTLS, srv.BadTLS = true, true
		srv.Start()
		c, err := smtp.Dial(srv.Addr)
		if err != nil {
			tb.Fatal(err)
		}
		defer c.Close()
		conf := mailtest.DefaultCA().ClientConfig()
		conf.ServerName = "sink.test"
		fmt.Println("TLS works:", c.StartTLS(conf) == nil)
		fmt.Println("MAIL works:", c.Mail("ann@example.org") == nil)
	})
	// Output:
	// TLS works: false
	// MAIL works: false
}

// TLSA records with and without the AD bit, an alias, and a server that does not answer.
func ExampleDNS() {
	mailtest.Run(func(tb testing.TB) {
		zone := mailtest.NewDNS(tb, `
example.com.              300 IN MX    10 mx.example.com.
_25._tcp.mx.example.com.  300 IN TLSA  3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
_25._tcp.mx.example.net.  300 IN TLSA  3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
www.example.com.          300 IN CNAME example.com.
`)
		zone.Secure("example.com")
		zone.Behave("slow.example", "", mailtest.Timeout)
		client := dns.Client{Timeout: 100 * time.Millisecond}
		for _, q := range []struct {
			name  string
			qtype uint16
		}{
			{"_25._tcp.mx.example.com.", dns.TypeTLSA}, {"_25._tcp.mx.example.net.", dns.TypeTLSA}, {"www.example.com.", dns.TypeMX},
			{"slow.example.", dns.TypeMX},
		} {
			m, _, err := client.Exchange(new(dns.Msg).SetQuestion(q.name, q.qtype), zone.Addr)
			var ne net.Error
			if errors.As(err, &ne) {
				fmt.Println(q.name, "timeout:", ne.Timeout())
				continue
			}
			fmt.Println(q.name, len(m.Answer), "AD:", m.AuthenticatedData)
		}
	})
	// Output:
	// _25._tcp.mx.example.com. 1 AD: true
	// _25._tcp.mx.example.net. 1 AD: false
	// www.example.com. 2 AD: true
	// slow.example. timeout: true
}

// A parser is fed every sample of its table, and complains about the lines that are wrong.
func ExampleTables() {
	mailtest.Run(func(tb testing.TB) {
		for _, table := range mailtest.Tables() {
			if table.Kind != mailtest.Aliases || table.Bad == nil {
				continue
			}
			f, err := os.Open(table.Write(tb))
			if err != nil {
				tb.Fatal(err)
			}
			_, err = alias.Parse(f, "aliases")
			f.Close()
			var se *mtakit.SyntaxError
			fmt.Println(table.Name, table.Bad, errors.As(err, &se) && slices.Contains(table.Bad, se.Pos.Line))
		}
	})
	// Output:
	// no-colon [2] true
	// lost-continuation [1] true
}

// A queue runner is sent through directories in every state.
func ExampleQueueStates() {
	mailtest.Run(func(tb testing.TB) {
		for _, state := range mailtest.QueueStates() {
			if !strings.Contains(state.Name, "tf") {
				continue
			}
			files, err := os.ReadDir(state.Create(tb))
			fmt.Printf("%s (%s): %d files, %d to deliver, %v\n", state.Name, state.About, len(files), state.Deliverable, err)
		}
	})
	// Output:
	// half-written-tf (an update was cut off: the old control file counts): 3 files, 1 to deliver, <nil>
	// whole-tf (an update was written but not renamed): 3 files, 1 to deliver, <nil>
	// tf-alone (a control file that never got its name): 2 files, 0 to deliver, <nil>
}

// Instead of a sleep that is too short on a busy day.
func ExampleWaitFor() {
	mailtest.Run(func(tb testing.TB) {
		var done atomic.Bool
		time.AfterFunc(5*time.Millisecond, func() { done.Store(true) })
		mailtest.WaitFor(tb, "the job to be done", done.Load)
		fmt.Println(done.Load())
	})
	// Output: true
}

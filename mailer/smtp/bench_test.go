package smtp_test

import (
	"context"
	"strings"
	"testing"

	gosmtp "github.com/emersion/go-smtp"
	"github.com/mtakit/mtakit/mailer/smtp"
	"github.com/mtakit/mtakit/mailtest"
)

// BenchmarkDeliver is a 4 KB message to one recipient over a session that is kept, as to a busy smart host. The figures
// include the receiving server, which runs in the same process.
func BenchmarkDeliver(b *testing.B) {
	srv := mailtest.NewUnstarted(b)
	srv.Discard = true
	srv.Start()
	m := newMailer(b, smtp.Options{})
	a := attempt(srv.Addr, benchText, "bob@sink.test")
	b.SetBytes(a.Size)
	b.ReportAllocs()
	for b.Loop() {
		if r := m.Deliver(context.Background(), a)[0]; r.Err != nil {
			b.Fatal(r.Err)
		}
	}
}

// BenchmarkPeerGoSMTP is the same with the client of emersion/go-smtp, which waits for each reply before the next
// command.
func BenchmarkPeerGoSMTP(b *testing.B) {
	srv := mailtest.NewUnstarted(b)
	srv.Discard = true
	srv.Start()
	c, err := gosmtp.Dial(srv.Addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	text := strings.ReplaceAll(benchText, "\n", "\r\n")
	b.SetBytes(int64(len(benchText)))
	b.ReportAllocs()
	for b.Loop() {
		if err := c.SendMail("ann@example.org", []string{"bob@sink.test"}, strings.NewReader(text)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDeliverParallel is 50 senders at once, each message to its own recipient.
func BenchmarkDeliverParallel(b *testing.B) {
	srv := mailtest.NewUnstarted(b)
	srv.Discard = true
	srv.Start()
	m := newMailer(b, smtp.Options{})
	b.SetBytes(int64(len(benchText)))
	b.ReportAllocs()
	b.SetParallelism(25)
	b.RunParallel(func(pb *testing.PB) {
		a := attempt(srv.Addr, benchText, "bob@sink.test")
		for pb.Next() {
			if r := m.Deliver(context.Background(), a)[0]; r.Err != nil {
				b.Fatal(r.Err)
			}
		}
	})
}

// BenchmarkDeliverLarge is a message with a 10 MB attachment.
func BenchmarkDeliverLarge(b *testing.B) {
	srv := mailtest.NewUnstarted(b)
	srv.Discard = true
	srv.Start()
	m := newMailer(b, smtp.Options{})
	a := attempt(srv.Addr, strings.Repeat(benchText, 10<<20/len(benchText)), "bob@sink.test")
	b.SetBytes(a.Size)
	b.ReportAllocs()
	for b.Loop() {
		if r := m.Deliver(context.Background(), a)[0]; r.Err != nil {
			b.Fatal(r.Err)
		}
	}
}

var benchText = "Subject: benchmark\n\n" + strings.Repeat("A line of text as people write it, of seventy-two characters or less.\n", 58)

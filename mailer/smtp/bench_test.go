package smtp_test

import (
	"context"
	"strings"
	"testing"

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
	a := attempt(srv.Addr, "Subject: benchmark\n\n"+strings.Repeat("A line of text as people write it, of seventy-two characters or less.\n", 58), "bob@sink.test")
	b.SetBytes(a.Size)
	b.ReportAllocs()
	for b.Loop() {
		if r := m.Deliver(context.Background(), a)[0]; r.Err != nil {
			b.Fatal(r.Err)
		}
	}
}

package smtp_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/mailer/smtp"
	"github.com/mtakit/mtakit/mailtest"
	"github.com/mtakit/mtakit/mx"
)

// attempt makes an Attempt for a message text.
func attempt(host, text string, to ...string) *mtakit.Attempt {
	a := &mtakit.Attempt{
		ID: "4AM8DQYh004610", From: addr("ann@example.org"), Mailer: "esmtp", Host: host, Size: int64(len(text)),
		Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
	}
	for _, t := range to {
		a.Rcpts = append(a.Rcpts, mtakit.Recipient{Addr: addr(t)})
	}
	return a
}

func addr(s string) mtakit.Address {
	i := strings.LastIndexByte(s, '@')
	return mtakit.Address{Local: s[:i], Domain: s[i+1:]}
}

// newMailer returns a Mailer that is closed with the test.
func newMailer(tb testing.TB, o smtp.Options) *smtp.Mailer {
	if o.Hostname == "" {
		o.Hostname = "client.test"
	}
	m := smtp.New(&o)
	tb.Cleanup(func() { m.Close() })
	return m
}

const text = "Subject: hello\n\nHello, world.\n.\n..dots\nlast\n"

// planner asks the name server of a test.
func planner(zone *mailtest.DNS) *mx.Planner {
	return &mx.Planner{Resolver: mx.NewClient(&mx.ClientOptions{Servers: []string{zone.Addr}})}
}

package smtp_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"

	gosmtp "github.com/emersion/go-smtp"
	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/mailer/smtp"
	"github.com/mtakit/mtakit/mailtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// goServer is a backend of emersion/go-smtp that keeps what it gets.
type goServer struct {
	mu    sync.Mutex
	texts []string
	mail  gosmtp.MailOptions
	rcpt  []gosmtp.RcptOptions
}

func (g *goServer) NewSession(*gosmtp.Conn) (gosmtp.Session, error) { return g, nil }
func (g *goServer) Reset()                                          {}
func (g *goServer) Logout() error                                   { return nil }

func (g *goServer) Mail(_ string, o *gosmtp.MailOptions) error {
	g.mail = *o
	return nil
}

func (g *goServer) Rcpt(_ string, o *gosmtp.RcptOptions) error {
	g.rcpt = append(g.rcpt, *o)
	return nil
}

func (g *goServer) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.texts = append(g.texts, string(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))))
	return err
}

// The server of another project gets every message and parameter as it was meant, in SMTP and LMTP.
func TestGoSMTPServer(t *testing.T) {
	t.Parallel()
	for _, lmtp := range []bool{false, true} {
		g := &goServer{}
		srv := gosmtp.NewServer(g)
		srv.Domain, srv.LMTP, srv.EnableDSN, srv.EnableSMTPUTF8, srv.MaxLineLength = "sink.test", lmtp, true, true, 1<<20
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		go srv.Serve(l)
		t.Cleanup(func() { srv.Close() })

		m := newMailer(t, smtp.Options{LMTP: lmtp})
		var want []string
		for s := range mailtest.Messages(5, 69) {
			a := attempt(l.Addr().String(), s.Text, "bob@sink.test", "carol@sink.test")
			a.SMTPUTF8 = s.SMTPUTF8
			for _, r := range m.Deliver(t.Context(), a) {
				require.NoError(t, r.Err, "%s", s.Kind)
			}
			text := string(bytes.ReplaceAll([]byte(s.CRLF()), []byte("\r\n"), []byte("\n")))
			want = append(want, text)
		}
		assert.Equal(t, want, g.texts)

		a := attempt(l.Addr().String(), text, "bob@sink.test")
		a.Ret, a.EnvID, a.BodyType, a.Rcpts[0].Notify = "HDRS", "a+b c", "8BITMIME", mtakit.NotifySuccess|mtakit.NotifyFailure
		a.Rcpts[0].Original = "rfc822;bob+x@example.org"
		g.rcpt = nil
		require.NoError(t, m.Deliver(t.Context(), a)[0].Err)
		assert.Equal(t, gosmtp.MailOptions{Body: gosmtp.Body8BitMIME, Size: a.Size, Return: gosmtp.DSNReturnHeaders, EnvelopeID: "a+b c"}, g.mail)
		assert.Equal(t, []gosmtp.RcptOptions{{Notify: []gosmtp.DSNNotify{gosmtp.DSNNotifySuccess, gosmtp.DSNNotifyFailure},
			OriginalRecipientType: gosmtp.DSNAddressTypeRFC822, OriginalRecipient: "bob+x@example.org"}}, g.rcpt)
	}
}

package mailtest_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
	"github.com/mtakit/mtakit/mailtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// send delivers a message with a client that is not ours.
func send(c *gosmtp.Client, from string, to []string, text string) error {
	return c.SendMail(from, to, strings.NewReader(strings.ReplaceAll(text, "\n", "\r\n")))
}

func dial(t *testing.T, srv *mailtest.Server) *gosmtp.Client {
	t.Helper()
	nc, err := net.Dial("tcp", srv.Addr)
	require.NoError(t, err)
	c := gosmtp.NewClient(nc)
	if srv.LMTP {
		c = gosmtp.NewClientLMTP(nc)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

const hello = "Subject: hello\n\nHello\n.\n..\n"

// Another project's client and every flavour of server understand each other.
func TestFlavours(t *testing.T) {
	t.Parallel()
	conf := mailtest.DefaultCA().ClientConfig()
	conf.ServerName = "sink.test"
	for name, open := range map[string]func(t *testing.T) (*mailtest.Server, *gosmtp.Client){
		"SMTP": func(t *testing.T) (*mailtest.Server, *gosmtp.Client) {
			srv := mailtest.NewServer(t)
			return srv, dial(t, srv)
		},
		"LMTP": func(t *testing.T) (*mailtest.Server, *gosmtp.Client) {
			srv := mailtest.NewLMTP(t)
			return srv, dial(t, srv)
		},
		"TLS": func(t *testing.T) (*mailtest.Server, *gosmtp.Client) {
			srv := mailtest.NewTLS(t)
			c, err := gosmtp.DialTLS(srv.Addr, conf)
			require.NoError(t, err)
			return srv, c
		},
		"STARTTLS": func(t *testing.T) (*mailtest.Server, *gosmtp.Client) {
			srv := mailtest.NewSTARTTLS(t)
			c, err := gosmtp.DialStartTLS(srv.Addr, conf)
			require.NoError(t, err)
			return srv, c
		},
		"submission PLAIN": func(t *testing.T) (*mailtest.Server, *gosmtp.Client) {
			srv := mailtest.NewSubmission(t, map[string]string{"ann": "secret"})
			c, err := gosmtp.DialStartTLS(srv.Addr, conf)
			require.NoError(t, err)
			require.NoError(t, c.Auth(sasl.NewPlainClient("", "ann", "secret")))
			return srv, c
		},
		"submission LOGIN": func(t *testing.T) (*mailtest.Server, *gosmtp.Client) {
			srv := mailtest.NewSubmission(t, map[string]string{"ann": "secret"})
			c, err := gosmtp.DialStartTLS(srv.Addr, conf)
			require.NoError(t, err)
			require.NoError(t, c.Auth(sasl.NewLoginClient("ann", "secret")))
			return srv, c
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, c := open(t)
			defer c.Close()
			require.NoError(t, send(c, "ann@example.org", []string{"bob@sink.test", "carol@sink.test"}, hello))
			require.NoError(t, c.Quit())
			msg := srv.Wait(1)[0]
			assert.Equal(t, hello, msg.Text())
			assert.Equal(t, "ann@example.org", msg.From)
			assert.Equal(t, []string{"bob@sink.test", "carol@sink.test"}, msg.To())
			assert.Equal(t, strings.Contains(name, "TLS") || strings.Contains(name, "submission"), msg.TLS)
			if strings.Contains(name, "submission") {
				assert.Equal(t, "ann", msg.User)
			}
		})
	}
}

func TestSubmissionRefuses(t *testing.T) {
	t.Parallel()
	srv := mailtest.NewSubmission(t, map[string]string{"ann": "secret"})
	c := dial(t, srv)
	assertReply(t, "535 5.7.8", c.Auth(sasl.NewPlainClient("", "ann", "wrong")))
	assertReply(t, "535 5.7.8", c.Auth(sasl.NewPlainClient("", "bob", "")))
	assertReply(t, "530 5.7.0", c.Mail("ann@example.org", nil))
}

func assertReply(t *testing.T, want string, err error) {
	t.Helper()
	var se *gosmtp.SMTPError
	if assert.ErrorAs(t, err, &se) {
		assert.Equal(t, want, fmt.Sprintf("%d %d.%d.%d", se.Code, se.EnhancedCode[0], se.EnhancedCode[1], se.EnhancedCode[2]))
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	srv := mailtest.NewUnstarted(t)
	srv.MaxMessages, srv.MaxBytes, srv.Greylist = 1, 1000, true
	srv.Start()
	c := dial(t, srv)
	assertReply(t, "451 4.7.1", send(c, "ann@example.org", []string{"bob@sink.test"}, hello))
	require.NoError(t, c.Reset())
	require.NoError(t, send(c, "ann@example.org", []string{"bob@sink.test"}, hello))
	assertReply(t, "421 4.7.0", send(c, "ann@example.org", []string{"bob@sink.test"}, hello))
	c = dial(t, srv)
	assertReply(t, "552 5.3.4", c.Mail("ann@example.org", &gosmtp.MailOptions{Size: 2000}))
	c = dial(t, srv)
	assertReply(t, "552 5.3.4", send(c, "ann@example.org", []string{"bob@sink.test"}, strings.Repeat(hello, 100)))
	assert.Len(t, srv.Messages(), 1)
}

// raw speaks line by line, to see exactly what a server says.
type raw struct {
	*textproto.Conn
	t *testing.T
}

func dialRaw(t *testing.T, srv *mailtest.Server) raw {
	t.Helper()
	c, err := textproto.Dial("tcp", srv.Addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return raw{c, t}
}

// expect sends lines and wants these replies, in order.
func (r raw) expect(send string, want ...string) {
	r.t.Helper()
	if send != "" {
		_, err := io.WriteString(r.W, strings.ReplaceAll(send, "\n", "\r\n")+"\r\n")
		require.NoError(r.t, err)
		require.NoError(r.t, r.W.Flush())
	}
	for _, w := range want {
		got, err := r.ReadLine()
		require.NoError(r.t, err)
		assert.Equal(r.t, w, got)
	}
}

func TestProtocol(t *testing.T) {
	t.Parallel()
	srv := mailtest.NewUnstarted(t)
	srv.Extensions = []string{"PIPELINING", "CHUNKING"}
	srv.Start()
	r := dialRaw(t, srv)
	r.expect("", "220 sink.test ESMTP mailtest")
	r.expect("EHLO me", "250-sink.test", "250-PIPELINING", "250 CHUNKING")
	r.expect("RCPT TO:<a@b>", "503 5.5.1 Need MAIL first")
	r.expect("DATA", "503 5.5.1 Need RCPT first")
	r.expect("MAIL FROM:a@b", "501 5.5.4 Want MAIL FROM:<address>")
	r.expect("WHAT", "500 5.5.1 Unknown command")
	r.expect("VRFY ann", "252 2.5.0 Cannot say")
	r.expect("STARTTLS", "503 5.5.1 TLS is not available")
	r.expect("AUTH PLAIN", "503 5.5.1 AUTH is not available")
	r.expect("LHLO me", "500 5.5.1 Wrong protocol")
	r.expect("MAIL FROM:<>\nRCPT TO:<\"a b>\"@c.d> NOTIFY=NEVER\nMAIL FROM:<x@y>\nDATA\na\n..b\n.\nNOOP",
		"250 2.1.0 Sender ok", "250 2.1.5 Recipient ok", "503 5.5.1 Nested MAIL", "354 Go ahead", "250 2.0.0 Ok: message 1.1", "250 2.0.0 Ok")
	r.Close()
	m := srv.Messages()
	require.Len(t, m, 1)
	assert.Equal(t, "a\r\n.b\r\n", string(m[0].Data))
	assert.Equal(t, []mailtest.Rcpt{{Addr: `"a b>"@c.d`, Params: "NOTIFY=NEVER"}}, m[0].Rcpts)
}

func TestBDAT(t *testing.T) {
	t.Parallel()
	srv := mailtest.NewServer(t)
	nc, err := net.Dial("tcp", srv.Addr)
	require.NoError(t, err)
	defer nc.Close()
	_, err = io.WriteString(nc, "EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 6\r\n.\r\nab\nBDAT 0 LAST\r\nQUIT\r\n")
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, nc)
	require.NoError(t, err)
	assert.Equal(t, ".\r\nab\n", string(srv.Messages()[0].Data))
}

// Only CRLF.CRLF ends a message.
func TestFinalDot(t *testing.T) {
	t.Parallel()
	srv := mailtest.NewServer(t)
	nc, err := net.Dial("tcp", srv.Addr)
	require.NoError(t, err)
	defer nc.Close()
	const body = "a\n.\nb\r\n.\nc\n.\r\nd\r.\r\ne\r\n"
	_, err = io.WriteString(nc, "HELO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"+body+".\r\nQUIT\r\n")
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, nc)
	require.NoError(t, err)
	assert.Equal(t, strings.Replace(body, "\r\n.\n", "\r\n\n", 1), string(srv.Messages()[0].Data))
}

func TestScripts(t *testing.T) {
	t.Parallel()
	srv := mailtest.NewServer(t)
	srv.Script(mailtest.OnRcpt, mailtest.Reply("451 4.7.1 first"), mailtest.Reply("452 4.2.2 second\n452 4.2.2 line"))
	srv.Always(mailtest.OnMail, mailtest.Reply("250 fine"))
	srv.Recipient("Gone@sink.test", mailtest.OnRcpt, mailtest.Reply("550 5.1.1 gone"))
	r := dialRaw(t, srv)
	r.expect("", "220 sink.test ESMTP mailtest")
	r.expect("HELO me", "250 sink.test")
	r.expect("MAIL FROM:<a@b>", "250 fine")
	r.expect("RCPT TO:<gone@SINK.test>", "550 5.1.1 gone")
	r.expect("RCPT TO:<x@sink.test>", "451 4.7.1 first")
	r.expect("RCPT TO:<x@sink.test>", "452-4.2.2 second", "452 4.2.2 line")
	r.expect("RCPT TO:<x@sink.test>", "250 2.1.5 Recipient ok")
	srv.Reset()
	r.expect("RCPT TO:<gone@sink.test>", "250 2.1.5 Recipient ok")
	srv.Script(mailtest.OnDot, mailtest.Step{Drop: true, Keep: true})
	r.expect("DATA\nx\n.", "354 Go ahead")
	_, err := r.ReadLine()
	assert.ErrorIs(t, err, io.EOF)
	assert.Len(t, srv.Wait(1)[0].Rcpts, 2)
	assert.Contains(t, srv.Dialogue(), "C: RCPT TO:<x@sink.test>\nS: 452-4.2.2 second\nS: 452 4.2.2 line\n")
	mailtest.WaitFor(t, "the end of the session", func() bool { return srv.Sessions()[0].Closed })
}

// Start and end of a server, with a message between, take no more than five milliseconds. The best of many runs counts:
// the machine has other things to do.
func TestStartsQuickly(t *testing.T) {
	best := time.Hour
	for range 50 {
		start := time.Now()
		srv := mailtest.NewServer(t)
		zone := mailtest.NewDNS(t, "a.test. IN A 192.0.2.1")
		_ = zone
		best = min(best, time.Since(start))
		srv.Close()
	}
	assert.Less(t, best, 5*time.Millisecond)
}

// In a synctest bubble minutes pass in no time, and a goroutine left behind is noticed.
func TestSynctest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var network mailtest.Network
		srv := mailtest.NewUnstarted(t)
		srv.Network = &network
		srv.Start()
		srv.Always(mailtest.OnRcpt, mailtest.Delay(4*time.Minute))
		nc, err := network.Dial(t.Context(), "tcp", srv.Addr)
		require.NoError(t, err)
		c := gosmtp.NewClient(nc)
		c.CommandTimeout = time.Hour
		start := time.Now()
		require.NoError(t, send(c, "ann@example.org", []string{"bob@sink.test"}, hello))
		assert.Equal(t, 4*time.Minute, time.Since(start))
		c.CommandTimeout = time.Minute
		err = send(c, "ann@example.org", []string{"bob@sink.test"}, hello)
		var ne net.Error
		require.ErrorAs(t, err, &ne)
		assert.True(t, ne.Timeout())
		c.Close()
	})
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	var n mailtest.Network
	_, err := n.Dial(t.Context(), "tcp", "192.0.2.1:25")
	assert.ErrorContains(t, err, "connection refused")
	l, err := n.Listen("192.0.2.1:25")
	require.NoError(t, err)
	_, err = n.Listen("192.0.2.1:25")
	require.Error(t, err)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		io.Copy(c, c)
		c.Close()
	}()
	c, err := n.Dial(t.Context(), "tcp", "192.0.2.1:25")
	require.NoError(t, err)
	big := strings.Repeat("0123456789", 100_000) // more than the buffers hold
	go io.WriteString(c, big+"\n")
	line, err := bufio.NewReaderSize(c, 1<<21).ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, big+"\n", line)

	require.NoError(t, c.SetReadDeadline(time.Now().Add(5*time.Millisecond)))
	_, err = c.Read(make([]byte, 1))
	var ne net.Error
	require.ErrorAs(t, err, &ne)
	assert.True(t, ne.Timeout())
	require.NoError(t, c.SetReadDeadline(time.Time{}))
	require.NoError(t, c.Close())
	_, err = c.Write([]byte("x"))
	assert.ErrorIs(t, err, net.ErrClosed)
	require.NoError(t, l.Close())
	_, err = n.Dial(t.Context(), "tcp", "192.0.2.1:25")
	assert.ErrorContains(t, err, "connection refused")
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	ca := mailtest.NewCA()
	for _, tt := range []struct {
		name string
		cert tls.Certificate
		ok   bool
	}{
		{"good", ca.Certificate("mx.test"), true},
		{"expired", ca.ExpiredCertificate("mx.test"), false},
		{"another name", ca.Certificate("my.test"), false},
		{"another authority", mailtest.NewCA().Certificate("mx.test"), false},
	} {
		srv := mailtest.NewUnstarted(t)
		srv.ImplicitTLS, srv.TLSConfig = true, &tls.Config{Certificates: []tls.Certificate{tt.cert}}
		srv.Start()
		conf := ca.ClientConfig()
		conf.ServerName = "mx.test"
		c, err := tls.Dial("tcp", srv.Addr, conf)
		assert.Equal(t, tt.ok, err == nil, "%s: %v", tt.name, err)
		if err == nil {
			c.Close()
		}
	}
	assert.Contains(t, string(ca.PEM()), "BEGIN CERTIFICATE")
}

func TestRun(t *testing.T) {
	t.Parallel()
	order := ""
	ok := mailtest.Run(func(tb testing.TB) {
		dir := tb.TempDir()
		tb.Cleanup(func() { order += "1" })
		tb.Cleanup(func() { order += "2"; assert.DirExists(t, dir) })
		tb.Cleanup(func() { assert.Error(t, tb.Context().Err()) })
		mailtest.NewServer(tb)
		tb.FailNow()
		order += "never"
	})
	assert.False(t, ok)
	assert.Equal(t, "21", order)
	assert.True(t, mailtest.Run(func(tb testing.TB) { tb.SkipNow() }))
	assert.PanicsWithError(t, "boom", func() { mailtest.Run(func(testing.TB) { panic(errors.New("boom")) }) })
}

func TestDiff(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ want, got, diff string }{
		{"a\nb\n", "a\nb\n", ""},
		{"a\n", "b\n", "@@ line 1\n-a\n+b\n"},
		{"a\n", "a", "@@ line 1\n-a\n+a (no line end)\n"},
		{"a\r\n", "a \n", "@@ line 1\n-a\\r\n+a·\n"},
		{"a\tb\x00\xffü\n", "", "@@ line 1\n-a\\tb\\x00\\xffü\n"},
		{"1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\n5\nx\n7\n8\n9\n", "@@ line 3\n 3\n 4\n 5\n-6\n+x\n 7\n 8\n 9\n"},
		{"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n", "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n", "@@ line 1\n+0\n 1\n 2\n 3\n@@ line 7\n 7\n 8\n 9\n-10\n"},
	} {
		assert.Equal(t, tt.diff, mailtest.Diff(tt.want, tt.got))
	}
}

package smtp_test

import (
	"strings"
	"testing"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/mailer/smtp"
	"github.com/mtakit/mtakit/mailtest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParameters(t *testing.T) {
	t.Parallel()
	all := func(a *mtakit.Attempt) {
		a.BodyType, a.Ret, a.EnvID = "8BITMIME", "HDRS", "id+1=2 ü"
		a.Rcpts[0].Notify = mtakit.NotifySuccess | mtakit.NotifyDelay
		a.Rcpts[0].Original = "rfc822;Bob+x@Example.ORG"
	}
	for _, tt := range []struct {
		name       string
		extensions []string
		set        func(*mtakit.Attempt)
		mail, rcpt string
	}{
		{"none wanted", nil, func(*mtakit.Attempt) {}, "SIZE=44", ""},
		{"size not known", nil, func(a *mtakit.Attempt) { a.Size = -1 }, "", ""},
		{"all", nil, all, "SIZE=44 BODY=8BITMIME RET=HDRS ENVID=id+2B1+3D2+20+C3+BC", "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2Bx@Example.ORG"},
		{"nothing offered", []string{}, all, "", ""},
		{"DSN alone", []string{"dsn"}, all, "RET=HDRS ENVID=id+2B1+3D2+20+C3+BC", "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2Bx@Example.ORG"},
		{"8BITMIME alone", []string{"8BITMIME"}, all, "BODY=8BITMIME", ""},
		{"never", nil, func(a *mtakit.Attempt) { a.Rcpts[0].Notify = mtakit.NotifyNever }, "SIZE=44", "NOTIFY=NEVER"},
		{"nonsense stays out", nil, func(a *mtakit.Attempt) {
			a.BodyType, a.Ret, a.Rcpts[0].Original = "BINARYMIME\r\nRSET", "ALL", "no type"
		}, "SIZE=44", ""},
		{"ORCPT of type utf-8", nil, func(a *mtakit.Attempt) { a.Rcpts[0].Original = "utf-8;ü+x@y.org" }, "SIZE=44", `ORCPT=utf-8;\x{FC}\x{2B}x@y.org`},
		{"ORCPT of type utf-8, SMTPUTF8", nil, func(a *mtakit.Attempt) {
			a.SMTPUTF8, a.Rcpts[0].Original = true, "utf-8;ü+x@y.org"
		}, "SIZE=44 SMTPUTF8", `ORCPT=utf-8;ü\x{2B}x@y.org`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := mailtest.NewUnstarted(t)
			srv.Extensions = tt.extensions
			srv.Start()
			a := attempt(srv.Addr, text, "bob@sink.test")
			tt.set(a)
			require.NoError(t, newMailer(t, smtp.Options{}).Deliver(t.Context(), a)[0].Err)
			msg := srv.Messages()[0]
			assert.Equal(t, tt.mail, msg.Params)
			assert.Equal(t, tt.rcpt, msg.Rcpts[0].Params)
		})
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for _, lmtp := range []bool{false, true} {
		srv := mailtest.NewUnstarted(t)
		srv.MaxBytes, srv.LMTP = 100, lmtp
		srv.Start()
		m := newMailer(t, smtp.Options{LMTP: lmtp})
		require.NoError(t, m.Deliver(t.Context(), attempt(srv.Addr, text, "bob@sink.test"))[0].Err)
		r := m.Deliver(t.Context(), attempt(srv.Addr, strings.Repeat(text, 3), "bob@sink.test"))[0]
		want := outcome{"5.3.4", "Message is too large; 100 bytes max", "", false, false}
		if lmtp {
			want.Status = "5.2.3"
		}
		assert.Equal(t, want, outcomeOf(r))
		assert.NotContains(t, srv.Dialogue(), "SIZE=132", "a message that is too large is not even tried")
	}
}

func TestSMTPUTF8(t *testing.T) {
	t.Parallel()
	const utf8Header = "Subject: Grüße\n\nHello\n"
	for _, tt := range []struct {
		name, from, to, text string
		declared             bool
		offered              bool
		mail, rcpt, status   string
	}{
		{"local part, offered", "jürgen@bücher.example", "用户@例子.example", text, true, true,
			"MAIL FROM:<jürgen@bücher.example> SMTPUTF8", "RCPT TO:<用户@例子.example>", ""},
		{"local part, not offered", "jürgen@bücher.example", "bob@sink.test", text, true, false, "", "", "5.6.7"},
		{"recipient, not offered", "ann@example.org", "jürgen@sink.test", text, false, false, "", "", "5.6.7"},
		{"domain only, not offered", "ann@bücher.example", "bob@例子.example", text, true, false,
			"MAIL FROM:<ann@xn--bcher-kva.example>", "RCPT TO:<bob@xn--fsqu00a.example>", ""},
		{"header, offered", "ann@example.org", "bob@sink.test", utf8Header, true, true,
			"MAIL FROM:<ann@example.org> SMTPUTF8", "RCPT TO:<bob@sink.test>", ""},
		{"header, not offered", "ann@example.org", "bob@sink.test", utf8Header, true, false, "", "", "5.6.9"},
		{"header, not declared", "ann@example.org", "bob@sink.test", utf8Header, false, false,
			"MAIL FROM:<ann@example.org>", "RCPT TO:<bob@sink.test>", ""},
		{"declared without need", "ann@example.org", "bob@sink.test", "Subject: x\n\nGrüße\n", true, false,
			"MAIL FROM:<ann@example.org>", "RCPT TO:<bob@sink.test>", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			srv := mailtest.NewUnstarted(t)
			if srv.Extensions = []string{"PIPELINING"}; tt.offered {
				srv.Extensions = append(srv.Extensions, "SMTPUTF8")
			}
			srv.Start()
			a := attempt(srv.Addr, tt.text, tt.to)
			a.From, a.SMTPUTF8 = addr(tt.from), tt.declared
			r := newMailer(t, smtp.Options{}).Deliver(t.Context(), a)[0]
			if tt.status != "" {
				assert.Equal(t, tt.status, outcomeOf(r).Status)
				assert.False(t, outcomeOf(r).Temporary)
				return
			}
			require.NoError(t, r.Err)
			assert.Contains(t, srv.Dialogue(), "C: "+tt.mail+"\n")
			assert.Contains(t, srv.Dialogue(), "C: "+tt.rcpt+"\n")
		})
	}
}

// Nothing in an envelope may become a command.
func TestInjection(t *testing.T) {
	t.Parallel()
	srv := mailtest.NewServer(t)
	m := newMailer(t, smtp.Options{Hostname: "client.test\r\nQUIT"})
	for _, bad := range []mtakit.Address{
		{Local: "bob\r\nRSET", Domain: "sink.test"}, {Local: "bob", Domain: "sink.test>\r\nRSET"},
		{Local: "b\x00b", Domain: "sink.test"}, {Local: "b\xffb", Domain: "sink.test"}, {Local: "bob", Domain: "sink.test> X=<"},
	} {
		a := attempt(srv.Addr, text, "ok@sink.test", "bob@sink.test")
		a.Rcpts[1].Addr = bad
		rs := m.Deliver(t.Context(), a)
		assert.NoError(t, rs[0].Err)
		assert.Equal(t, "5.1.3", outcomeOf(rs[1]).Status)
		a = attempt(srv.Addr, text, "ok@sink.test")
		a.From = bad
		assert.Equal(t, "5.1.7", outcomeOf(m.Deliver(t.Context(), a)[0]).Status)
	}
	assert.Len(t, srv.Messages(), 5)
	assert.Contains(t, srv.Dialogue(), "C: EHLO client.testQUIT\n")
	// What needs quotes gets them.
	a := attempt(srv.Addr, text, "ok@sink.test")
	a.Rcpts[0].Addr.Local = `a "b\c>`
	require.NoError(t, m.Deliver(t.Context(), a)[0].Err)
	assert.Contains(t, srv.Dialogue(), `C: RCPT TO:<"a \"b\\c>"@sink.test>`)
}

// The final dot, and only it, is a line with a single dot between two CRLFs.
func TestLineEnds(t *testing.T) {
	t.Parallel()
	srv := mailtest.NewServer(t)
	m := newMailer(t, smtp.Options{})
	for in, want := range map[string]string{
		"":                           "",
		"a":                          "a\r\n",
		"a\n":                        "a\r\n",
		"a\r\nb\n":                   "a\r\nb\r\n",
		"a\rb\n":                     "a b\r\n",
		"a\r":                        "a \r\n",
		"a\r\r\nb\n":                 "a \r\nb\r\n",
		"\r":                         " \r\n",
		"\r.\r\nMAIL FROM:<x@y.z>\n": " .\r\nMAIL FROM:<x@y.z>\r\n",
		"a\n.\r\nb\n":                "a\r\n.\r\nb\r\n",
		"a\r.\rb\n":                  "a . b\r\n",
		"a\n.\nQUIT\n":               "a\r\n.\r\nQUIT\r\n",
		".":                          ".\r\n",
		strings.Repeat("x", 32767) + "\r\n.\r\ny":     strings.Repeat("x", 32767) + "\r\n.\r\ny\r\n",
		strings.Repeat("x", 32766) + "\r\n.\r\ny":     strings.Repeat("x", 32766) + "\r\n.\r\ny\r\n",
		strings.Repeat("x", 32767) + "\r.\r\ny":       strings.Repeat("x", 32767) + " .\r\ny\r\n",
		strings.Repeat("x", 32767) + "\n.\n" + "y\r":  strings.Repeat("x", 32767) + "\r\n.\r\ny \r\n",
		strings.Repeat("x", 32768) + "\r\r\r\n.\r\ny": strings.Repeat("x", 32768) + "  \r\n.\r\ny\r\n",
	} {
		require.NoError(t, m.Deliver(t.Context(), attempt(srv.Addr, in, "bob@sink.test"))[0].Err)
		assert.Equal(t, want, string(srv.Take()[0].Data), "%.60q", in)
	}
}

package smtpd_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/examples/internal/smtpd"
)

// recorder is a Session that accepts everything but what it was told to refuse, and keeps what it got.
type recorder struct {
	mu     sync.Mutex
	refuse map[string]error // by path
	mails  []smtpd.Mail
	rcpts  []smtpd.Rcpt
	got    []string // header | body of each message
}

func (r *recorder) Hello(context.Context, string, bool) error { return nil }

func (r *recorder) Mail(_ context.Context, m smtpd.Mail) error {
	r.mails = append(r.mails, m)
	return r.refuse[m.Path]
}

func (r *recorder) Rcpt(_ context.Context, rc smtpd.Rcpt) error {
	r.rcpts = append(r.rcpts, rc)
	return r.refuse[rc.Path]
}

func (r *recorder) Data(_ context.Context, m *smtpd.Message) (string, error) {
	body, err := io.ReadAll(m.Body())
	if err != nil {
		return "", err
	}
	if int64(len(body)) != m.BodySize() {
		return "", fmt.Errorf("body has %d bytes, BodySize says %d", len(body), m.BodySize())
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	sep := "|"
	if !m.Separated() {
		sep = "!"
	}
	r.got = append(r.got, string(m.Header())+sep+string(body))
	return "6AM0000001", nil
}

func (r *recorder) Verify(_ context.Context, arg string) ([]string, error) {
	return []string{"<" + arg + ">"}, nil
}

func (r *recorder) Expand(context.Context, string) ([]string, error) {
	return []string{"<ann@example.test>", "<bob@example.test>"}, nil
}

func (r *recorder) Reset() {}

func (r *recorder) Close() {}

// start serves on a loopback port until the test ends.
func start(t *testing.T, opt smtpd.Options, open smtpd.NewSession) (addr string, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- smtpd.New(open, opt).Serve(ctx, l) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

func serve(t *testing.T, opt smtpd.Options, r *recorder) string {
	addr, _ := start(t, opt, func(context.Context, net.Addr) (smtpd.Session, error) { return r, nil })
	return addr
}

// talk sends the whole script at once, as a pipelining client may, and returns the replies after the greeting.
func talk(t *testing.T, addr, script string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	go io.WriteString(c, strings.ReplaceAll(script, "\n", "\r\n"))
	out, err := io.ReadAll(c)
	require.NoError(t, err)
	greeting, rest, _ := strings.Cut(string(out), "\r\n")
	assert.Contains(t, greeting, "220 mx.example.test ESMTP")
	return strings.ReplaceAll(rest, "\r\n", "\n")
}

const host = "mx.example.test"

func TestDialogue(t *testing.T) {
	bad := &mtakit.Error{Code: 550, Status: mtakit.StatusBadMailbox, Text: "<no@example.test>... User unknown"}
	tests := []struct{ name, say, want string }{
		{"one message", "HELO c\nMAIL FROM:<a@b.test>\nRCPT TO:<ann@example.test>\nDATA\nX: y\n\nhi\n.\nQUIT\n",
			`250 mx.example.test Hello c, pleased to meet you
250 2.1.0 <a@b.test>... Sender ok
250 2.1.5 <ann@example.test>... Recipient ok
354 Enter mail, end with "." on a line by itself
250 2.0.0 6AM0000001 Message accepted for delivery
221 2.0.0 mx.example.test closing connection
`},
		{"EHLO lists the extensions", "EHLO c\nQUIT\n",
			`250-mx.example.test Hello c, pleased to meet you
250-ENHANCEDSTATUSCODES
250-PIPELINING
250-CHUNKING
250-EXPN
250-8BITMIME
250-SMTPUTF8
250-SIZE 1000
250-DSN
250 HELP
221 2.0.0 mx.example.test closing connection
`},
		{"commands out of order", "RCPT TO:<x>\nDATA\nMAIL FROM:<>\nDATA\nMAIL FROM:<>\nRSET\nFOO bar\nQUIT\n",
			`503 5.0.0 Need MAIL before RCPT
503 5.0.0 Need MAIL command
250 2.1.0 <>... Sender ok
503 5.0.0 Need RCPT (recipient)
503 5.5.0 Sender already specified
250 2.0.0 Reset state
500 5.5.1 Command unrecognized: "FOO bar"
221 2.0.0 mx.example.test closing connection
`},
		{"refused recipient", "MAIL FROM:<>\nRCPT TO:<no@example.test>\nDATA\nQUIT\n",
			`250 2.1.0 <>... Sender ok
550 5.1.1 <no@example.test>... User unknown
503 5.0.0 Need RCPT (recipient)
221 2.0.0 mx.example.test closing connection
`},
		{"an error that is no verdict defers and says nothing", "MAIL FROM:<>\nRCPT TO:<oops@example.test>\nQUIT\n",
			`250 2.1.0 <>... Sender ok
451 4.3.0 Local problem; try again later
221 2.0.0 mx.example.test closing connection
`},
		{"parameters", "MAIL FROM:<a@b> SIZE=2000\nMAIL FROM:<a@b> FOO=1\nMAIL FROM:<a@b> BODY=9BIT\nMAIL FROM:<a\u00e9@b>\nMAIL FROM: a@b\nRCPT TO:<x> NOTIFY=NEVER,DELAY\nRCPT TO:<\"a>b\"@c>\nRCPT TO:<>\nQUIT\n",
			`552 5.2.3 <a@b>... Message size exceeds fixed maximum message size (1000)
555 5.5.4 <a@b>... FOO parameter unrecognized
501 5.5.4 <a@b>... Unknown BODY type 9BIT
553 5.6.7 <aé@b>... Address needs SMTPUTF8
250 2.1.0 <a@b>... Sender ok
501 5.5.4 <x>... NOTIFY=NEVER does not go with other values
250 2.1.5 <"a>b"@c>... Recipient ok
501 5.5.2 ... Syntax error in parameters scanning "TO"
221 2.0.0 mx.example.test closing connection
`},
		{"VRFY and EXPN", "VRFY ann\nEXPN team\nVRFY\nQUIT\n",
			`250 2.1.5 <ann>
250-2.1.5 <ann@example.test>
250 2.1.5 <bob@example.test>
501 5.5.2 Argument required
221 2.0.0 mx.example.test closing connection
`},
		{"too many recipients", "MAIL FROM:<>\nRCPT TO:<a>\nRCPT TO:<b>\nRCPT TO:<c>\nRCPT TO:<d>\nQUIT\n",
			`250 2.1.0 <>... Sender ok
250 2.1.5 <a>... Recipient ok
250 2.1.5 <b>... Recipient ok
250 2.1.5 <c>... Recipient ok
452 4.5.3 Too many recipients
221 2.0.0 mx.example.test closing connection
`},
		{"message too big", "MAIL FROM:<>\nRCPT TO:<a>\nDATA\n" + strings.Repeat("0123456789\n", 100) + ".\nNOOP\nQUIT\n",
			`250 2.1.0 <>... Sender ok
250 2.1.5 <a>... Recipient ok
354 Enter mail, end with "." on a line by itself
552 5.2.3 Message exceeds maximum fixed size (1000)
250 2.0.0 OK
221 2.0.0 mx.example.test closing connection
`},
		{"too many bad commands", strings.Repeat("X\n", 7) + "NOOP\n",
			strings.Repeat("500 5.5.1 Command unrecognized: \"X\"\n", 6) + "421 4.7.0 mx.example.test Too many bad commands; closing connection\n"},
		{"command line too long", "NOOP " + strings.Repeat("x", 9000) + "\nNOOP\nQUIT\n",
			"500 5.5.2 Line too long\n250 2.0.0 OK\n221 2.0.0 mx.example.test closing connection\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{refuse: map[string]error{"<no@example.test>": bad, "<oops@example.test>": errors.New("disk on fire")}}
			addr := serve(t, smtpd.Options{Hostname: host, MaxMessageBytes: 1000, MaxRecipients: 3, MaxBadCommands: 6}, r)
			assert.Equal(t, tt.want, talk(t, addr, tt.say))
		})
	}
}

// TestMessage: what arrives is what was sent. The message is given raw, with its own CR LF and dots.
func TestMessage(t *testing.T) {
	tests := []struct{ name, raw, want string }{
		{"header and body", "A: b\r\n\r\nbody\r\n", "A: b\n|body\n"},
		{"dots", "A: b\r\n\r\n..\r\n..a\r\n...\r\n. b\r\n", "A: b\n|.\n.a\n..\n b\n"},
		{"header only", "A: b\r\n", "A: b\n!"},
		{"empty", "", "!"},
		{"no header", "hello: not\r\n  cont\r\nplain\r\n", "hello: not\n  cont\n!plain\n"},
		{"body only", "\r\nbody\r\n", "|body\n"},
		{"text without header", "just text\r\nmore\r\n", "!just text\nmore\n"},
		{"eight bits and NUL", "S: \xc3\xa9\r\n\r\n\xff\x00\xfe\r\n", "S: \xc3\xa9\n|\xff\x00\xfe\n"},
		{"long line", "A: b\r\n\r\n" + strings.Repeat("x", 20000) + "\r\n.." + strings.Repeat("y", 9000) + "\r\n",
			"A: b\n|" + strings.Repeat("x", 20000) + "\n." + strings.Repeat("y", 9000) + "\n"},
		{"line of exactly the buffer", "A: b\r\n\r\n" + strings.Repeat("x", 4095) + "\r\nz\r\n",
			"A: b\n|" + strings.Repeat("x", 4095) + "\nz\n"},
		{"line of exactly the read buffer", "A: b\r\n\r\n" + strings.Repeat("x", 8191) + "\r\nz\r\n",
			"A: b\n|" + strings.Repeat("x", 8191) + "\nz\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{}
			// SpillBytes is small, so that bodies are split between memory and file.
			addr := serve(t, smtpd.Options{Hostname: host, SpillBytes: 64, TempDir: t.TempDir()}, r)
			talkRaw(t, addr, "MAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n"+tt.raw+".\r\nQUIT\r\n")
			require.Len(t, r.got, 1)
			assert.Equal(t, tt.want, r.got[0])

			// The same message in chunks, without dot stuffing.
			plain := strings.ReplaceAll("\r\n"+tt.raw, "\r\n.", "\r\n")[2:]
			script := "MAIL FROM:<>\r\nRCPT TO:<a>\r\n"
			for ; len(plain) > 3; plain = plain[3*len(plain)/4:] {
				n := 3 * len(plain) / 4
				script += fmt.Sprintf("BDAT %d\r\n%s", n, plain[:n])
			}
			script += fmt.Sprintf("BDAT %d LAST\r\n%sQUIT\r\n", len(plain), plain)
			talkRaw(t, addr, script)
			require.Len(t, r.got, 2)
			assert.Equal(t, tt.want, r.got[1])
		})
	}
}

func talkRaw(t *testing.T, addr, script string) string {
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	go io.WriteString(c, script)
	out, err := io.ReadAll(c)
	if !errors.Is(err, syscall.ECONNRESET) { // what the server had not read when it closed
		require.NoError(t, err)
	}
	return string(out)
}

// TestSmuggling: end-of-data sequences that other servers have believed in neither end the message nor get in.
func TestSmuggling(t *testing.T) {
	for _, eod := range []string{"\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\n.\r", "\x00\r\n\n.\r\n"} {
		t.Run(fmt.Sprintf("%q", eod), func(t *testing.T) {
			t.Parallel()
			r := &recorder{}
			addr := serve(t, smtpd.Options{Hostname: host}, r)
			out := talkRaw(t, addr, "MAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\nA: b\r\n\r\nx"+eod+
				"MAIL FROM:<evil@x>\r\nRCPT TO:<b>\r\nDATA\r\nsmuggled\r\n.\r\nNOOP\r\nQUIT\r\n")
			assert.Empty(t, r.got)
			assert.Contains(t, out, "554 5.5.2 Message has a CR or LF")
			assert.True(t, strings.HasSuffix(out, "250 2.0.0 OK\r\n221 2.0.0 mx.example.test closing connection\r\n"), "in step again: %q", out)
			assert.NotContains(t, out, "evil")
		})
	}
	r := &recorder{}
	addr := serve(t, smtpd.Options{Hostname: host}, r)
	out := talkRaw(t, addr, "MAIL FROM:<>\r\nRCPT TO:<a>\r\nBDAT 3\r\na\nbBDAT 2 LAST\r\nc\rNOOP\r\nQUIT\r\n")
	assert.Empty(t, r.got)
	assert.Contains(t, out, "554 5.5.2")
	assert.Contains(t, out, "250 2.0.0 OK\r\n221")
}

func TestRefusedClient(t *testing.T) {
	refuse := func(e error) smtpd.NewSession {
		return func(context.Context, net.Addr) (smtpd.Session, error) { return &recorder{}, e }
	}
	addr, _ := start(t, smtpd.Options{Hostname: host}, refuse(&mtakit.Error{Code: 550, Status: mtakit.StatusNotAuthorized, Text: "Access denied"}))
	assert.Equal(t, "250 mx.example.test Hello c, pleased to meet you\n550 5.7.1 Access denied\n221 2.0.0 mx.example.test closing connection\n",
		talk(t, addr, "HELO c\nMAIL FROM:<a@b>\nQUIT\n"))

	addr, _ = start(t, smtpd.Options{Hostname: host}, refuse(&mtakit.Error{Code: 421, Status: smtpd.StatusNotNow, Text: "busy"}))
	assert.Equal(t, "421 4.3.2 mx.example.test busy\r\n", talkRaw(t, addr, ""))
}

func TestTooManyConnections(t *testing.T) {
	addr := serve(t, smtpd.Options{Hostname: host, MaxConns: 1}, &recorder{})
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	_, err = bufio.NewReader(c).ReadString('\n')
	require.NoError(t, err)
	assert.Contains(t, talkRaw(t, addr, ""), "421 4.3.2 mx.example.test Too many connections")
}

// TestHangUp: a client that is sent away while it talks reads its reply and the end, not a reset.
func TestHangUp(t *testing.T) {
	full := serve(t, smtpd.Options{Hostname: host, MaxConns: 1}, &recorder{})
	first, err := net.Dial("tcp", full)
	require.NoError(t, err)
	t.Cleanup(func() { first.Close() })
	_, err = bufio.NewReader(first).ReadString('\n')
	require.NoError(t, err)
	busy, _ := start(t, smtpd.Options{Hostname: host}, func(context.Context, net.Addr) (smtpd.Session, error) {
		return &recorder{}, &mtakit.Error{Code: 421, Status: smtpd.StatusNotNow, Text: "busy"}
	})
	for _, tt := range []struct{ name, addr, script, want string }{
		{"too many connections", full, "EHLO c\r\n", "421 4.3.2"},
		{"refused", busy, "EHLO c\r\n", "421 4.3.2"},
		{"too many bad commands", serve(t, smtpd.Options{Hostname: host, MaxBadCommands: 1}, &recorder{}), "X\r\nX\r\n", "421 4.7.0"},
		{"bad chunk size", serve(t, smtpd.Options{Hostname: host}, &recorder{}), "BDAT x\r\n", "501 5.5.4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := net.Dial("tcp", tt.addr)
			require.NoError(t, err)
			defer c.Close()
			c.SetDeadline(time.Now().Add(time.Minute))
			_, err = io.WriteString(c, tt.script+strings.Repeat("NOOP\r\n", 5000))
			require.NoError(t, err)
			require.NoError(t, c.(*net.TCPConn).CloseWrite())
			out, err := io.ReadAll(c)
			require.NoError(t, err)
			lines := strings.SplitAfter(string(out), "\r\n")
			require.GreaterOrEqual(t, len(lines), 2)
			assert.Contains(t, lines[len(lines)-2], tt.want)
			assert.Empty(t, lines[len(lines)-1])
		})
	}
}

// TestBareLinefeeds: whoever sends a script with LF line ends hears what is wrong with it, in sendmail's words.
func TestBareLinefeeds(t *testing.T) {
	r := &recorder{}
	c, err := net.Dial("tcp", serve(t, smtpd.Options{Hostname: host}, r))
	require.NoError(t, err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	_, err = io.WriteString(c, "EHLO c\nMAIL FROM:<>\nRCPT TO:<a>\nDATA\nA: b\n\ntext\n.\nQUIT\n")
	require.NoError(t, err)
	require.NoError(t, c.(*net.TCPConn).CloseWrite())
	out, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.True(t, strings.HasSuffix(string(out), "\r\n421 4.5.0 Bare linefeed (LF) not allowed\r\n"), "%q", out)
	assert.Empty(t, r.got)
}

// TestCommandTooLong: the limit is that of a command line, whatever the buffer holds.
func TestCommandTooLong(t *testing.T) {
	addr := serve(t, smtpd.Options{Hostname: host}, &recorder{})
	for n, want := range map[int]string{4096: "250 2.0.0 OK\r\n", 4097: "500 5.5.2 Line too long\r\n", 8192: "500 5.5.2 Line too long\r\n", 20000: "500 5.5.2 Line too long\r\n"} {
		line := "NOOP " + strings.Repeat("x", n-len("NOOP \r\n")) + "\r\n"
		assert.Contains(t, talkRaw(t, addr, line+"QUIT\r\n"), want+"221", "%d bytes", n)
	}
}

// TestShutdown: an idle client is told; a message under way is finished.
func TestShutdown(t *testing.T) {
	r := &recorder{}
	addr, stop := start(t, smtpd.Options{Hostname: host}, func(context.Context, net.Addr) (smtpd.Session, error) { return r, nil })
	dial := func() (net.Conn, *bufio.Reader) {
		c, err := net.Dial("tcp", addr)
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
		br := bufio.NewReader(c)
		_, err = br.ReadString('\n')
		require.NoError(t, err)
		return c, br
	}
	_, idle := dial()
	busy, busyReplies := dial()
	io.WriteString(busy, "MAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n")
	for range 3 {
		_, err := busyReplies.ReadString('\n')
		require.NoError(t, err)
	}
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	line, err := idle.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, "421 4.3.2 mx.example.test Service shutting down; try again later\r\n", line)

	io.WriteString(busy, "A: b\r\n\r\n.\r\n")
	rest, err := io.ReadAll(busyReplies)
	require.NoError(t, err)
	assert.Contains(t, string(rest), "250 2.0.0 6AM0000001 Message accepted")
	assert.Contains(t, string(rest), "421 4.3.2")
	<-stopped
	assert.Len(t, r.got, 1)
}

// FuzzData: whatever arrives, a message that is accepted contains the bytes sent, and the dialogue stays in step.
func FuzzData(f *testing.F) {
	f.Add([]byte("A: b\r\n\r\nbody\r\n"))
	f.Add([]byte("\r\n..\r\n.x\n"))
	f.Add([]byte("a\rb\n.\r\n"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		stuffed := bytes.ReplaceAll(append([]byte("\r\n"), msg...), []byte("\r\n."), []byte("\r\n.."))[2:]
		if !bytes.HasSuffix(stuffed, []byte("\r\n")) {
			stuffed = append(stuffed, "\r\n"...)
			msg = append(msg, "\r\n"...)
		}
		client, server := net.Pipe()
		r := &recorder{}
		s := smtpd.New(func(context.Context, net.Addr) (smtpd.Session, error) { return r, nil }, smtpd.Options{Hostname: host, SpillBytes: 100, TempDir: t.TempDir()})
		done := make(chan struct{})
		go func() { s.ServeConn(t.Context(), server); close(done) }()
		go fmt.Fprintf(client, "MAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n%s.\r\nQUIT\r\n", stuffed)
		out, err := io.ReadAll(client)
		<-done
		if err != nil || !strings.HasSuffix(string(out), "closing connection\r\n") {
			t.Fatalf("out of step: %q, %v", out, err)
		}
		text := strings.ReplaceAll(string(msg), "\r\n", "\n")
		clean := !strings.Contains(text, "\r") && strings.Count(string(msg), "\n") == strings.Count(string(msg), "\r\n")
		switch {
		case clean && len(r.got) != 1:
			t.Fatalf("refused: %q", out)
		case !clean && len(r.got) != 0:
			t.Fatalf("bare CR or LF got in: %q", r.got)
		case clean:
			got := r.got[0]
			for i, c := range got { // the separator of the recorder
				if c == '|' || c == '!' {
					if s := got[:i] + got[i+1:]; s == text || got[:i]+"\n"+got[i+1:] == text {
						return
					}
				}
			}
			t.Fatalf("got %q, sent %q", got, text)
		}
	})
}

// BenchmarkSession is one 4 KB message on an open connection.
func BenchmarkSession(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() {
		smtpd.New(func(context.Context, net.Addr) (smtpd.Session, error) { return discard{}, nil }, smtpd.Options{}).Serve(ctx, l)
		close(done)
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(b, err)
	br := bufio.NewReader(c)
	br.ReadString('\n')
	text := []byte("Subject: x\r\n\r\n" + strings.Repeat(strings.Repeat("x", 70)+"\r\n", 56) + ".\r\n")
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		io.WriteString(c, "MAIL FROM:<a@b.test>\r\nRCPT TO:<ann@example.test>\r\nDATA\r\n")
		for range 3 {
			br.ReadString('\n')
		}
		c.Write(text)
		br.ReadString('\n')
	}
	c.Close()
	cancel()
	<-done
}

type discard struct{}

func (discard) Hello(context.Context, string, bool) error                { return nil }
func (discard) Mail(context.Context, smtpd.Mail) error                   { return nil }
func (discard) Rcpt(context.Context, smtpd.Rcpt) error                   { return nil }
func (discard) Data(_ context.Context, m *smtpd.Message) (string, error) { return "x", nil }
func (discard) Verify(context.Context, string) ([]string, error)         { return nil, nil }
func (discard) Expand(context.Context, string) ([]string, error)         { return nil, nil }
func (discard) Close()                                                   {}
func (discard) Reset()                                                   {}

// panicky is a session with a fault.
type panicky struct{ discard }

func (panicky) Mail(context.Context, smtpd.Mail) error { panic("a fault") }

// TestPanic: a fault in one session is reported and ends that session alone.
func TestPanic(t *testing.T) {
	problems := make(chan error, 1)
	addr, _ := start(t, smtpd.Options{Hostname: host, Problem: func(err error) { problems <- err }},
		func(context.Context, net.Addr) (smtpd.Session, error) { return panicky{}, nil })
	assert.NotContains(t, talkRaw(t, addr, "MAIL FROM:<a@b.test>\r\n"), "250 2.1.0")
	assert.ErrorContains(t, <-problems, "a fault")
	assert.Contains(t, talkRaw(t, addr, "QUIT\r\n"), "221 2.0.0")
}

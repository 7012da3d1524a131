package smtpd_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/examples/internal/smtpd"
)

// TestUnprintable: what a client calls itself or an address ends up in trace fields, replies and logs, so that nothing in
// it may look like the end of a line or of a comment. The texts are sendmail's.
func TestUnprintable(t *testing.T) {
	tests := []struct{ name, say, want string }{
		{"HELO with parenthesis", "HELO foo(bar", "501 5.0.0 Invalid domain name"},
		{"EHLO with two words", "EHLO a b", "501 5.0.0 Invalid domain name"},
		{"HELO with bare CR", "HELO a\rb", "501 5.0.0 Invalid domain name"},
		{"HELO with tab", "HELO a\tb", "501 5.0.0 Invalid domain name"},
		{"HELO with slash", "HELO a/b", "501 5.0.0 Invalid domain name"},
		{"HELO not ASCII", "HELO caf\xc3\xa9", "501 5.0.0 Invalid domain name"},
		{"HELO too long", "HELO " + strings.Repeat("a", 257), "501 5.0.0 Invalid domain name"},
		{"HELO with literal", "HELO [192.0.2.1]", "250 mx.example.test Hello [192.0.2.1], pleased to meet you"},
		{"HELO with underscore", "HELO a_b", "250 mx.example.test Hello a_b, pleased to meet you"},
		{"sender with bare CR", "MAIL FROM:<a\rb@c.test>", `501 5.1.7 <a?b@c.test>... Syntax error in mailbox address "<a?b@c.test>" (non-printable character)`},
		{"sender with NUL", "MAIL FROM:<a\x00b@c.test>", `501 5.1.7 <a?b@c.test>... Syntax error in mailbox address "<a?b@c.test>" (non-printable character)`},
		{"sender with quoted tab", "MAIL FROM:<\"a\tb\"@c.test>", `501 5.1.7 <"a?b"@c.test>... Syntax error in mailbox address "<"a?b"@c.test>" (non-printable character)`},
		{"sender that is not UTF-8", "MAIL FROM:<caf\xe9@c.test> SMTPUTF8", "501 5.1.7 "},
		{"VRFY with bare CR", "VRFY a\rb", `501 5.1.3 Syntax error in mailbox address "a?b" (non-printable character)`},
		{"EXPN with escape", "EXPN a\x1bb", `501 5.1.3 Syntax error in mailbox address "a?b" (non-printable character)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &recorder{}
			got := talk(t, serve(t, smtpd.Options{Hostname: host}, r), tt.say+"\nQUIT\n")
			first, _, _ := strings.Cut(got, "\n")
			if strings.HasSuffix(tt.want, " ") {
				assert.Truef(t, strings.HasPrefix(first, tt.want), "%q", first)
			} else {
				assert.Equal(t, tt.want, first)
			}
			assert.Empty(t, r.mails)
		})
	}
	t.Run("recipient with bare CR", func(t *testing.T) {
		r := &recorder{}
		got := talk(t, serve(t, smtpd.Options{Hostname: host}, r), "MAIL FROM:<>\nRCPT TO:<a\rb@c.test>\nQUIT\n")
		assert.Contains(t, got, "501 5.1.3 <a?b@c.test>... Syntax error")
		assert.Empty(t, r.rcpts)
	})
}

// closeCounter counts how often it was closed.
type closeCounter struct {
	discard
	n *atomic.Int32
}

func (c closeCounter) Close() { c.n.Add(1) }

// TestRefusedClientIsClosed: a session that was opened is closed, even when its client is sent away at once; else
// whoever counts connections would count it for ever.
func TestRefusedClientIsClosed(t *testing.T) {
	for _, code := range []int{421, 550} {
		var closed atomic.Int32
		addr, stop := start(t, smtpd.Options{Hostname: host}, func(context.Context, net.Addr) (smtpd.Session, error) {
			return closeCounter{n: &closed}, &mtakit.Error{Code: code, Status: smtpd.StatusNotNow, Text: "no"}
		})
		talkRaw(t, addr, "QUIT\r\n")
		stop()
		assert.EqualValues(t, 1, closed.Load(), "code %d", code)
	}
}

// TestShutdownCutsOff: a client that does not come to the end of its message does not keep the server from ending.
func TestShutdownCutsOff(t *testing.T) {
	r := &recorder{}
	addr, stop := start(t, smtpd.Options{Hostname: host, Grace: 50 * time.Millisecond}, func(context.Context, net.Addr) (smtpd.Session, error) { return r, nil })
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer c.Close()
	br := bufio.NewReader(c)
	io.WriteString(c, "MAIL FROM:<>\r\nRCPT TO:<a>\r\nDATA\r\n")
	for range 4 {
		_, err := br.ReadString('\n')
		require.NoError(t, err)
	}
	done := make(chan struct{})
	go func() { // drips for as long as the server listens
		defer close(done)
		for {
			if _, err := io.WriteString(c, "X: y\r\n"); err != nil {
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	began := time.Now()
	stop()
	assert.Less(t, time.Since(began), 5*time.Second)
	<-done
	assert.Empty(t, r.got)
}

// deadlines is a connection that counts the writes with less than half of the time limit left.
type deadlines struct {
	net.Conn
	limit time.Duration
	until time.Time
	late  atomic.Int32
}

func (d *deadlines) SetWriteDeadline(t time.Time) error {
	d.until = t
	return d.Conn.SetWriteDeadline(t)
}

func (d *deadlines) Write(p []byte) (int, error) {
	if time.Until(d.until) < d.limit/2 {
		d.late.Add(1)
	}
	return d.Conn.Write(p)
}

// TestWriteDeadline: every write has the whole time limit, also those that a full buffer causes: here in a long reply, after
// a wait that used up most of the limit of the reply before.
func TestWriteDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		const limit = 4 * time.Second
		d := &deadlines{Conn: server, limit: limit}
		s := smtpd.New(func(context.Context, net.Addr) (smtpd.Session, error) { return longExpand{}, nil },
			smtpd.Options{Hostname: host, CommandTimeout: limit})
		done := make(chan struct{})
		go func() { s.ServeConn(context.Background(), d); close(done) }()
		br := bufio.NewReader(client)
		_, err := br.ReadString('\n')
		require.NoError(t, err)
		time.Sleep(limit * 5 / 8)
		io.WriteString(client, "EXPN all\r\n")
		for lines := 1; ; lines++ {
			line, err := br.ReadString('\n')
			require.NoError(t, err)
			if strings.HasPrefix(line, "250 ") {
				assert.Equal(t, 1000, lines)
				break
			}
		}
		client.Close()
		<-done
		assert.Zero(t, d.late.Load())
	})
}

type longExpand struct{ discard }

func (longExpand) Expand(context.Context, string) ([]string, error) {
	lines := make([]string, 1000)
	for i := range lines {
		lines[i] = "<member-with-a-name@example.test>"
	}
	return lines, nil
}

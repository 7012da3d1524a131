package smtp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// conn is a session with a server. One goroutine uses it at a time.
type conn struct {
	m       *Mailer
	nc      net.Conn
	r       *bufio.Reader
	w       *bufio.Writer
	host    string // the server's name as logs show it: "mx.example.net.", "[192.0.2.1]"
	relay   string // host and address, for Result.Relay
	address string // what was dialed
	ext     extensions
	utf8    bool // the transaction under way is SMTPUTF8
	secure  bool

	born      time.Time
	uses      int
	dead      bool // must not be used again
	canceled  atomic.Bool
	readFor   time.Duration // time-out of the stage under way
	readBy    time.Time     // when the reply under way must be complete; zero before its first read
	writeFor  time.Duration
	idleTimer *time.Timer
}

// extensions are what EHLO told.
type extensions struct {
	size, pipelining, eightBit, dsn, utf8, startTLS, enhanced bool

	maxSize int64 // SIZE's argument; 0 means none
}

// stageError says in which stage of a session something went wrong.
type stageError struct {
	stage string // "greeting", "EHLO", "MAIL", …
	err   error
}

func (e *stageError) Error() string { return e.stage + ": " + e.err.Error() }
func (e *stageError) Unwrap() error { return e.err }

// replyError is a reply that ends an attempt with this server before a transaction.
type replyError struct{ reply reply }

func (e *replyError) Error() string { return e.reply.line }

// errNoTLS is a server that does not do TLS although it must.
var errNoTLS = errors.New("server offers no TLS")

// errHandshake is a TLS handshake that failed; an opportunistic client then goes on without TLS.
var errHandshake = errors.New("TLS handshake failed")

// connect opens a session: greeting, EHLO, and STARTTLS when wanted. The caller has arranged for ctx to bound it.
func (m *Mailer) connect(ctx context.Context, t target) (*conn, error) {
	c, err := m.open(ctx, t, m.wantTLS(t))
	if errors.Is(err, errHandshake) && m.o.TLS == TLSOpportunistic && ctx.Err() == nil {
		return m.open(ctx, t, false)
	}
	return c, err
}

func (m *Mailer) open(ctx context.Context, t target, useTLS bool) (*conn, error) {
	dialCtx, cancel := context.WithTimeout(ctx, m.o.Timeouts.Connect)
	nc, err := m.o.Dial(dialCtx, t.network, t.address)
	cancel()
	if err != nil {
		return nil, err
	}
	c := &conn{m: m, nc: nc, host: t.host, relay: t.relay, address: t.address, born: time.Now()}
	c.r = bufio.NewReaderSize(deadlineReader{c}, maxReplyLine)
	c.w = bufio.NewWriterSize(deadlineWriter{c}, writeBuffer)
	stop := c.bind(ctx)
	err = c.begin(t, useTLS)
	if !stop() || err != nil {
		c.close()
		if err == nil {
			err = ctx.Err()
		}
		return nil, err
	}
	return c, nil
}

const writeBuffer = 16 << 10

// begin does everything before the first MAIL.
func (c *conn) begin(t target, useTLS bool) error {
	o := &c.m.o
	c.readFor, c.writeFor = o.Timeouts.Greeting, o.Timeouts.Command
	rep, err := c.readReply(0, nil)
	if err != nil {
		return &stageError{"greeting", err}
	}
	if rep.code != 220 {
		return &stageError{"greeting", &replyError{rep}}
	}
	if err := c.hello(); err != nil {
		return err
	}
	if !useTLS {
		return nil
	}
	if !c.ext.startTLS {
		if o.TLS == TLSOpportunistic {
			return nil
		}
		return &stageError{"STARTTLS", errNoTLS}
	}
	if err := c.startTLS(t); err != nil {
		return err
	}
	return c.hello()
}

// hello says EHLO (LHLO for LMTP), or HELO to a server that does not know it.
func (c *conn) hello() error {
	verb := "EHLO "
	if c.m.o.LMTP {
		verb = "LHLO "
	}
	c.ext = extensions{}
	rep, err := c.command(verb+c.m.o.Hostname, c.ext.parse)
	if err == nil && rep.code/100 == 5 && !c.m.o.LMTP {
		c.ext = extensions{}
		rep, err = c.command("HELO "+c.m.o.Hostname, nil)
	}
	switch {
	case err != nil:
		return &stageError{"EHLO", err}
	case rep.code/100 != 2:
		return &stageError{"EHLO", &replyError{rep}}
	}
	return nil
}

// command sends one command and reads its reply.
func (c *conn) command(line string, each func([]byte)) (reply, error) {
	c.readFor = c.m.o.Timeouts.Command
	c.w.WriteString(line)
	c.w.WriteString("\r\n")
	if err := c.w.Flush(); err != nil {
		return reply{}, err
	}
	return c.readReply(0, each)
}

// parse takes in one line of the EHLO reply.
func (x *extensions) parse(text []byte) {
	word, arg, _ := strings.Cut(string(text), " ")
	switch strings.ToUpper(word) {
	case "SIZE":
		x.size = true
		if n, err := strconv.ParseInt(arg, 10, 64); err == nil && n > 0 {
			x.maxSize = n
		}
	case "PIPELINING":
		x.pipelining = true
	case "8BITMIME":
		x.eightBit = true
	case "DSN":
		x.dsn = true
	case "SMTPUTF8":
		x.utf8 = true
	case "STARTTLS":
		x.startTLS = true
	case "ENHANCEDSTATUSCODES":
		x.enhanced = true
	}
}

func (c *conn) startTLS(t target) error {
	rep, err := c.command("STARTTLS", nil)
	if err != nil {
		return &stageError{"STARTTLS", err}
	}
	if rep.code != 220 {
		if c.m.o.TLS == TLSOpportunistic && rep.code != 421 {
			return &stageError{"STARTTLS", errHandshake}
		}
		return &stageError{"STARTTLS", fmt.Errorf("%w: %s", errNoTLS, rep.line)}
	}
	if c.r.Buffered() > 0 {
		// Whatever follows the reply in clear text did not come from the server that TLS authenticates.
		return &stageError{"STARTTLS", &protocolError{"text after the reply"}}
	}
	conf := &tls.Config{}
	if c.m.o.TLSConfig != nil {
		conf = c.m.o.TLSConfig.Clone()
	}
	if conf.ServerName == "" {
		conf.ServerName = t.tlsName
	}
	if c.m.o.TLS != TLSVerify {
		conf.InsecureSkipVerify = true // encryption against listeners; whom the name belongs to DNS cannot tell anyway
	}
	tc := tls.Client(c.nc, conf)
	c.setDeadline(time.Now().Add(c.m.o.Timeouts.Command))
	if err := tc.Handshake(); err != nil {
		return &stageError{"STARTTLS", errors.Join(errHandshake, err)}
	}
	c.nc.SetDeadline(time.Time{})
	if c.canceled.Load() {
		c.nc.SetDeadline(longAgo)
	}
	c.nc, c.secure = tc, true
	c.r.Reset(deadlineReader{c})
	c.w.Reset(deadlineWriter{c})
	return nil
}

var longAgo = time.Unix(1, 0)

// bind makes the end of ctx wake up whoever reads or writes. The returned function undoes it, and is false when ctx
// has ended.
func (c *conn) bind(ctx context.Context) (stop func() bool) {
	if ctx.Done() == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, func() {
		c.canceled.Store(true)
		c.nc.SetDeadline(longAgo)
	})
}

// setDeadline sets the deadline. A cancellation that comes at the same moment wins.
func (c *conn) setDeadline(at time.Time) {
	c.nc.SetDeadline(at)
	if c.canceled.Load() {
		c.nc.SetDeadline(longAgo)
	}
}

// readReply reads one reply within the time of the stage that the session is in.
func (c *conn) readReply(ok int, each func([]byte)) (reply, error) {
	c.readBy = time.Time{}
	return readReply(c.r, ok, each)
}

// deadlineReader gives the reads of one reply together, and deadlineWriter each write, the time of the stage: a server
// that sends a byte now and then does not gain time with it.
type (
	deadlineReader struct{ c *conn }
	deadlineWriter struct{ c *conn }
)

func (d deadlineReader) Read(p []byte) (int, error) {
	if d.c.readBy.IsZero() {
		d.c.readBy = time.Now().Add(d.c.readFor)
	}
	d.c.setDeadline(d.c.readBy)
	return d.c.nc.Read(p)
}

func (d deadlineWriter) Write(p []byte) (int, error) {
	d.c.setDeadline(time.Now().Add(d.c.writeFor))
	return d.c.nc.Write(p)
}

// reusable reports whether another transaction may follow.
func (c *conn) reusable() bool {
	o := &c.m.o
	return !c.dead && c.uses < o.MaxUses && time.Since(c.born) < o.MaxAge && c.r.Buffered() == 0
}

// quit ends a session politely, without waiting for the answer: the peer may take its time.
func (c *conn) quit() {
	if !c.dead {
		c.nc.SetDeadline(time.Now().Add(time.Second))
		io.WriteString(c.nc, "QUIT\r\n")
	}
	c.close()
}

func (c *conn) close() {
	c.dead = true
	c.nc.Close()
}

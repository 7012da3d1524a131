package smtpd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mtakit/mtakit"
)

// Options tunes a Server. The zero value is ready for use.
type Options struct {
	// Hostname is the name in the greeting. Empty means "localhost".
	Hostname string
	// Software is named in the greeting after "ESMTP". Empty means "mtakit".
	Software string
	// MaxMessageBytes limits a message as transferred. Zero means 50 MiB.
	MaxMessageBytes int64
	// MaxHeaderBytes limits the header of a message. Zero means 256 KiB.
	MaxHeaderBytes int
	// MaxRecipients limits the recipients of one message; more get 452. Zero means 1000, ten times what RFC 5321
	// section 4.5.3.1.8 demands.
	MaxRecipients int
	// MaxConns limits simultaneous connections; more get 421. Zero means 500.
	MaxConns int
	// MaxBadCommands is how many unknown or misplaced commands a client may send. Zero means 25, as in sendmail.
	MaxBadCommands int
	// SpillBytes is the size above which a message is kept in a file of TempDir while it arrives. Zero means 1 MiB.
	SpillBytes int
	// TempDir holds such files. Empty means the system's.
	TempDir string
	// CommandTimeout limits the wait for a command, DataTimeout that for the next part of a message. Zero means five
	// minutes and three (RFC 5321 section 4.5.3.2).
	CommandTimeout, DataTimeout time.Duration
	// Grace limits how long a client may go on sending its message after Serve was told to end. Zero means 30 seconds.
	Grace time.Duration
	// Problem receives what an operator should see. Nil discards.
	Problem func(error)
}

func (o *Options) setDefaults() {
	setDefault(&o.Hostname, "localhost")
	setDefault(&o.Software, "mtakit")
	setDefault(&o.MaxMessageBytes, 50<<20)
	setDefault(&o.MaxHeaderBytes, 256<<10)
	setDefault(&o.MaxRecipients, 1000)
	setDefault(&o.MaxConns, 500)
	setDefault(&o.MaxBadCommands, 25)
	setDefault(&o.SpillBytes, 1<<20)
	setDefault(&o.CommandTimeout, 5*time.Minute)
	setDefault(&o.DataTimeout, 3*time.Minute)
	setDefault(&o.Grace, 30*time.Second)
	if o.Problem == nil {
		o.Problem = func(error) {}
	}
}

func setDefault[T comparable](p *T, def T) {
	var zero T
	if *p == zero {
		*p = def
	}
}

// A Session receives what one client says. Its methods are called one at a time. Errors are replies: an
// *mtakit.Error is sent as it is, the address it is about included, anything else as a temporary failure.
type Session interface {
	// Hello is called for HELO and EHLO with the client's argument.
	Hello(ctx context.Context, name string, extended bool) error
	// Mail begins a transaction.
	Mail(ctx context.Context, m Mail) error
	// Rcpt adds a recipient.
	Rcpt(ctx context.Context, r Rcpt) error
	// Data takes the message. It returns the queue id for the reply when the message is safe.
	Data(ctx context.Context, m *Message) (id string, err error)
	// Verify answers VRFY, Expand EXPN: one line per address. ErrNoVerify tells nothing, with the 252 that RFC 5321
	// section 7.3 has for that.
	Verify(ctx context.Context, arg string) ([]string, error)
	Expand(ctx context.Context, arg string) ([]string, error)
	// Reset ends the transaction that Mail began.
	Reset()
	// Close is called when the connection ends.
	Close()
}

// ErrNoVerify is what Session.Verify returns when it does not want to tell.
var ErrNoVerify = errors.New("addresses are not verified")

// NewSession is called when a client connects. An error is given to the client as a refusal: with code 421 at
// once, with another code as the answer to every MAIL, as sendmail does.
type NewSession func(ctx context.Context, remote net.Addr) (Session, error)

// Server accepts connections and runs the dialogue on each. Create one with New.
type Server struct {
	opt   Options
	open  NewSession
	mu    sync.Mutex
	conns map[*conn]struct{}
	wg    sync.WaitGroup

	lingering atomic.Int32 // clients beyond MaxConns that are being told so
}

// New returns a Server that asks open for a Session per connection.
func New(open NewSession, opt Options) *Server {
	opt.setDefaults()
	return &Server{opt: opt, open: open, conns: map[*conn]struct{}{}}
}

// Serve accepts connections on l until ctx ends, then closes l, tells idle clients 421, lets transactions that are
// in their DATA phase finish, and returns when the last connection is gone. It returns nil after ctx ended.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() {
		l.Close()
		s.each((*conn).wake)
	})
	defer stop()
	defer s.drain(ctx)
	for {
		nc, err := l.Accept()
		if ctx.Err() != nil {
			if err == nil {
				nc.Close()
			}
			return nil
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			// Out of descriptors, most likely: what is open goes on, and will close.
			s.opt.Problem(err)
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		s.wg.Go(func() { s.ServeConn(ctx, nc) })
	}
}

// each calls f for all connections.
func (s *Server) each(f func(*conn)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		f(c)
	}
}

// drain waits until the last connection is gone, and cuts off those that take too long after ctx has ended.
func (s *Server) drain(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() {
		t := time.AfterFunc(s.opt.Grace, func() { s.each((*conn).cutOff) })
		s.wg.Wait()
		t.Stop()
	})
	defer stop()
	s.wg.Wait()
}

// ServeConn runs the dialogue on one connection and closes it. It also serves standard input and output (sendmail
// -bs), wrapped as a net.Conn.
func (s *Server) ServeConn(ctx context.Context, nc net.Conn) {
	defer func() {
		// One client's session must not end the others'. What was accepted is synced; what was not, the client still has.
		if p := recover(); p != nil {
			s.opt.Problem(fmt.Errorf("panic in the session with %v: %v\n%s", nc.RemoteAddr(), p, debug.Stack()))
			nc.Close()
		}
	}()
	c := newConn(s, nc)
	defer nc.Close()
	s.mu.Lock()
	full := len(s.conns) >= s.opt.MaxConns
	if !full {
		s.conns[c] = struct{}{}
	}
	s.mu.Unlock()
	if full {
		c.reply(421, StatusNotNow, s.opt.Hostname+" Too many connections; try again later")
		c.flush()
		if s.lingering.Add(1) <= int32(s.opt.MaxConns) { // a flood is not worth the wait
			c.hangUp()
		}
		s.lingering.Add(-1)
		return
	}
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	// A transaction in progress is finished even when ctx ends; wake interrupts only the wait for a command.
	c.run(ctx, context.WithoutCancel(ctx))
	c.hangUp()
}

// StatusNotNow is 4.3.2, the status of a refusal that says nothing about the message.
const StatusNotNow = mtakit.Status(4_003_002)

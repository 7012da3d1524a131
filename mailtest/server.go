package mailtest

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Server is a mail server for tests: it takes every message and remembers it, and misbehaves where it is told to. Fields
// may be set between NewUnstarted and Start.
type Server struct {
	Addr string // where it listens, "127.0.0.1:40123"; set by Start
	Name string // in the greeting; "sink.test" if not set

	LMTP        bool
	ImplicitTLS bool // TLS from the first byte
	STARTTLS    bool // offered in the clear
	BadTLS      bool // the TLS handshake goes wrong
	Unix        bool // listen on a Unix socket; Addr is its path
	TLSConfig   *tls.Config
	CA          *CA      // issues the certificate when there is no TLSConfig; nil means DefaultCA
	Network     *Network // listen on this in-memory network; nil means loopback TCP
	Listen      string   // where on Network; "" means a new address

	// Extensions is what EHLO announces, in order. Nil means PIPELINING, 8BITMIME, SMTPUTF8, ENHANCEDSTATUSCODES, DSN,
	// CHUNKING and SIZE; an empty list none. STARTTLS and AUTH are added by themselves.
	Extensions []string
	// Users are the passwords by user name. Not nil means a submission server: AUTH PLAIN and LOGIN are offered, and
	// MAIL without AUTH is refused.
	Users map[string]string
	// MaxMessages makes every session end with 421 in answer to the MAIL after this many messages. Zero means no limit.
	MaxMessages int
	// MaxBytes refuses larger messages with 552 5.3.4. Zero means no limit.
	MaxBytes int
	// Greylist defers each pair of sender and recipient once, with 451 4.7.1.
	Greylist bool
	// Discard keeps neither messages nor dialogues, only their number: for load tests.
	Discard bool
	// Handler, if not nil, is asked before the scripts. ok false means that it has nothing to say. It is called by
	// several goroutines at once.
	Handler func(c Command) (step Step, ok bool)

	tb       testing.TB
	listener net.Listener
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu       sync.Mutex
	script   script
	messages []*Message
	count    int
	sessions []*Session
	number   int
	conns    map[net.Conn]struct{}
	grey     map[[2]string]bool
}

// NewServer starts an SMTP server that takes every message. It ends with the test.
func NewServer(tb testing.TB) *Server {
	tb.Helper()
	s := NewUnstarted(tb)
	s.Start()
	return s
}

// NewLMTP starts an LMTP server.
func NewLMTP(tb testing.TB) *Server {
	tb.Helper()
	s := NewUnstarted(tb)
	s.LMTP = true
	s.Start()
	return s
}

// NewTLS starts a server that speaks TLS from the first byte (RFC 8314). Its certificate is from DefaultCA, for its
// Name, localhost and the loopback addresses.
func NewTLS(tb testing.TB) *Server {
	tb.Helper()
	s := NewUnstarted(tb)
	s.ImplicitTLS = true
	s.Start()
	return s
}

// NewSTARTTLS starts a server that offers STARTTLS.
func NewSTARTTLS(tb testing.TB) *Server {
	tb.Helper()
	s := NewUnstarted(tb)
	s.STARTTLS = true
	s.Start()
	return s
}

// NewSubmission starts a server that offers STARTTLS and wants AUTH, with these passwords by user name.
func NewSubmission(tb testing.TB, users map[string]string) *Server {
	tb.Helper()
	s := NewUnstarted(tb)
	s.STARTTLS, s.Users = true, users
	s.Start()
	return s
}

// NewUnstarted returns a server that is not listening yet, so that its fields can be set.
func NewUnstarted(tb testing.TB) *Server {
	return &Server{Name: "sink.test", tb: tb, conns: make(map[net.Conn]struct{}), grey: make(map[[2]string]bool)}
}

// Start makes the server listen. It fails the test when it cannot.
func (s *Server) Start() {
	s.tb.Helper()
	var err error
	switch {
	case s.Network != nil:
		s.listener, err = s.Network.Listen(s.Listen)
	case s.Unix:
		var dir string
		if dir, err = os.MkdirTemp("", "mt"); err == nil { // short: socket paths have at most 104 bytes
			s.tb.Cleanup(func() { os.RemoveAll(dir) })
			s.listener, err = net.Listen("unix", filepath.Join(dir, "s"))
		}
	default:
		s.listener, err = net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			s.listener, err = net.Listen("tcp", "[::1]:0")
		}
	}
	if err != nil {
		s.tb.Fatalf("mail server %s: %v", s.Name, err)
	}
	s.Addr = s.listener.Addr().String()
	if (s.ImplicitTLS || s.STARTTLS) && s.TLSConfig == nil {
		ca := s.CA
		if ca == nil {
			ca = DefaultCA()
		}
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{ca.Certificate(s.Name, "localhost", "127.0.0.1", "::1")}}
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.tb.Cleanup(s.Close)
	s.wg.Add(1)
	go s.serve()
}

// Close stops listening, closes all connections and waits for the last session to end. It is called at the end of the
// test by itself, and may be called more than once: to see what a client does when the server is gone.
func (s *Server) Close() {
	s.cancel()
	s.listener.Close()
	s.CloseClients()
	s.wg.Wait()
}

// CloseClients closes all connections, and goes on listening.
func (s *Server) CloseClients() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

func (s *Server) serve() {
	defer s.wg.Done()
	for {
		nc, err := s.listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				s.tb.Errorf("mail server %s: accept: %v", s.Name, err)
			}
			return
		}
		s.mu.Lock()
		s.number++
		c := &session{s: s, nc: nc, number: s.number}
		if !s.Discard {
			c.log = &Session{Number: s.number}
			s.sessions = append(s.sessions, c.log)
		}
		s.conns[nc] = struct{}{}
		s.wg.Add(1)
		s.mu.Unlock()
		if s.ctx.Err() != nil { // Close may have missed it
			nc.Close()
		}
		go func() {
			defer s.wg.Done()
			c.run()
			nc.Close()
			s.mu.Lock()
			delete(s.conns, nc)
			if c.log != nil {
				c.log.Closed = true
			}
			s.mu.Unlock()
		}()
	}
}

package mailtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Network is a network in memory: servers listen on it and clients dial with its Dial. It needs no ports and works
// inside testing/synctest, where delays and time-outs pass in no time. The zero value is ready for use.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener
	next      int
}

// Listen opens a listener. An empty address is replaced by a new one of the form "192.0.2.1:25". Listening twice on one
// address is an error.
func (n *Network) Listen(address string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if address == "" {
		n.next++
		address = fmt.Sprintf("192.0.2.%d:%d", n.next%250+1, 25+n.next/250)
	}
	if n.listeners[address] != nil {
		return nil, fmt.Errorf("listen %s: %w", address, errInUse)
	}
	if n.listeners == nil {
		n.listeners = make(map[string]*listener)
	}
	l := &listener{n: n, addr: memAddr(address), conns: make(chan net.Conn), done: make(chan struct{})}
	n.listeners[address] = l
	return l, nil
}

var errInUse = errors.New("address in use")

// Dial connects to a listener. The kind of network does not matter. Where nobody listens the connection is refused.
func (n *Network) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[address]
	n.next++
	client := memAddr(fmt.Sprintf("192.0.2.254:%d", 1024+n.next))
	n.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: network, Addr: memAddr(address), Err: os.NewSyscallError("connect", errRefused)}
	if l == nil {
		return nil, refused
	}
	a, b := newPipe(), newPipe()
	near := &memConn{r: a, w: b, local: client, remote: l.addr}
	far := &memConn{r: b, w: a, local: l.addr, remote: client}
	select {
	case l.conns <- far:
		return near, nil
	case <-l.done:
		return nil, refused
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: network, Addr: memAddr(address), Err: ctx.Err()}
	}
}

type memAddr string

func (memAddr) Network() string  { return "tcp" }
func (a memAddr) String() string { return string(a) }

type listener struct {
	n     *Network
	addr  memAddr
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.n.mu.Lock()
		delete(l.n.listeners, string(l.addr))
		l.n.mu.Unlock()
	})
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }

// memConn is one end of a connection: it reads from one pipe and writes into the other.
type memConn struct {
	r, w          *pipe
	local, remote memAddr
}

func (c *memConn) Read(p []byte) (int, error)  { return c.r.read(p) }
func (c *memConn) Write(p []byte) (int, error) { return c.w.write(p) }

func (c *memConn) Close() error {
	c.r.close(true)
	c.w.close(false)
	return nil
}

func (c *memConn) LocalAddr() net.Addr  { return c.local }
func (c *memConn) RemoteAddr() net.Addr { return c.remote }

func (c *memConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *memConn) SetReadDeadline(t time.Time) error {
	c.r.setDeadline(&c.r.readBy, t)
	return nil
}

func (c *memConn) SetWriteDeadline(t time.Time) error {
	c.w.setDeadline(&c.w.writeBy, t)
	return nil
}

// pipe is one direction of a connection, with a buffer as a socket has.
type pipe struct {
	mu      sync.Mutex
	cond    *sync.Cond
	buf     []byte
	eof     bool // the writer has closed
	broken  bool // the reader has closed
	readBy  deadline
	writeBy deadline
}

const pipeBuffer = 64 << 10

// deadline wakes up whoever waits.
type deadline struct {
	timer *time.Timer
	at    time.Time
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }

func newPipe() *pipe {
	p := &pipe{}
	p.cond = sync.NewCond(&p.mu)
	return p
}

func (p *pipe) setDeadline(d *deadline, t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d.at = t
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	if wait := time.Until(t); !t.IsZero() && wait > 0 {
		d.timer = time.AfterFunc(wait, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.cond.Broadcast()
		})
	}
	p.cond.Broadcast()
}

func (p *pipe) read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.broken:
			return 0, net.ErrClosed
		case p.readBy.passed():
			return 0, os.ErrDeadlineExceeded
		case len(p.buf) > 0:
			n := copy(b, p.buf)
			if p.buf = p.buf[n:]; len(p.buf) == 0 {
				p.buf = nil
			}
			p.cond.Broadcast()
			return n, nil
		case p.eof:
			return 0, io.EOF
		}
		p.cond.Wait()
	}
}

func (p *pipe) write(b []byte) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.eof:
			return n, net.ErrClosed
		case p.broken:
			return n, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", errReset)}
		case p.writeBy.passed():
			return n, os.ErrDeadlineExceeded
		case len(b) == 0:
			return n, nil
		case len(p.buf) < pipeBuffer:
			k := min(len(b), pipeBuffer-len(p.buf))
			p.buf = append(p.buf, b[:k]...)
			b, n = b[k:], n+k
			p.cond.Broadcast()
			continue
		}
		p.cond.Wait()
	}
}

// close ends the pipe from the reader's or the writer's side.
func (p *pipe) close(reader bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if reader {
		p.broken = true
	} else {
		p.eof = true
	}
	for _, d := range [...]*deadline{&p.readBy, &p.writeBy} {
		if d.timer != nil {
			d.timer.Stop()
		}
	}
	p.cond.Broadcast()
}

package smtpd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/mtakit/mtakit"
)

// maxCommandLine bounds a command line, CR LF included. RFC 5321 asks for 512; DSN and others add to it.
const maxCommandLine = 4096

// readBuffer takes a message of ordinary size in one piece.
const readBuffer = 8192

var (
	errLineTooLong = errors.New("command line too long")
	errShutdown    = errors.New("server is shutting down")
)

// conn is the state of one dialogue. It belongs to the goroutine that runs it; only wake may be called by others.
type conn struct {
	srv  *Server
	nc   net.Conn
	br   *bufio.Reader
	bw   *bufio.Writer
	wait time.Duration // time limit for the next read

	sess    Session
	refused error // what connecting earned, given as the answer to MAIL
	helo    string
	esmtp   bool
	mail    bool // a transaction is open
	rcpts   int
	bad     int
	chunks  *Message // message being collected by BDAT
	closing bool
	unasked bool // the server ends the dialogue: the client may still be talking

	mu    sync.Mutex
	idle  bool // waiting for a command
	woken bool
	cut   bool // nothing more is read
}

func newConn(s *Server, nc net.Conn) *conn {
	c := &conn{srv: s, nc: nc}
	c.br = bufio.NewReaderSize(deadlineReader{c}, readBuffer)
	c.bw = bufio.NewWriterSize(deadlineWriter{c}, 1024)
	return c
}

// deadlineReader gives every read from the peer its time limit, and sends what is waiting to be said before it
// listens: a client that pipelines gets its replies in one piece.
type deadlineReader struct{ c *conn }

func (r deadlineReader) Read(p []byte) (int, error) {
	c := r.c
	if err := c.flush(); err != nil {
		return 0, err
	}
	c.mu.Lock()
	if c.cut || c.idle && c.woken {
		c.mu.Unlock()
		return 0, errShutdown
	}
	c.nc.SetReadDeadline(time.Now().Add(c.wait))
	c.mu.Unlock()
	return c.nc.Read(p)
}

// deadlineWriter gives every write to the peer its time limit, however the buffer in front of it was filled.
type deadlineWriter struct{ c *conn }

func (w deadlineWriter) Write(p []byte) (int, error) {
	c := w.c
	c.mu.Lock()
	limit := c.srv.opt.CommandTimeout
	if c.cut {
		limit = lastWords
	}
	c.nc.SetWriteDeadline(time.Now().Add(limit))
	c.mu.Unlock()
	return c.nc.Write(p)
}

// lastWords is the time that a client has to read its reply after it was cut off.
const lastWords = time.Second

// cutOff ends all reading. A message that has arrived completely is still answered.
func (c *conn) cutOff() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.woken, c.cut = true, true
	c.nc.SetReadDeadline(time.Unix(1, 0))
	c.nc.SetWriteDeadline(time.Now().Add(lastWords))
}

// maxUnread bounds what hangUp reads from a client that does not stop talking.
const maxUnread = 256 << 10

// hangUp lets a client that is sent away see why. Closing a connection with input unread resets it, and the client may
// then fail to write before it has read its reply. So the server says that it has finished, and reads for a moment what
// the client had on its way.
func (c *conn) hangUp() {
	half, ok := c.nc.(interface{ CloseWrite() error })
	if !c.unasked || !ok || half.CloseWrite() != nil {
		return
	}
	c.nc.SetReadDeadline(time.Now().Add(lastWords))
	_, _ = io.CopyN(io.Discard, c.nc, maxUnread)
}

// wake ends the wait for a command, if the connection is in one.
func (c *conn) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.woken = true
	if c.idle {
		c.nc.SetReadDeadline(time.Unix(1, 0))
	}
}

func (c *conn) setIdle(idle bool) {
	c.mu.Lock()
	c.idle = idle
	c.mu.Unlock()
}

func (c *conn) flush() error {
	if c.bw.Buffered() == 0 {
		return nil
	}
	return c.bw.Flush()
}

// reply queues one reply. Every line gets the codes; status 0 leaves the enhanced one out.
func (c *conn) reply(code int, status mtakit.Status, lines ...string) {
	c.unasked = c.unasked || code == 421
	for i, line := range lines {
		sep := byte('-')
		if i == len(lines)-1 {
			sep = ' '
		}
		b := strconv.AppendInt(c.bw.AvailableBuffer(), int64(code), 10)
		b = append(b, sep)
		if status != 0 {
			b = append(b, status.String()...)
			b = append(b, ' ')
		}
		b = append(b, line...)
		c.bw.Write(append(b, '\r', '\n'))
	}
}

// replyError queues the reply for err. Text of an error that is no verdict stays here: it may say more than a
// stranger should read.
func (c *conn) replyError(prefix string, err error) {
	var e *mtakit.Error
	if !errors.As(err, &e) {
		c.srv.opt.Problem(err)
		e = &mtakit.Error{Code: 451, Status: mtakit.Status(4_003_000), Text: "Local problem; try again later"}
	}
	c.reply(e.ReplyCode(), e.EnhancedStatus(), strings.Split(prefix+e.Text, "\n")...)
	if e.ReplyCode() == 421 {
		c.closing = true
	}
}

// badCommand answers a command that is unknown or out of place, and ends the session after too many of them.
func (c *conn) badCommand(code int, status mtakit.Status, text string) {
	c.bad++
	if c.bad > c.srv.opt.MaxBadCommands {
		c.reply(421, mtakit.StatusSecurity.AsTemporary(), c.srv.opt.Hostname+" Too many bad commands; closing connection")
		c.closing = true
		return
	}
	c.reply(code, status, text)
}

func (c *conn) run(ctx, work context.Context) {
	o := &c.srv.opt
	c.wait = o.CommandTimeout
	sess, err := c.srv.open(work, c.nc.RemoteAddr())
	if sess != nil {
		defer sess.Close()
	}
	if err != nil {
		var e *mtakit.Error
		if !errors.As(err, &e) || e.ReplyCode() == 421 {
			c.replyError(o.Hostname+" ", err)
			c.flush()
			return
		}
		c.refused = err
	}
	c.sess = sess
	defer c.reset()
	c.reply(220, 0, fmt.Sprintf("%s ESMTP %s; %s", o.Hostname, o.Software, time.Now().Format(time.RFC1123Z)))
	for !c.closing {
		if ctx.Err() != nil {
			c.wake()
		}
		line, err := c.readCommand()
		switch {
		case err == nil:
			c.command(work, line)
		case errors.Is(err, errLineTooLong):
			c.badCommand(500, mtakit.StatusSyntax, "Line too long")
		case errors.Is(err, errShutdown), ctx.Err() != nil && errors.Is(err, os.ErrDeadlineExceeded):
			c.reply(421, StatusNotNow, o.Hostname+" Service shutting down; try again later")
			c.closing = true
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.reply(421, mtakit.StatusBadConnection, o.Hostname+" Timeout waiting for a command")
			c.closing = true
		default:
			return // the client is gone
		}
	}
	c.flush()
}

// readCommand reads one line without its end. A line that is too long is read to its end and reported.
func (c *conn) readCommand() (string, error) {
	c.wait = c.srv.opt.CommandTimeout
	c.setIdle(true)
	defer c.setIdle(false)
	line, err := c.br.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = c.br.ReadSlice('\n')
		}
		if err == nil {
			err = errLineTooLong
		}
	}
	if err == nil && len(line) > maxCommandLine {
		err = errLineTooLong
	}
	if err != nil {
		return "", err
	}
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return string(line), nil
}

func (c *conn) reset() {
	if c.chunks != nil {
		c.chunks.Close()
		c.chunks = nil
	}
	if c.mail && c.sess != nil {
		c.sess.Reset()
	}
	c.mail, c.rcpts = false, 0
}

// readFull reads the n bytes of a chunk into w.
func (c *conn) readFull(w io.Writer, n int64) error {
	_, err := io.CopyN(w, c.br, n)
	return err
}

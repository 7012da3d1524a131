package mta

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/queue"
)

// ServeStdio speaks SMTP on a pair of streams: sendmail -bs. user is who started the command.
func (m *MTA) ServeStdio(ctx context.Context, user string, in io.Reader, out io.Writer) error {
	m.smtpd().ServeConn(ctx, stdio{in, out, stdioAddr(user + "@localhost")})
	return m.Finish(ctx)
}

// stdio makes a connection of two streams. Deadlines do nothing: whoever started the command also ends it.
type stdio struct {
	io.Reader
	io.Writer
	addr stdioAddr
}

func (stdio) Close() error                     { return nil }
func (s stdio) LocalAddr() net.Addr            { return s.addr }
func (s stdio) RemoteAddr() net.Addr           { return s.addr }
func (stdio) SetDeadline(time.Time) error      { return nil }
func (stdio) SetReadDeadline(time.Time) error  { return nil }
func (stdio) SetWriteDeadline(time.Time) error { return nil }

// stdioAddr is how logs and trace fields name the user of a command: "ann@localhost".
type stdioAddr string

func (stdioAddr) Network() string  { return "stdio" }
func (a stdioAddr) String() string { return string(a) }

// VerifyAddresses resolves addresses and prints what sendmail -bv prints. It returns the exit code.
func (m *MTA) VerifyAddresses(ctx context.Context, out io.Writer, addrs []string) (int, error) {
	res, err := m.resolver.ResolveText(ctx, mtakit.Address{}, addrs...)
	if err != nil {
		return 0, err
	}
	for _, line := range res.Lines() {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return 0, err
		}
	}
	return res.ExitStatus(), nil
}

// ListQueue prints the queue as mailq does.
func (m *MTA) ListQueue(ctx context.Context, out io.Writer, l queue.Listing) error {
	_, err := m.queue.Print(ctx, out, l)
	return err
}

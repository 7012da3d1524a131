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

// ServeStdio speaks SMTP on a pair of streams: sendmail -bs.
func (m *MTA) ServeStdio(ctx context.Context, in io.Reader, out io.Writer) error {
	m.smtpd().ServeConn(ctx, stdio{in, out})
	return m.Finish(ctx)
}

// stdio makes a connection of two streams. Deadlines do nothing: whoever started the command also ends it.
type stdio struct {
	io.Reader
	io.Writer
}

func (stdio) Close() error                     { return nil }
func (stdio) LocalAddr() net.Addr              { return stdioAddr{} }
func (stdio) RemoteAddr() net.Addr             { return stdioAddr{} }
func (stdio) SetDeadline(time.Time) error      { return nil }
func (stdio) SetReadDeadline(time.Time) error  { return nil }
func (stdio) SetWriteDeadline(time.Time) error { return nil }

type stdioAddr struct{}

func (stdioAddr) Network() string { return "stdio" }
func (stdioAddr) String() string  { return "localhost" }

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

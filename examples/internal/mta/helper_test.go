package mta

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/access"
)

// newMTA opens a server with its own data directory. files are written below it first, DATA in them replaced.
func newMTA(t *testing.T, files map[string]string, edit ...func(*Config)) *MTA {
	t.Helper()
	cfg := Defaults()
	cfg.Data = t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(cfg.Data), 0o755)) // lists are never read as root
	cfg.QueueInterval = duration(time.Hour)
	for _, f := range edit {
		f(&cfg)
	}
	first := cfg
	require.NoError(t, first.Complete())
	_, err := first.createDirs()
	require.NoError(t, err)
	for name, text := range files {
		name = filepath.Join(cfg.Data, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(strings.ReplaceAll(text, "DATA", cfg.Data)), 0o644))
	}
	m, err := Open(context.Background(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Close()) })
	return m
}

// run works on the queue until the test, or the function it returns, ends it.
func run(t *testing.T, m *MTA) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- m.runner.Run(ctx) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			assert.NoError(t, <-done)
		}
	}
	t.Cleanup(stop)
	return stop
}

// from is a connection that says it comes from elsewhere.
type from struct {
	net.Conn
	addr net.Addr
}

func (c from) RemoteAddr() net.Addr { return c.addr }

// talk has a dialogue as a client with the address ip, and returns the replies to each of the lines. After DATA, the lines
// up to a dot are the message.
func talk(t *testing.T, m *MTA, ip string, lines ...string) []string {
	t.Helper()
	addr := netip.MustParseAddr(ip)
	m.names.mu.Lock()
	if m.names.seen == nil {
		m.names.seen = map[netip.Addr]clientName{}
	}
	m.names.seen[addr] = clientName{
		access.Client{Addr: addr, Name: "client.example", PTR: "client.example", Verified: access.NameOK}, time.Now().Add(time.Hour)}
	m.names.mu.Unlock()
	client, server := net.Pipe()
	done := make(chan struct{})
	go func() {
		m.smtpd().ServeConn(context.Background(), from{server, net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 4711))})
		close(done)
	}()
	defer func() { <-done }()
	defer client.Close()
	require.NoError(t, client.SetDeadline(time.Now().Add(time.Minute)))
	br := bufio.NewReader(client)
	reply := func() string {
		var all []string
		for {
			line, err := br.ReadString('\n')
			require.NoError(t, err)
			all = append(all, strings.TrimRight(line, "\r\n"))
			if len(line) > 3 && line[3] == ' ' {
				return strings.Join(all, "\n")
			}
		}
	}
	reply()
	var replies []string
	inData := false
	for _, line := range lines {
		_, err := io.WriteString(client, line+"\r\n")
		require.NoError(t, err)
		if inData && line != "." {
			continue
		}
		inData = false
		r := reply()
		replies = append(replies, r)
		inData = strings.EqualFold(line, "DATA") && strings.HasPrefix(r, "354")
	}
	return replies
}

// send is the usual transaction; it returns the reply to each recipient and the last one.
func send(t *testing.T, m *MTA, ip, mail string, rcpts ...string) (toRcpts []string, last string) {
	t.Helper()
	lines := []string{"EHLO client.example", "MAIL FROM:" + mail}
	for _, r := range rcpts {
		lines = append(lines, "RCPT TO:"+r)
	}
	lines = append(lines, "DATA", "Subject: test", "", "the text", ".")
	replies := talk(t, m, ip, lines...)
	last = replies[len(replies)-1]
	n := len(replies) - 2
	if strings.HasPrefix(replies[n], "503") || n-2 > len(rcpts) {
		n = len(replies) - 5 // DATA was refused, and so was each line that followed
		last = replies[n]
	}
	return replies[2:min(2+len(rcpts), len(replies))], last
}

// mailOf returns the messages in a user's Maildir.
func mailOf(t *testing.T, m *MTA, user string) []string {
	t.Helper()
	return contents(t, filepath.Join(m.cfg.Data, "home", user, "Maildir", "new"))
}

func contents(t *testing.T, dir string) (texts []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		require.ErrorIs(t, err, fs.ErrNotExist)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		texts = append(texts, string(text))
	}
	return texts
}

// queued lists the control files in the queue.
func queued(t *testing.T, m *MTA) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(m.cfg.QueueDir)
	require.NoError(t, err)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "qf") || strings.HasPrefix(e.Name(), "hf") {
			names = append(names, e.Name())
		}
	}
	return names
}

// log returns the log so far.
func log(t *testing.T, m *MTA) string {
	t.Helper()
	text, err := os.ReadFile(m.cfg.Log)
	require.NoError(t, err)
	return string(text)
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	require.Eventually(t, cond, time.Minute, 5*time.Millisecond, what)
}

const passwdABCD = "ann:x:1:1::DATA/home/ann:/bin/sh\nbob:x:1:1::DATA/home/bob:/bin/sh\n" +
	"carol:x:1:1::DATA/home/carol:/bin/sh\ndora:x:1:1::DATA/home/dora:/bin/sh\n"

func relayTo(domain, host string) func(*Config) {
	return func(c *Config) { c.Relays = append(c.Relays, fmt.Sprintf("%s=%s", domain, host)) }
}

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The test binary is also the server: with this variable set it runs main instead of the tests, so that tests can
// kill a real process.
const asServer = "MTAKIT_TEST_AS_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(asServer) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
		stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, "server:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// process is a server in a process of its own.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	addr string
	done chan struct{} // closed when the process has ended
	err  error         // how it ended; read it after done

	mu     sync.Mutex
	output strings.Builder
}

// startServer starts a server on a port of its own and waits until it listens.
func startServer(t *testing.T, data string, args ...string) *process {
	t.Helper()
	p := tryServer(t, data, args...)
	require.NotEmpty(t, p.addr, "the server did not start:\n%s", p.text())
	return p
}

// tryServer is startServer for servers that may refuse to start; addr is then empty.
func tryServer(t *testing.T, data string, args ...string) *process {
	t.Helper()
	p := &process{t: t, done: make(chan struct{})}
	args = append([]string{"-listen", "127.0.0.1:0", "-data", data}, args...)
	p.cmd = exec.Command(os.Args[0], args...)
	p.cmd.Env = append(os.Environ(), asServer+"=1")
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.cmd.Stderr = p.cmd.Stdout
	require.NoError(t, p.cmd.Start())
	listening := make(chan string, 1)
	var read sync.WaitGroup
	read.Go(func() {
		defer close(listening)
		sc := bufio.NewScanner(out)
		for sc.Scan() {
			p.mu.Lock()
			p.output.WriteString(sc.Text() + "\n")
			p.mu.Unlock()
			if _, rest, ok := strings.Cut(sc.Text(), "SMTP on "); ok {
				listening <- strings.Fields(rest)[0]
			}
		}
	})
	go func() {
		read.Wait()
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() { p.kill() })
	select {
	case p.addr = <-listening:
	case <-time.After(20 * time.Second):
		t.Fatal("the server neither listens nor ends")
	}
	return p
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// kill ends the process without warning.
func (p *process) kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// stop asks the process to end and expects it to do so cleanly.
func (p *process) stop() {
	p.t.Helper()
	require.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case <-p.done:
		require.NoError(p.t, p.err, p.text())
	case <-time.After(30 * time.Second):
		p.t.Fatal("the server does not end")
	}
}

package mta

import (
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// settled waits until no more than n goroutines are left and returns their stacks if there are more. Tests that use it
// run alone.
func settled(n int) string {
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if runtime.NumGoroutine() <= n {
			return ""
		}
	}
	buf := make([]byte, 1<<20)
	return string(buf[:runtime.Stack(buf, true)])
}

// TestServe: a server that has worked leaves nothing running behind, and its tables can be loaded again while clients come
// and go.
func TestServe(t *testing.T) {
	before := runtime.NumGoroutine()
	m := newMTA(t, nil, func(c *Config) { c.Listen = "127.0.0.1:0" }, relayTo("partner.test", "127.0.0.1:1"))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	addr := make(chan string, 1)
	done := make(chan error, 1)
	go func() { done <- m.Serve(ctx, func(a string) { addr <- a }) }()
	server := <-addr
	reloads := make(chan error, 1)
	go func() {
		var err error
		for range 20 {
			if err == nil {
				err = m.Reload(ctx)
			}
		}
		reloads <- err
	}()
	for range 5 {
		c, err := net.Dial("tcp", server)
		require.NoError(t, err)
		require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
		_, err = io.WriteString(c, strings.ReplaceAll("EHLO c.test\nMAIL FROM:<a@c.test>\nRCPT TO:<ann@example.test>\nRCPT TO:<eve@partner.test>\nDATA\nA: b\n\nx\n.\nQUIT\n", "\n", "\r\n"))
		require.NoError(t, err)
		text, err := io.ReadAll(c)
		require.NoError(t, err)
		assert.Contains(t, string(text), "250 2.0.0")
		c.Close()
	}
	idle, err := net.Dial("tcp", server)
	require.NoError(t, err)
	defer idle.Close()
	require.NoError(t, <-reloads)
	cancel()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("Serve does not return")
	}
	require.NoError(t, m.Close())
	assert.Len(t, mailOf(t, m, "ann"), 5)
	assert.Empty(t, settled(before))
}

// TestServeAddressInUse: a server that cannot listen leaves nothing running either.
func TestServeAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	before := runtime.NumGoroutine()
	m := newMTA(t, nil, func(c *Config) { c.Listen = l.Addr().String() })
	require.Error(t, m.Serve(context.Background(), func(string) {}))
	require.NoError(t, m.Close())
	assert.Empty(t, settled(before))
}

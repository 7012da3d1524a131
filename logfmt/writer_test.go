package logfmt_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/logfmt"
)

func quarantine(text string) mtakit.Event {
	return mtakit.Event{Time: noon, Kind: mtakit.EventQuarantine, ID: "ID", Text: text}
}

// countingWriter counts writes; it may be told to fail.
type countingWriter struct {
	bytes.Buffer
	writes int
	err    error
}

func (c *countingWriter) Write(p []byte) (int, error) {
	c.writes++
	if c.err != nil {
		return 0, c.err
	}
	return c.Buffer.Write(p)
}

func TestWriterGathersLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out := &countingWriter{}
		w := logfmt.NewWriter(out, opts())
		for i := range 100 {
			w.Event(quarantine(fmt.Sprint(i)))
		}
		time.Sleep(time.Second)
		synctest.Wait()
		assert.Equal(t, 1, out.writes)
		w.Event(quarantine("last"))
		require.NoError(t, w.Close())
		assert.Equal(t, 101, strings.Count(out.String(), "\n"))
		assert.True(t, strings.HasSuffix(out.String(), "quarantine=last\n"))
		require.ErrorIs(t, w.Close(), os.ErrClosed)
		w.Event(quarantine("after the end"))
		assert.NotContains(t, out.String(), "after the end")
	})
}

func TestWriterFullDisk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		out := &countingWriter{err: syscall.ENOSPC}
		o := opts()
		o.MaxPending = 1000
		w := logfmt.NewWriter(out, o)
		for range 100 {
			w.Event(quarantine("mail goes on")) // must not block for ever
			time.Sleep(time.Millisecond)
		}
		require.ErrorIs(t, w.Flush(), syscall.ENOSPC)
		out.err = nil
		w.Event(quarantine("space again"))
		require.NoError(t, w.Flush())
		assert.Contains(t, out.String(), "space again")
		require.NoError(t, w.Close())
	})
}

func TestWriterSynchronous(t *testing.T) {
	t.Parallel()
	out := &countingWriter{}
	o := opts()
	o.Delay = -1
	w := logfmt.NewWriter(out, o)
	w.Event(quarantine("now"))
	assert.Equal(t, "Nov  2 12:00:00 mx sendmail[42]: ID: quarantine=now\n", out.String())
	w.Log(logfmt.Info, logfmt.NoQueue, "stopping daemon, reason=signal")
	assert.Contains(t, out.String(), ": NOQUEUE: stopping daemon, reason=signal\n")
	require.NoError(t, w.Close())
}

func TestWriterRotation(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "maillog")
	w, err := logfmt.Open(name, opts())
	require.NoError(t, err)
	w.Event(quarantine("one"))
	require.NoError(t, w.Flush())
	require.NoError(t, os.Rename(name, name+".1"))
	require.NoError(t, w.Reopen())
	w.Event(quarantine("two"))
	require.NoError(t, w.Close())
	old, err := os.ReadFile(name + ".1")
	require.NoError(t, err)
	assert.Equal(t, "Nov  2 12:00:00 mx sendmail[42]: ID: quarantine=one\n", string(old))
	now, err := os.ReadFile(name)
	require.NoError(t, err)
	assert.Equal(t, "Nov  2 12:00:00 mx sendmail[42]: ID: quarantine=two\n", string(now))
}

func TestWriterSyslog(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "log") // short: socket names are
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: dir + "/s", Net: "unixgram"})
	require.NoError(t, err)
	defer conn.Close()
	w, err := logfmt.DialSyslog(dir+"/s", opts())
	require.NoError(t, err)
	w.Event(quarantine("one"))
	w.Event(mtakit.Event{Time: noon, Kind: mtakit.EventProblem, ID: "ID", Err: errors.New("two")})
	require.NoError(t, w.Close())
	var got []string
	buf := make([]byte, 2048)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	for range 2 {
		n, err := conn.Read(buf)
		require.NoError(t, err)
		got = append(got, string(buf[:n]))
	}
	assert.Equal(t, []string{
		"<22>Nov  2 12:00:00 sendmail[42]: ID: quarantine=one",
		"<18>Nov  2 12:00:00 sendmail[42]: ID: SYSERR(root): two",
	}, got)
}

func TestWriterManyGoroutines(t *testing.T) {
	t.Parallel()
	out := &countingWriter{}
	o := opts()
	o.MaxPending = 4000 // callers have to wait for each other
	o.Delay = 100 * time.Microsecond
	w := logfmt.NewWriter(out, o)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 250 {
				e := quarantine(fmt.Sprintf("%d-%d", g, i))
				e.ID = "6AM8DSgX004705"
				w.Event(e)
			}
		})
	}
	wg.Wait()
	require.NoError(t, w.Close())
	seen := map[string]bool{}
	for l, err := range logfmt.Parse(&out.Buffer, "log", nil) {
		require.NoError(t, err)
		seen[l.Field("reason")] = true
	}
	assert.Len(t, seen, 2000)
}

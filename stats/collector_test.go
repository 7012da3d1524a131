package stats

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/filelock"
	"github.com/mtakit/mtakit/internal/vfs"
)

func read(t testing.TB, fsys vfs.FS, name string) *Counters {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	require.NoError(t, err)
	defer f.Close()
	c, err := Parse(f, name)
	require.NoError(t, err)
	return c
}

var (
	accept  = mtakit.Event{Kind: mtakit.EventAccept, FromMailer: "esmtp", Size: 1001}
	deliver = mtakit.Event{Kind: mtakit.EventDeliver, Mailer: "local", Size: 1, To: []string{"a", "b"}}
)

func TestCollectorCounts(t *testing.T) {
	t.Parallel()
	refused := &mtakit.Error{Code: 550}
	name := filepath.Join(t.TempDir(), "st")
	c := New(name, &Options{Create: true})
	for _, e := range []mtakit.Event{
		accept, accept, deliver,
		{Kind: mtakit.EventAccept, FromMailer: "local", Size: 0},
		{Kind: mtakit.EventAccept, FromMailer: "nosuch", Size: 5},
		{Kind: mtakit.EventConnect},
		{Kind: mtakit.EventConnect, Text: "connect"},
		{Kind: mtakit.EventConnect, Text: "SMTP outgoing connect on mx.example.net"},
		{Kind: mtakit.EventConnect, Text: "lost input channel"},
		{Kind: mtakit.EventReject, Err: refused},
		{Kind: mtakit.EventReject, Err: refused, FromMailer: "esmtp"},
		{Kind: mtakit.EventReject, FromMailer: "esmtp"},
		{Kind: mtakit.EventQuarantine, FromMailer: "esmtp"},
		{Kind: mtakit.EventReport, Text: "DSN", NewID: "x", FromMailer: "local", Size: 3000},
		{Kind: mtakit.EventReport, Text: "clone", NewID: "x", FromMailer: "local", Size: 3000},
		{Kind: mtakit.EventDefer, Mailer: "local", To: []string{"a"}},
	} {
		c.Event(e)
	}
	require.NoError(t, c.Flush())
	got := read(t, vfs.OS, name)
	want := Counters{Since: got.Since, ConnAccepted: 2, ConnMade: 1, ConnRejected: 3}
	want.Mailers[5] = Mailer{From: 2, KBFrom: 4, Rejected: 1, Discarded: 1, Quarantined: 1}
	want.Mailers[3] = Mailer{From: 2, KBFrom: 3, To: 2, KBTo: 2}
	assert.Equal(t, want, *got)
	assert.WithinDuration(t, time.Now(), got.Since, time.Minute)

	c.Event(accept)
	require.NoError(t, c.Flush())
	again := read(t, vfs.OS, name)
	assert.EqualValues(t, 3, again.Mailers[5].From)
	assert.Equal(t, got.Since, again.Since)
}

func TestKilobytes(t *testing.T) {
	t.Parallel()
	for size, want := range map[int64]int64{-1: 0, 0: 0, 1: 1, 1000: 1, 1001: 2, 1<<63 - 1: 9223372036854776} {
		assert.Equal(t, want, Kilobytes(size), size)
	}
}

func TestCollectorFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	flush := func(name string, opts *Options) error {
		c := New(filepath.Join(dir, name), opts)
		c.Event(accept)
		return c.Flush()
	}
	require.NoError(t, flush("missing", nil))
	require.NoFileExists(t, filepath.Join(dir, "missing"), "never created by itself")

	tail := append(bytes.Repeat([]byte{'x'}, Size), "tail"...)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "foreign"), tail, 0o600))
	require.NoError(t, flush("foreign", nil))
	b, err := os.ReadFile(filepath.Join(dir, "foreign"))
	require.NoError(t, err)
	assert.Equal(t, "tail", string(b[Size:]), "what follows the record stays")
	assert.EqualValues(t, 1, read(t, vfs.OS, filepath.Join(dir, "foreign")).Mailers[5].From)

	require.NoError(t, os.Symlink("foreign", filepath.Join(dir, "link")))
	require.Error(t, flush("link", nil))
	require.NoError(t, os.Link(filepath.Join(dir, "foreign"), filepath.Join(dir, "second")))
	require.Error(t, flush("second", nil))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dir"), 0o700))
	require.Error(t, flush("dir", nil))
}

func TestCollectorWaitsForLock(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "st")
	f, err := os.Create(name)
	require.NoError(t, err)
	locked, err := filelock.TryFlock(f, true)
	require.NoError(t, err)
	require.True(t, locked)
	c := New(name, &Options{LockWait: 50 * time.Millisecond})
	c.Event(accept)
	require.ErrorContains(t, c.Flush(), "held by another program")
	require.NoError(t, f.Close())
	require.NoError(t, c.Flush())
	assert.EqualValues(t, 1, read(t, vfs.OS, name).Mailers[5].From, "the counts were kept, and counted once")
}

func TestCollectorRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		mem := vfs.NewMem(nil)
		c := New("st", &Options{Create: true, Interval: time.Minute, fs: mem})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { assert.NoError(t, c.Run(ctx)) })
		c.Event(accept)
		time.Sleep(59 * time.Second)
		_, err := mem.Stat("st")
		require.ErrorIs(t, err, os.ErrNotExist)
		time.Sleep(2 * time.Second)
		assert.EqualValues(t, 1, read(t, mem, "st").Mailers[5].From)
		c.Event(accept)
		cancel()
		wg.Wait()
		assert.EqualValues(t, 2, read(t, mem, "st").Mailers[5].From)
	})
}

// TestCollectorCrash: after a crash at any operation the file has the old or the new counts, and the new ones when Flush had
// said so.
func TestCollectorCrash(t *testing.T) {
	t.Parallel()
	setup := func(fsys vfs.FS) {
		f, _ := fsys.OpenFile("st", os.O_WRONLY|os.O_CREATE, 0o600)
		old := &Counters{Since: time.Unix(1, 0), ConnMade: 7}
		_, _ = old.WriteTo(f)
		f.Close()
	}
	n := vfs.EachCrashPointWith(t, &vfs.CrashOptions{Setup: setup, Seeds: 5}, func(fsys vfs.FS) bool {
		c := New("st", &Options{fs: fsys})
		c.Event(accept)
		return c.Flush() == nil
	}, func(t *testing.T, p vfs.CrashPoint, promised bool, fsys vfs.FS) {
		got := read(t, fsys, "st")
		require.EqualValues(t, 7, got.ConnMade, "%v", p)
		require.LessOrEqual(t, got.Mailers[5].From, int64(1), "%v", p)
		if promised {
			require.EqualValues(t, 1, got.Mailers[5].From, "%v", p)
		}
	})
	assert.Greater(t, n, 20)
}

// TestCollectorCrashNew: the same for a file that does not exist before.
func TestCollectorCrashNew(t *testing.T) {
	t.Parallel()
	vfs.EachCrashPoint(t, func(fsys vfs.FS) bool {
		c := New("st", &Options{fs: fsys, Create: true})
		c.Event(accept)
		return c.Flush() == nil
	}, func(t *testing.T, p vfs.CrashPoint, promised bool, fsys vfs.FS) {
		if _, err := fsys.Stat("st"); err != nil && !promised {
			return
		}
		f, err := fsys.OpenFile("st", os.O_RDONLY, 0)
		require.NoError(t, err, "%v", p)
		if got, err := Parse(f, "st"); promised {
			require.NoError(t, err, "%v", p)
			require.EqualValues(t, 1, got.Mailers[5].From, "%v", p)
		}
	})
}

// TestCollectorFaults: whatever fails, every event is counted exactly once in the end.
func TestCollectorFaults(t *testing.T) {
	t.Parallel()
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EMFILE} {
		vfs.EachFault(t, errno, func(fsys vfs.FS) *Collector {
			c := New("st", &Options{fs: fsys, Create: true})
			c.Event(accept)
			_ = c.Flush()
			c.Event(accept)
			_ = c.Flush()
			return c
		}, func(t *testing.T, call vfs.Call, c *Collector, fsys vfs.FS) {
			require.NoError(t, c.Flush(), "%v", call)
			require.EqualValues(t, 2, read(t, fsys, "st").Mailers[5].From, "%v", call)
		})
	}
}

func TestParseReadError(t *testing.T) {
	t.Parallel()
	oops := errors.New("oops")
	_, err := Parse(io.MultiReader(bytes.NewReader([]byte{1, 2}), failing{oops}), "st")
	require.ErrorIs(t, err, oops)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

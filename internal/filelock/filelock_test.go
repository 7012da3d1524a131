package filelock

import (
	"context"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/vfs"
)

func open(t *testing.T, name string) vfs.File {
	f, err := vfs.OS.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// Two descriptors of one process exclude each other, and closing a third does not release the lock.
func TestLocks(t *testing.T) {
	for name, try := range map[string]func(vfs.File, bool) (bool, error){"flock": TryFlock, "ofd": TryOFD} {
		t.Run(name, func(t *testing.T) {
			if name == "ofd" && runtime.GOOS != "linux" && runtime.GOOS != "windows" {
				t.Skip("locks of fcntl(2) belong to the process here")
			}
			path := t.TempDir() + "/f"
			a, b, c := open(t, path), open(t, path), open(t, path)
			ok, err := try(a, true)
			require.NoError(t, err)
			require.True(t, ok)
			require.NoError(t, c.Close())
			ok, err = try(b, true)
			require.NoError(t, err)
			assert.False(t, ok)
			ok, err = try(b, false)
			require.NoError(t, err)
			assert.False(t, ok)
			require.NoError(t, a.Close())
			ok, err = try(b, false)
			require.NoError(t, err)
			assert.True(t, ok)
			ok, err = try(open(t, path), false)
			require.NoError(t, err)
			assert.True(t, ok, "two readers")
		})
	}
	ok, err := TryOFD(noFd{}, true)
	assert.True(t, ok)
	require.NoError(t, err)
}

type noFd struct{ vfs.File }

func (noFd) Fd() uintptr { return vfs.NoFd }

func TestQueue(t *testing.T) {
	var q Queue
	ctx := context.Background()
	require.NoError(t, q.Lock(ctx, "a"))
	require.NoError(t, q.Lock(ctx, "b"), "another name is free")
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, q.Lock(short, "a"), context.DeadlineExceeded)
	q.Unlock("a")
	q.Unlock("b")
	n := 0
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			for range 100 {
				if q.Lock(ctx, "a") == nil {
					n++
					q.Unlock("a")
				}
			}
		})
	}
	wg.Wait()
	assert.Equal(t, 5000, n)
	assert.Empty(t, q.held)
}

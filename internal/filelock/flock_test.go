//go:build unix

package filelock

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestUnlock: the lock is gone although another descriptor of the open file is left, as in a child that has not called
// execve(2) yet.
func TestUnlock(t *testing.T) {
	path := t.TempDir() + "/f"
	a := open(t, path)
	child, err := syscall.Dup(int(a.Fd()))
	require.NoError(t, err)
	defer syscall.Close(child)
	ok, err := TryFlock(a, true)
	require.NoError(t, err)
	require.True(t, ok)
	Unlock(a)
	require.NoError(t, a.Close())
	ok, err = TryFlock(open(t, path), true)
	require.NoError(t, err)
	assert.True(t, ok)
	Unlock(noFd{})
}

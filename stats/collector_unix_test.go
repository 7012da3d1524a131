//go:build unix

package stats

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A pipe in place of the file is refused, and not waited for.
func TestCollectorPipe(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, unix.Mkfifo(name, 0o600))
	c := New(name, nil)
	c.Event(accept)
	require.ErrorContains(t, c.Flush(), "not a regular file")
}

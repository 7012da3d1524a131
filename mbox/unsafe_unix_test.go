//go:build unix

package mbox

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// Refused without blocking, and without touching anything.
func TestAppendUnsafe(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	symlink, hard, fifo := filepath.Join(dir, "symlink"), filepath.Join(dir, "hard"), filepath.Join(dir, "fifo")
	require.NoError(t, os.Symlink(file, symlink))
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	other := filepath.Join(dir, "other")
	require.NoError(t, os.WriteFile(other, nil, 0o622))
	require.NoError(t, os.Chmod(other, 0o622))
	two := filepath.Join(dir, "two")
	require.NoError(t, os.WriteFile(two, nil, 0o600))
	require.NoError(t, os.Link(two, hard))
	stranger := os.Getuid() + 1
	for name, c := range map[string]struct {
		path string
		o    AppendOptions
	}{
		"symbolic link": {symlink, AppendOptions{}}, "hard link": {hard, AppendOptions{}}, "FIFO": {fifo, AppendOptions{}},
		"directory": {dir, AppendOptions{}}, "device": {"/dev/null", AppendOptions{}},
		"owner": {file, AppendOptions{Owner: &stranger}}, "mode": {other, AppendOptions{Forbid: 0o022}},
	} {
		t.Run(name, func(t *testing.T) {
			err := appendTo(t, c.path, "x\n", &c.o)
			require.ErrorIs(t, err, ErrUnsafe)
		})
	}
	require.Error(t, appendTo(t, filepath.Join(dir, "none"), "x\n", &AppendOptions{NoCreate: true}))
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Empty(t, b)
}

package durable_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/durable"
	"github.com/mtakit/mtakit/internal/vfs"
)

func read(t testing.TB, fsys vfs.FS, name string) string {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	require.NoError(t, err)
	defer f.Close()
	b, err := io.ReadAll(f)
	require.NoError(t, err)
	return string(b)
}

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func setup(fsys vfs.FS) {
	_ = fsys.Mkdir("d", 0o700)
	_ = durable.WriteFile(fsys, "d/f", 0o640, text("old"))
}

func TestWriteFileCrash(t *testing.T) {
	t.Parallel()
	n := vfs.EachCrashPointWith(t, &vfs.CrashOptions{Setup: setup, Seeds: 4}, func(fsys vfs.FS) bool {
		return durable.WriteFile(fsys, "d/f", 0o600, text("new")) == nil
	}, func(t *testing.T, p vfs.CrashPoint, promised bool, fsys vfs.FS) {
		got := read(t, fsys, "d/f")
		if promised || got != "old" {
			require.Equal(t, "new", got, "%v", p)
		}
		fi, err := fsys.Stat("d/f")
		require.NoError(t, err)
		assert.Equal(t, fs.FileMode(0o640), fi.Mode(), "the mode stays")
		require.NoError(t, durable.RemoveTemp(fsys, "d"))
		list, err := fsys.ReadDir("d")
		require.NoError(t, err)
		require.Len(t, list, 1, "%v: nothing is left behind", p)
	})
	t.Logf("%d crash points", n)
}

func TestWriteFileFaults(t *testing.T) {
	t.Parallel()
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE} {
		n := vfs.EachFaultWith(t, errno, &vfs.CrashOptions{Setup: setup}, func(fsys vfs.FS) error {
			return durable.WriteFile(fsys, "d/f", 0o600, text("new"))
		}, func(t *testing.T, c vfs.Call, err error, fsys vfs.FS) {
			if c.N == 0 {
				require.NoError(t, err)
				require.Equal(t, "new", read(t, fsys, "d/f"))
				return
			}
			require.ErrorIs(t, err, errno, "%v", c)
			if c.Op != vfs.OpSyncDir {
				require.Equal(t, "old", read(t, fsys, "d/f"), "%v", c)
			}
			list, err := fsys.ReadDir("d")
			require.NoError(t, err)
			require.Len(t, list, 1, "%v", c)
		})
		assert.Equal(t, 7, n, "stat, create, chmod, write, sync, rename, syncdir")
	}
}

func TestWriteFileWriterFails(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem(nil)
	setup(mem)
	oops := errors.New("oops")
	require.ErrorIs(t, durable.WriteFile(mem, "d/f", 0o600, func(w io.Writer) error {
		_, _ = io.WriteString(w, "half")
		return oops
	}), oops)
	assert.Equal(t, "old", read(t, mem, "d/f"))
}

func TestLinkRenameRemoveSurvive(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem(nil)
	setup(mem)
	require.NoError(t, mem.Mkdir("e", 0o700))
	mem.SyncAll()
	s := durable.NewDirSyncer(mem)
	require.NoError(t, durable.Link(mem, s, "d/f", "e/linked"))
	require.NoError(t, durable.Rename(mem, nil, "d/f", "e/renamed"))
	after := mem.Crash(vfs.CrashDrop, 0)
	assert.Equal(t, "old", read(t, after, "e/linked"))
	assert.Equal(t, "old", read(t, after, "e/renamed"))
	_, err := after.Stat("d/f")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, durable.Remove(mem, s, "e/linked"))
	_, err = mem.Crash(vfs.CrashDrop, 0).Stat("e/linked")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

package vfs_test

import (
	"io"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/vfs"
)

// replace is a program under test: it replaces a file, with as many of the needed syncs as careful tells it to do.
func replace(fsys vfs.FS, text string, syncFile, syncDir bool) error {
	f, err := fsys.OpenFile("tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.WriteString(f, text); err != nil {
		return err
	}
	if syncFile {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	if err := fsys.Rename("tmp", "file"); err != nil {
		return err
	}
	if syncDir {
		return fsys.SyncDir("/")
	}
	return nil
}

// crashes counts the crashes after which the file was neither old nor new, or not new although that was promised.
func crashes(t *testing.T, syncFile, syncDir bool) (bad, points int) {
	setup := func(fsys vfs.FS) { write(t, fsys, "file", "old", false) }
	points = vfs.EachCrashPointWith(t, &vfs.CrashOptions{Setup: setup}, func(fsys vfs.FS) bool {
		return replace(fsys, "new", syncFile, syncDir) == nil
	}, func(t *testing.T, p vfs.CrashPoint, promised bool, fsys vfs.FS) {
		f, err := fsys.OpenFile("file", os.O_RDONLY, 0)
		require.NoError(t, err, "%v", p)
		b, err := io.ReadAll(f)
		require.NoError(t, err)
		if string(b) != "new" && (promised || string(b) != "old") {
			bad++
		}
	})
	return bad, points
}

func TestEachCrashPointFindsMissingSyncs(t *testing.T) {
	t.Parallel()
	bad, points := crashes(t, true, true)
	assert.Zero(t, bad)
	assert.Equal(t, 6*7, points, "create, write, sync, rename, syncdir and the end; drop, names, kill, 2 torn, 2 random")
	bad, _ = crashes(t, false, true)
	assert.NotZero(t, bad, "rename before the file's sync")
	bad, _ = crashes(t, true, false)
	assert.NotZero(t, bad, "success before the directory's sync")
}

func TestEachFault(t *testing.T) {
	t.Parallel()
	var seen []string
	n := vfs.EachFault(t, syscall.EIO, func(fsys vfs.FS) error {
		return replace(fsys, "new", true, true)
	}, func(t *testing.T, c vfs.Call, err error, fsys vfs.FS) {
		if c.N == 0 {
			require.NoError(t, err)
			return
		}
		require.ErrorIs(t, err, syscall.EIO)
		seen = append(seen, c.Op.String())
	})
	assert.Equal(t, 5, n)
	assert.Equal(t, []string{"create", "write", "sync", "rename", "syncdir"}, seen)
}

func TestFaults(t *testing.T) {
	t.Parallel()
	t.Run("short write, then full", func(t *testing.T) {
		t.Parallel()
		mem := vfs.NewMem(nil)
		f := vfs.NewFaults(mem, 0)
		f.Add(vfs.Fault{Ops: vfs.OpWrite, At: 2, Err: syscall.ENOSPC, Short: 3})
		w, err := f.OpenFile("x", os.O_WRONLY|os.O_CREATE, 0o600)
		require.NoError(t, err)
		_, err = io.WriteString(w, "one ")
		require.NoError(t, err)
		n, err := io.WriteString(w, "two ")
		require.ErrorIs(t, err, syscall.ENOSPC)
		assert.Equal(t, 3, n)
		_, err = io.WriteString(w, "!")
		require.NoError(t, err)
		assert.Equal(t, "x=one two!", show(t, mem, "/"))
	})
	t.Run("by name, always", func(t *testing.T) {
		t.Parallel()
		f := vfs.NewFaults(vfs.NewMem(nil), 0)
		f.Add(vfs.Fault{Name: "df*", Err: syscall.EMFILE})
		_, err := f.OpenFile("q/df1", os.O_WRONLY|os.O_CREATE, 0o600)
		require.ErrorIs(t, err, syscall.EMFILE)
		_, err = f.OpenFile("qf1", os.O_WRONLY|os.O_CREATE, 0o600)
		require.NoError(t, err)
		f.Clear()
		_, err = f.OpenFile("df1", os.O_WRONLY|os.O_CREATE, 0o600)
		require.NoError(t, err)
	})
	t.Run("behind the program's back", func(t *testing.T) {
		t.Parallel()
		mem := vfs.NewMem(nil)
		write(t, mem, "x", "", false)
		f := vfs.NewFaults(mem, 0)
		f.Add(vfs.Fault{Ops: vfs.OpOpen, Before: func(vfs.Call) { _ = mem.Remove("x") }})
		_, err := f.OpenFile("x", os.O_RDONLY, 0)
		require.ErrorIs(t, err, os.ErrNotExist)
	})
	t.Run("stopped for good, a write half done", func(t *testing.T) {
		t.Parallel()
		mem := vfs.NewMem(nil)
		f := vfs.NewFaults(mem, vfs.OpChange)
		f.StopAt(2)
		w, err := f.OpenFile("x", os.O_WRONLY|os.O_CREATE, 0o600)
		require.NoError(t, err)
		_, err = io.WriteString(w, "abcdef")
		require.ErrorIs(t, err, vfs.ErrCrashed)
		require.ErrorIs(t, w.Sync(), vfs.ErrCrashed)
		_, err = f.Stat("x")
		require.ErrorIs(t, err, vfs.ErrCrashed)
		call, stopped := f.Stopped()
		assert.True(t, stopped)
		assert.Equal(t, "2 write x 6", call.String())
		assert.Equal(t, "x=abc", show(t, mem.Crash(vfs.CrashKill, 0), "/"))
	})
}

package table_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/filelock"
	"github.com/mtakit/mtakit/internal/vfs"
	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/bdb"
	"github.com/mtakit/mtakit/table/cdb"
)

// engines are those that build, with the names of their classes.
func engines() map[string]table.Engine {
	return map[string]table.Engine{"hash": bdb.Hash(), "btree": bdb.Btree(), "cdb": cdb.Engine(), "text": table.TextEngine(nil)}
}

// install builds a map with one record per number below n, all with the value gen.
func install(ctx context.Context, e table.Engine, path, gen string, n int, o *table.ReplaceOptions) error {
	b, err := e.NewBuilder(table.BuildOptions{})
	if err != nil {
		return err
	}
	for i := range n {
		if err := b.Put(fmt.Appendf(nil, "k%d", i), []byte(gen)); err != nil {
			return err
		}
	}
	return e.Install(ctx, path, b, o)
}

func TestInstall(t *testing.T) {
	t.Parallel()
	for class, e := range engines() {
		t.Run(class, func(t *testing.T) {
			t.Parallel()
			path := e.Path(filepath.Join(t.TempDir(), "map"))
			require.NoError(t, install(t.Context(), e, path, "one", 100, nil))
			m, err := table.Registry{class: e}.Open(t.Context(), class+":"+path)
			require.NoError(t, err)
			defer m.Close()
			assert.Equal(t, "one", lookup(t.Context(), m, "k99"))
			require.NoError(t, os.Chmod(path, 0o604))
			source := time.Now().Add(time.Hour).Truncate(time.Second)
			require.NoError(t, install(t.Context(), e, path, "two", 100, &table.ReplaceOptions{Keep: ".old", NotBefore: source}))
			fi, err := os.Stat(path)
			require.NoError(t, err)
			assert.Equal(t, fs.FileMode(0o604), fi.Mode().Perm(), "the mode stays")
			assert.False(t, fi.ModTime().Before(source), "not older than its source")
			if class != "text" {
				assert.Equal(t, "two", lookup(t.Context(), m, "k99"), "the open map follows")
			}
			old, err := table.Registry{class: e}.Open(t.Context(), class+":"+path)
			require.NoError(t, err)
			old.Close()
			_, err = os.Stat(path + ".old")
			require.NoError(t, err)
			_, err = os.Stat(path + ".tmp")
			require.ErrorIs(t, err, fs.ErrNotExist)
		})
	}
}

func TestReplaceTouchesTheOldFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "map")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	old, err := os.Open(path)
	require.NoError(t, err)
	defer old.Close()
	before, err := old.Stat()
	require.NoError(t, err)
	require.NoError(t, table.Replace(t.Context(), path, nil, writeString("new")))
	after, err := old.Stat()
	require.NoError(t, err)
	assert.Greater(t, after.ModTime().Unix(), before.ModTime().Unix(), "sendmail compares whole seconds")
}

func TestReplaceFollowsLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "real"), []byte("old"), 0o600))
	require.NoError(t, os.Symlink("real", filepath.Join(dir, "link")))
	require.NoError(t, table.Replace(t.Context(), filepath.Join(dir, "link"), nil, writeString("new")))
	b, err := os.ReadFile(filepath.Join(dir, "real"))
	require.NoError(t, err)
	assert.Equal(t, "new", string(b))
}

// writeString is a writer for Replace.
func writeString(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func TestReplaceWaitsForLocks(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "map")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	other, err := os.Open(path)
	require.NoError(t, err)
	defer other.Close()
	locked, err := filelock.TryFlock(other, true)
	require.NoError(t, err)
	require.True(t, locked)

	err = table.Replace(t.Context(), path, &table.ReplaceOptions{LockWait: 10 * time.Millisecond}, writeString("new"))
	require.ErrorIs(t, err, table.ErrLocked)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, table.Replace(ctx, path, nil, writeString("new")), context.DeadlineExceeded)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "old", string(b))

	var wg sync.WaitGroup
	wg.Go(func() {
		time.Sleep(20 * time.Millisecond)
		filelock.Unlock(other)
	})
	err = table.Replace(t.Context(), path, nil, writeString("new"))
	wg.Wait()
	require.NoError(t, err)
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, entries, 1, "nothing is left aside")
}

func TestReplaceErrors(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "map")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	broken := errors.New("broken")
	for name, err := range map[string]error{
		"write":  table.Replace(t.Context(), path, nil, func(io.Writer) error { return broken }),
		"verify": table.Replace(t.Context(), path, &table.ReplaceOptions{Verify: func(io.ReaderAt, int64) error { return broken }}, writeString("new")),
	} {
		require.ErrorIs(t, err, broken, name)
	}
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "old", string(b))
	_, err = os.Stat(path + ".tmp")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// TestReplaceCrash: whenever the machine dies, the map is the old one or the new one as a whole, and the new one once Replace has
// returned.
func TestReplaceCrash(t *testing.T) {
	t.Parallel()
	for class, e := range engines() {
		if class == "text" {
			continue
		}
		t.Run(class, func(t *testing.T) {
			t.Parallel()
			setup := func(fsys vfs.FS) {
				require.NoError(t, install(t.Context(), e, "map", "old", 200, &table.ReplaceOptions{FS: fsys}))
				require.NoError(t, fsys.SyncDir("."))
			}
			points := vfs.EachCrashPointWith(t, &vfs.CrashOptions{Setup: setup}, func(fsys vfs.FS) (acked bool) {
				return install(t.Context(), e, "map", "new", 300, &table.ReplaceOptions{FS: fsys, Keep: ".old"}) == nil
			}, func(t *testing.T, p vfs.CrashPoint, acked bool, fsys vfs.FS) {
				gen, n, err := readMap(e, fsys, "map")
				if !assert.NoError(t, err, "%v", p) {
					return
				}
				ok := gen == "new" && n == 300 || gen == "old" && n == 200 && !acked
				assert.True(t, ok, "%v: acked %v, %d records of %s", p, acked, n, gen)
			})
			assert.Greater(t, points, 10)
		})
	}
}

// TestReplaceFaults: a file system that fails at one operation gives an error, and leaves the old map or the new one.
func TestReplaceFaults(t *testing.T) {
	t.Parallel()
	e := bdb.Hash()
	setup := func(fsys vfs.FS) {
		require.NoError(t, install(t.Context(), e, "map", "old", 200, &table.ReplaceOptions{FS: fsys}))
	}
	vfs.EachFaultWith(t, syscall.ENOSPC, &vfs.CrashOptions{Setup: setup}, func(fsys vfs.FS) error {
		return install(t.Context(), e, "map", "new", 300, &table.ReplaceOptions{FS: fsys})
	}, func(t *testing.T, c vfs.Call, acked error, fsys vfs.FS) {
		gen, n, err := readMap(e, fsys, "map")
		require.NoError(t, err, "%v", c)
		ok := gen == "new" && n == 300 || gen == "old" && n == 200 && acked != nil
		assert.True(t, ok, "%v: %v, %d records of %s", c, acked, n, gen)
	})
}

// readMap reads a map from a file system and returns the value that all records have, and their number.
func readMap(e table.Engine, fsys vfs.FS, name string) (gen string, n int, err error) {
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	content, err := io.ReadAll(f)
	if err != nil {
		return "", 0, err
	}
	records, err := e.Verify(bytes.NewReader(content), int64(len(content)), name)
	if err != nil {
		return "", 0, err
	}
	for _, g := range []string{"old", "new"} {
		if bytes.Contains(content, []byte(g)) {
			gen += g
		}
	}
	return gen, int(records), nil
}

// TestFollowUnderLoad: look-ups never see a mix or a gap while the map is replaced, by us and in place.
func TestFollowUnderLoad(t *testing.T) {
	t.Parallel()
	for class, e := range engines() {
		if class == "text" {
			continue
		}
		t.Run(class, func(t *testing.T) {
			t.Parallel()
			path := e.Path(filepath.Join(t.TempDir(), "map"))
			const n = 500
			require.NoError(t, install(t.Context(), e, path, "0", n, nil))
			m, err := table.Registry{class: e}.Open(t.Context(), class+":"+path)
			require.NoError(t, err)
			defer m.Close()
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			for g := range 2 {
				wg.Go(func() {
					for i := g; ctx.Err() == nil; i++ {
						v, ok, err := m.Lookup(t.Context(), fmt.Sprint("k", i%n))
						if !assert.NoError(t, err) || !assert.True(t, ok) || !assert.NotEmpty(t, v) {
							return
						}
					}
				})
			}
			for gen := range 20 {
				if gen%2 == 0 {
					require.NoError(t, install(t.Context(), e, path, fmt.Sprint(gen), n, nil))
				} else {
					rewriteInPlace(t, e, path, fmt.Sprint(gen), n)
				}
				assert.Equal(t, fmt.Sprint(gen), lookup(t.Context(), m, "k7"))
			}
			cancel()
			wg.Wait()
		})
	}
}

// rewriteInPlace does what makemap does: lock, truncate, write.
func rewriteInPlace(t *testing.T, e table.Engine, path, gen string, n int) {
	t.Helper()
	b, err := e.NewBuilder(table.BuildOptions{})
	require.NoError(t, err)
	for i := range n {
		require.NoError(t, b.Put(fmt.Appendf(nil, "k%d", i), []byte(gen)))
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	for locked := false; !locked; time.Sleep(time.Millisecond) { // readers lock for a moment
		locked, err = filelock.TryFlock(f, true)
		require.NoError(t, err)
	}
	require.NoError(t, f.Truncate(0))
	time.Sleep(3 * time.Millisecond)
	_, err = b.WriteTo(f)
	require.NoError(t, err)
}

// TestFixed: a map that is opened with Fixed answers from the file that was opened, or not at all.
func TestFixed(t *testing.T) {
	t.Parallel()
	for class, e := range engines() {
		if class == "text" {
			continue
		}
		t.Run(class, func(t *testing.T) {
			t.Parallel()
			path := e.Path(filepath.Join(t.TempDir(), "map"))
			require.NoError(t, install(t.Context(), e, path, "0", 10, nil))
			m, err := e.Open(t.Context(), path, table.OpenOptions{Fixed: true})
			require.NoError(t, err)
			require.NoError(t, install(t.Context(), e, path, "1", 10, nil))
			assert.Equal(t, "0", lookup(t.Context(), m, "k1"))
			require.NoError(t, m.Close())
			_, _, err = m.Lookup(t.Context(), "k1")
			require.ErrorIs(t, err, fs.ErrClosed)

			m, err = e.Open(t.Context(), path, table.OpenOptions{Fixed: true})
			require.NoError(t, err)
			defer m.Close()
			time.Sleep(5 * time.Millisecond)
			rewriteInPlace(t, e, path, "2", 10)
			_, _, err = m.Lookup(t.Context(), "k1")
			require.ErrorIs(t, err, table.ErrChanged)
		})
	}
}

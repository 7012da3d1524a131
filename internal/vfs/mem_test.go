package vfs_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/vfs"
)

func write(t testing.TB, fsys vfs.FS, name, text string, sync bool) {
	t.Helper()
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	require.NoError(t, err)
	_, err = io.WriteString(f, text)
	require.NoError(t, err)
	if sync {
		require.NoError(t, f.Sync())
	}
	require.NoError(t, f.Close())
}

// show prints a directory as "name=content" of its files, sorted.
func show(t testing.TB, fsys vfs.FS, dir string) string {
	t.Helper()
	list, err := fsys.ReadDir(dir)
	require.NoError(t, err)
	var out []string
	for _, e := range list {
		if e.IsDir() {
			out = append(out, e.Name()+"/")
			continue
		}
		f, err := fsys.OpenFile(filepath.Join(dir, e.Name()), os.O_RDONLY, 0)
		require.NoError(t, err)
		b, err := io.ReadAll(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		out = append(out, e.Name()+"="+string(b))
	}
	sort.Strings(out)
	return strings.Join(out, " ")
}

func TestMemWhatSurvives(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		do    func(t *testing.T, m vfs.FS)
		kind  vfs.CrashKind
		posix string // what is left in d, strict
		ext4  string // with MemOptions.Journal
	}{
		{"nothing synced", func(t *testing.T, m vfs.FS) { write(t, m, "d/a", "x", false) }, vfs.CrashDrop, "old=1", "old=1"},
		{"data synced, name not", func(t *testing.T, m vfs.FS) { write(t, m, "d/a", "x", true) }, vfs.CrashDrop, "old=1", "a=x old=1"},
		{"name synced, data not", func(t *testing.T, m vfs.FS) {
			write(t, m, "d/a", "x", false)
			require.NoError(t, m.SyncDir("d"))
		}, vfs.CrashDrop, "a= old=1", "a= old=1"},
		{"both synced", func(t *testing.T, m vfs.FS) {
			write(t, m, "d/a", "x", true)
			require.NoError(t, m.SyncDir("d"))
		}, vfs.CrashDrop, "a=x old=1", "a=x old=1"},
		{"rename over without sync", func(t *testing.T, m vfs.FS) {
			write(t, m, "d/a", "x", false)
			require.NoError(t, m.Rename("d/a", "d/old"))
		}, vfs.CrashNames, "old=", "old="},
		{"rename over without directory sync", func(t *testing.T, m vfs.FS) {
			write(t, m, "d/a", "x", true)
			require.NoError(t, m.Rename("d/a", "d/old"))
		}, vfs.CrashDrop, "old=1", "a=x old=1"},
		{"rename over, all synced", func(t *testing.T, m vfs.FS) {
			write(t, m, "d/a", "x", true)
			require.NoError(t, m.Rename("d/a", "d/old"))
			require.NoError(t, m.SyncDir("d"))
		}, vfs.CrashDrop, "old=x", "old=x"},
		{"remove without directory sync", func(t *testing.T, m vfs.FS) { require.NoError(t, m.Remove("d/old")) }, vfs.CrashDrop, "old=1", "old=1"},
		{"rename between directories, source synced", func(t *testing.T, m vfs.FS) {
			require.NoError(t, m.Rename("d/old", "e/new"))
			require.NoError(t, m.SyncDir("d"))
		}, vfs.CrashDrop, "", ""},
		{"create elsewhere, then rename here", func(t *testing.T, m vfs.FS) {
			write(t, m, "e/tmp", "x", true)
			require.NoError(t, m.Rename("e/tmp", "d/new"))
			require.NoError(t, m.SyncDir("d"))
			require.NoError(t, m.SyncDir("e"))
		}, vfs.CrashDrop, "new=x old=1", "new=x old=1"},
		{"overwrite in place is taken back", func(t *testing.T, m vfs.FS) { write(t, m, "d/old", "22", false) }, vfs.CrashDrop, "old=1", "old=1"},
		{"process killed", func(t *testing.T, m vfs.FS) { write(t, m, "d/a", "x", false) }, vfs.CrashKill, "a=x old=1", "a=x old=1"},
		{"hard link shares data", func(t *testing.T, m vfs.FS) {
			require.NoError(t, m.Link("d/old", "d/two"))
			require.NoError(t, m.SyncDir("d"))
			write(t, m, "d/two", "2", true)
		}, vfs.CrashDrop, "old=2 two=2", "old=2 two=2"},
	}
	for _, tc := range tests {
		for _, journal := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, journal %v", tc.name, journal), func(t *testing.T) {
				t.Parallel()
				m := vfs.NewMem(&vfs.MemOptions{Journal: journal})
				require.NoError(t, m.Mkdir("d", 0o700))
				require.NoError(t, m.Mkdir("e", 0o700))
				write(t, m, "d/old", "1", false)
				m.SyncAll()
				tc.do(t, m)
				want := tc.posix
				if journal {
					want = tc.ext4
				}
				after := m.Crash(tc.kind, 0)
				assert.Equal(t, want, show(t, after, "d"))
				again := after.Crash(vfs.CrashDrop, 0)
				assert.Equal(t, want, show(t, again, "d"), "what a crash left is durable")
			})
		}
	}
}

func TestMemTornWriteEndsAtBlock(t *testing.T) {
	t.Parallel()
	lengths := map[int]bool{}
	for seed := range uint64(50) {
		m := vfs.NewMem(&vfs.MemOptions{BlockSize: 512})
		write(t, m, "f", strings.Repeat("a", 600), true)
		require.NoError(t, m.SyncDir("/"))
		f, err := m.OpenFile("f", os.O_WRONLY|os.O_APPEND, 0)
		require.NoError(t, err)
		_, err = io.WriteString(f, strings.Repeat("b", 1000))
		require.NoError(t, err)
		after := m.Crash(vfs.CrashTorn, seed)
		fi, err := after.Stat("f")
		require.NoError(t, err)
		lengths[int(fi.Size())] = true
		got := strings.TrimPrefix(show(t, after, "/"), "f=")
		assert.Equal(t, strings.Repeat("a", 600), got[:600], "synced data is safe")
		assert.Equal(t, strings.Repeat("b", len(got)-600), got[600:], "a prefix of what was written")
	}
	assert.Equal(t, map[int]bool{600: true, 1024: true, 1536: true, 1600: true}, lengths)
}

func TestMemRandomCrashKeepsSyncedData(t *testing.T) {
	t.Parallel()
	results := map[string]bool{}
	for seed := range uint64(200) {
		m := vfs.NewMem(&vfs.MemOptions{Journal: seed%2 == 0})
		write(t, m, "safe", "s", true)
		require.NoError(t, m.SyncDir("/"))
		write(t, m, "a", "1", true)
		require.NoError(t, m.Rename("a", "b"))
		require.NoError(t, m.Rename("b", "c"))
		got := show(t, m.Crash(vfs.CrashRandom, seed), "/")
		require.Contains(t, []string{"safe=s", "a=1 safe=s", "b=1 safe=s", "c=1 safe=s"}, got, "one name at a time")
		results[got] = true
	}
	assert.Len(t, results, 4, "every legal outcome shows up: %v", results)
}

func TestMemSpace(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem(&vfs.MemOptions{Space: 10})
	write(t, m, "a", "12345678", false)
	f, err := m.OpenFile("b", os.O_WRONLY|os.O_CREATE, 0o600)
	require.NoError(t, err)
	n, err := f.Write([]byte("abcd"))
	assert.Equal(t, 2, n)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, m.Remove("a"))
	n, err = f.Write([]byte("cdefghij"))
	assert.Equal(t, 8, n)
	require.NoError(t, err)
}

// TestMemLikeOS does the same random operations on a Mem and on the real file system and wants the same answers.
func TestMemLikeOS(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b", "d", "d/a", "d/b", "d/e", "d/e/f", "a/x"}
	flags := []int{os.O_RDONLY, os.O_WRONLY | os.O_CREATE, os.O_RDWR | os.O_CREATE | os.O_EXCL,
		os.O_WRONLY | os.O_APPEND, os.O_RDWR | os.O_TRUNC, os.O_WRONLY | os.O_CREATE | os.O_APPEND}
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		dir := t.TempDir()
		m := vfs.NewMem(nil)
		both := func(what string, f func(fsys vfs.FS, root string) (string, error)) {
			got, gotErr := f(m, "/")
			want, wantErr := f(vfs.OS, dir)
			require.Equal(t, want, got, "seed %d: %s", seed, what)
			var g, w syscall.Errno
			errors.As(gotErr, &g)
			errors.As(wantErr, &w)
			require.Equal(t, w, g, "seed %d: %s: got %v, want %v", seed, what, gotErr, wantErr)
			require.Equal(t, wantErr == nil, gotErr == nil, "seed %d: %s: got %v, want %v", seed, what, gotErr, wantErr)
		}
		pick := func() string { return names[rnd.IntN(len(names))] }
		for range 80 {
			a, b := pick(), pick()
			switch rnd.IntN(8) {
			case 0:
				both("mkdir "+a, func(fsys vfs.FS, root string) (string, error) {
					return "", fsys.Mkdir(filepath.Join(root, a), 0o700)
				})
			case 1:
				both("rename "+a+" "+b, func(fsys vfs.FS, root string) (string, error) {
					return "", fsys.Rename(filepath.Join(root, a), filepath.Join(root, b))
				})
			case 2:
				both("link "+a+" "+b, func(fsys vfs.FS, root string) (string, error) {
					return "", fsys.Link(filepath.Join(root, a), filepath.Join(root, b))
				})
			case 3:
				both("remove "+a, func(fsys vfs.FS, root string) (string, error) {
					return "", fsys.Remove(filepath.Join(root, a))
				})
			case 4:
				both("list "+a, func(fsys vfs.FS, root string) (string, error) {
					list, err := fsys.ReadDir(filepath.Join(root, a))
					var out []string
					for _, e := range list {
						out = append(out, fmt.Sprint(e.Name(), e.IsDir()))
					}
					sort.Strings(out)
					return strings.Join(out, ","), err
				})
			case 5:
				both("stat "+a, func(fsys vfs.FS, root string) (string, error) {
					fi, err := fsys.Stat(filepath.Join(root, a))
					if err != nil {
						return "", err
					}
					if fi.IsDir() {
						return fi.Name() + " directory", nil
					}
					attr, ok := vfs.AttrOf(fi)
					if !ok {
						return "", errors.New("no attributes")
					}
					return fmt.Sprint(fi.Name(), fi.Size(), fi.Mode(), attr.Nlink), nil
				})
			default:
				flag, off, text, size := flags[rnd.IntN(len(flags))], rnd.Int64N(20), strings.Repeat("w", rnd.IntN(9)), rnd.Int64N(9)
				both(fmt.Sprintf("open %s %x", a, flag), func(fsys vfs.FS, root string) (string, error) {
					return useFile(fsys, filepath.Join(root, a), flag, off, text, size)
				})
			}
		}
		both("sync", func(fsys vfs.FS, root string) (string, error) { return "", fsys.SyncDir(root) })
	}
}

// useFile does one of everything to a file and tells how each ended.
func useFile(fsys vfs.FS, name string, flag int, off int64, text string, size int64) (string, error) {
	f, err := fsys.OpenFile(name, flag, 0o640)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || fi.IsDir() {
		return "directory", errors.Join(err, f.Sync())
	}
	var out strings.Builder
	note := func(n int64, err error) {
		var no syscall.Errno
		errors.As(err, &no)
		fmt.Fprintf(&out, "%d %d %v;", n, no, err == io.EOF)
	}
	buf := make([]byte, 6)
	n, err := f.Read(buf)
	note(int64(n), err)
	out.Write(buf[:n])
	at, err := f.Seek(off, io.SeekStart)
	note(at, err)
	n, err = f.Write([]byte(text))
	note(int64(n), err)
	at, err = f.Seek(-2, io.SeekEnd)
	note(at, err)
	n, err = f.WriteAt([]byte(text), size)
	if flag&os.O_APPEND == 0 && len(text) > 0 {
		note(int64(n), err)
	}
	n, err = f.ReadAt(buf, 2)
	note(int64(n), err)
	out.Write(buf[:n])
	note(0, f.Truncate(size))
	fi, err := f.Stat()
	if err == nil && !fi.IsDir() {
		fmt.Fprint(&out, fi.Size(), fi.Mode())
	}
	return out.String(), nil
}

func TestSameFile(t *testing.T) {
	t.Parallel()
	m := vfs.NewMem(nil)
	write(t, m, "a", "", false)
	require.NoError(t, m.Link("a", "b"))
	write(t, m, "c", "", false)
	a, _ := m.Stat("a")
	b, _ := m.Lstat("b")
	c, _ := m.Stat("c")
	o, err := os.Stat(".")
	require.NoError(t, err)
	assert.True(t, vfs.SameFile(a, b))
	assert.False(t, vfs.SameFile(a, c))
	assert.False(t, vfs.SameFile(a, o))
	assert.False(t, vfs.SameFile(o, a))
	assert.True(t, vfs.SameFile(o, o))
	assert.ErrorIs(t, func() error { _, err := m.Stat("nosuch"); return err }(), fs.ErrNotExist)
}

//go:build unix

package safefile_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/mtakit/mtakit/internal/safefile"
)

// tree makes a directory with safe modes and a Root for it.
func tree(t *testing.T, name string) (dir string, root *safefile.Root) {
	t.Helper()
	dir = t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	root, err := safefile.NewRoot(dir, name)
	require.NoError(t, err)
	t.Cleanup(func() { root.Close() })
	return dir, root
}

func write(t *testing.T, name string, mode fs.FileMode) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte("text"), 0o600))
	require.NoError(t, os.Chmod(name, mode))
	return name
}

// me is the tests' own user, other is nobody in particular.
var (
	me    = safefile.Identity{UID: os.Getuid(), GID: os.Getgid()}
	other = safefile.Identity{UID: 4711, GID: 4711}
)

func TestOpenRules(t *testing.T) {
	t.Parallel()
	dir, root := tree(t, "")
	linked := func(mode fs.FileMode, dirMode fs.FileMode) func() string {
		return func() string {
			d, err := os.MkdirTemp(dir, "d")
			require.NoError(t, err)
			name := write(t, d+"/real", mode)
			require.NoError(t, os.Symlink("real", d+"/link"))
			require.NoError(t, os.Chmod(d, dirMode))
			return filepath.Dir(name) + "/link"
		}
	}
	hard := func(dirMode fs.FileMode) func() string {
		return func() string {
			d, err := os.MkdirTemp(dir, "d")
			require.NoError(t, err)
			require.NoError(t, os.Link(write(t, d+"/real", 0o644), d+"/hard"))
			require.NoError(t, os.Chmod(d, dirMode))
			return d + "/hard"
		}
	}
	plain := func(mode, dirMode fs.FileMode) func() string {
		return func() string {
			d, err := os.MkdirTemp(dir, "d")
			require.NoError(t, err)
			name := write(t, d+"/file", mode)
			require.NoError(t, os.Chmod(d, dirMode))
			return name
		}
	}
	for _, tt := range []struct {
		name  string
		make  func() string
		id    safefile.Identity
		rules safefile.Rules
		want  error
		dir   safefile.Reason // what is tolerated
	}{
		{name: "plain", make: plain(0o644, 0o755), id: other},
		{name: "own", make: plain(0o400, 0o700), id: me},
		{name: "unreadable", make: plain(0o640, 0o755), id: other, want: safefile.Denied},
		{name: "by the group", make: plain(0o640, 0o755), id: safefile.Identity{UID: 4711, GID: os.Getgid()}},
		{name: "by another group", make: plain(0o640, 0o755), id: safefile.Identity{UID: 4711, Member: func(g int) bool { return g == os.Getgid() }}},
		{name: "the group's bits count for the group", make: plain(0o604, 0o755), id: safefile.Identity{UID: 4711, GID: os.Getgid()}, want: safefile.Denied},
		{name: "no way in", make: plain(0o644, 0o744), id: other, want: safefile.Denied},
		{name: "group writable", make: plain(0o664, 0o755), id: other, want: safefile.GroupWritableFile},
		{name: "group before world", make: plain(0o666, 0o755), id: other, want: safefile.GroupWritableFile},
		{name: "world writable", make: plain(0o666, 0o755), id: other, rules: safefile.Rules{GroupWritable: true}, want: safefile.WorldWritableFile},
		{name: "both tolerated", make: plain(0o666, 0o755), id: other, rules: safefile.Rules{GroupWritable: true, WorldWritable: true}},
		{name: "executable", make: plain(0o755, 0o755), id: other},
		{name: "executable where that is forbidden", make: plain(0o755, 0o755), id: other, rules: safefile.Rules{NoExecute: true}, want: safefile.Executable},
		{name: "world writable directory", make: plain(0o644, 0o777), id: other, want: safefile.WorldWritableDir},
		{name: "group writable directory", make: plain(0o644, 0o775), id: other, want: safefile.GroupWritableDir},
		{name: "directory before file", make: plain(0o666, 0o775), id: other, want: safefile.GroupWritableDir},
		{name: "sticky directory", make: plain(0o644, 0o777|fs.ModeSticky), id: other, want: safefile.WorldWritableDir},
		{name: "sticky directory trusted", make: plain(0o644, 0o777|fs.ModeSticky), id: other, rules: safefile.Rules{TrustSticky: true}},
		{name: "group writable directory safe", make: plain(0o644, 0o775), id: other, rules: safefile.Rules{GroupDirSafe: true}},
		{name: "group writable directory tolerated", make: plain(0o644, 0o775), id: other, rules: safefile.Rules{GroupWritableDir: true}, dir: safefile.GroupWritableDir},
		{name: "but not a world writable one", make: plain(0o644, 0o777), id: other, rules: safefile.Rules{GroupWritableDir: true}, want: safefile.WorldWritableDir},
		{name: "all tolerated", make: plain(0o644, 0o777), id: other, rules: safefile.Rules{UnsafeDir: true}, dir: safefile.WorldWritableDir},
		{name: "link", make: linked(0o644, 0o755), id: other},
		{name: "link is judged by its file", make: linked(0o664, 0o755), id: other, want: safefile.GroupWritableFile},
		{name: "link in an unsafe directory", make: linked(0o644, 0o777), id: other, rules: safefile.Rules{UnsafeDir: true}, want: safefile.SymLink},
		{name: "link in an unsafe directory tolerated", make: linked(0o644, 0o777), id: other, rules: safefile.Rules{UnsafeDir: true, Linked: true}, dir: safefile.WorldWritableDir},
		{name: "hard link", make: hard(0o755), id: other},
		{name: "hard link in an unsafe directory", make: hard(0o777), id: other, rules: safefile.Rules{UnsafeDir: true}, want: safefile.HardLink},
		{name: "own file demanded", make: plain(0o644, 0o755), id: me, rules: safefile.Rules{MustOwn: true}},
		{name: "trusted owner", make: plain(0o644, 0o755), id: other, rules: safefile.Rules{MustOwn: true, TrustedUID: os.Getuid()}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := root.Open(tt.make(), tt.id, tt.rules)
			if tt.want != nil {
				require.ErrorIs(t, err, tt.want)
				assert.True(t, safefile.Refused(err))
				assert.False(t, safefile.Absent(err))
				return
			}
			require.NoError(t, err)
			defer f.Close()
			text, err := io.ReadAll(f)
			require.NoError(t, err)
			assert.Equal(t, "text", string(text))
			assert.Equal(t, tt.dir, f.UnsafeDir)
		})
	}
}

// Names lead nowhere but into the root, whatever it is called.
func TestOpenRoot(t *testing.T) {
	t.Parallel()
	dir, confined := tree(t, "")
	write(t, dir+"/sub/file", 0o644)
	jail, err := safefile.NewRoot(dir, "/")
	require.NoError(t, err)
	defer jail.Close()
	require.NoError(t, os.Symlink("/sub", dir+"/abs"))
	require.NoError(t, os.Symlink(dir+"/sub", dir+"/full"))
	require.NoError(t, os.Symlink("../../../../../../../../../../"+dir+"/sub", dir+"/up"))
	for _, tt := range []struct {
		root *safefile.Root
		name string
		want error
	}{
		{confined, dir + "/sub/file", nil},
		{confined, dir + "//sub/./../sub/file", nil},
		{confined, dir + "x/sub/file", safefile.Outside},
		{confined, "/sub/file", safefile.Outside},
		{confined, dir + "/../" + filepath.Base(dir) + "/sub/file", safefile.Outside},
		{confined, dir + "/full/file", nil},
		{confined, dir + "/abs/file", safefile.Outside},
		{confined, dir + "/up/file", safefile.Outside},
		{jail, "/sub/file", nil},
		{jail, "/../../sub/file", nil},
		{jail, "/abs/file", nil},
		{jail, "/full/file", unix.ENOENT},
		{jail, dir + "/sub/file", unix.ENOENT},
		{jail, "sub/file", safefile.Denied},
		{jail, "/", safefile.NotRegular},
	} {
		f, err := tt.root.Open(tt.name, other, safefile.Rules{})
		if tt.want == nil {
			if assert.NoError(t, err, tt.name) {
				f.Close()
			}
			continue
		}
		assert.ErrorIs(t, err, tt.want, tt.name)
	}
	_, err = safefile.NewRoot("relative", "")
	assert.Error(t, err)
	_, err = safefile.NewRoot(dir+"/none", "")
	assert.ErrorIs(t, err, fs.ErrNotExist)
}

// What this process may not see, though the user could, is not told: neither absent nor refused.
func TestCannotTell(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root may see everything")
	}
	dir, root := tree(t, "")
	name := write(t, dir+"/file", 0o044) // readable for everybody but its owner, who runs this
	_, err := root.Open(name, other, safefile.Rules{})
	require.ErrorIs(t, err, unix.EACCES)
	assert.False(t, safefile.Absent(err))
	assert.False(t, safefile.Refused(err))
}

// A file that is replaced between the look and the open is not read in place of the one that was looked at.
func TestOpenSwapped(t *testing.T) {
	t.Parallel()
	dir, root := tree(t, "")
	name := write(t, dir+"/file", 0o644)
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			os.Remove(dir + "/next")
			if i%2 == 0 {
				os.WriteFile(dir+"/next", []byte("evil"), 0o600)
				os.Chmod(dir+"/next", 0o666)
			} else {
				os.WriteFile(dir+"/next", []byte("text"), 0o644)
			}
			os.Rename(dir+"/next", name)
		}
	}()
	for range 5000 {
		f, err := root.Open(name, other, safefile.Rules{})
		if err != nil {
			require.True(t, errors.Is(err, safefile.GroupWritableFile) || errors.Is(err, safefile.ErrChanged) || errors.Is(err, safefile.Denied), err)
			continue
		}
		text, err := io.ReadAll(f)
		f.Close()
		require.NoError(t, err)
		require.NotEqual(t, "evil", string(text))
	}
	close(done)
	<-stopped
}

func TestUnsafeDirs(t *testing.T) {
	t.Parallel()
	dir, root := tree(t, "/")
	write(t, dir+"/a/b/file", 0o644)
	require.NoError(t, os.Chmod(dir+"/a", 0o775))
	require.NoError(t, os.Chmod(dir+"/a/b", 0o777))
	dirs, exists := root.UnsafeDirs("/a/b/file", other, safefile.Rules{})
	assert.True(t, exists)
	assert.Equal(t, []safefile.UnsafeDir{{Path: "/a", Reason: safefile.GroupWritableDir}, {Path: "/a/b", Reason: safefile.WorldWritableDir}}, dirs)
	dirs, exists = root.UnsafeDirs("/a/b/none", other, safefile.Rules{GroupDirSafe: true})
	assert.False(t, exists)
	assert.Equal(t, []safefile.UnsafeDir{{Path: "/a/b", Reason: safefile.WorldWritableDir}}, dirs)
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	os.Chmod(dir, 0o755)
	os.MkdirAll(dir+"/home/ann", 0o755)
	os.WriteFile(dir+"/home/ann/file", nil, 0o644)
	root, err := safefile.NewRoot(dir, "/")
	require.NoError(b, err)
	defer root.Close()
	for name, file := range map[string]string{"present": "/home/ann/file", "absent": "/home/ann/none"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if f, err := root.Open(file, other, safefile.Rules{}); err == nil {
					f.Close()
				}
			}
		})
	}
}

// A file that is not there is told apart from one that cannot be told about, and complaints about directories come first,
// whichever way the answer was found.
func TestOpenMissing(t *testing.T) {
	t.Parallel()
	dir, root := tree(t, "")
	require.NoError(t, os.MkdirAll(dir+"/a/b", 0o755))
	require.NoError(t, os.Mkdir(dir+"/open", 0o755))
	require.NoError(t, os.Mkdir(dir+"/open/b", 0o755))
	require.NoError(t, os.Chmod(dir+"/open", 0o777))
	require.NoError(t, os.Mkdir(dir+"/closed", 0o700))
	require.NoError(t, os.Symlink("a", dir+"/link"))
	require.NoError(t, os.Symlink("open", dir+"/linkopen"))
	require.NoError(t, os.Symlink("..", dir+"/a/out"))
	write(t, dir+"/a/file", 0o644)
	for _, tt := range []struct {
		name string
		id   safefile.Identity
		want error
	}{
		{"none", me, unix.ENOENT},
		{"a/b/none", me, unix.ENOENT},
		{"a/none/none", me, unix.ENOENT},
		{"a/./b/../none", me, unix.ENOENT},
		{"a/file/none", me, unix.ENOTDIR},
		{"link/b/none", me, unix.ENOENT},
		{"open/none", me, safefile.WorldWritableDir},
		{"open/b/none", me, safefile.WorldWritableDir},
		{"linkopen/b/none", me, safefile.WorldWritableDir},
		{"a/../open/b/none", me, safefile.WorldWritableDir},
		{"a/out/../none", me, safefile.Outside},
		{"closed/none", other, safefile.Denied},
	} {
		_, err := root.Open(dir+"/"+tt.name, tt.id, safefile.Rules{})
		assert.ErrorIs(t, err, tt.want, tt.name)
	}
}

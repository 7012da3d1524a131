//go:build unix

package alias_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
)

// includer returns an Includer confined to root in which the tests' own user counts as ann.
func includer(t *testing.T, root string, change func(*alias.IncludeOptions)) *alias.Includer {
	t.Helper()
	require.NoError(t, os.Chmod(root, 0o755))
	opts := alias.IncludeOptions{
		Hostname:   "mx.example.com",
		DefaultUID: 65533, DefaultGID: 65533,
		Owner: func(_ context.Context, n int) (mtakit.Account, bool, error) {
			return mtakit.Account{Name: "ann", UID: n, GID: n, Shell: "/bin/sh"}, true, nil
		},
		ValidShell: func(string) bool { return true },
		Root:       root,
	}
	if change != nil {
		change(&opts)
	}
	in, err := alias.NewIncluder(opts)
	require.NoError(t, err)
	t.Cleanup(func() { in.Close() })
	return in
}

func write(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	require.NoError(t, os.Chmod(name, mode))
	return name
}

func TestIncludeMembers(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	name := write(t, filepath.Join(root, "list"), "# head\n\nann, bob\r\n  carol #@# not dan\n #@# all\n\"|prog\"\n# \x00\nlast", 0o644)
	x, err := includer(t, root, nil).Include(context.Background(), name, mtakit.Control{}, true)
	require.NoError(t, err)
	var got []string
	for _, m := range x.To {
		got = append(got, fmt.Sprintf("%d %s", m.Pos.Line, m.Text))
		assert.Equal(t, name, m.Pos.File)
	}
	assert.Equal(t, []string{"3 ann", "3 bob", "4 carol", "6 \"|prog\"", "8 last"}, got)
	assert.Equal(t, mtakit.Pipe{Command: "prog"}, x.To[3].To)
	assert.Equal(t, "include", x.Step.Stage)
	assert.Equal(t, name, x.Step.Key)
}

// The owner of a list controls its programs if an alias names the list.
func TestIncludeControl(t *testing.T) {
	t.Parallel()
	needRoot(t)
	root := t.TempDir()
	name := write(t, filepath.Join(root, "list"), "\"|prog\"\n", 0o644)
	ctl := mtakit.Control{User: "bob", UID: 2002, GID: 2002}
	in := includer(t, root, func(o *alias.IncludeOptions) {
		o.ValidShell = func(s string) bool { return s == "/bin/sh" }
		o.Owner = func(_ context.Context, n int) (mtakit.Account, bool, error) {
			switch n {
			case 2001:
				return mtakit.Account{Name: "ann", UID: n, GID: n, Shell: "/bin/sh"}, true, nil
			case 2003:
				return mtakit.Account{Name: "carol", UID: n, GID: n, Shell: "/bin/false"}, true, nil
			case 2005:
				return mtakit.Account{}, false, errors.New("directory is down")
			}
			return mtakit.Account{}, false, nil
		}
	})
	for _, tt := range []struct {
		name      string
		owner     int
		fromAlias bool
		want      *mtakit.Control
		unsafe    string
	}{
		{name: "user", owner: 2001, fromAlias: true, want: &mtakit.Control{User: "ann", UID: 2001, GID: 2001, Origin: ":include:" + name}},
		{name: "root gives the default user", owner: 0, fromAlias: true, want: &mtakit.Control{Origin: ":include:" + name}},
		{name: "in a forward file the user stays", owner: 2001, fromAlias: false},
		{name: "shell", owner: 2003, fromAlias: true, want: &mtakit.Control{User: "carol", UID: 2003, GID: 2003, Origin: ":include:" + name},
			unsafe: "User carol@mx.example.com doesn't have a valid shell for mailing to programs"},
		{name: "nobody", owner: 2004, fromAlias: true, want: &mtakit.Control{UID: 2004, GID: 2004, Origin: ":include:" + name},
			unsafe: "UID 2004 is an unknown user: cannot mail to programs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, os.Chown(name, tt.owner, tt.owner))
			x, err := in.Include(context.Background(), name, ctl, tt.fromAlias)
			require.NoError(t, err)
			assert.Equal(t, tt.want, x.Control)
			if tt.unsafe == "" {
				assert.Nil(t, x.Unsafe)
			} else if assert.NotNil(t, x.Unsafe) {
				assert.Equal(t, tt.unsafe, x.Unsafe.Text)
				assert.Equal(t, mtakit.StatusNotAuthorized, x.Unsafe.Status)
			}
		})
	}
	require.NoError(t, os.Chown(name, 2005, 2005))
	_, err := in.Include(context.Background(), name, ctl, true)
	assert.True(t, mtakit.Temporary(err), "who owns it cannot be told: %v", err)
}

// What cannot be used is refused with the reason, for good or for now, and nothing of what a file says gets out.
func TestIncludeRefused(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	outside := t.TempDir()
	const secret = "root:secret-hash:1::"
	path := func(name string) string { return filepath.Join(root, name) }
	dir := func(name string, mode os.FileMode) string {
		require.NoError(t, os.Mkdir(path(name), 0o755))
		require.NoError(t, os.Chmod(path(name), mode))
		return path(name)
	}
	link := func(target, name string) string {
		require.NoError(t, os.Symlink(target, path(name)))
		return path(name)
	}
	fifo := path("fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o644))
	shadow := write(t, filepath.Join(outside, "shadow"), secret+"\n", 0o644)

	for _, tt := range []struct{ name, path, reason string }{
		{"missing", path("none"), "No such file or directory"},
		{"missing directory", path("none/list"), "No such file or directory"},
		{"file as directory", write(t, path("plain"), "x", 0o644) + "/list", "Not a directory"},
		{"relative", "list", "Permission denied"},
		{"empty", "", "Permission denied"},
		{"directory", dir("dir", 0o755), "Regular files only"},
		{"the root itself", root, "Regular files only"},
		{"FIFO", fifo, "Regular files only"},
		{"link to a FIFO", link("fifo", "lfifo"), "Regular files only"},
		{"link to itself", link("self", "self"), "Too many levels of symbolic links"},
		{"link to nothing", link("none", "dangling"), "No such file or directory"},
		{"private", write(t, path("private"), secret, 0o600), "Permission denied"},
		{"link to private", link("private", "lprivate"), "Permission denied"},
		{"group writable", write(t, path("gw"), secret, 0o664), "Group writable file"},
		{"world writable", write(t, path("ww"), secret, 0o646), "World writable file"},
		{"world writable directory", write(t, filepath.Join(dir("wwd", 0o777), "list"), secret, 0o644), "World writable directory"},
		{"sticky directory", write(t, filepath.Join(dir("tmp", 0o777|os.ModeSticky), "list"), secret, 0o644), "World writable directory"},
		{"group writable directory", write(t, filepath.Join(dir("gwd", 0o775), "list"), secret, 0o644), "Group writable directory"},
		{"through a link", filepath.Join(link("wwd", "lwwd"), "list"), "World writable directory"},
		{"private directory", write(t, filepath.Join(dir("pd", 0o700), "list"), secret, 0o644), "Permission denied"},
		{"outside", shadow, "Outside of the permitted directory"},
		{"outside by dots", root + "/../" + filepath.Base(outside) + "/shadow", "Outside of the permitted directory"},
		{"outside by a link", link(shadow, "lshadow"), "Outside of the permitted directory"},
		{"outside by a directory link", filepath.Join(link(outside, "lout"), "shadow"), "Outside of the permitted directory"},
		{"outside by a relative link", link("../../../../../../../../etc/shadow", "rshadow"), "Outside of the permitted directory"},
		{"a name that is too long", path(strings.Repeat("x", 300)), "File name too long"},
		{"too big", write(t, path("big"), strings.Repeat("a@example.org\n", 1000), 0o644), "File too large"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := includer(t, root, func(o *alias.IncludeOptions) { o.MaxSize = 10_000 })
			x, err := in.Include(context.Background(), tt.path, mtakit.Control{}, true)
			assert.Empty(t, x.To)
			var e *mtakit.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, "Cannot open "+tt.path+": "+tt.reason, e.Text)
			assert.Equal(t, 550, e.ReplyCode())
			assert.Equal(t, mtakit.StatusListExpansion, e.Status)
			assert.False(t, mtakit.Temporary(err))
			assert.NotContains(t, err.Error(), "secret")
		})
	}
}

// The tests' user may read everything, the default user may not: the shadow file of the system stays closed, too.
func TestIncludeShadow(t *testing.T) {
	t.Parallel()
	const shadow = "/etc/shadow"
	fi, err := os.Stat(shadow)
	if err != nil || fi.Mode().Perm()&0o004 != 0 {
		t.Skip("no private " + shadow)
	}
	in, err := alias.NewIncluder(alias.IncludeOptions{Hostname: "mx"})
	require.NoError(t, err)
	defer in.Close()
	_, err = in.Include(context.Background(), shadow, mtakit.Control{}, true)
	assert.EqualError(t, err, "550 5.2.4 Cannot open /etc/shadow: Permission denied: Permission denied")
}

func TestIncludeCanceled(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := includer(t, root, nil).Include(ctx, filepath.Join(root, "list"), mtakit.Control{}, true)
	require.ErrorIs(t, err, context.Canceled)
	assert.True(t, mtakit.Temporary(err))
}

// Directories and files are swapped while they are opened, thousands of times: what is read is always a file that
// passed the checks, never one that took its place.
func TestIncludeRace(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a second")
	}
	t.Parallel()
	root := t.TempDir()
	path := func(name string) string { return filepath.Join(root, name) }
	for _, d := range []string{"good", "evil"} {
		require.NoError(t, os.Mkdir(path(d), 0o755))
	}
	write(t, path("good/list"), "good\n", 0o644)
	write(t, path("evil/list"), "evil\n", 0o644)
	require.NoError(t, os.Chmod(path("evil"), 0o777))
	require.NoError(t, os.Symlink("good", path("dir")))
	in := includer(t, root, nil)

	ctx, cancel := context.WithCancel(context.Background())
	swapped := make(chan int)
	go func() {
		n := 0
		for ctx.Err() == nil {
			for _, target := range []string{"evil", "good"} {
				os.Remove(path("next"))
				os.Symlink(target, path("next"))
				os.Rename(path("next"), path("dir"))
				n++
			}
		}
		swapped <- n
	}()
	reads, refused := 0, 0
	for range 20_000 {
		x, err := in.Include(context.Background(), path("dir/list"), mtakit.Control{}, true)
		if err != nil {
			require.ErrorContains(t, err, "World writable directory")
			refused++
			continue
		}
		reads++
		require.Len(t, x.To, 1)
		require.Equal(t, "good", x.To[0].Text)
	}
	cancel()
	t.Logf("%d swaps, %d reads, %d refusals", <-swapped, reads, refused)
	assert.NotZero(t, reads)
	assert.NotZero(t, refused)
}

// Lines without end cost memory for one line, not for all of them, and the others still count.
func TestIncludeLongLine(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	f, err := os.Create(filepath.Join(root, "list"))
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteString("ann\n")
	require.NoError(t, err)
	require.NoError(t, f.Truncate(100<<20)) // a line of NUL bytes
	_, err = f.WriteAt([]byte("\nbob\n"), 100<<20)
	require.NoError(t, err)
	require.NoError(t, f.Chmod(0o644))

	_, err = includer(t, root, nil).Include(context.Background(), f.Name(), mtakit.Control{}, true)
	assert.ErrorContains(t, err, "File too large")

	in := includer(t, root, func(o *alias.IncludeOptions) { o.MaxSize = 200 << 20 })
	x, err := in.Include(context.Background(), f.Name(), mtakit.Control{}, true)
	require.NoError(t, err)
	require.Len(t, x.To, 3)
	assert.Equal(t, "ann", x.To[0].Text)
	fail, ok := x.To[1].To.(mtakit.Fail)
	assert.True(t, ok)
	assert.Equal(t, "Line too long (limit is 65536 bytes)", fail.Text)
	assert.Equal(t, 2, x.To[1].Pos.Line)
	assert.Equal(t, "bob", x.To[2].Text)
	assert.Equal(t, 3, x.To[2].Pos.Line)
}

// Lists that name each other end at the depth limit, with an error and without mail for anybody.
func TestIncludeLoop(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	a, b := filepath.Join(root, "a"), filepath.Join(root, "b")
	write(t, a, ":include:"+b+"\n", 0o644)
	write(t, b, ":include:"+a+"\nann\n", 0o644)
	file, err := alias.Parse(strings.NewReader("list: :include:"+a+"\n"), "aliases")
	require.NoError(t, err)
	r := &mtakit.Resolver{
		Aliases:  alias.New(file, alias.Options{PreserveDetail: true}),
		Includes: includer(t, root, nil),
		Accounts: mtakit.AccountsFunc(func(_ context.Context, name string) (mtakit.Account, bool, error) {
			return mtakit.Account{Name: name, UID: 2001}, name == "ann", nil
		}),
	}
	res, err := r.Resolve(context.Background(), mtakit.Address{}, mtakit.Address{Local: "list"})
	require.NoError(t, err)
	require.NotEmpty(t, res.Leaves)
	delivered, failed := 0, 0
	for _, leaf := range res.Leaves {
		var e *mtakit.Error
		switch {
		case leaf.Err == nil:
			delivered++
		case errors.As(leaf.Err, &e):
			failed++
			assert.Equal(t, mtakit.StatusLoop, e.Status)
		}
	}
	assert.Equal(t, 1, delivered, "ann, whom b names")
	assert.NotZero(t, failed)
}

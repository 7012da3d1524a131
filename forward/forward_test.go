//go:build unix

package forward_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/forward"
)

// home makes a home directory that belongs to the tests' user, and an account for it.
func home(t *testing.T) mtakit.Account {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	return mtakit.Account{Name: "ann", UID: os.Getuid(), GID: os.Getgid(), Home: dir, Shell: "/bin/sh"}
}

// newForward is confined to the account's home, so that the directories above it do not matter.
func newForward(t *testing.T, acct mtakit.Account, change func(*forward.Options)) *forward.Forward {
	t.Helper()
	opts := forward.Options{
		Path:       "$z/.forward.$w+$h:$z/.forward+$h:$z/.forward.$w:$z/.forward",
		Hostname:   "mx.example.com",
		ValidShell: func(s string) bool { return s == "/bin/sh" },
		Root:       acct.Home,
	}
	if change != nil {
		change(&opts)
	}
	f, err := forward.New(opts)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

func put(t *testing.T, acct mtakit.Account, name, text string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(acct.Home, name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	require.NoError(t, os.Chmod(path, mode))
}

func TestForwardPath(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, path, detail string
		files              string // names after .forward, and the number of each is what it says
		want               string
	}{
		{name: "plain", files: "-", want: ".forward"},
		{name: "none", want: ""},
		{name: "detail first", detail: "box", files: "- +box .mx .mx+box", want: ".forward.mx+box"},
		{name: "detail before host", detail: "box", files: "- +box .mx", want: ".forward+box"},
		{name: "other detail", detail: "other", files: "- +box .mx", want: ".forward.mx"},
		{name: "empty detail is a name", files: "- +", want: ".forward+"},
		{name: "several plus signs", detail: "a+b", files: "- +a+b", want: ".forward+a+b"},
		{name: "slash in the detail", detail: "../x", files: "-", want: ".forward"},
		{name: "NUL in the detail", detail: "a\x00b", files: "-", want: ".forward"},
		{name: "default path", path: forward.DefaultPath, files: "- .mx", want: ".forward.mx"},
		{name: "macros", path: "$z/.forward.$m:$z/.forward", files: "- .example.com", want: ".forward.example.com"},
		{name: "macro in braces", path: "$z/.forward.${site}", files: ".south", want: ".forward.south"},
		{name: "full host name", path: "$z/.forward.$j", files: ".mx.example.com", want: ".forward.mx.example.com"},
		{name: "user", path: "$z/.forward-$u", files: "-ann", want: ".forward-ann"},
		{name: "with a condition", path: "$z/.forward$?h+$h$|-none$.", files: "-none", want: ".forward-none"},
		{name: "with a condition that holds", path: "$z/.forward$?h+$h$|-none$.", detail: "x", files: "-none +x", want: ".forward+x"},
		{name: "nested conditions", path: "$z/.forward$?h$?{no}a$|b$.$|c$.", detail: "x", files: "b", want: ".forwardb"},
		{name: "dollar", path: "$z/.forward$$", files: "$", want: ".forward$"},
		{name: "empty parts", path: ":${none}:$z/.forward:", files: "-", want: ".forward"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			acct := home(t)
			for _, f := range strings.Fields(tt.files) {
				if f == "-" {
					f = ""
				}
				put(t, acct, ".forward"+f, "x@example.org\n", 0o644)
			}
			f := newForward(t, acct, func(o *forward.Options) {
				if tt.path != "" {
					o.Path = tt.path
				}
				o.Macros = map[string]string{"site": "south"}
			})
			x, ok, err := f.Forward(context.Background(), acct, tt.detail)
			require.NoError(t, err)
			assert.Empty(t, x.Warnings)
			assert.Equal(t, tt.want != "", ok)
			if ok {
				assert.Equal(t, filepath.Join(acct.Home, tt.want), x.Step.Key)
			}
		})
	}
}

// The first file that opens ends the search, be there nothing in it; one that is refused does not.
func TestForwardSearch(t *testing.T) {
	t.Parallel()
	acct := home(t)
	f := newForward(t, acct, nil)
	put(t, acct, ".forward", "bob\n", 0o644)
	put(t, acct, ".forward+empty", "# nothing\n", 0o644)
	put(t, acct, ".forward+gw", "carol\n", 0o664)

	x, ok, err := f.Forward(context.Background(), acct, "empty")
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Empty(t, x.To)

	x, ok, err = f.Forward(context.Background(), acct, "gw")
	require.NoError(t, err)
	assert.True(t, ok)
	require.Len(t, x.To, 1)
	assert.Equal(t, "bob", x.To[0].Text)
	require.Len(t, x.Warnings, 1)
	assert.EqualError(t, x.Warnings[0], "forward: "+acct.Home+"/.forward+gw: Group writable file")
	assert.Equal(t, mtakit.Position{File: acct.Home + "/.forward", Line: 1, Col: 1}, x.To[0].Pos)
	assert.Equal(t, &mtakit.Control{User: "ann", UID: acct.UID, GID: acct.GID, Origin: "ann"}, x.Control)
}

// What can be told apart must be told apart: hostile files leave the mail in the mailbox, with a reason for the log, and
// nothing of what they say gets out. None of them may block.
func TestForwardHostile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, reason string // no reason: as if there was no file
		make         func(t *testing.T, acct mtakit.Account, path string)
	}{
		{name: "FIFO", reason: "Regular files only", make: func(t *testing.T, _ mtakit.Account, path string) {
			require.NoError(t, unix.Mkfifo(path, 0o644))
		}},
		{name: "device", reason: "Regular files only", make: func(t *testing.T, _ mtakit.Account, path string) {
			if err := unix.Mknod(path, unix.S_IFCHR|0o644, 1<<8|5); err != nil { // like /dev/zero
				t.Skip("makes a device: ", err)
			}
		}},
		{name: "socket", reason: "Regular files only", make: func(t *testing.T, acct mtakit.Account, path string) {
			if err := unix.Mknod(path, unix.S_IFSOCK|0o644, 0); err != nil {
				t.Skip("makes a socket: ", err)
			}
		}},
		{name: "directory", reason: "Regular files only", make: func(t *testing.T, _ mtakit.Account, path string) {
			require.NoError(t, os.Mkdir(path, 0o755))
		}},
		{name: "link to a device", reason: "Outside of the permitted directory", make: func(t *testing.T, _ mtakit.Account, path string) {
			require.NoError(t, os.Symlink("/dev/zero", path))
		}},
		{name: "link to the shadow file", reason: "Outside of the permitted directory", make: func(t *testing.T, _ mtakit.Account, path string) {
			require.NoError(t, os.Symlink("/etc/shadow", path))
		}},
		{name: "link to itself", reason: "Too many levels of symbolic links", make: func(t *testing.T, _ mtakit.Account, path string) {
			require.NoError(t, os.Symlink(".forward", path))
		}},
		{name: "link to nothing", make: func(t *testing.T, _ mtakit.Account, path string) {
			require.NoError(t, os.Symlink("none", path))
		}},
		{name: "of somebody else", reason: "Permission denied", make: func(t *testing.T, acct mtakit.Account, path string) {
			needRoot(t)
			put(t, acct, ".forward", "secret\n", 0o644)
			require.NoError(t, os.Chown(path, 4711, 4711))
		}},
		{name: "too big", reason: "File too large", make: func(t *testing.T, acct mtakit.Account, path string) {
			put(t, acct, ".forward", strings.Repeat("secret\n", 1000), 0o644)
		}},
		{name: "world writable home", reason: "World writable directory", make: func(t *testing.T, acct mtakit.Account, path string) {
			inner := acct.Home + "/home"
			require.NoError(t, os.Mkdir(inner, 0o755))
			require.NoError(t, os.Chmod(inner, 0o777))
			require.NoError(t, os.WriteFile(inner+"/.forward", []byte("secret\n"), 0o644))
			require.NoError(t, os.Symlink("home", acct.Home+"/dir"))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			acct := home(t)
			path := filepath.Join(acct.Home, ".forward")
			tt.make(t, acct, path)
			f := newForward(t, acct, func(o *forward.Options) {
				o.Path, o.MaxSize = "$z/.forward", 1000
				if strings.HasPrefix(tt.name, "world") {
					o.Path = "$z/dir/.forward"
				}
			})
			x, ok, err := f.Forward(context.Background(), acct, "")
			require.NoError(t, err)
			assert.False(t, ok)
			assert.Empty(t, x.To)
			if tt.reason == "" {
				assert.Empty(t, x.Warnings)
				return
			}
			require.Len(t, x.Warnings, 1)
			assert.ErrorContains(t, x.Warnings[0], tt.reason)
			assert.NotContains(t, x.Warnings[0].Error(), "secret")
		})
	}
}

// A file that cannot be read now defers the mail, unless a later one can be used.
func TestForwardCannotTell(t *testing.T) {
	t.Parallel()
	acct := home(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, ok, err := newForward(t, acct, nil).Forward(ctx, acct, "")
	assert.False(t, ok)
	require.ErrorIs(t, err, context.Canceled)
	assert.True(t, mtakit.Temporary(err))
	assert.ErrorContains(t, err, "451 4.3.0 transient .forward open error: message queued")

	f := newForward(t, acct, func(o *forward.Options) { o.Timeout = time.Minute })
	_, ok, err = f.Forward(ctx, acct, "")
	assert.False(t, ok)
	assert.True(t, mtakit.Temporary(err))

	if os.Getuid() == 0 {
		t.Skip("root can read everything: the rest is for other users")
	}
	put(t, acct, ".forward+box", "x@example.org\n", 0o000)
	_, ok, err = f.Forward(context.Background(), mtakit.Account{Name: "bob", UID: acct.UID, GID: acct.GID, Home: acct.Home, Shell: "/bin/sh"}, "box")
	assert.False(t, ok)
	assert.NoError(t, err, "its user could not read it either")
}

func TestForwardShell(t *testing.T) {
	t.Parallel()
	acct := home(t)
	acct.Shell = "/bin/false"
	put(t, acct, ".forward", "\"|prog\", bob\n", 0o644)
	x, ok, err := newForward(t, acct, nil).Forward(context.Background(), acct, "")
	require.NoError(t, err)
	assert.True(t, ok)
	require.NotNil(t, x.Unsafe)
	assert.Equal(t, "550 5.7.1 User ann@mx.example.com doesn't have a valid shell for mailing to programs", x.Unsafe.Error())
}

func ExampleForward() {
	dir, _ := os.MkdirTemp("", "home")
	defer os.RemoveAll(dir)
	os.WriteFile(dir+"/.forward", []byte("\\ann, ann@example.org\n"), 0o644)

	f, err := forward.New(forward.Options{Path: "$z/.forward+$h:$z/.forward", Hostname: "mx.example.com", Root: dir})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer f.Close()
	ann := mtakit.Account{Name: "ann", UID: os.Getuid(), GID: os.Getgid(), Home: dir, Shell: "/bin/sh"}
	x, ok, err := f.Forward(context.Background(), ann, "lists")
	fmt.Println(ok, err)
	for _, m := range x.To {
		fmt.Printf("%T %v\n", m.To, m.To)
	}
	// Output:
	// true <nil>
	// mtakit.User \ann
	// mtakit.Mailbox ann@example.org
}

func ExampleSmrsh_Command() {
	dir, _ := os.MkdirTemp("", "smrsh")
	defer os.RemoveAll(dir)
	os.WriteFile(dir+"/vacation", []byte("#!/bin/sh\n"), 0o755)

	s := &forward.Smrsh{Dir: dir}
	command, err := s.Command("/usr/bin/vacation ann")
	fmt.Println(strings.TrimPrefix(command, dir), err)
	_, err = s.Command("vacation ann; rm -rf /")
	fmt.Println(err)
	// Output:
	// /vacation ann <nil>
	// 554 5.0.0 smrsh: cannot use ; in command
}

// BenchmarkForward is a look-up for a user who has no forward file, and one who has.
func BenchmarkForward(b *testing.B) {
	dir := b.TempDir()
	os.Chmod(dir, 0o755)
	acct := mtakit.Account{Name: "ann", UID: os.Getuid(), GID: os.Getgid(), Home: dir, Shell: "/bin/sh"}
	f, err := forward.New(forward.Options{Hostname: "mx.example.com", Root: dir, ValidShell: func(string) bool { return true }})
	require.NoError(b, err)
	defer f.Close()
	run := func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := f.Forward(context.Background(), acct, ""); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("absent", run)
	os.WriteFile(dir+"/.forward", []byte("\\ann, ann@example.org\n"), 0o644)
	b.Run("present", run)
}

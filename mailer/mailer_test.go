//go:build unix

package mailer

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/vfs"
)

const text = "Subject: x\n\nFrom here\n>From there\nlast"

// attempt is one of the message text to one recipient.
func attempt(route mtakit.Route) *mtakit.Attempt {
	return &mtakit.Attempt{
		From:   mtakit.Address{Local: "sender", Domain: "far.example"},
		Mailer: route.Mailer,
		Rcpts:  []mtakit.Recipient{{Addr: mtakit.Address{Local: "ann", Domain: "Example.test"}, Route: route}},
		Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader([]byte(text))), nil
		},
		Size: int64(len(text)),
	}
}

// one delivers and returns the only result's error.
func one(t *testing.T, m mtakit.Mailer, a *mtakit.Attempt) error {
	t.Helper()
	res := m.Deliver(t.Context(), a)
	require.Len(t, res, 1)
	return res[0].Err
}

// openDir is a directory that the default user may write to when the tests run as root.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; d != filepath.Dir(os.TempDir()) && d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		require.NoError(t, os.Chmod(d, 0o777))
	}
	return dir
}

var dateRE = regexp.MustCompile(`(?m)^(From [^ ]* )[A-Z][a-z]{2} [A-Z][a-z]{2} [ 0-9]\d \d\d:\d\d:\d\d \d{4}$`)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return dateRE.ReplaceAllString(string(b), "${1}DATE")
}

func TestMaildir(t *testing.T) {
	dir := t.TempDir()
	m := &Maildir{Path: dir + "/%d/%u/Maildir"}
	require.NoError(t, one(t, m, attempt(mtakit.Route{Mailer: "local", User: "ann"})))
	names, err := filepath.Glob(dir + "/example.test/ann/Maildir/new/*")
	require.NoError(t, err)
	require.Len(t, names, 1)
	assert.Equal(t, "Return-Path: <sender@far.example>\n"+text, read(t, names[0]))
}

func TestMbox(t *testing.T) {
	dir := t.TempDir()
	m := &Mbox{Path: dir + "/%u"}
	require.NoError(t, one(t, m, attempt(mtakit.Route{Mailer: "local", User: "ann"})))
	require.NoError(t, one(t, m, attempt(mtakit.Route{Mailer: "local", User: "ann"})))
	const message = "From sender@far.example DATE\nReturn-Path: <sender@far.example>\nSubject: x\n\n>From here\n>>From there\nlast\n\n"
	assert.Equal(t, message+message, read(t, dir+"/ann"))
}

func TestUnsafeUsers(t *testing.T) {
	dir := t.TempDir()
	for _, user := range []string{"../x", "a/b", "..", ".", ".hidden", "a\x00b", "a\nb", `a\b`, "a:b"} {
		for _, m := range []mtakit.Mailer{&Mbox{Path: dir + "/%u"}, &Maildir{Path: dir + "/%u"}} {
			err := one(t, m, attempt(mtakit.Route{User: user}))
			var e *mtakit.Error
			require.ErrorAs(t, err, &e, "%q", user)
			assert.Equal(t, mtakit.StatusBadMailbox, e.Status)
		}
	}
	all, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, all)
}

// What sendmail 8.17 wrote for the same message, less the header lines that its front end adds.
func TestFile(t *testing.T) {
	path := openDir(t) + "/box"
	require.NoError(t, one(t, &File{}, attempt(mtakit.Route{User: path})))
	a := attempt(mtakit.Route{User: path})
	a.From = mtakit.Address{}
	require.NoError(t, one(t, &File{}, a))
	assert.Equal(t, "From sender@far.example DATE\nReturn-Path: <sender@far.example>\nSubject: x\n\n>From here\n>From there\nlast\n\n"+
		"From  DATE\nReturn-Path: <>\nSubject: x\n\n>From here\n>From there\nlast\n\n", read(t, path))
	fi, err := os.Stat(path)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), fi.Mode())
	require.NoError(t, one(t, &File{}, attempt(mtakit.Route{User: "/dev/null"})))
}

func TestFileRefused(t *testing.T) {
	dir := openDir(t)
	touch := func(name string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, nil, mode))
		require.NoError(t, os.Chmod(path, mode))
		return path
	}
	target := touch("target", 0o666)
	link := filepath.Join(dir, "symlink")
	require.NoError(t, os.Symlink(target, link))
	hard := touch("hard", 0o666)
	require.NoError(t, os.Link(hard, hard+"2"))
	for name, path := range map[string]string{
		"executable": touch("exec", 0o777), "symlink": link, "hard link": hard, "directory": dir,
		"no directory": dir + "/none/x", "relative": "box",
	} {
		t.Run(name, func(t *testing.T) {
			err := one(t, &File{}, attempt(mtakit.Route{User: path}))
			var e *mtakit.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, "550 5.3.0 Can't create output", (&mtakit.Error{Code: e.Code, Status: e.Status, Text: e.Text}).Error()[:len("550 5.3.0 Can't create output")])
		})
	}
}

func TestProgram(t *testing.T) {
	dir := openDir(t)
	m := &Program{}
	require.NoError(t, one(t, m, attempt(mtakit.Route{Mailer: "prog", User: "|umask 0; cat >" + dir + "/msg; env | sort >" + dir + "/env; pwd >>" + dir + "/env"})))
	assert.Equal(t, "From sender@far.example DATE\n"+text, read(t, dir+"/msg"))
	env := read(t, dir+"/env")
	assert.Contains(t, env, "AGENT=sendmail\n")
	assert.NotContains(t, env, "HOME=")
	assert.True(t, strings.HasSuffix(env, "\n/\n"), env)
	if os.Geteuid() == 0 {
		fi, err := os.Stat(dir + "/msg")
		require.NoError(t, err)
		attr, _ := vfs.AttrOf(fi)
		assert.Equal(t, [2]int{1, 1}, [2]int{attr.UID, attr.GID}, "daemon's rights")
	}
}

// Reply codes, status and text that sendmail 8.17 gave for the same exit codes.
func TestProgramExit(t *testing.T) {
	for command, want := range map[string]string{
		"exit 1":                     "554 5.0.0 unknown mailer error 1",
		"exit 64":                    "500 5.5.4 Command line usage error",
		"echo no such; exit 67":      "550 5.1.1 User unknown",
		"exit 69":                    "554 5.5.0 Service unavailable",
		"exit 70":                    "554 5.5.0 Internal error",
		"exit 71":                    "451 4.5.0 Operating system error",
		"exit 73":                    "550 5.3.0 Can't create output",
		"exit 74":                    "451 4.5.0 I/O error",
		"exit 75":                    "450 4.2.0 prog mailer (/bin/sh) exited with EX_TEMPFAIL",
		"exit 77":                    "550 5.3.0 Insufficient permission",
		"exit 78":                    "554 5.5.0 Local configuration error",
		"exit 99":                    "554 5.0.0 unknown mailer error 99",
		"/nonexistent/prog":          "554 5.0.0 unknown mailer error 127",
		"kill -9 $$":                 "450 4.2.0 prog mailer (/bin/sh) exited with EX_TEMPFAIL",
		"true":                       "",
		"echo some output; echo >&2": "",
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			err := one(t, &Program{}, attempt(mtakit.Route{Mailer: "prog", User: "|" + command}))
			if want == "" {
				require.NoError(t, err)
				return
			}
			var e *mtakit.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, want+": "+e.Err.Error(), e.Error())
		})
	}
}

func TestProgramTimeout(t *testing.T) {
	dir := openDir(t)
	m := &Program{Timeout: 300 * time.Millisecond}
	// What the program leaves in the background holds the FIFO open: its end is the end of the last process.
	require.NoError(t, syscall.Mkfifo(dir+"/alive", 0o600))
	alive, err := os.OpenFile(dir+"/alive", os.O_RDONLY|syscall.O_NONBLOCK, 0)
	require.NoError(t, err)
	defer alive.Close()
	start := time.Now()
	err = one(t, m, attempt(mtakit.Route{User: "|sleep 100 >" + dir + "/alive & sleep 100"}))
	require.Error(t, err)
	assert.True(t, mtakit.Temporary(err))
	require.NoError(t, alive.SetReadDeadline(start.Add(50*time.Second)))
	_, err = io.ReadAll(alive)
	require.NoError(t, err, "the whole process group is ended")
	assert.Less(t, time.Since(start), 50*time.Second)
}

func TestProgramOutputAndInput(t *testing.T) {
	a := attempt(mtakit.Route{User: "|yes | head -c 1000000; exit 69"})
	a.Open = func(context.Context) (io.ReadCloser, error) { // more than a pipe holds, and nobody reads it
		return io.NopCloser(strings.NewReader(strings.Repeat("x", 1<<20))), nil
	}
	err := one(t, &Program{MaxOutput: 100}, a)
	var out *OutputError
	require.ErrorAs(t, err, &out)
	assert.LessOrEqual(t, len(out.Output), 100)
	a.Rcpts[0].Route.User = "|exec <&-; exit 0"
	require.NoError(t, one(t, &Program{}, a), "a command need not read its input")
}

func TestProgramCheck(t *testing.T) {
	m := &Program{Check: func(command string) (string, error) {
		if command != "vacation ann" {
			return "", os.ErrPermission
		}
		return "exit 0", nil
	}}
	require.NoError(t, one(t, m, attempt(mtakit.Route{User: "|vacation ann"})))
	err := one(t, m, attempt(mtakit.Route{User: "|rm -rf x"}))
	require.Error(t, err)
	assert.False(t, mtakit.Temporary(err))
}

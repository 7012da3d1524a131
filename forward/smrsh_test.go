package forward_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/forward"
	"github.com/mtakit/mtakit/internal/vectorworld"
)

// smrshDir makes the directory of allowed programs that the vectors were observed with, in a directory whose name is
// as long as the one there, since the length of a rewritten command is limited.
func smrshDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "script"), []byte("#!/bin/sh\necho ran $*\n"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "noexec"), []byte("x"), 0o644))
	for _, name := range []string{"cat", "echo"} {
		path, err := exec.LookPath(name)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(path, filepath.Join(dir, name)))
	}
	return dir
}

// needRoot skips a test that makes files of other users.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("makes files that belong to other users: needs root")
	}
}

// runSmrsh runs a command as the restricted shell would.
func runSmrsh(s *forward.Smrsh, command string) (exit int, stdout, stderr string) {
	rewritten, err := s.Command(command)
	var refused *mtakit.Error
	if errors.As(err, &refused) {
		return refused.ExitStatus(), "", refused.Text + "\n"
	}
	var out, diag bytes.Buffer
	cmd := exec.Command("/bin/sh", "-c", rewritten)
	cmd.Env, cmd.Stdout, cmd.Stderr = forward.SmrshEnv, &out, &diag
	var ended *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &ended) {
		return -1, "", err.Error()
	}
	return cmd.ProcessState.ExitCode(), out.String(), diag.String()
}

// The vectors about the restricted shell run here, those about forward files through the whole Resolver, in directories
// and files of the users that they are about.
func TestVectorsForward(t *testing.T) {
	s := &forward.Smrsh{Dir: smrshDir(t)}
	vectorworld.Run(t, "forward", map[string]vectorworld.Op{
		"smrsh": func(t *testing.T, line []byte, _ *vectorworld.Config) { checkSmrsh(t, s, line) },
	})
}

// Questions about odd combinations of owners, modes, links and DontBlameSendmail words.
func TestAsked(t *testing.T) { vectorworld.RunAsked(t, nil) }

func checkSmrsh(t *testing.T, s *forward.Smrsh, line []byte) {
	var c struct {
		ID, Config, Op, Note string
		Input                struct{ Command string }
		Expect               struct {
			Exit           int
			Stdout, Stderr string
		}
		Raw any
	}
	require.NoError(t, vectorworld.Strict(line, &c))
	exit, stdout, stderr := runSmrsh(s, c.Input.Command)
	assert.Equal(t, c.Expect.Exit, exit)
	assert.Equal(t, c.Expect.Stdout, stdout)
	if strings.HasPrefix(c.Expect.Stderr, "/bin/sh: ") { // the words of the system's own shell
		assert.Contains(t, stderr, "sh: ")
	} else {
		assert.Equal(t, c.Expect.Stderr, stderr)
	}
}

// What the vectors leave open, as the real smrsh answered.
func TestSmrsh(t *testing.T) {
	t.Parallel()
	dir := smrshDir(t)
	s := &forward.Smrsh{Dir: dir}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dir"), 0o755))
	require.NoError(t, os.Symlink("/nonexistent", filepath.Join(dir, "dangling")))
	script := dir + "/script"
	for _, tt := range []struct{ command, want, err string }{
		{command: "script", want: script},
		{command: "./script a", want: script + " a"},
		{command: "\techo b", want: "echo b"},
		{command: "script\tb", want: script + " b"},
		{command: "exec   script b", want: "exec " + script + " b"},
		{command: "script && exec script x", want: script + " &&exec " + script + " x"},
		{command: "echo a && ", want: "echo a &&"},
		{command: "echo \x01", want: "echo \x01"},
		{command: "exec ", err: "missing command to exec"},
		{command: "script a && exec\t", err: "missing command to exec"},
		{command: "exec  exec", err: `"exec" not available for sendmail programs (stat failed)`},
		{command: "/x/exit 4", err: `"exit" not available for sendmail programs (stat failed)`},
		{command: "/x/exec script", err: `"exec" not available for sendmail programs (stat failed)`},
		{command: "script&&echo", err: `"script&&echo" not available for sendmail programs (stat failed)`},
		{command: "dir", err: `"dir" not available for sendmail programs (not a file)`},
		{command: "script/", err: `"" not available for sendmail programs (not a file)`},
		{command: "dangling", err: `"dangling" not available for sendmail programs (stat failed)`},
		{command: "echo a\rb", err: "cannot use \r in command"},
		{command: "echo a\xa9", err: "cannot use \xa9 in command"}, // a parenthesis with its eighth bit set
		{command: "echo a && && b", err: `"&&" not available for sendmail programs (stat failed)`},
		{command: "echo " + strings.Repeat("b", 2000), err: "command too long: echo " + strings.Repeat("b", 2000)},
		{command: strings.Repeat("script&& ", 5) + "script", err: `"script&&" not available for sendmail programs (stat failed)`},
		{command: strings.Repeat("script && ", 40) + "script", err: "command too long: " + strings.Repeat("script && ", 40) + "script"},
	} {
		got, err := s.Command(tt.command)
		assert.Equal(t, tt.want, got, tt.command)
		if tt.err == "" {
			assert.NoError(t, err, tt.command)
			continue
		}
		var e *mtakit.Error
		require.ErrorAs(t, err, &e, tt.command)
		assert.Equal(t, "smrsh: "+tt.err, e.Text)
		assert.Equal(t, 69, e.ExitStatus())
		assert.False(t, mtakit.Temporary(err))
	}
	// The longest command depends on the length of the directory's name.
	limit := 1000 - len(dir) - 3
	_, err := s.Command("echo " + strings.Repeat("b", limit-5))
	assert.NoError(t, err)
	_, err = s.Command("echo " + strings.Repeat("b", limit-4))
	assert.ErrorContains(t, err, "command too long")
}

// Whatever gets through names programs of the directory only, and holds no character that starts anything else.
func FuzzSmrsh(f *testing.F) {
	for _, seed := range []string{"echo a && exec script b", "script|cat", "a;b", "exec", "\xe9", "echo 'a|b'", " \t/x/y/script ||exit"} {
		f.Add(seed)
	}
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "script"), nil, 0o755); err != nil {
		f.Fatal(err)
	}
	s := &forward.Smrsh{Dir: dir}
	f.Fuzz(func(t *testing.T, command string) {
		got, err := s.Command(command)
		if err != nil {
			return
		}
		if len(got) >= 1000 {
			t.Fatalf("%d bytes", len(got))
		}
		for part := range strings.SplitSeq(strings.ReplaceAll(got, "||", "&&"), "&&") {
			if strings.ContainsAny(part, "<>|^();&`$\r\n") {
				t.Fatalf("%q gives %q", command, got)
			}
			words := strings.FieldsFunc(part, func(r rune) bool { return r == ' ' || r == '\t' })
			for len(words) > 0 && words[0] == "exec" {
				words = words[1:]
			}
			if len(words) > 0 && words[0] != "echo" && words[0] != "exit" && words[0] != dir+"/script" {
				t.Fatalf("%q gives %q", command, got)
			}
		}
	})
}

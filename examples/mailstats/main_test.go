package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/peer"
	"github.com/mtakit/mtakit/internal/vectordir"
)

// TestVectorsStats does every run of the real mailstats again: output, messages, exit code, and what it leaves of the file.
func TestVectorsStats(t *testing.T) {
	own, err := filepath.Abs(filepath.Join("..", "..", "stats", "testdata", "vectors"))
	if err != nil {
		t.Fatal(err)
	}
	fsys := vectordir.Open(t, "stats", own)
	passed, failed := 0, 0
	for _, name := range vectordir.Files(t, fsys, "meta.json") {
		b, err := fs.ReadFile(fsys, name)
		if err != nil {
			t.Fatal(err)
		}
		var set struct{ Runs []vectorRun }
		if err := json.Unmarshal(b, &set); err != nil {
			t.Fatal(err)
		}
		here, err := fs.Sub(fsys, path.Dir(name))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.CopyFS(dir, here); err != nil {
			t.Fatal(err)
		}
		t.Chdir(dir)
		for _, r := range set.Runs {
			if r.try(t) {
				passed++
			} else {
				failed++
			}
		}
	}
	t.Logf("vectors stats: %d passed, %d failed", passed, failed)
	if failed > 0 || passed == 0 {
		t.FailNow()
	}
}

type vectorRun struct {
	Name   string
	Argv   []string
	Stdout string
	Stderr *string
	Exit   int
	Note   string
}

func (r *vectorRun) try(t *testing.T) bool {
	truncated := ""
	if _, rest, ok := strings.Cut(r.Note, "run on a copy of "); ok {
		// "run on a copy of FILE named WORK; afterwards that file had size 0"
		words := strings.Fields(strings.ReplaceAll(rest, ";", ""))
		if len(words) < 3 || words[1] != "named" {
			t.Errorf("%s: note not understood: %s", r.Name, r.Note)
			return false
		}
		b, err := os.ReadFile(words[0])
		if err != nil {
			t.Error(err)
			return false
		}
		truncated = words[2]
		if err := os.WriteFile(truncated, b, 0o600); err != nil {
			t.Error(err)
			return false
		}
	}
	var out, errs bytes.Buffer
	c := &command{name: "PATH", stdout: &out, stderr: &errs, sleep: func(time.Duration) {}, location: time.UTC}
	now := time.Unix(1_900_000_000, 0)
	c.list.Now = now
	exit := c.run(r.Argv[1:])

	want, err := os.ReadFile(r.Stdout)
	if err != nil {
		t.Error(err)
		return false
	}
	wantOut := strings.NewReplacer("@NOWCTIME@", now.UTC().Format(time.ANSIC), "@NOW@", "1900000000").Replace(string(want))
	wantErr := ""
	if r.Stderr != nil {
		b, err := os.ReadFile(*r.Stderr)
		if err != nil {
			t.Error(err)
			return false
		}
		wantErr = string(b)
		if first, rest, ok := strings.Cut(wantErr, ": "); ok && strings.HasPrefix(first, "/") {
			wantErr = "PATH: " + rest // as it was called
		}
	}
	ok := true
	if exit != r.Exit {
		t.Errorf("%s: exit %d, want %d", r.Name, exit, r.Exit)
		ok = false
	}
	if out.String() != wantOut {
		t.Errorf("%s: printed\n%s\nwant\n%s", r.Name, out.String(), wantOut)
		ok = false
	}
	if errs.String() != wantErr {
		t.Errorf("%s: complained\n%s\nwant\n%s", r.Name, errs.String(), wantErr)
		ok = false
	}
	if truncated != "" {
		if fi, err := os.Stat(truncated); err != nil || fi.Size() != 0 {
			t.Errorf("%s: %s has size %d, want 0 (%v)", r.Name, truncated, fi.Size(), err)
			ok = false
		}
	}
	return ok
}

func TestOptions(t *testing.T) {
	tests := []struct {
		args string
		ok   bool
		want string // config, file, flags
	}{
		{"", true, "/etc/mail/sendmail.cf  "},
		{"-c", true, "/etc/mail/submit.cf  "},
		{"-oPf x", true, "/etc/mail/sendmail.cf x oP"},
		{"-fx -Cy", true, "y x "},
		{"-p", true, "/etc/mail/sendmail.cf  Pp"},
		{"--", true, "/etc/mail/sendmail.cf  "},
		{"-- x", false, "/etc/mail/sendmail.cf  "},
		{"x -o", false, "/etc/mail/sendmail.cf  o"},
		{"-f", false, "/etc/mail/sendmail.cf  "},
	}
	for _, tc := range tests {
		c := &command{name: "m", stderr: &bytes.Buffer{}, config: "/etc/mail/sendmail.cf"}
		ok := c.options(strings.Fields(tc.args))
		got := c.config + " " + c.file + " "
		for _, f := range []struct {
			on   bool
			name string
		}{{c.list.NoNames, "o"}, {c.list.Program, "P"}, {c.thenTruncate, "p"}} {
			if f.on {
				got += f.name
			}
		}
		if ok != tc.ok || got != tc.want {
			t.Errorf("%q: got %v %q, want %v %q", tc.args, ok, got, tc.ok, tc.want)
		}
	}
}

// TestAgainstOriginal gives both programs the same arguments. $D is a directory.
func TestAgainstOriginal(t *testing.T) {
	t.Parallel()
	const theirs = "/usr/libexec/sendmail/mailstats" // in front of it, Debian has a script that calls it twice
	if _, err := os.Stat(theirs); err != nil {
		peer.Missing(t, "mailstats of Debian's sendmail is not installed")
	}
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "$D", dir)), 0o644))
	}
	counters, err := os.ReadFile("../../stats/testdata/vectors/s03-traffic.st")
	require.NoError(t, err)
	write("st", string(counters))
	write("old.st", string(counters[:4])+"\x03"+string(counters[5:]))
	write("bad.st", "?"+string(counters))
	write("short.st", string(counters[:100]))
	write("1.cf", "Mlocal, P=/x\nMesmtp P=/x\nO StatusFile=$D/st\n")
	write("2.cf", "OS$D/none\nO StatusFileX=/x\nO statusfile = $D/st #c\nM\nM,\nMlocal\nMlocal\nMm\n  continued, P=/x\n")
	write("3.cf", "Mlocal, P=/x\n")
	write("4.cf", strings.Repeat("M0123456789abcdefghijklmnop\n", 5)+"Ma\nMb\nMc\nMd\nMe\nMf\nMg\nMh\nMi\nMj\nMk\nMl\nMm\nMn\nMo\nMp\nMq\nMr\nMs\nMt\nMu\nMv\nMw\n")
	for _, args := range []string{
		"-C $D/1.cf", "-C$D/1.cf -o", "-oPC $D/1.cf", "-C $D/2.cf", "-C $D/3.cf", "-C $D/3.cf -f$D/st", "-C $D/4.cf", "-C $D/none.cf", "-C $D", "-C $D -f $D/st",
		"-C $D/1.cf -f $D/none", "-C $D/1.cf -f $D", "-C $D/1.cf -f $D/old.st", "-C $D/1.cf -f $D/bad.st", "-C $D/1.cf -f $D/short.st", "-C $D/1.cf -f EMPTY",
		"-C EMPTY", "-f", "-C", "-oC", "-x", "-h", "-V", "-ox", "--help", "-C $D/1.cf x", "x -C $D/1.cf", "-C $D/1.cf --", "-C $D/1.cf -- x", "-C $D/1.cf -",
		"-c -C $D/1.cf", "-oo -C $D/1.cf",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			list := strings.Fields(strings.ReplaceAll(args, "$D", dir))
			for i := range list {
				list[i] = strings.TrimPrefix(list[i], "EMPTY")
			}
			var want, wantErr, got, gotErr bytes.Buffer
			cmd := exec.CommandContext(t.Context(), theirs, list...)
			cmd.Stdout, cmd.Stderr = &want, &wantErr
			_ = cmd.Run() // the exit status is compared
			c := &command{name: theirs, stdout: &got, stderr: &gotErr, sleep: func(time.Duration) {}, location: time.Local}
			assert.Equal(t, cmd.ProcessState.ExitCode(), c.run(list))
			assert.Equal(t, afterLine(want.String(), args), afterLine(got.String(), args))
			assert.Equal(t, wantErr.String(), gotErr.String())
		})
	}
}

// afterLine leaves out the first line of the output for programs, which has the time.
func afterLine(out, args string) string {
	if strings.Contains(args, "P") {
		_, out, _ = strings.Cut(out, "\n")
	}
	return out
}

// TestNoInput has the messages of mailstats 8.17.1.9 for files that it cannot read.
func TestNoInput(t *testing.T) {
	cf := filepath.Join(t.TempDir(), "cf")
	tests := []struct {
		name, config string
		args         []string
		want         string
		exit         int
	}{
		{"an empty file name", "", []string{"-f", ""}, "mailstats: No such file or directory\n", 66},
		{"it wins over the configuration", "O StatusFile=/dev/null\n", []string{"-f", ""}, "mailstats: No such file or directory\n", 66},
		{"an option without a value", "O StatusFile=\n", nil, "mailstats: No such file or directory\n", 66},
		{"no option", "V10\n", nil, "mailstats: no statistics file located\n", 72},
		{"a directory", "", []string{"-f", "/"}, "mailstats: /: Is a directory\n", 66},
	}
	for _, tc := range tests {
		if err := os.WriteFile(cf, []byte(tc.config), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		c := &command{name: "m", stdout: &out, stderr: &errs, sleep: func(time.Duration) {}, location: time.UTC}
		exit := c.run(append([]string{"-C", cf}, tc.args...))
		if exit != tc.exit || errs.String() != tc.want || out.Len() > 0 {
			t.Errorf("%s: exit %d, %q, %q; want %d, %q", tc.name, exit, out.String(), errs.String(), tc.exit, tc.want)
		}
	}
}

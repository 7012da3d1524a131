package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

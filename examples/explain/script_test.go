package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"explain": main})
}

// TestScripts runs the stories in testdata/script. Each is a directory of tables and what the command says about it;
// "status N" checks the exit code of a command line.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("MTAKIT_DATA", env.WorkDir+"/no-data") // nothing of this machine
			return os.Chmod(env.WorkDir, 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"status": status},
	})
}

// status runs a command and checks its exit code: status CODE COMMAND ARGS… Its output is there for cmp and stdout.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE COMMAND ARGS…")
	}
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if want := args[0]; strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d, want %s", code, want)
	}
}

// sample is a directory in which an address leads to every kind of leaf.
func sample(t *testing.T) string {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"aliases":          "postmaster: ann\nteam: ann, lists@far.test, \"|/bin/cat <in>\", /tmp/archive, ghost\nowner-team: ann\n",
		"virtusertable":    "info@our.test\tteam\n",
		"local-host-names": "our.test\n",
		"access":           "From:spam.test\tREJECT\n",
		"passwd":           "ann:x:1001:1001::/nonexistent:/bin/sh\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	return dir
}

func explainSample(t *testing.T, args ...string) (string, int) {
	var out, errs strings.Builder
	args = append([]string{"-etc", sample(t), "-hostname", "mx.our.test", "-no-forward"}, args...)
	code := run(context.Background(), args, &out, &errs)
	assert.Empty(t, errs.String())
	return out.String(), code
}

// The page is well-formed, complete, and needs nothing from elsewhere.
func TestHTML(t *testing.T) {
	out, _ := explainSample(t, "-html", "-client", "203.0.113.9", "-from", "x@spam.test", "info@our.test")
	d := xml.NewDecoder(strings.NewReader(strings.Replace(out, "<!DOCTYPE html>", "", 1)))
	d.AutoClose, d.Entity, d.Strict = xml.HTMLAutoClose, xml.HTMLEntity, false
	depth := 0
	for {
		tok, err := d.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		switch tok := tok.(type) {
		case xml.StartElement:
			depth++
			for _, a := range tok.Attr {
				assert.NotContains(t, []string{"src", "href"}, a.Name.Local, "self-contained")
			}
			assert.NotEqual(t, "script", tok.Name.Local)
		case xml.EndElement:
			depth--
		}
	}
	assert.Zero(t, depth)
	for _, want := range []string{"virtusertable:1", "aliases:2", "550 5.7.1", "550 5.1.1 User unknown", "/tmp/archive", "cat &lt;in&gt;"} {
		assert.Contains(t, out, want)
	}
	assert.NotContains(t, out, "<in>", "what tables say is text, not markup")
}

// The leaves that explain shows are those that Resolve finds.
func TestJSONLeaves(t *testing.T) {
	out, code := explainSample(t, "-json", "info@our.test", "postmaster")
	assert.Equal(t, 67, code)
	var all []struct {
		Address    string
		Resolution struct {
			Leaves []struct {
				Text  string
				Route struct{ Mailer, Host, User string }
				Error string
				Steps []struct {
					Stage, Key string
					Pos        struct{ Line int }
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &all))
	require.Len(t, all, 2)
	var leaves []string
	for _, l := range all[0].Resolution.Leaves {
		leaves = append(leaves, l.Route.Mailer+" "+l.Route.User+" "+l.Error)
		assert.Equal(t, "virtusertable", l.Steps[0].Stage)
		assert.Equal(t, 2, l.Steps[1].Pos.Line)
	}
	assert.ElementsMatch(t, []string{"local ann ", "esmtp lists@far.test ", `prog "|/bin/cat <in>" `, "*file* /tmp/archive ",
		"local ghost 550 5.1.1 User unknown"}, leaves)
	assert.Equal(t, "ann", all[1].Resolution.Leaves[0].Route.User)
}

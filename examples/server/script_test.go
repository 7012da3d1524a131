package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/mailtest"
)

// TestScripts runs the stories in testdata/script against the real commands. Beside testscript's own, they have
//
//	serve [FLAG...]           start a server with its data in $WORK/data; $SERVER is where it listens
//	shutdown                  end it and expect a clean exit
//	kill                      end it without warning
//	[!] waitfor REGEXP GLOB   wait until a file of that name has such a text
//	nofile GLOB               wait until no file has such a name
//	sink N                    wait until the sink at $SINK has N messages, and write the last one to the file "sunk"
//	subst FILE...             replace $WORK and $SINK in files
//	reply STAGE TEXT          make the sink answer so, from now on; with "" normally again
func TestScripts(t *testing.T) {
	if _, err := exec.LookPath("swaks"); err != nil && os.Getenv("CI") == "true" {
		t.Fatal("swaks is not installed")
	}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", bin, "../server", "../sendmail", "../mailq", "../mailstats", "../newaliases")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			sink := mailtest.NewServer(t)
			env.Values["sink"] = sink
			env.Setenv("SINK", sink.Addr)
			env.Setenv("MTAKIT_DATA", filepath.Join(env.WorkDir, "data"))
			env.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Geteuid() == 0, nil
			case "mount":
				return exec.Command("unshare", "--mount", "true").Run() == nil, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":    func(ts *testscript.TestScript, neg bool, args []string) { serve(t, ts, args) },
			"shutdown": func(ts *testscript.TestScript, neg bool, args []string) { running(ts).stop() },
			"kill":     func(ts *testscript.TestScript, neg bool, args []string) { running(ts).kill() },
			"waitfor":  waitFor,
			"nofile":   noFile,
			"sink":     sunk,
			"reply":    reply,
			"subst":    subst,
		},
	})
}

// servers are the running servers by data directory.
var servers sync.Map

func serve(t *testing.T, ts *testscript.TestScript, args []string) {
	data := ts.Getenv("MTAKIT_DATA")
	p := tryServer(t, data, append([]string{"-queue-interval", "1s"}, args...)...)
	if p.addr == "" {
		ts.Fatalf("the server did not start:\n%s", p.text())
	}
	ts.Setenv("SERVER", p.addr)
	servers.Store(data, p)
}

func running(ts *testscript.TestScript) *process {
	p, ok := servers.Load(ts.Getenv("MTAKIT_DATA"))
	if !ok {
		ts.Fatalf("no server is running")
	}
	return p.(*process)
}

const patience = 15 * time.Second

func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	re := regexp.MustCompile("(?m)" + args[0])
	deadline := time.Now().Add(patience)
	if neg {
		deadline = time.Now().Add(300 * time.Millisecond)
	}
	for {
		files, err := filepath.Glob(ts.MkAbs(args[1]))
		ts.Check(err)
		for _, f := range files {
			if text, err := os.ReadFile(f); err == nil && re.Match(text) {
				if neg {
					ts.Fatalf("%s has %q:\n%s", f, args[0], text)
				}
				return
			}
		}
		if time.Now().After(deadline) {
			if neg {
				return
			}
			var all strings.Builder
			for _, f := range files {
				text, _ := os.ReadFile(f)
				fmt.Fprintf(&all, "-- %s --\n%s\n", f, text)
			}
			ts.Fatalf("no %q in %s:\n%s", args[0], args[1], all.String())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func noFile(ts *testscript.TestScript, neg bool, args []string) {
	deadline := time.Now().Add(patience)
	for {
		files, err := filepath.Glob(ts.MkAbs(args[0]))
		ts.Check(err)
		if len(files) == 0 {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("still there: %v", files)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func theSink(ts *testscript.TestScript) *mailtest.Server { return ts.Value("sink").(*mailtest.Server) }

func sunk(ts *testscript.TestScript, neg bool, args []string) {
	var n int
	_, err := fmt.Sscan(args[0], &n)
	ts.Check(err)
	deadline := time.Now().Add(patience)
	for {
		msgs := theSink(ts).Messages()
		if len(msgs) >= n {
			if len(msgs) > n {
				ts.Fatalf("the sink has %d messages, not %d", len(msgs), n)
			}
			if n > 0 {
				last := msgs[n-1]
				text := fmt.Sprintf("from <%s>\nto %s\n%s", last.From, strings.Join(last.To(), " "), last.Text())
				ts.Check(os.WriteFile(ts.MkAbs("sunk"), []byte(text), 0o644))
			}
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("the sink has %d messages, not %d; dialogue:\n%s", len(msgs), n, theSink(ts).Dialogue())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func reply(ts *testscript.TestScript, neg bool, args []string) {
	if args[1] == "" {
		theSink(ts).Reset()
		return
	}
	theSink(ts).Always(mailtest.Stage(args[0]), mailtest.Reply(args[1]))
}

func subst(ts *testscript.TestScript, neg bool, args []string) {
	r := strings.NewReplacer("$WORK", ts.Getenv("WORK"), "$SINK", ts.Getenv("SINK"))
	for _, name := range args {
		file := ts.MkAbs(name)
		text, err := os.ReadFile(file)
		ts.Check(err)
		ts.Check(os.WriteFile(file, []byte(r.Replace(string(text))), 0o644))
	}
}

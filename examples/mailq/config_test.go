package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/peer"
	"github.com/mtakit/mtakit/queue"
)

// groups makes a spool with three queues and a message in each, and writes a configuration that names them.
func groups(t *testing.T) (root, cf string) {
	root = filepath.Join(t.TempDir(), "mqueue")
	for _, sub := range []string{"", "slow", "fast1", "fast2"} {
		require.NoError(t, os.Mkdir(filepath.Join(root, sub), 0o700))
	}
	d, err := queue.Open(root, &queue.DirOptions{Groups: []queue.Group{{Name: "slow"}, {Name: "fast", Path: "fast*"}}})
	require.NoError(t, err)
	for _, group := range []string{"", "slow", "fast"} {
		w, err := d.Create(t.Context(), &queue.Envelope{Sender: "<ann@example.org>", Header: []byte("Subject: x\n"),
			Units: []queue.UnitSpec{{Group: group, Rcpts: []queue.Recipient{{Addr: "<" + group + "@example.net>", Flags: queue.RcptPrimary}}}}})
		require.NoError(t, err)
		_, err = io.WriteString(w, "body\n")
		require.NoError(t, err)
		require.NoError(t, w.Commit(t.Context()))
	}
	return root, write(t, "O QueueDirectory=%[1]s\nO QueueLA=1000\nO QueueSortOrder=filename\nO PidFile=/dev/null\nQslow, P=%[1]s/slow, r=3, I=1h\nQfast, P=%[1]s/fast*\n", root)
}

func write(t *testing.T, text string, args ...any) string {
	cf := filepath.Join(t.TempDir(), "sendmail.cf")
	require.NoError(t, os.WriteFile(cf, fmt.Appendf(nil, text, args...), 0o644))
	return cf
}

// mailq runs the program with a default configuration that does not exist.
func mailq(t *testing.T, args ...string) (out string, code int) {
	var b bytes.Buffer
	c := &command{out: &b, err: &b, config: "/nowhere/sendmail.cf"}
	code = c.run(t.Context(), args)
	return b.String(), code
}

// TestConfiguration: each case is an argument list and what the output has and has not.
func TestConfiguration(t *testing.T) {
	t.Parallel()
	root, cf := groups(t)
	other := t.TempDir()
	for _, c := range []struct {
		args []string
		exit int
		has  []string
		not  string
	}{
		{[]string{"-C", cf}, 0, []string{root + " (1 request)", root + "/slow (1 request)", root + "/fast", "Total requests: 3"}, ""},
		{[]string{"-C" + cf, "-qGslow"}, 0, []string{root + "/slow (1 request)"}, "Total"},
		{[]string{"-C", cf, "-qGnone"}, 0, []string{"Queue group none unknown"}, "request"},
		{[]string{"-C", cf, "-json", "-qGslow"}, 0, []string{"<slow@example.net>"}, "<fast@"},
		{[]string{"-C", cf, "-json", "-qQ"}, 0, nil, "example"},
		{[]string{"-C", cf, "-json", "-group", "mqueue"}, 0, []string{"<@example.net>"}, "<slow@"},
		{[]string{"hold", "-C", cf, "-group", "fast"}, 0, []string{"would change 1", "<fast@example.net>"}, "slow"},
		{[]string{"retry", "-oQ", root + "/slow"}, 0, []string{"would change 1", "<slow@"}, "fast"},
		{[]string{"retry", "-O", "QueueDirectory=" + root + "/slow"}, 0, []string{"would change 1"}, ""},
		{[]string{"-oQ" + root + "/slow"}, 0, []string{"Total requests: 1"}, ""},
		{[]string{"-oQ", root + "/slow"}, 0, []string{"Total requests: 1"}, ""},
		{[]string{"-o", "Q" + root + "/slow"}, 0, []string{"Total requests: 1"}, ""},
		{[]string{"-oQ", root, "-OTimeout.queuewarn=4h"}, 0, []string{"Total requests: 1"}, ""},
		{[]string{"-C", cf, "-oQ", other}, exConfig, []string{"QueuePath " + root + "/slow not subpath of QueueDirectory " + other + "/"}, ""},
		{[]string{"-C", write(t, "O QueueDirectory=%s\nQslow, P=slow\n", root)}, exConfig, []string{"QueuePath slow not absolute"}, ""},
		{[]string{"-C", write(t, "O QueueDirectory=%[1]s\nQmqueue, P=%[1]s/slow\n", root)}, 0, []string{"Total requests: 1", root + "/slow"}, ""},
		{[]string{"-C", write(t, "O QueueDirectory=%s\nQsame, r=3\n", root)}, 0, []string{"Total requests: 2"}, ""}, // sendmail shows it twice
		{[]string{"hold", "-C", write(t, "O QueueDirectory=%s\nQsame, r=3\n", root)}, 0, []string{"would change 1"}, ""},
		{[]string{"-C", write(t, "O QueueDirectory=/q\nQslow, Z=3\n")}, exSoftware, []string{": line 2: Qslow: unknown queue equate Z=\n"}, ""},
		{[]string{"-C", write(t, "O QueueDirectory=%s\nO MinQueueAge=son\n", root)}, 0, []string{": line 2: Invalid time unit `o'\n", ": line 2: Invalid time unit `n'\n", "Total requests: 1"}, ""},
		{[]string{"-C", write(t, "O QueueSort=x\n")}, exSoftware, []string{": line 1: Option QueueSort used as abbreviation for QueueSortOrder\n", ": line 1: Invalid queue sort order \"x\"\n"}, ""},
		{[]string{"-C", cf, "-OFoo=1"}, exSoftware, []string{"readcf: unknown option name Foo\n"}, "request"},
		{[]string{"-C", cf, "-OLogLevel=3", "-o", "i", "-vnN", "never", "-fx"}, 0, []string{"Total requests: 3"}, ""},
		{[]string{"-C", cf, "-sender", "x"}, exUsage, []string{"-sender goes with -json"}, "request"},
		{[]string{"-C", cf, "-json", "-sender", "ann@example.org"}, 0, []string{"<ann@example.org>"}, ""},
		{[]string{"-C", cf, "-json", "-nonsense"}, exUsage, []string{"flag provided but not defined: -nonsense"}, ""},
		{[]string{"-C", "/nowhere/x.cf"}, exOSFile, []string{"/nowhere/x.cf: line 0: cannot open: No such file or directory"}, ""},
		{[]string{"-oQ", "/nowhere/at/all"}, exConfig, []string{"can not chdir(/nowhere/at/all/): No such file or directory"}, ""},
		{[]string{"-C"}, exOSFile, []string{"sendmail.cf: line 0: cannot open: No such file or directory"}, ""},
		{[]string{"-vO"}, exUsage, []string{"mailq: option requires an argument -- O\n"}, ""},
		{[]string{"-o", ""}, exSoftware, []string{"readcf: unknown option name 0x0\n"}, ""},
		{[]string{"-bi"}, exUsage, []string{"mailq: -bi is for sendmail\n"}, ""},
		{[]string{"hold", "-OMinQueueAge=3h"}, exUsage, []string{"not an option"}, ""},
	} {
		out, code := mailq(t, c.args...)
		assert.Equal(t, c.exit, code, "%v: %s", c.args, out)
		for _, want := range c.has {
			assert.Contains(t, out, want, "%v", c.args)
		}
		if c.not != "" {
			assert.NotContains(t, out, c.not, "%v", c.args)
		}
	}
	// A configuration that is just there, not named, does not stand in the way of another directory.
	var b bytes.Buffer
	c := &command{out: &b, err: &b, config: cf}
	assert.Zero(t, c.run(t.Context(), []string{"-oQ", other}), b.String())
	assert.Equal(t, other+" is empty\n\t\tTotal requests: 0\n", b.String())
}

// TestBesideSendmail: with one configuration the real program lists the same.
func TestBesideSendmail(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs sendmail dozens of times")
	}
	root, cf := groups(t)
	path := peer.Program(t, "sendmail")
	unshare := peer.Unshare(t)
	text, err := os.ReadFile(cf)
	require.NoError(t, err)
	text = append([]byte("V10/Berkeley\nDjmx.example.org\nO Timeout.ident=0\nO DontProbeInterfaces=True\nMlocal, P=/bin/false, F=l, A=x\nMprog, P=/bin/false, F=l, A=x\nSparse=0\nR$*	$#local $: $1\n"), text...)
	require.NoError(t, os.WriteFile(cf, text, 0o644))
	for _, args := range []string{"", "-v", "-qGslow", "-qGFAST", "-qGmqueue", "-qGnone", "-qIA", "-qRslow", "-v -qGslow", "-qQ", "-OQueueSortOrder=time -qGslow",
		"-oQ" + root, "-OQueueDirectory=" + root, "-OFoo=1", "-OLogLevel=3", "-OLog=3", "-OTimeout.queuewarn=1h", "-OCheck=1", "-O=x", "-OQueueSortOrder=zz",
		"-OQueueSortOrder=", "-OMinQueueAge=abc", "-OMinQueueAge=5x", "-OMaxQueueAge=", "-OMaxQueueRunSize=1x", "-OQueueLA=abc", "-oq5", "-oZ", "-oi -om",
		"-o=", "-O QueueFactor=abc", "-oQ/no/such", "-OQueueDirectory=", "-bq", "-bp", "-qX", "-q!x", "-q5x", "-q", "-q5m", "-qf", "-qp3", "-q!", "-qG", "-q!Gslow",
		"-qGa -qGb", "-Nnever", "-Nfoo", "-Nsuccess,delay", "-RFULL", "-Rfoo", "-B7bit", "-Bfoo", "-Q", "-Qx", "-vnti", "-fx -F y -h3 -pSMTP -em -Lx -s -c -m -rz -Vx",
		"-qQ -qIx", "-qSann -qR!slow", "-qI", "-Am"} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			theirs := exec.CommandContext(t.Context(), unshare, append([]string{"--uts", "sh", "-c", `hostname mx.example.org && exec "$0" "$@"`, path, "-C", cf, "-bp"}, strings.Fields(args)...)...)
			want, err := theirs.Output()
			var failed *exec.ExitError
			if !errors.As(err, &failed) {
				require.NoError(t, err, "%s", want)
			}
			got, code := mailq(t, append([]string{"-C", cf}, strings.Fields(args)...)...)
			assert.Equal(t, theirs.ProcessState.ExitCode(), code)
			assert.Equal(t, string(want), got)
		})
	}
}

// TestNoPermission: a queue that one may not enter is refused in sendmail's words; one that one may not list is no empty one.
func TestNoPermission(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if os.Geteuid() == 0 {
		t.Skip("root may enter every directory")
	}
	for _, c := range []struct {
		mode os.FileMode
		exit int
		want string
	}{
		{0o600, exConfig, "can not chdir(" + dir + "/): Permission denied\n"},
		{0o100, exTemp, "permission denied"},
	} {
		require.NoError(t, os.Chmod(dir, c.mode))
		out, code := mailq(t, "-oQ"+dir)
		assert.Equal(t, c.exit, code)
		assert.Contains(t, out, c.want)
		assert.NotContains(t, out, "empty")
	}
	require.NoError(t, os.Chmod(dir, 0o700))
}

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/peer"
	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/bdb"
	"github.com/mtakit/mtakit/table/cdb"
)

// unsafeDir lets both programs work below the directory for temporary files.
const unsafeDir = "DontBlameSendmail=MapInUnsafeDirPath,GroupWritableDirPathSafe"

// outcome is what a run printed and what it built.
type outcome struct {
	Output string
	Exit   int
	Map    []string
}

// ours runs this program.
func ours(t *testing.T, class, file string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	c := &command{stdout: &out, stderr: &errs}
	code := c.run(t.Context(), []string{"-C" + os.DevNull, "-OAliasFile=" + class + file, "-O" + unsafeDir})
	assert.Empty(t, errs.String())
	return outcome{Output: withoutWarnings(out.String()), Exit: code, Map: list(t, file+".db")}
}

// withoutWarnings drops remarks about the directory.
func withoutWarnings(s string) string {
	lines := slices.DeleteFunc(strings.SplitAfter(s, "\n"), func(l string) bool { return strings.HasPrefix(l, "WARNING: ") })
	return strings.Join(lines, "")
}

// list lists a database in the order of its keys.
func list(t *testing.T, path string) (lines []string) {
	t.Helper()
	m, err := bdb.Open(t.Context(), path, table.OpenOptions{})
	if os.IsNotExist(err) {
		return nil
	}
	require.NoError(t, err)
	defer m.Close()
	for rec, err := range m.All() {
		require.NoError(t, err)
		lines = append(lines, fmt.Sprintf("%q %q", rec.Key, rec.Value))
	}
	slices.Sort(lines)
	return lines
}

// configuration writes the one of the sendmail that is installed, without its alias files and with more lines.
func configuration(t *testing.T, more string) (path string) {
	t.Helper()
	conf, err := os.ReadFile("/etc/mail/sendmail.cf")
	if err != nil {
		peer.Missing(t, "sendmail is not configured")
	}
	path = filepath.Join(t.TempDir(), "test.cf")
	lines := slices.DeleteFunc(strings.SplitAfter(string(conf), "\n"), func(l string) bool { return strings.HasPrefix(l, "O AliasFile") })
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "")+more), 0o644))
	return path
}

// TestOptionsAgainstOriginal gives both programs the same options, most of them wrong.
func TestOptionsAgainstOriginal(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs sendmail dozens of times")
	}
	sendmail, unshare := peer.Program(t, "sendmail"), peer.Unshare(t)
	many := ""
	for i := range 128 {
		many += fmt.Sprintf("/none/%d,", i)
	}
	const dir, file = "$D", "$D/queue/aliases"
	good := configuration(t, "")
	bad := configuration(t, "O Foo=1\nO Check=1\nO DontBlameSendmail=foo\nO TrustedUser=nosuch\nO AliasF=/x\nOAfoo:/x\nO  CheckAliases=1\n")
	for _, args := range [][]string{
		{"-C" + good, "-OFoo=bar"},
		{"-C" + good, "-OFoo", "-O", "Foo bar=1", "-O", " CheckAliases=1", "-OFoo.bar=1"},
		{"-C" + good, "-O=x", "-O "},
		{"-C" + good, "-OCheck", "-OS=1", "-OM"},
		{"-C" + good, "-OCheckA=true", "-Oaliasf=" + file},
		{"-C" + good, "-ODontBlameSendmail=foo,safe;bar, baz"},
		{"-C" + good, "-OTrustedUser=nosuch"},
		{"-C" + good, "-OTrustedUser="},
		{"-C" + good, "-OAliasFile=foo:/x,dequote:/x,hash:,/n,btree:-o,dbm:/x"},
		{"-C" + good, "-OAliasFile=hash:-x " + file + ", Hash:-yo, text:,null:,stab:"},
		{"-C" + good, "-OAliasFile=hash:-o /no/such, Hash:-o -N " + file},
		{"-C" + good, "-OAliasFile=" + file + "," + file},
		{"-C" + bad},
		{"-C" + bad, "-OAliasFile=" + file},
		{"-C" + bad, "-OTrustedUser=root"},
		{"-C" + bad, "-OBar"},
		{"-C" + good, "-OQueueDirectory=" + dir + "/queue", "-OAliasFile=aliases,sub/aliases,none,./none,../queue/aliases"},
		{"-C" + good, "-oQ" + dir + "/que*", "-oAqueue/aliases", "-oAqueue/open/aliases"},
		{"-C" + good, "-OQueueDirectory=" + dir + "/no*", "-OAliasFile=aliases"},
		{"-C" + good, "-OQueueDirectory=" + dir + "/none", "-OAliasFile=" + file},
		{"-C" + good, "-OQueueDirectory=" + file, "-OAliasFile=" + file},
		{"-C" + good, "-OQueueDirectory=here", "-OAliasFile=" + file},
		{"-C" + good, "-OAliasFile=" + many[:len(many)-1]},
		{"-C" + good, "-OAliasFile=" + many + file},
		{"-C" + good, "-OAliasFile=/n/0,null:", "-OAliasFile=hash:"},
		{"-C" + good, "-oZ", "-oT5d", "-oA" + file},
		{"-C" + good, "-o", "-OAliasFile=" + file},
		{"-C" + good, "-o="},
		{"-C" + good, "-bq"},
		{"-C" + good, "-qf"},
		{"-C" + good, "-OAliasFile=" + file, "--", "-x"},
		{"-C" + good, "-OAliasFile=" + file, "-cvC", "/no/such/file"},
		{"-C/no/such/file", "-OAliasFile=" + file},
		{"-C" + dir, "-OAliasFile=" + file},
		{"-C" + good, "-OAliasFile=hash:$D/queue/" + strings.Repeat("x", 70)},
	} {
		t.Run(strings.Join(args, " ")[len("-C"):min(120, len(strings.Join(args, " ")))], func(t *testing.T) {
			t.Parallel()
			args := slices.Clone(args)
			dir := queueDirectory(t)
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "$D", dir)
			}
			compare(t, unshare, sendmail, append(args, "-O"+unsafeDir))
		})
	}
}

// queueDirectory makes a directory with queue/aliases, queue/sub/aliases, and queue/open/aliases, which is not safe.
func queueDirectory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"queue", "queue/sub", "queue/open"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "aliases"), []byte(filepath.Base(name)+": b\n"), 0o644))
	}
	long := filepath.Join(dir, "queue", strings.Repeat("x", 70)) // a name that messages shorten
	require.NoError(t, os.WriteFile(long, []byte("a: b\nno colon\n"), 0o644))
	require.NoError(t, os.Chmod(filepath.Join(dir, "queue/open"), 0o777))
	return dir
}

// compare runs both programs.
func compare(t *testing.T, unshare, sendmail string, args []string) {
	t.Helper()
	var got, want, errs bytes.Buffer
	c := &command{stdout: &got, stderr: &errs}
	exit := c.run(t.Context(), args)
	cmd := exec.CommandContext(t.Context(), unshare, append([]string{"--uts", "sh", "-c", "hostname mx.example.test; exec \"$@\"", "sh",
		sendmail, "-bi"}, args...)...)
	cmd.Stdout = &want
	_ = cmd.Run() // the exit status is compared
	assert.Equal(t, withoutWarnings(want.String()), withoutWarnings(got.String()))
	assert.Equal(t, cmd.ProcessState.ExitCode(), exit)
	assert.Empty(t, errs.String())
}

// TestClassFilesAgainstOriginal: what F lines say of files, and which words of them are local domains.
func TestClassFilesAgainstOriginal(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs sendmail dozens of times")
	}
	sendmail, unshare := peer.Program(t, "sendmail"), peer.Unshare(t)
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		require.NoError(t, os.Chmod(path, mode))
		return path
	}
	names := write("names", "one.test two.test # three.test\n#four.test\n  five.test\n", 0o666)
	open := write("open/names", "one.test\n", 0o644)
	require.NoError(t, os.Chmod(filepath.Dir(open), 0o777))
	secret := write("secret", "one.test\n", 0o200)
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(names, link))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644))
	const aliases = "a@one.test: x\nb@two.test: x\nc@three.test: x\nd@four.test: x\ne@five.test: x\n"
	for _, lines := range []string{
		"Fw" + names, "Fw " + names + " %[^\\#]", "F{w}-o " + names + " %s", "Fw-onow " + names, "Fw" + link,
		"Fw/no/such", "FR/no/such %[^\\#]", "FR-o /no/such", "F{Persist}/no/such", "Fw" + dir, "Fw" + filepath.Join(dir, "fifo"), "Fw" + secret,
		"Fw", "Fw-o", "Fw-o/no/such", "F", "Fwno-such", "Fwno@such", "Fw/no@such:x", "F{w", "Fw" + open, "Fw-o" + open, "Fx|echo one.test",
		"O Foo=bar\nFw/no/such", "Fw/no/such\nO Foo=bar",
	} {
		t.Run(strings.ReplaceAll(lines, dir, ""), func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "aliases")
			require.NoError(t, os.WriteFile(file, []byte(aliases), 0o644))
			compare(t, unshare, sendmail, []string{"-C" + configuration(t, lines+"\n"), "-OAliasFile=" + file, "-O" + unsafeDir})
		})
	}
}

// TestAgainstOriginal compiles the same files with both programs.
func TestAgainstOriginal(t *testing.T) {
	t.Parallel()
	sendmail, unshare := peer.Program(t, "sendmail"), peer.Unshare(t)
	cf := configuration(t, "")
	for name, text := range map[string]string{
		"plain":      "postmaster: root\nroot: ann, bob\n",
		"empty":      "",
		"comments":   "# a: b\nc: d\n# e\n  swallowed\n",
		"joined":     "list: a,\n\tb,\n c\nback\\\nslash: x\n",
		"duplicates": "dup: one\nDUP: two\n",
		"bad lines":  "  lead\nnocolon\nempty:\nok: fine\nb@else.example: x\n|prog: x\n/file: x\n",
		"quoted":     "\"a b\": c\n<d>: e\nf (comment): g\nh i: j\n",
		"values":     "a: \"|prog x, y\", /file, :include:/list  # kept \nb:   c  \r\n",
		"no newline": "a: b",
	} {
		for _, class := range []string{"", "hash:", "hash:-N ", "btree:"} {
			t.Run(name+"/"+class, func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				file := filepath.Join(dir, "aliases")
				require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
				got := ours(t, class, file)
				require.NoError(t, os.Remove(file+".db"))
				var out bytes.Buffer
				cmd := exec.CommandContext(t.Context(), unshare, "--uts", "sh", "-c", "hostname mx.example.test; exec \"$@\"", "sh",
					sendmail, "-bi", "-C"+cf, "-OAliasFile="+class+file, "-O"+unsafeDir)
				cmd.Stdout = &out
				_ = cmd.Run() // the exit status is compared
				want := outcome{Output: withoutWarnings(out.String()), Exit: cmd.ProcessState.ExitCode(), Map: list(t, file+".db")}
				assert.Equal(t, want, got)
			})
		}
	}
}

func TestLocked(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "aliases")
	require.NoError(t, os.WriteFile(file, []byte("a: b\n"), 0o644))
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	got := ours(t, "", file)
	assert.Equal(t, outcome{Output: "Alias file " + file + " is locked (maybe being rebuilt)\n"}, got)
}

func TestCDB(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "aliases")
	require.NoError(t, os.WriteFile(file, []byte("a: b\nc: d\na: e\n"), 0o644))
	got := ours(t, "cdb:", file)
	assert.Zero(t, got.Exit)
	m, err := cdb.Open(t.Context(), file+".cdb", table.OpenOptions{})
	require.NoError(t, err)
	defer m.Close()
	var keys []string
	for rec, err := range m.All() {
		require.NoError(t, err)
		keys = append(keys, rec.Key+"="+rec.Value)
	}
	assert.Equal(t, []string{"a=b", "c=d", "a=e", "@=@"}, keys, "the mark is last")
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
		exit int
	}{
		{[]string{"-C" + os.DevNull, "-OAliasFile=foo:/x"}, "setalias: unknown alias class foo\n", 70},
		{[]string{"-C" + os.DevNull, "-OFoo=1"}, "readcf: unknown option name Foo\n", 70},
		{[]string{"-C" + os.DevNull, "-OCheck"}, "readcf: ambiguous option name Check (matches CheckpointInterval and CheckAliases)\n", 70},
		{[]string{"-C" + os.DevNull, "-ODontBlame=foo,bar"}, "Option DontBlame used as abbreviation for DontBlameSendmail\n" +
			"readcf: DontBlameSendmail option: foo unrecognized\nreadcf: DontBlameSendmail option: bar unrecognized\n", 70},
		{[]string{"-C" + os.DevNull, "-OAliasFile=hash:,dequote:/x"}, "No file name for hash map Alias0\nsetalias: map class dequote can't handle aliases\n", 70},
		{[]string{"-C/"}, "/: line 0: not a plain file\n", 72},
		{[]string{"-C/no/such/file"}, "/no/such/file: line 0: cannot open: No such file or directory\n", 72},
		{[]string{"-!"}, "newaliases: illegal option -- !\n", 64},
		{[]string{"-vO"}, "newaliases: option requires an argument -- O\n", 64},
		{[]string{"-bp"}, "newaliases: -bp is for sendmail\n", 64},
		{[]string{"-OQueueDirectory=/no/such/queue", "-OAliasFile=/x", "-C" + os.DevNull}, "can not chdir(/no/such/queue/): No such file or directory\n", 78},
		{[]string{"-C" + os.DevNull, "-oA/no/such/aliases"}, "newaliases: cannot open /no/such/aliases: No such file or directory\n", 0},
	} {
		var out bytes.Buffer
		c := &command{stdout: &out, stderr: &out}
		assert.Equal(t, tt.exit, c.run(t.Context(), tt.args))
		assert.Equal(t, tt.want, out.String())
	}
}

// TestLocalDomains: class w decides which names with a domain are ours.
func TestLocalDomains(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
		return path
	}
	names := write("names", "# comment\nFILE.example\n")
	conf := write("test.cf", "Cwone.example\n  two.example  # ours\nC{w}three.example\nFw-o "+filepath.Join(dir, "missing")+"\nFw"+names+" %[^#]\n")
	file := write("aliases", "a@one.example: x\nb@Two.example: x\nc@three.example: x\nd@file.example: x\ne@localhost: x\nf@far.example: x\n")
	var out, errs bytes.Buffer
	c := &command{stdout: &out, stderr: &errs}
	assert.Equal(t, 70, c.run(t.Context(), []string{"-C" + conf, "-OAliasFile=hash:" + file, "-O" + unsafeDir}))
	assert.Empty(t, errs.String())
	assert.Equal(t, file+": line 6: f@far.example... cannot alias non-local names\n"+file+": 5 aliases, longest 1 bytes, 10 bytes total\n", withoutWarnings(out.String()))
	conf = write("bad.cf", "Fw"+filepath.Join(dir, "missing")+"\n")
	out.Reset()
	c = &command{stdout: &out, stderr: &errs}
	assert.Equal(t, 71, c.run(t.Context(), []string{"-C" + conf, "-OAliasFile=hash:" + file}))
	assert.Equal(t, conf+": line 1: fileclass: cannot open '"+filepath.Join(dir, "missing")+"': No such file or directory\n", out.String())
}

// TestFIFO: a pipe in the place of an alias file is refused, and nobody waits for a writer.
func TestFIFO(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "aliases")
	require.NoError(t, syscall.Mkfifo(file, 0o644))
	var out, errs bytes.Buffer
	c := &command{stdout: &out, stderr: &errs}
	c.run(t.Context(), []string{"-C" + os.DevNull, "-OAliasFile=hash:" + file, "-O" + unsafeDir})
	assert.Contains(t, out.String(), "Regular files only")
	assert.NoFileExists(t, file+".db")
}

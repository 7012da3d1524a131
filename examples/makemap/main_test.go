package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/peer"
)

// result is what a run printed and how it ended, and the map it left.
type result struct {
	Stdout, Stderr string
	Exit           int
	Map            []string // sorted lines of -u
}

// script is a sequence of runs in one directory; each has arguments and a source.
type script [][2]string

// TestAgainstOriginal runs the same command lines through our makemap and the original.
func TestAgainstOriginal(t *testing.T) {
	t.Parallel()
	theirs := peer.Program(t, "makemap")
	long := strings.Repeat("x", 3000)
	scripts := map[string]script{
		"plain":               {{"hash m", "a b\nC d\n"}},
		"btree":               {{"btree m", "a b\nC d\n"}},
		"options behind":      {{"hash -v m", "a b\n"}, {"hash m -N -o -- ", "c d\n"}, {"hash -- m -v", "a b\n"}},
		"configuration":       {{"-C / hash m", "a b\n"}, {"-C /none hash n", "a b\n"}},
		"dbm":                 {{"dbm m", "a b\n"}},
		"implicit":            {{"implicit m", "a b\n"}},
		"suffix given":        {{"hash m.db", "a b\n"}},
		"every complaint":     {{"hash m", "# c\n\na 1\n b\n\tc\nd\ne  \na 2\nA 3\n" + long + "\n"}},
		"verbose":             {{"-v hash m", "A b\na c\nx\n"}},
		"keep case":           {{"-f -v hash m", "A b\na c\n"}},
		"NUL":                 {{"-N hash m", "a b\n"}, {"-o hash m", "a c\nd e\n"}},
		"empty values":        {{"-e hash m", "a\nb c\n"}},
		"separator":           {{"-t : hash m", "a b:::c:d\n:x\ny\n"}, {"-t : -u hash m", ""}},
		"empty separator":     {{"-t  hash m", "a b\n"}},
		"comment":             {{"-D ; hash m", ";a b\n#c d\n"}},
		"duplicates":          {{"-d hash m", "a b\na c\na b\n"}, {"-o hash m", "a d\ne f\n"}, {"-od hash m", "a d\n"}},
		"duplicates, btree":   {{"-d btree m", "a b\na c\na b\n"}},
		"not with duplicates": {{"hash m", "a b\n"}, {"-od hash m", "a c\n"}},
		"replace":             {{"-r hash m", "a b\na c\n"}, {"-or hash m", "a d\n"}},
		"append":              {{"hash m", "a b\n"}, {"-o hash m", "a c\nd e\n"}},
		"append to nothing":   {{"-o hash m", "a b\n"}},
		"other method":        {{"hash m", "a b\n"}, {"-u btree m", ""}, {"-o btree m", ""}, {"btree m", "c d\n"}},
		"list nothing":        {{"-u hash m", ""}},
		"list":                {{"hash m", "a b\n"}, {"-u hash m", ""}, {"-tx -u hash m", ""}},
		"implicit, no map":    {{"-o implicit m", "a b\n"}, {"-u implicit m", ""}, {"implicit none/m", "a b\n"}},
		"implicit is any":     {{"btree m", "a b\n"}, {"-o implicit m", "c d\n"}, {"-u implicit m", ""}, {"-od implicit m", "a c\n"}},
		"8-bit separator":     {{"-t \xa0 hash m", "a\xa0b\nc d\xa0\xa0e\n"}, {"-t \xa0 -u hash m", ""}},
		"unknown type":        {{"foo m", "a b\n"}},
		"no directory":        {{"hash none/m", "a b\n"}},
		"no operand":          {{"hash", ""}},
		"bad option":          {{"-q hash m", ""}},
		"missing argument":    {{"-t", ""}},
		"cache":               {{"-c 1000000 hash m", "a b\n"}},
		"no configuration":    {{"-C none hash m", "a b\n"}},
		"class of the map":    {{"-C my.cf cf m", "a b\n"}, {"-C my.cf CF /x/other", "c d\n"}, {"-C my.cf cf unknown", ""}, {"-C my.cf -i hash -v cf unknown", "e f\n"}},
		"empty map":           {{"hash m", ""}, {"btree n", ""}},
		"NUL in the text":     {{"hash m", "a\x00b c\nd e\nf g\x00"}},
		"links":               {{"hash m", "a b\n"}, {"hash soft", "a c\n"}, {"hash hard", "a c\n"}, {"hash directory", "a b\n"}},
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for i := range 40 {
		scripts[fmt.Sprint("random ", i)] = script{{
			strings.Join([]string{"", "-N ", "-e ", "-r ", "-f ", "-d ", "-v "}[:1+rnd.IntN(7)], "") + "hash m", randomText(rnd),
		}}
	}
	for name, s := range scripts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := play(t, s, func(dir string, args []string, stdin string) result {
				var out, errs bytes.Buffer
				cmd := exec.CommandContext(t.Context(), theirs, args...)
				cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, strings.NewReader(stdin), &out, &errs
				err := cmd.Run()
				var ee *exec.ExitError
				if err != nil {
					require.True(t, errors.As(err, &ee), "%v", err)
				}
				// getopt(3) begins its messages with the path of the program.
				return result{Stdout: out.String(), Stderr: strings.ReplaceAll(errs.String(), theirs+":", "makemap:"), Exit: cmd.ProcessState.ExitCode()}
			}, theirs)
			got := play(t, s, func(dir string, args []string, stdin string) result {
				return runOurs(t, dir, args, stdin)
			}, theirs)
			assert.Equal(t, want, got)
		})
	}
}

// play runs a script in a directory of its own and lists the maps after each step with the original program.
func play(t *testing.T, s script, run func(dir string, args []string, stdin string) result, makemap string) (out []result) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "my.cf"), []byte("Kone btree -o m\nKtwo hash -T<TMP> /y/other.db\n"), 0o600))
	require.NoError(t, os.Symlink("m.db", filepath.Join(dir, "soft.db")))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "directory.db"), 0o700))
	for i, step := range s {
		if i == 1 {
			_ = os.Link(filepath.Join(dir, "m.db"), filepath.Join(dir, "hard.db"))
			if slices.ContainsFunc(s, func(st [2]string) bool { return strings.Contains(st[0], "hard") }) == false {
				os.Remove(filepath.Join(dir, "hard.db"))
			}
		}
		r := run(dir, strings.Split(step[0], " "), step[1])
		for _, class := range []string{"hash", "btree"} {
			cmd := exec.CommandContext(t.Context(), makemap, "-u", class, filepath.Join(dir, "m"))
			if list, err := cmd.Output(); err == nil {
				lines := strings.Split(string(list), "\n")
				slices.Sort(lines)
				r.Map = append(append(r.Map, class), lines...)
			}
		}
		out = append(out, r)
	}
	return out
}

// binary is our makemap, built once: it works in the current directory, as the original does.
func runOurs(t *testing.T, dir string, args []string, stdin string) result {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), "MAKEMAP_UNDER_TEST=1")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, strings.NewReader(stdin), &out, &errs
	err := cmd.Run()
	var ee *exec.ExitError
	if err != nil {
		require.True(t, errors.As(err, &ee), "%v", err)
	}
	return result{Stdout: out.String(), Stderr: errs.String(), Exit: cmd.ProcessState.ExitCode()}
}

// TestMain lets the test program be makemap.
func TestMain(m *testing.M) {
	if os.Getenv("MAKEMAP_UNDER_TEST") != "" {
		main()
	}
	os.Exit(m.Run())
}

// interesting are the bytes that matter to the grammar.
const interesting = "abAB  \t\t#:\"\\\r\v\xa0\xc3"

// randomText makes lines of the bytes that matter.
func randomText(rnd *rand.Rand) string {
	var b strings.Builder
	for range rnd.IntN(40) {
		n := rnd.IntN(12)
		if rnd.IntN(12) == 0 {
			n = 1000 + rnd.IntN(1200)
		}
		for range n {
			b.WriteByte(interesting[rnd.IntN(len(interesting))])
		}
		if rnd.IntN(30) == 0 {
			b.WriteByte(0)
		}
		b.WriteByte('\n')
	}
	b.WriteString([]string{"", "x", "x y"}[rnd.IntN(3)])
	return b.String()
}

// TestOtherTypes: what the original on this system cannot do.
func TestOtherTypes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		class, source string
		want          result
	}{
		{"cdb", "b 1\na 2\n", result{Stdout: "b\t1\na\t2\n"}},
		{"text", "b 1\nA 2 # x\n", result{Stdout: "b\t1\na\t2 # x\n"}},
	} {
		t.Run(tt.class, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.Equal(t, result{}, runOurs(t, dir, []string{tt.class, "m"}, tt.source))
			assert.Equal(t, tt.want, runOurs(t, dir, []string{"-u", tt.class, "m"}, ""))
		})
	}
	t.Run("duplicate in cdb", func(t *testing.T) {
		t.Parallel()
		r := runOurs(t, t.TempDir(), []string{"cdb", "m"}, "a 1\na 2\n")
		assert.Equal(t, result{Stderr: "makemap: m: line 2: key a: put error: duplicate key\n", Exit: 74}, r)
	})
	t.Run("list of types", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, "hash\nbtree\ncdb\ntext\nimplicit\n", runOurs(t, t.TempDir(), []string{"-l"}, "").Stdout)
		assert.Equal(t, "hash:db\nbtree:db\ncdb:cdb\ntext:\nimplicit:\n", runOurs(t, t.TempDir(), []string{"-x"}, "").Stdout)
		assert.Equal(t, "cf\nCF\nhash\nbtree\ncdb\ntext\nimplicit\n", runOurs(t, t.TempDir(), []string{"-L"}, "").Stdout)
	})
}

// TestInterrupted: a run that is called off leaves the old map.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "m")
	require.Equal(t, 0, runOurs(t, dir, []string{"hash", "m"}, "a old\n").Exit)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	c := &command{stdin: strings.NewReader("a new\n"), stdout: &out, stderr: &errs}
	assert.NotZero(t, c.run(ctx, []string{"hash", path}))
	assert.Equal(t, "a\told\n", runOurs(t, dir, []string{"-u", "hash", "m"}, "").Stdout)
}

// TestInterruptedWhileReading: a run that waits for its source ends at once, and leaves nothing behind.
func TestInterruptedWhileReading(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "m")
	source, writer := io.Pipe()
	defer writer.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var errs bytes.Buffer
	c := &command{stdin: source, stdout: io.Discard, stderr: &errs}
	go func() {
		_, _ = io.WriteString(writer, "a\tnew\n")
		cancel()
	}()
	assert.Equal(t, exIOErr, c.run(ctx, []string{"hash", path}))
	assert.Contains(t, errs.String(), "makemap: "+path+": interrupted, the map is as it was\n")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

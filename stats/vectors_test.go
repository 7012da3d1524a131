package stats_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/vectordir"
	"github.com/mtakit/mtakit/stats"
)

// vectorSet is a directory of files that sendmail 8.17.1.9 wrote, or that were made up, and runs of the real mailstats on them.
// The same runs, with their exit codes and error messages, are done by the command in examples/mailstats.
type vectorSet struct {
	Runs []struct {
		Name   string   `json:"name"`
		Argv   []string `json:"argv"`
		Stdout string   `json:"stdout"`
		Stderr *string  `json:"stderr"`
		Exit   int      `json:"exit"`
		Note   string   `json:"note"`
	} `json:"runs"`
	Files map[string]struct {
		Size    int                        `json:"size"`
		Decoded map[string]json.RawMessage `json:"decoded"`
		Origin  string                     `json:"origin"`
	} `json:"files"`
}

func TestVectorsStats(t *testing.T) {
	t.Parallel()
	fsys := vectordir.Open(t, "stats", "testdata/vectors")
	passed, failed := 0, 0
	for _, name := range vectordir.Files(t, fsys, "meta.json") {
		b, err := fs.ReadFile(fsys, name)
		require.NoError(t, err)
		var set vectorSet
		dec := json.NewDecoder(bytes.NewReader(b))
		dec.DisallowUnknownFields()
		require.NoError(t, dec.Decode(&set), name)
		one := func(what string, err error) {
			if err == nil {
				passed++
				return
			}
			failed++
			t.Errorf("%s: %s: %v", name, what, err)
		}
		dir := path.Dir(name)
		for file, want := range set.Files {
			one(file, checkFile(fsys, path.Join(dir, file), want.Size, want.Decoded))
		}
		for _, run := range set.Runs {
			one(run.Name, checkRun(fsys, dir, run.Argv, run.Stdout, run.Stderr, run.Note))
		}
	}
	t.Logf("vectors stats: %d passed, %d failed", passed, failed)
	require.Zero(t, failed)
	require.NotZero(t, passed)
}

// checkFile decodes a file, compares every number, and encodes it again.
func checkFile(fsys fs.FS, name string, size int, want map[string]json.RawMessage) error {
	raw, err := fs.ReadFile(fsys, name)
	if err != nil {
		return err
	}
	if len(raw) != size {
		return fmt.Errorf("file has %d bytes, the case says %d", len(raw), size)
	}
	c, err := stats.Parse(bytes.NewReader(raw), name)
	if want == nil || num(want["magic"]) != 0x1B1DE || num(want["version"]) != 4 || num(want["size"]) != stats.Size {
		if size == 0 && err == nil && *c == (stats.Counters{}) {
			return nil
		}
		if err == nil {
			return errors.New("read without an error")
		}
		return nil // which error it is shows in the runs
	}
	if err != nil {
		return err
	}
	got := map[string]any{"magic": 0x1B1DE, "version": 4, "size": stats.Size, "itime": c.Since.Unix(),
		"from_connections": c.ConnAccepted, "to_connections": c.ConnMade, "rejected_connections": c.ConnRejected}
	list := func(name string, f func(m *stats.Mailer) int64) {
		var l []int64
		for i := range c.Mailers {
			l = append(l, f(&c.Mailers[i]))
		}
		got[name] = l
	}
	list("msgs_from", func(m *stats.Mailer) int64 { return m.From })
	list("kbytes_from", func(m *stats.Mailer) int64 { return m.KBFrom })
	list("msgs_to", func(m *stats.Mailer) int64 { return m.To })
	list("kbytes_to", func(m *stats.Mailer) int64 { return m.KBTo })
	list("rejected", func(m *stats.Mailer) int64 { return m.Rejected })
	list("discarded", func(m *stats.Mailer) int64 { return m.Discarded })
	list("quarantined", func(m *stats.Mailer) int64 { return m.Quarantined })
	for field, w := range want {
		g, ok := got[field]
		if !ok {
			return fmt.Errorf("unknown field %s", field)
		}
		b, _ := json.Marshal(g)
		var compact bytes.Buffer
		if err := json.Compact(&compact, w); err != nil {
			return err
		}
		if compact.String() != string(b) {
			return fmt.Errorf("%s: got %s, want %s", field, b, w)
		}
	}
	if b, _ := c.AppendBinary(nil); !bytes.Equal(b, raw[:stats.Size]) {
		return errors.New("not the same bytes when written")
	}
	return nil
}

func num(r json.RawMessage) int64 {
	n, _ := strconv.ParseInt(string(r), 10, 64)
	return n
}

// checkRun prints a listing the way the command line asks for, or finds the error that the command would name.
func checkRun(fsys fs.FS, dir string, argv []string, stdout string, stderr *string, note string) error {
	want, err := fs.ReadFile(fsys, path.Join(dir, stdout))
	if err != nil {
		return err
	}
	problem := ""
	if stderr != nil {
		b, err := fs.ReadFile(fsys, path.Join(dir, *stderr))
		if err != nil {
			return err
		}
		problem = string(b)
	}
	var cf, st string
	opts := stats.ListOptions{Location: time.UTC, Now: time.Unix(1_900_000_000, 0)}
	for i := 1; i < len(argv); i++ {
		switch argv[i] {
		case "-C":
			i++
			cf = argv[i]
		case "-f":
			i++
			st = argv[i]
		case "-o":
			opts.NoNames = true
		case "-P", "-p":
			opts.Program = true
		default:
			if strings.Contains(problem, "usage: ") {
				return nil // the command's own business
			}
			return fmt.Errorf("unknown argument %s", argv[i])
		}
	}
	if note != "" { // what the file held is what counts here; that it is truncated afterwards, the command's test sees
		_, from, ok := strings.Cut(note, "run on a copy of ")
		if st, _, _ = strings.Cut(from, " "); !ok {
			return fmt.Errorf("note not understood: %s", note)
		}
	}
	open := func(name string) (*bytes.Reader, error) {
		b, err := fs.ReadFile(fsys, path.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s: No such file or directory", name)
		}
		return bytes.NewReader(b), err
	}
	got, err := func() (string, error) {
		r, err := open(cf)
		if err != nil {
			return "", err
		}
		conf, err := stats.ParseConfig(r, cf)
		if err != nil {
			return "", err
		}
		if st == "" {
			st = conf.StatusFile
		}
		if st == "" {
			return "", errors.New("no statistics file located")
		}
		if r, err = open(st); err != nil {
			return "", err
		}
		c, err := stats.Parse(r, st)
		if err != nil {
			return "", err
		}
		opts.Names = conf.Mailers
		var b strings.Builder
		err = c.List(&b, &opts)
		return b.String(), err
	}()
	var version stats.VersionError
	switch {
	case errors.Is(err, stats.ErrTooManyMailers):
		got = "Too many mailers defined, 25 max.\n"
	case errors.Is(err, stats.ErrMagic):
		got = "mailstats: incorrect magic number in " + st + "\n"
	case errors.Is(err, stats.ErrSize):
		got = "mailstats: file size changed.\n"
	case errors.As(err, &version):
		got = fmt.Sprintf("mailstats version (4) incompatible with %s version (%d)\n", st, int32(version))
	case err != nil:
		got = "mailstats: " + err.Error() + "\n"
	}
	masked := strings.NewReplacer("@NOWCTIME@", "Sun Mar 17 17:46:40 2030", "@NOW@", "1900000000").Replace(string(want))
	if got != masked+problem {
		return fmt.Errorf("got\n%s\nwant\n%s%s", got, masked, problem)
	}
	return nil
}

package mbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/filelock"
)

func TestAppendSeparator(t *testing.T) {
	for _, c := range []struct{ sender, want string }{
		{"ann@example.org", "From ann@example.org Sun Nov 22 10:00:00 2026\n"},
		{"", "From MAILER-DAEMON Sun Nov 22 10:00:00 2026\n"},
		{"<>", "From MAILER-DAEMON Sun Nov 22 10:00:00 2026\n"},
		{`"a b"@x`, "From \"a-b\"@x Sun Nov 22 10:00:00 2026\n"},
		{"a\nFrom b", "From a-From-b Sun Nov 22 10:00:00 2026\n"},
	} {
		line := AppendSeparator(nil, c.sender, day)
		assert.Equal(t, c.want, string(line))
		sep, ok := ParseSeparator(line)
		assert.True(t, ok && sep.Valid)
		assert.True(t, day.Equal(sep.Date))
	}
}

func appendTo(t *testing.T, box, s string, o *AppendOptions) error {
	_, err := Append(t.Context(), box, &Envelope{Sender: "ann@example.org", Date: day}, strings.NewReader(s), o)
	return err
}

// What stands in a mailbox before an append, and what must stand there after.
func TestAppendTail(t *testing.T) {
	const added = "From ann@example.org Sun Nov 22 10:00:00 2026\nSubject: x\n\nb\n\n"
	for before, want := range map[string]string{
		"":                       added,
		"From a b\nx\n\n":        "From a b\nx\n\n" + added,
		"From a b\nx\n":          "From a b\nx\n\n" + added,
		"From a b\nx":            "From a b\nx\n\n" + added,
		"From a b\r\nx\r\n\r\n":  "From a b\r\nx\r\n\r\n" + added,
		"From a b\nx\n\n\n":      "From a b\nx\n\n\n" + added,
		"From a b\nx\n\x00\x00 ": "From a b\nx\n\x00\x00 \n\n" + added,
	} {
		box := filepath.Join(t.TempDir(), "box")
		require.NoError(t, os.WriteFile(box, []byte(before), 0o600))
		require.NoError(t, appendTo(t, box, "Subject: x\n\nb", nil))
		b, err := os.ReadFile(box)
		require.NoError(t, err)
		assert.Equal(t, want, string(b))
	}
}

// Quoting does not depend on how the text is cut into pieces.
func TestQuotePieces(t *testing.T) {
	text := "From a\n>From b\n>>From c\nFrom\nFromage\n >From d\nx From e\nF\nFr\nFro\nFrom \n>\n>F\nFrom z"
	want := map[Variant]string{
		MboxO:  ">From a\n>From b\n>>From c\nFrom\nFromage\n >From d\nx From e\nF\nFr\nFro\n>From \n>\n>F\n>From z\n\n",
		MboxRD: ">From a\n>>From b\n>>>From c\nFrom\nFromage\n >From d\nx From e\nF\nFr\nFro\n>From \n>\n>F\n>From z\n\n",
	}
	for v, w := range want {
		for size := 1; size < len(text); size++ {
			var out bytes.Buffer
			wr := NewWriter(&out)
			wr.Variant = v
			m, err := wr.CreateMessage("a@b", day)
			require.NoError(t, err)
			for rest := text; rest != ""; {
				n := min(size, len(rest))
				_, err := io.WriteString(m, rest[:n])
				require.NoError(t, err)
				rest = rest[n:]
			}
			require.NoError(t, wr.Close())
			_, got, _ := strings.Cut(out.String(), "\n")
			require.Equal(t, w, got, "%v in pieces of %d", v, size)
		}
	}
}

func TestAppendMaxSize(t *testing.T) {
	box := filepath.Join(t.TempDir(), "box")
	require.NoError(t, appendTo(t, box, "Subject: x\n\n", nil))
	before, err := os.ReadFile(box)
	require.NoError(t, err)
	err = appendTo(t, box, strings.Repeat("x\n", 1<<20), &AppendOptions{MaxSize: 1 << 20})
	require.ErrorIs(t, err, ErrTooBig)
	after, err := os.ReadFile(box)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

// A reader that fails, and one that is cancelled, leave nothing behind.
func TestAppendReaderFails(t *testing.T) {
	box := filepath.Join(t.TempDir(), "box")
	require.NoError(t, appendTo(t, box, "Subject: x\n\n", nil))
	before, _ := os.ReadFile(box)
	for name, r := range map[string]io.Reader{
		"error":  io.MultiReader(strings.NewReader(strings.Repeat("x\n", 1<<18)), iotest.ErrReader(errors.New("lost"))),
		"cancel": nil,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if r == nil {
			r = readerFunc(func(p []byte) (int, error) { cancel(); return copy(p, strings.Repeat("x\n", len(p)/2)), nil })
		}
		_, err := Append(ctx, box, &Envelope{}, r, nil)
		require.Error(t, err, name)
		after, _ := os.ReadFile(box)
		require.Equal(t, before, after, name)
	}
}

// A reader that panics does not lock the mailbox for good.
func TestAppendPanic(t *testing.T) {
	box := filepath.Join(t.TempDir(), "box")
	require.NoError(t, appendTo(t, box, "Subject: x\n\n", nil))
	before, _ := os.ReadFile(box)
	require.Panics(t, func() {
		_, _ = Append(t.Context(), box, &Envelope{}, readerFunc(func([]byte) (int, error) { panic("no") }), nil)
	})
	after, _ := os.ReadFile(box)
	require.Equal(t, before, after)
	require.NoError(t, appendTo(t, box, "Subject: x\n\n", &AppendOptions{LockOptions: LockOptions{Timeout: time.Second}}))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Every lock keeps us out for as long as another holds it, and no longer.
func TestLocks(t *testing.T) {
	for _, l := range []Lock{Fcntl, Flock, Dotlock} {
		t.Run(l.String(), func(t *testing.T) {
			t.Parallel()
			box := filepath.Join(t.TempDir(), "box")
			require.NoError(t, os.WriteFile(box, nil, 0o600))
			f, err := os.OpenFile(box, os.O_RDWR, 0)
			require.NoError(t, err)
			release := func() { f.Close() }
			switch l {
			case Fcntl:
				_, err = filelock.TryOFD(f, true)
			case Flock:
				_, err = filelock.TryFlock(f, true)
			case Dotlock:
				err = os.WriteFile(box+".lock", nil, 0o600)
				release = func() { os.Remove(box + ".lock") }
			}
			require.NoError(t, err)
			o := &AppendOptions{LockOptions: LockOptions{Locks: []Lock{Flock, Fcntl, Dotlock}, Timeout: 200 * time.Millisecond}}
			require.ErrorIs(t, appendTo(t, box, "x\n", o), ErrLocked)
			time.AfterFunc(100*time.Millisecond, release)
			o.Timeout = 10 * time.Second
			require.NoError(t, appendTo(t, box, "x\n", o))
			_, err = os.Lstat(box + ".lock")
			require.ErrorIs(t, err, os.ErrNotExist)
			all, err := os.ReadDir(filepath.Dir(box))
			require.NoError(t, err)
			require.Len(t, all, 1, "nothing is left beside the mailbox")
		})
	}
}

func TestStaleDotlock(t *testing.T) {
	dead := exec.Command("true")
	require.NoError(t, dead.Run())
	for name, c := range map[string]struct {
		content string
		age     time.Duration
		broken  bool
	}{
		"dead process here": {fmt.Sprintf("%d:%s", dead.ProcessState.Pid(), hostName), 0, true},
		"live process here": {fmt.Sprintf("%d:%s", os.Getpid(), hostName), time.Minute, false},
		"another host":      {fmt.Sprintf("%d:elsewhere.example", dead.ProcessState.Pid()), time.Minute, false},
		"a pid alone":       {fmt.Sprint(dead.ProcessState.Pid()), time.Minute, false},
		"old":               {"0\n", 6 * time.Minute, true},
		"empty and young":   {"", 4 * time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := filepath.Join(t.TempDir(), "box")
			lock := box + ".lock"
			require.NoError(t, os.WriteFile(lock, []byte(c.content), 0o600))
			at := time.Now().Add(-c.age)
			require.NoError(t, os.Chtimes(lock, at, at))
			err := appendTo(t, box, "x\n", &AppendOptions{LockOptions: LockOptions{Timeout: 300 * time.Millisecond}})
			if c.broken {
				require.NoError(t, err)
				require.NoFileExists(t, lock)
			} else {
				require.ErrorIs(t, err, ErrLocked)
				require.FileExists(t, lock)
			}
		})
	}
}

// Many goroutines, one mailbox.
func TestAppendConcurrent(t *testing.T) {
	box := filepath.Join(t.TempDir(), "box")
	var wg sync.WaitGroup
	for g := range 20 {
		wg.Go(func() {
			for i := range 10 {
				assert.NoError(t, appendTo(t, box, fmt.Sprintf("Subject: %d %d\n\n%s", g, i, strings.Repeat("x\n", g*i*30)), nil))
			}
		})
	}
	wg.Wait()
	f, err := os.Open(box)
	require.NoError(t, err)
	defer f.Close()
	n := 0
	for m, err := range NewReader(f).Messages() {
		require.NoError(t, err)
		b, err := io.ReadAll(m)
		require.NoError(t, err)
		var g, i int
		_, err = fmt.Sscanf(string(b), "Subject: %d %d\n", &g, &i)
		require.NoError(t, err)
		require.Len(t, b, len(fmt.Sprintf("Subject: %d %d\n\n", g, i))+max(1, 2*g*i*30)-map[bool]int{true: 1, false: 0}[g*i == 0])
		n++
	}
	require.Equal(t, 200, n)
}

func TestIndex(t *testing.T) {
	box := writeBox(t, MboxRD)
	f, err := os.Open(box)
	require.NoError(t, err)
	defer f.Close()
	fi, err := f.Stat()
	require.NoError(t, err)
	x, err := BuildIndex(f, fi.Size(), nil)
	require.NoError(t, err)
	texts := corpus()
	require.Len(t, x.Messages, len(texts))
	for i := len(texts) - 1; i >= 0; i-- { // in any order
		m, err := x.Open(f, i)
		require.NoError(t, err)
		b, err := io.ReadAll(m)
		require.NoError(t, err)
		require.Equal(t, wantStored(texts[i], MboxRD), string(b))
		require.Equal(t, "ann@example.org", m.Separator().Sender)
	}
	x.SetFile(fi)
	var saved bytes.Buffer
	_, err = x.WriteTo(&saved)
	require.NoError(t, err)
	y, err := ReadIndex(bytes.NewReader(saved.Bytes()))
	require.NoError(t, err)
	require.Equal(t, x.Messages, y.Messages)
	require.NoError(t, y.CheckFile(fi))
	require.NoError(t, y.Check(f, fi.Size()))
	saved.Bytes()[saved.Len()/2] ^= 1
	_, err = ReadIndex(&saved)
	require.ErrorIs(t, err, ErrIndex)

	require.NoError(t, appendTo(t, box, "Subject: one more\n\n", nil))
	fi, err = os.Stat(box)
	require.NoError(t, err)
	require.ErrorIs(t, y.Check(f, fi.Size()), ErrStale)
	require.NoError(t, y.Update(f, fi.Size()))
	z, err := BuildIndex(f, fi.Size(), nil)
	require.NoError(t, err)
	require.Equal(t, z.Messages, y.Messages)
	require.ErrorIs(t, x.Update(f, 10), ErrStale)
}

// An index of a part of a mailbox, wherever it is cut, brought up to date, saved and read again or not, is the index of
// the whole.
func TestIndexGrows(t *testing.T) {
	const from = "From a@b Thu Jan  1 00:00:01 2015\n"
	for name, c := range map[string]struct {
		box string
		o   ReadOptions
	}{
		"plain":                       {from + "S: 1\n\nx\n\n" + from + "S: 2\n\n\n\n" + from + "S: 3\n\ny\n\n", ReadOptions{}},
		"prose":                       {from + "S: 1\n\n\nFrom here on\n\n" + from + "S: 2\n\ny", ReadOptions{}},
		"separators without date":     {"From x\n\n1\n\nFrom y\n\n2\n\nFrom z\n\n3\n", ReadOptions{}},
		"empty lines needed":          {from + "S: 1\n\n" + from + "\r\n" + from + "S: 2\n\ny\n\n", ReadOptions{Mode: Strict, NeedBlank: true}},
		"a length over separators":    {from + "S: 1\n\nx\n\n" + from + "Content-Length: 70\n\n" + from + "\n" + from + "y\n" + from + "\nz\n", ReadOptions{Variant: MboxCL2}},
		"lengths that are wrong":      {from + "Content-Length: 71\n\n" + from + "\n" + from + "y\n" + from + "Content-Length: 90000\n\nz\n\n" + from, ReadOptions{Variant: MboxCL2}},
		"length, then no separator":   {from + "Content-Length: 38\n\n" + from + "abc\n\nFrom a@b Thu Jan  1 00:00:01 2015x\n\ny\n", ReadOptions{Variant: MboxCL2}},
		"separator that becomes none": {from + "\nx\n\nFrom a@b Thu Jan  1 00:00:01 2015x\n\n" + from + "y\n", ReadOptions{}},
		"junk":                        {"junk\n\n" + from + "\nx\n\n" + from + "\ny\n", ReadOptions{SkipJunk: true}},
	} {
		t.Run(name, func(t *testing.T) {
			whole, err := BuildIndex(strings.NewReader(c.box), int64(len(c.box)), &c.o)
			require.NoError(t, err)
			for cut := range len(c.box) {
				x, err := BuildIndex(strings.NewReader(c.box[:cut]), int64(cut), &c.o)
				if err != nil {
					require.ErrorIs(t, err, ErrNotMbox)
					continue
				}
				var saved bytes.Buffer
				_, err = x.WriteTo(&saved)
				require.NoError(t, err)
				y, err := ReadIndex(&saved)
				require.NoError(t, err)
				for _, x := range []*Index{x, y} {
					require.NoError(t, x.Update(strings.NewReader(c.box), int64(len(c.box))))
					require.Equal(t, whole.Messages, x.Messages, "cut at %d", cut)
				}
			}
		})
	}
}

func TestDetect(t *testing.T) {
	for v := range Variant(4) {
		f, err := os.Open(writeBox(t, v))
		require.NoError(t, err)
		defer f.Close()
		d, err := Detect(f)
		require.NoError(t, err)
		want := v
		if v == MboxO { // its ">>From" is a text's own, but looks like MboxRD's quoting
			want = MboxRD
		}
		assert.Equal(t, want, d.Variant, "%v", d)
		assert.GreaterOrEqual(t, d.Confidence, Likely)
	}
	for s, want := range map[string]string{"": "empty", "hello\n": "unknown", "\x1f\x8b\x08": "gzip", "\x01\x01\x01\x01\n": "mmdf", "From a b\n": "mbox"} {
		d, err := Detect(strings.NewReader(s))
		require.NoError(t, err)
		assert.Equal(t, want, d.Format)
	}
}

func TestRepair(t *testing.T) {
	const bad = "junk\nFrom a@b Thu Jan  1 00:00:01 2015\nSubject: 1\n\nFrom prose\nx\n" +
		"From c@d Thu Jan  1 00:00:01 2015\r\nSubject: 2\n\ny\x00z\n\nFrom e@f Thu Jan  1 00:00:01 2015\nSubject: 3\n\nend"
	in := bad + strings.Repeat("\x00", 100)
	var kinds []string
	for d, err := range Damages(strings.NewReader(in), &ReadOptions{Variant: MboxO}) {
		require.NoError(t, err)
		kinds = append(kinds, d.String())
	}
	assert.Equal(t, []string{"0: junk", "51: unquoted From_ line", "64: no blank line", "64: CR LF", "165: NUL bytes"}, kinds)
	var out bytes.Buffer
	w := NewWriter(&out)
	w.Variant = MboxO
	found, err := Repair(w, strings.NewReader(in), &ReadOptions{Variant: MboxO})
	require.NoError(t, err)
	assert.Len(t, found, len(kinds))
	assert.Equal(t, "From a@b Thu Jan  1 00:00:01 2015\nSubject: 1\n\n>From prose\nx\n\n"+
		"From c@d Thu Jan  1 00:00:01 2015\nSubject: 2\n\ny\x00z\n\nFrom e@f Thu Jan  1 00:00:01 2015\nSubject: 3\n\nend\n\n", out.String())
	for d, err := range Damages(bytes.NewReader(out.Bytes()), &ReadOptions{Variant: MboxO}) {
		require.NoError(t, err)
		t.Errorf("%v after the repair", d)
	}
}

// Repair reports what Damages reports, at the same places, whatever the variants; what is quoted as it should be is no
// damage.
func TestRepairReports(t *testing.T) {
	const from = "From a@b Thu Jan  1 00:00:01 2015"
	for name, c := range map[string]struct {
		in   string
		want []string
	}{
		"healthy, quoted lines":  {from + "\n>From x: y\n\n>From me\ntext\n>>From you\n>From\n>From \n\n", nil},
		"quoted, then unquoted":  {from + "\n\n>From me\n>From you\nFrom prose\n\n", []string{"54: unquoted From_ line"}},
		"quoted at the end":      {from + "\n\ntext\n>From me", []string{"48: unterminated"}},
		"separator with two CRs": {from + "\r\r\n\ntext\n\n", []string{"0: CR LF"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, out := range []Variant{MboxO, MboxRD, MboxCL, MboxCL2} {
				var buf bytes.Buffer
				w := NewWriter(&buf)
				w.Variant = out
				found, err := Repair(w, strings.NewReader(c.in), nil)
				require.NoError(t, err)
				var repaired, seen []string
				for _, d := range found {
					repaired = append(repaired, d.String())
				}
				for d, err := range Damages(strings.NewReader(c.in), nil) {
					require.NoError(t, err)
					seen = append(seen, d.String())
				}
				assert.Equal(t, c.want, seen)
				assert.Equal(t, c.want, repaired, "%v", out)
				for d, err := range Damages(&buf, &ReadOptions{Variant: out}) {
					require.NoError(t, err)
					t.Errorf("%v: %v after the repair", out, d)
				}
			}
		})
	}
}

func TestReaderFails(t *testing.T) {
	lost := errors.New("lost")
	rd := NewReader(io.MultiReader(strings.NewReader("From a@b Thu Jan  1 00:00:01 2015\n\nx\n"), iotest.ErrReader(lost)))
	m, err := rd.Next()
	require.NoError(t, err)
	_, err = io.ReadAll(m)
	require.ErrorIs(t, err, lost)
	_, err = rd.Next()
	require.ErrorIs(t, err, lost)
}

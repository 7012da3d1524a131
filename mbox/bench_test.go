package mbox

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gombox "github.com/emersion/go-mbox"
	"github.com/stretchr/testify/require"
)

// bigFile is the mbox that the benchmarks read: the one that MTAKIT_MBOX names, or 64 MiB of made up mail.
func bigFile(b *testing.B) string {
	if name := os.Getenv("MTAKIT_MBOX"); name != "" {
		return name
	}
	name := filepath.Join(b.TempDir(), "box")
	f, err := os.Create(name)
	require.NoError(b, err)
	w := NewWriter(f)
	rnd := rand.New(rand.NewPCG(7, 7))
	for size := 0; size < 64<<20; {
		m, err := w.CreateMessage("ann@example.org", day)
		require.NoError(b, err)
		s := madeUp(rnd)
		size += len(s)
		_, err = io.WriteString(m, s)
		require.NoError(b, err)
	}
	require.NoError(b, w.Close())
	require.NoError(b, f.Close())
	return name
}

// madeUp is a message of some kilobytes with a few lines that need quoting.
func madeUp(rnd *rand.Rand) string {
	var s strings.Builder
	fmt.Fprintf(&s, "From: ann@example.org\nTo: bob@example.org\nSubject: number %d\n\n", rnd.IntN(1000))
	for range 1 + rnd.IntN(400) {
		if rnd.IntN(50) == 0 {
			s.WriteString("From here on\n")
		}
		for range 3 + rnd.IntN(10) {
			s.WriteString([]string{"lantern ", "harbor ", "Signal ", "relay ", "From "}[rnd.IntN(5)])
		}
		s.WriteString("\n")
	}
	return s.String()
}

// eachOpen runs f on the opened file, once for each iteration.
func eachOpen(b *testing.B, f func(r *os.File) (messages int)) {
	name := bigFile(b)
	fi, err := os.Stat(name)
	require.NoError(b, err)
	b.SetBytes(fi.Size())
	b.ReportAllocs()
	n := 0
	before := cpu()
	for b.Loop() {
		r, err := os.Open(name)
		if err != nil {
			b.Fatal(err)
		}
		n = f(r)
		r.Close()
	}
	b.ReportMetric(float64(n), "messages")
	b.ReportMetric(float64(cpu()-before)/1e6/float64(b.N), "cpu-ms/op")
}

// Where every message begins: what an IMAP server does when it opens a mailbox. The peer is go-mbox; compare with
// grep -c '^From ' as well.
func BenchmarkIndex(b *testing.B) {
	b.Run("mtakit", func(b *testing.B) {
		eachOpen(b, func(r *os.File) int {
			fi, _ := r.Stat()
			x, err := BuildIndex(r, fi.Size(), nil)
			if err != nil {
				b.Fatal(err)
			}
			return len(x.Messages)
		})
	})
	b.Run("go-mbox", func(b *testing.B) {
		eachOpen(b, func(f *os.File) (n int) {
			r := gombox.NewReader(f)
			for {
				if _, err := r.NextMessage(); err == io.EOF {
					return n
				} else if err != nil {
					b.Fatal(err)
				}
				n++
			}
		})
	})
}

// Every byte of every message, unquoted: an export or a search.
func BenchmarkRead(b *testing.B) {
	b.Run("mtakit WriteTo", func(b *testing.B) {
		eachOpen(b, func(f *os.File) (n int) {
			for m, err := range NewReader(f).Messages() {
				if err != nil {
					b.Fatal(err)
				}
				_, _ = m.WriteTo(io.Discard)
				n++
			}
			return n
		})
	})
	buf := make([]byte, 32<<10)
	b.Run("mtakit Read", func(b *testing.B) {
		eachOpen(b, func(f *os.File) (n int) {
			for m, err := range NewReader(f).Messages() {
				if err != nil {
					b.Fatal(err)
				}
				drain(m, buf)
				n++
			}
			return n
		})
	})
	b.Run("go-mbox", func(b *testing.B) {
		eachOpen(b, func(f *os.File) (n int) {
			r := gombox.NewReader(f)
			for {
				m, err := r.NextMessage()
				if err == io.EOF {
					return n
				} else if err != nil {
					b.Fatal(err)
				}
				drain(m, buf)
				n++
			}
		})
	})
}

func drain(r io.Reader, buf []byte) {
	for {
		if _, err := r.Read(buf); err != nil {
			return
		}
	}
}

// Writing 4 KiB messages, in one piece and line by line, to a file that keeps nothing (/dev/null), so that system calls
// count and the disk does not.
func BenchmarkWrite(b *testing.B) {
	const line = "0123456789012345678901234567890123456789012345678901234567890\n"
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(b, err)
	defer null.Close()
	for _, c := range []struct {
		name  string
		piece []byte
	}{{"whole", []byte(strings.Repeat(line, 66))}, {"lines", []byte(line)}} {
		ours, theirs := NewWriter(null), gombox.NewWriter(null)
		for _, w := range []struct {
			name   string
			create func(string, time.Time) (io.Writer, error)
		}{{"mtakit", ours.CreateMessage}, {"go-mbox", theirs.CreateMessage}} {
			b.Run(c.name+"/"+w.name, func(b *testing.B) {
				b.SetBytes(int64(66 * len(line)))
				b.ReportAllocs()
				for b.Loop() {
					m, _ := w.create("ann@example.org", day)
					for n := 0; n < 66*len(line); n += len(c.piece) {
						_, _ = m.Write(c.piece)
					}
				}
			})
		}
	}
}

// One message after the other into one mailbox, with its locks, with and without fsync.
func BenchmarkAppend(b *testing.B) {
	msg := strings.Repeat("0123456789012345678901234567890123456789012345678901234567890\n", 66)
	for name, o := range map[string]AppendOptions{
		"sync": {}, "no sync": {NoSync: true}, "no sync, fcntl only": {NoSync: true, LockOptions: LockOptions{Locks: []Lock{Fcntl}}},
	} {
		b.Run(name, func(b *testing.B) {
			box := filepath.Join(b.TempDir(), "box")
			b.SetBytes(int64(len(msg)))
			b.ReportAllocs()
			env := &Envelope{Sender: "ann@example.org", Date: day}
			for b.Loop() {
				if _, err := Append(b.Context(), box, env, strings.NewReader(msg), &o); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Ten deliveries at a time into one mailbox: they share locks and syncs.
func BenchmarkAppendParallel(b *testing.B) {
	msg := strings.Repeat("0123456789012345678901234567890123456789012345678901234567890\n", 66)
	box := filepath.Join(b.TempDir(), "box")
	b.SetBytes(int64(len(msg)))
	b.ReportAllocs()
	b.SetParallelism(5)
	env := &Envelope{Sender: "ann@example.org", Date: day}
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := Append(b.Context(), box, env, strings.NewReader(msg), nil); err != nil {
				b.Error(err)
			}
		}
	})
}

// A steady reader allocates nothing per message, and its buffer does not grow with the mailbox.
func TestReadAllocations(t *testing.T) {
	var box bytes.Buffer
	w := NewWriter(&box)
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 500 {
		m, err := w.CreateMessage("ann@example.org", time.Unix(0, 0))
		require.NoError(t, err)
		_, err = io.WriteString(m, madeUp(rnd))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	rd := NewReader(bytes.NewReader(box.Bytes()))
	_, err := rd.Next()
	require.NoError(t, err)
	buf := make([]byte, 4096)
	n := testing.AllocsPerRun(400, func() {
		m, err := rd.Next()
		if err != nil {
			t.Fatal(err)
		}
		drain(m, buf)
	})
	require.Zero(t, n)
	require.LessOrEqual(t, len(rd.buf), bufferSize)
}

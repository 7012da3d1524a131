package mbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/vfs"
)

// fileText reads a file of a test's file system; "" when there is none.
func fileText(t testing.TB, fsys vfs.FS, name string) string {
	f, err := fsys.OpenFile(name, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	require.NoError(t, err)
	defer f.Close()
	b, err := io.ReadAll(f)
	require.NoError(t, err)
	return string(b)
}

func putFile(fsys vfs.FS, name, text string) {
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		panic(err)
	}
	if _, err = io.WriteString(f, text); err != nil {
		panic(err)
	}
	_ = f.Sync()
	_ = f.Close()
}

// message is text number i; some are longer than a block, so that they can be torn.
func message(i int) string {
	return fmt.Sprintf("Subject: %d\n\n%sFrom line\nend %d\n", i, strings.Repeat(fmt.Sprintf("line of message %d\n", i), 1+i%2*600), i)
}

var day = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

func stored(i int) string {
	return fmt.Sprintf("From s%d@example Sun Nov 22 10:00:00 2026\n", i) + strings.Replace(message(i), "\nFrom ", "\n>From ", 1) + "\n"
}

func appendOne(fsys vfs.FS, i int, o AppendOptions) error {
	o.fs = fsys
	if o.Timeout == 0 {
		o.Timeout = time.Second
	}
	env := Envelope{Sender: fmt.Sprintf("s%d@example", i), Date: day}
	_, err := Append(context.Background(), "/box", &env, strings.NewReader(message(i)), &o)
	return err
}

// Every message whose Append returned nil is there after any crash, byte for byte and in order; and what a crash left
// of the one in flight does not swallow the next one. With a journal nothing partial is left at all.
func TestAppendCrash(t *testing.T) {
	for _, c := range []struct {
		name    string
		journal bool
		mem     vfs.MemOptions
	}{
		{"plain, journalled file system", false, vfs.MemOptions{Journal: true}},
		{"plain, strict file system", false, vfs.MemOptions{}},
		{"journal, journalled file system", true, vfs.MemOptions{Journal: true}},
		{"journal, strict file system", true, vfs.MemOptions{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := AppendOptions{Journal: c.journal}
			n := vfs.EachCrashPointWith(t, &vfs.CrashOptions{Mem: c.mem}, func(fsys vfs.FS) (acked []int) {
				for i := range 3 {
					if appendOne(fsys, i, o) == nil {
						acked = append(acked, i)
					}
				}
				return acked
			}, func(t *testing.T, p vfs.CrashPoint, acked []int, fsys vfs.FS) {
				_ = fsys.Remove("/box.lock") // of a dead process, which a test cannot be
				want := box(acked...)
				require.True(t, strings.HasPrefix(fileText(t, fsys, "/box"), want), "%v: acknowledged messages are at the beginning", p)
				require.NoError(t, appendOne(fsys, 7, o))
				got := fileText(t, fsys, "/box")
				require.True(t, strings.HasPrefix(got, want), "%v", p)
				require.True(t, strings.HasSuffix(got, "\n"+stored(7)) || got == stored(7), "%v: the next message stands alone", p)
				if c.journal {
					whole := []string{want + stored(7), want + stored(len(acked)) + stored(7)}
					require.True(t, got == whole[0] || got == whole[1], "%v: a partial message is left", p)
				}
			})
			t.Logf("%d crashes checked", n)
		})
	}
}

// A full disk at any operation leaves the mailbox byte for byte as it was, or with the whole message.
func TestAppendFaults(t *testing.T) {
	before := stored(0)
	for i, errno := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.ENOSPC} {
		opts := &vfs.CrashOptions{Setup: func(fsys vfs.FS) { putFile(fsys, "/box", before) }}
		vfs.EachFaultWith(t, errno, opts, func(fsys vfs.FS) error {
			return appendOne(fsys, 1, AppendOptions{Journal: i == 3})
		}, func(t *testing.T, c vfs.Call, err error, fsys vfs.FS) {
			got := fileText(t, fsys, "/box")
			switch {
			case err == nil:
				require.Equal(t, before+stored(1), got, "%v", c)
			case errors.Is(err, ErrRollback):
				require.True(t, strings.HasPrefix(got, before), "%v", c)
			default:
				require.ErrorIs(t, err, errno)
				require.Equal(t, before, got, "%v at %v", errno, c)
			}
		})
	}
}

// Concurrent appends share a sync: when it fails, none of the group is told that its message is safe, and none is in the
// mailbox; when a write fails, only that message is missing.
func TestAppendGroupFaults(t *testing.T) {
	for _, c := range []struct {
		op     vfs.Op
		at     int
		failed int // of 11
	}{{vfs.OpSync, 1, 11}, {vfs.OpWrite, 1, 1}, {vfs.OpWrite, 6, 1}, {vfs.OpTruncate, 1, 0}} {
		mem := vfs.NewMem(nil)
		putFile(mem, "/box", stored(0))
		faults := vfs.NewFaults(mem, 0)
		faults.Add(vfs.Fault{Ops: c.op, Name: "box", At: c.at, Err: syscall.ENOSPC, Short: 10})
		var wg sync.WaitGroup
		errs := make([]error, 12)
		add := func(i int, r io.Reader) {
			o := AppendOptions{fs: faults}
			_, errs[i] = Append(context.Background(), "/box", &Envelope{Sender: fmt.Sprintf("s%d@example", i), Date: day}, r, &o)
		}
		waiting := func() int {
			lines.Lock()
			defer lines.Unlock()
			if l := lines.m["/box"]; l != nil {
				return len(l.waiting)
			}
			return -1
		}
		// The first one's text comes when all others stand in line.
		wg.Go(func() {
			add(1, io.MultiReader(readerFunc(func([]byte) (int, error) {
				for waiting() < 10 {
					time.Sleep(time.Millisecond)
				}
				return 0, io.EOF
			}), strings.NewReader(message(1))))
		})
		for waiting() < 0 {
			time.Sleep(time.Millisecond)
		}
		for i := 2; i < len(errs); i++ {
			wg.Go(func() { add(i, strings.NewReader(message(i))) })
		}
		wg.Wait()
		got := fileText(t, mem, "/box")
		size, failed := len(stored(0)), 0
		for i, err := range errs[1:] {
			if err == nil {
				require.Contains(t, got, stored(i+1))
				size += len(stored(i + 1))
			} else {
				require.ErrorIs(t, err, syscall.ENOSPC)
				require.NotContains(t, got, fmt.Sprintf("From s%d@", i+1))
				failed++
			}
		}
		require.Equal(t, c.failed, failed, "%v", c)
		require.Equal(t, size, len(got), "%v: nothing else is in the mailbox", c)
		require.Equal(t, -1, waiting())
	}
}

// A disk that fills up within the message: short writes.
func TestAppendFull(t *testing.T) {
	for space := int64(0); space < 12000; space += 500 {
		mem := vfs.NewMem(&vfs.MemOptions{Space: int64(len(stored(0))) + 100 + space})
		putFile(mem, "/box", stored(0))
		err := appendOne(mem, 1, AppendOptions{})
		if err == nil {
			require.Equal(t, stored(0)+stored(1), fileText(t, mem, "/box"))
			continue
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.Equal(t, stored(0), fileText(t, mem, "/box"))
	}
}

func box(ids ...int) string {
	s := ""
	for _, i := range ids {
		s += stored(i)
	}
	return s
}

// rewriteEven drops messages 0, 2, ... and flags the others.
func rewriteEven(fsys vfs.FS) error {
	o := &RewriteOptions{fs: fsys}
	o.Timeout = time.Second
	i := -1
	_, err := Rewrite(context.Background(), "/box", func(*Message) (Edit, error) {
		if i++; i%2 == 0 {
			return Edit{Drop: true}, nil
		}
		return Edit{Status: &Status{Seen: true, Old: true}}, nil
	}, o)
	return err
}

func flagged(i int) string { return strings.Replace(stored(i), "\n\n", "\nStatus: RO\n\n", 1) }

// After a crash at any operation of a rewrite, recovery gives the mailbox before or after it, also when another
// program appended a message to what the crash had left.
func TestRewriteCrash(t *testing.T) {
	before, after := box(0, 1, 2, 3, 4), flagged(1)+flagged(3)
	require.NotEqual(t, before, after)
	for _, foreign := range []string{"", "From x Sun Nov 22 10:00:00 2026\nSubject: foreign\n\nx\n\n"} {
		opts := &vfs.CrashOptions{Setup: func(fsys vfs.FS) { putFile(fsys, "/box", before) }}
		n := vfs.EachCrashPointWith(t, opts, rewriteEven, func(t *testing.T, p vfs.CrashPoint, err error, fsys vfs.FS) {
			_ = fsys.Remove("/box.lock")
			if foreign != "" {
				f, err := fsys.OpenFile("/box", os.O_WRONLY|os.O_APPEND, 0)
				require.NoError(t, err)
				_, err = io.WriteString(f, foreign)
				require.NoError(t, err)
				require.NoError(t, f.Close())
			}
			require.NoError(t, Recover(context.Background(), "/box", &RewriteOptions{fs: fsys}))
			got := fileText(t, fsys, "/box")
			if err == nil {
				require.Equal(t, after+foreign, got, "%v", p)
				return
			}
			require.Contains(t, []string{before + foreign, after + foreign}, got, "%v", p)
		})
		t.Logf("%d crashes checked", n)
	}
}

// Growing: every message gets a field, so that the text moves towards the end.
func TestRewriteGrowCrash(t *testing.T) {
	before, after := box(0, 1, 2), flagged(0)+flagged(1)+flagged(2)
	grow := func(fsys vfs.FS) error {
		_, err := Rewrite(context.Background(), "/box", func(*Message) (Edit, error) {
			return Edit{Status: &Status{Seen: true, Old: true}}, nil
		}, &RewriteOptions{fs: fsys})
		return err
	}
	const foreign = "From x Sun Nov 22 10:00:00 2026\nSubject: foreign\n\nx\n\n"
	opts := &vfs.CrashOptions{Setup: func(fsys vfs.FS) { putFile(fsys, "/box", before) }}
	for _, add := range []string{"", foreign} {
		vfs.EachCrashPointWith(t, opts, grow, func(t *testing.T, p vfs.CrashPoint, err error, fsys vfs.FS) {
			_ = fsys.Remove("/box.lock")
			if add != "" {
				f, err := fsys.OpenFile("/box", os.O_WRONLY|os.O_APPEND, 0)
				require.NoError(t, err)
				_, err = io.WriteString(f, add)
				require.NoError(t, err)
				require.NoError(t, f.Close())
			}
			require.NoError(t, Recover(context.Background(), "/box", &RewriteOptions{fs: fsys}))
			got := fileText(t, fsys, "/box")
			if _, serr := fsys.Lstat(journalName("/box") + ".saved"); serr == nil && add != "" {
				require.Contains(t, got, add, "%v: mail of others is never lost", p)
				return
			}
			if err == nil {
				require.Equal(t, after+add, got, "%v", p)
				return
			}
			require.Contains(t, []string{before + add, after + add}, got, "%v", p)
		})
	}
}

func TestRewriteFaults(t *testing.T) {
	before, after := box(0, 1, 2, 3, 4), flagged(1)+flagged(3)
	opts := &vfs.CrashOptions{Setup: func(fsys vfs.FS) { putFile(fsys, "/box", before) }}
	for _, errno := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		vfs.EachFaultWith(t, errno, opts, rewriteEven, func(t *testing.T, c vfs.Call, err error, fsys vfs.FS) {
			require.NoError(t, Recover(context.Background(), "/box", &RewriteOptions{fs: fsys}))
			got := fileText(t, fsys, "/box")
			if err == nil {
				require.Equal(t, after, got, "%v", c)
				return
			}
			require.Contains(t, []string{before, after}, got, "%v at %v", errno, c)
		})
	}
}

func TestRewrite(t *testing.T) {
	mem := vfs.NewMem(nil)
	putFile(mem, "/box", box(0, 1, 2, 3, 4))
	require.NoError(t, rewriteEven(mem))
	require.Equal(t, flagged(1)+flagged(3), fileText(t, mem, "/box"))
	n, err := Delete(context.Background(), "/box", func(m *Message) bool {
		h, _ := m.Header()
		return bytes.Contains(h, []byte("Subject: 3"))
	}, &RewriteOptions{fs: mem})
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, flagged(1), fileText(t, mem, "/box"))
	_, err = Delete(context.Background(), "/box", func(*Message) bool { return true }, &RewriteOptions{fs: mem})
	require.NoError(t, err)
	require.Empty(t, fileText(t, mem, "/box"))
}

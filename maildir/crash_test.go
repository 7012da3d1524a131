package maildir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/vfs"
)

// memDir is a Maildir on a test's file system; mkMaildir makes one.
func memDir(fsys vfs.FS) *Dir { return New("/md", &Options{fs: fsys, Create: true}) }

func mkMaildir(fsys vfs.FS) {
	if err := memDir(fsys).Create(); err != nil {
		panic(err)
	}
}

func text(i int) string {
	return fmt.Sprintf("Subject: %d\n\n%s", i, strings.Repeat(fmt.Sprintf("line of %d\n", i), 1+i%2*900))
}

func deliver(fsys vfs.FS, i int) error {
	_, err := memDir(fsys).Deliver(context.Background(), nil, strings.NewReader(text(i)))
	return err
}

// texts returns what is in the messages of a Maildir, by their subject, and fails on a partial one.
func texts(t *testing.T, d *Dir) map[string]int {
	got := map[string]int{}
	for e, err := range d.All() {
		require.NoError(t, err)
		f, _, err := d.Open(e)
		require.NoError(t, err)
		b, err := io.ReadAll(f)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		var i int
		_, err = fmt.Sscanf(string(b), "Subject: %d\n", &i)
		require.NoError(t, err, "%v: %q", e, b)
		require.Equal(t, text(i), string(b), "%v is partial", e)
		if n, ok := e.Size(); ok {
			require.Equal(t, int64(len(b)), n)
		}
		got[fmt.Sprint(i)+e.Flags()]++
	}
	return got
}

var memKinds = map[string]vfs.MemOptions{"journalled": {Journal: true}, "strict": {}}

// What was acknowledged is there once and whole, nothing partial is visible, and the leftovers in tmp can be cleaned.
func TestDeliverCrash(t *testing.T) {
	for name, mem := range memKinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := vfs.EachCrashPointWith(t, &vfs.CrashOptions{Mem: mem}, func(fsys vfs.FS) (acked []int) {
				for i := range 3 {
					if deliver(fsys, i) == nil {
						acked = append(acked, i)
					}
				}
				return acked
			}, func(t *testing.T, p vfs.CrashPoint, acked []int, fsys vfs.FS) {
				got := texts(t, memDir(fsys))
				for _, i := range acked {
					require.Equal(t, 1, got[fmt.Sprint(i)], "%v: message %d", p, i)
				}
				require.LessOrEqual(t, len(got), len(acked)+1, "%v", p)
				_, err := memDir(fsys).Clean(time.Now().Add(48 * time.Hour))
				require.NoError(t, err)
				require.NoError(t, deliver(fsys, 9))
				require.Equal(t, 1, texts(t, memDir(fsys))["9"])
			})
			t.Logf("%d crashes checked", n)
		})
	}
}

// ENOSPC and EDQUOT at every operation: an error, and no message.
func TestDeliverFaults(t *testing.T) {
	for _, errno := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO} {
		vfs.EachFaultWith(t, errno, &vfs.CrashOptions{Setup: mkMaildir}, func(fsys vfs.FS) error {
			return deliver(fsys, 1)
		}, func(t *testing.T, c vfs.Call, err error, fsys vfs.FS) {
			got := texts(t, memDir(fsys))
			switch {
			case err == nil:
				require.Equal(t, map[string]int{"1": 1}, got, "%v", c)
			case c.Op == vfs.OpSyncDir: // said so in the documentation: it may be there all the same
				require.ErrorIs(t, err, errno)
			default:
				require.ErrorIs(t, err, errno)
				require.Empty(t, got, "%v", c)
				if c.Op != vfs.OpRemove {
					left, rerr := fsys.ReadDir("/md/tmp")
					require.NoError(t, rerr)
					require.Empty(t, left, "%v: tmp is clean", c)
				}
			}
		})
	}
}

func TestDeliverFull(t *testing.T) {
	for space := int64(10); space < 16000; space += 700 {
		mem := vfs.NewMem(&vfs.MemOptions{Space: space})
		err := deliver(mem, 1)
		if err == nil {
			require.Equal(t, map[string]int{"1": 1}, texts(t, memDir(mem)))
			continue
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.Empty(t, texts(t, memDir(mem)))
	}
}

// two puts two messages into a Maildir with two folders.
func two(fsys vfs.FS) {
	mkMaildir(fsys)
	for i := range 2 {
		if err := deliver(fsys, i); err != nil {
			panic(err)
		}
	}
	for _, name := range []string{"A", "B"} {
		if _, err := memDir(fsys).CreateFolder(name); err != nil {
			panic(err)
		}
	}
}

// A message that is moved, flagged or taken from new is in one place after a crash, never in two or none; once the
// call returned, it is in the new one.
func TestChangeCrash(t *testing.T) {
	changes := map[string]struct {
		change       func(d *Dir, e Entry) error
		before, done string // "folder:flags" of message 1
	}{
		"take":  {func(d *Dir, e Entry) error { _, err := d.TakeNew(); return err }, "new:", "cur:"},
		"flags": {func(d *Dir, e Entry) error { _, err := d.SetFlags(e, "SF"); return err }, "new:", "cur:FS"},
		"move": {func(d *Dir, e Entry) error {
			a, err := d.Folder("A")
			if err != nil {
				return err
			}
			_, err = d.Move(e, a)
			return err
		}, "new:", "A:"},
	}
	where := func(t *testing.T, d *Dir) (at []string) {
		for _, name := range []string{"", "A"} {
			x := d
			if name != "" {
				x, _ = d.Folder(name)
			}
			for e, err := range x.All() {
				require.NoError(t, err)
				if n, _ := e.Size(); n == int64(len(text(1))) {
					place := name
					if name == "" {
						place = e.Sub.String()
					}
					at = append(at, place+":"+e.Flags())
				}
			}
		}
		return at
	}
	for name, c := range changes {
		for kind, mem := range memKinds {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				n := vfs.EachCrashPointWith(t, &vfs.CrashOptions{Mem: mem, Setup: two}, func(fsys vfs.FS) error {
					d := memDir(fsys)
					for e := range d.All() {
						if n, _ := e.Size(); n == int64(len(text(1))) {
							return c.change(d, e)
						}
					}
					return errors.New("message 1 is not there")
				}, func(t *testing.T, p vfs.CrashPoint, err error, fsys vfs.FS) {
					at := where(t, memDir(fsys))
					require.Len(t, at, 1, "%v", p)
					if err == nil {
						require.Equal(t, c.done, at[0], "%v", p)
					} else {
						require.Contains(t, []string{c.before, c.done}, at[0], "%v", p)
					}
					total := texts(t, memDir(fsys))
					require.Len(t, total, len(total)) // none is partial
				})
				t.Logf("%d crashes checked", n)
			})
		}
	}
}

// Expunge removes what is marked, and after a crash nothing else is missing.
func TestExpungeCrash(t *testing.T) {
	setup := func(fsys vfs.FS) {
		two(fsys)
		d := memDir(fsys)
		list, err := d.List()
		if err != nil {
			panic(err)
		}
		if _, err := d.SetFlags(list[0], "T"); err != nil {
			panic(err)
		}
	}
	vfs.EachCrashPointWith(t, &vfs.CrashOptions{Setup: setup}, func(fsys vfs.FS) error {
		_, err := memDir(fsys).Expunge()
		return err
	}, func(t *testing.T, p vfs.CrashPoint, err error, fsys vfs.FS) {
		got := texts(t, memDir(fsys))
		require.Equal(t, 1, got["1"], "%v", p)
		if err == nil {
			require.Zero(t, got["0T"], "%v", p)
		}
	})
}

// family puts messages 0, 1 and 2 into the folder A and its children, and 3 into another whose name begins like it.
func family(fsys vfs.FS) {
	mkMaildir(fsys)
	for i, name := range [][]string{{"A"}, {"A", "B"}, {"A", "C"}, {"AA"}} {
		d, err := memDir(fsys).CreateFolder(name...)
		if err != nil {
			panic(err)
		}
		if _, err := d.Deliver(context.Background(), nil, strings.NewReader(text(i))); err != nil {
			panic(err)
		}
	}
}

// folderTexts returns the folders with the number of the message in each.
func folderTexts(t *testing.T, fsys vfs.FS) map[string]string {
	d := memDir(fsys)
	list, err := d.Folders()
	require.NoError(t, err)
	got := map[string]string{}
	for _, f := range list {
		for n := range texts(t, d.Sub(f)) {
			got[f.Dir] += n
		}
	}
	return got
}

var (
	familyBefore = map[string]string{".A": "0", ".A.B": "1", ".A.C": "2", ".AA": "3"}
	familyAfter  = map[string]string{".X": "0", ".X.B": "1", ".X.C": "2", ".AA": "3"}
)

// A crash leaves each folder under one of its names; the folder itself is the last, and a second call completes the rest.
func TestRenameFolderCrash(t *testing.T) {
	for kind, mem := range memKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			n := vfs.EachCrashPointWith(t, &vfs.CrashOptions{Mem: mem, Setup: family}, func(fsys vfs.FS) error {
				return memDir(fsys).RenameFolder([]string{"A"}, []string{"X"})
			}, func(t *testing.T, p vfs.CrashPoint, err error, fsys vfs.FS) {
				got := folderTexts(t, fsys)
				require.Len(t, got, 4, "%v: %v", p, got)
				for name, text := range familyBefore {
					if got[name] != text {
						require.Equal(t, text, got[strings.Replace(name, ".A", ".X", 1)], "%v: %v", p, got)
					}
				}
				if err == nil || got[".X"] != "" {
					require.Equal(t, familyAfter, got, "%v", p)
				}
				err = memDir(fsys).RenameFolder([]string{"A"}, []string{"X"})
				if got[".X"] != "" {
					require.ErrorIs(t, err, fs.ErrNotExist)
				} else {
					require.NoError(t, err)
				}
				require.Equal(t, familyAfter, folderTexts(t, fsys), "%v", p)
			})
			t.Logf("%d crashes checked", n)
		})
	}
}

// An error half way takes everything back.
func TestRenameFolderFaults(t *testing.T) {
	vfs.EachFaultWith(t, syscall.EIO, &vfs.CrashOptions{Setup: family}, func(fsys vfs.FS) error {
		return memDir(fsys).RenameFolder([]string{"A"}, []string{"X"})
	}, func(t *testing.T, c vfs.Call, err error, fsys vfs.FS) {
		got := folderTexts(t, fsys)
		switch {
		case err == nil, got[".X"] != "": // the last sync failed
			require.Equal(t, familyAfter, got, "%v", c)
		default:
			require.ErrorIs(t, err, syscall.EIO)
			require.Equal(t, familyBefore, got, "%v", c)
		}
	})
}

// The quota file survives any crash readable, and a count of the messages puts right what is off.
func TestQuotaCrash(t *testing.T) {
	quota := func(fsys vfs.FS) *Dir {
		return New("/md", &Options{fs: fsys, Create: true, Quota: Quota{Bytes: 1 << 20, Messages: 100}})
	}
	opts := &vfs.CrashOptions{Setup: func(fsys vfs.FS) {
		mkMaildir(fsys)
		putText(fsys, "/md/maildirsize", "1048576S,100C\n0 0\n")
	}}
	vfs.EachCrashPointWith(t, opts, func(fsys vfs.FS) (n int) {
		for i := range 3 {
			if _, err := quota(fsys).Deliver(context.Background(), nil, strings.NewReader(text(i))); err == nil {
				n++
			}
		}
		return n
	}, func(t *testing.T, p vfs.CrashPoint, n int, fsys vfs.FS) {
		d := quota(fsys)
		require.GreaterOrEqual(t, len(texts(t, d)), n, "%v", p)
		if u, err := d.Usage(); err == nil {
			require.LessOrEqual(t, u.Messages, int64(3), "%v", p)
		}
		u, err := d.recount(d.opts.Quota)
		require.NoError(t, err)
		require.Equal(t, int64(len(texts(t, d))), u.Messages, "%v", p)
	})
}

func putText(fsys vfs.FS, name, s string) {
	f, err := fsys.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(f, s)
	_ = f.Sync()
	_ = f.Close()
}

package maildir

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/peer"
)

// newDir makes a Maildir for a test.
func newDir(t testing.TB, opts *Options) *Dir {
	d := New(filepath.Join(t.TempDir(), "Maildir"), opts)
	require.NoError(t, d.Create())
	return d
}

func put(t testing.TB, d *Dir, s string) Entry {
	name, err := d.Deliver(context.Background(), nil, strings.NewReader(s))
	require.NoError(t, err)
	return ParseEntry(NewSub, name, d.opts.Separator)
}

func TestNamer(t *testing.T) {
	fixed := Namer{Host: "mx:1/a,b", Pid: 42, Now: func() time.Time { return time.Unix(1700000000, 123456789) }, Rand: func() uint64 { return 0xabc }}
	assert.Equal(t, `1700000000.M123456P42Q1R0000000000000abc.mx\0721\057ab`, fixed.Name())
	assert.Equal(t, `1700000000.M123456P42Q2R0000000000000abc.mx\0721\057ab`, fixed.Name())
	var n Namer
	var mu sync.Mutex
	seen := map[string]bool{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 500 {
				name := n.Name()
				mu.Lock()
				assert.False(t, seen[name], name)
				seen[name] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

func TestFlags(t *testing.T) {
	d := newDir(t, nil)
	e := put(t, d, "Subject: x\n\n")
	e, err := d.SetFlags(e, "SSF")
	require.NoError(t, err)
	assert.Equal(t, "FS", e.Flags())
	assert.Equal(t, CurSub, e.Sub)
	other := e
	e, err = d.AddFlags(e, "Ra")
	require.NoError(t, err)
	assert.Equal(t, "FRS", e.Flags())
	assert.Equal(t, "a", e.KeywordLetters())
	// Another program holds the old name: it is found by its base.
	e, err = d.RemoveFlags(other, "S")
	require.NoError(t, err)
	assert.Equal(t, "FR", e.Flags())
	// What is not understood stays.
	odd := ParseEntry(CurSub, e.Base()+":2,FZ,x", 0)
	require.NoError(t, os.Rename(d.EntryPath(e), d.EntryPath(odd)))
	e, err = d.AddFlags(odd, "S")
	require.NoError(t, err)
	assert.Equal(t, e.Base()+":2,FSZ,x", e.Name)
	_, err = d.SetFlags(ParseEntry(CurSub, "no.such.message", 0), "S")
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// A name that is taken by another message is not overwritten.
func TestNoOverwrite(t *testing.T) {
	d := newDir(t, nil)
	e := put(t, d, "Subject: one\n\n")
	e, err := d.SetFlags(e, "")
	require.NoError(t, err)
	twin := filepath.Join(d.Path(), "cur", e.Base()+":2,S")
	require.NoError(t, os.WriteFile(twin, []byte("Subject: two\n\n"), 0o600))
	now, err := d.SetFlags(e, "S")
	require.NoError(t, err)
	assert.NotEqual(t, e.Base(), now.Base())
	b, err := os.ReadFile(twin)
	require.NoError(t, err)
	assert.Equal(t, "Subject: two\n\n", string(b))
	b, err = os.ReadFile(d.EntryPath(now))
	require.NoError(t, err)
	assert.Equal(t, "Subject: one\n\n", string(b))
}

func TestTakeNewKeepsInfo(t *testing.T) {
	d := newDir(t, nil)
	require.NoError(t, os.WriteFile(filepath.Join(d.Path(), "new", "1.a.b:2,F"), nil, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(d.Path(), "new", "2.a.b"), nil, 0o600))
	got, err := d.TakeNew()
	require.NoError(t, err)
	var names []string
	for _, e := range got {
		names = append(names, e.Name)
	}
	assert.ElementsMatch(t, []string{"1.a.b:2,F", "2.a.b:2,"}, names)
}

func TestSeparator(t *testing.T) {
	d := newDir(t, &Options{Separator: ';'})
	e, err := d.SetFlags(put(t, d, "Subject: x\n\n"), "S")
	require.NoError(t, err)
	assert.True(t, strings.HasSuffix(e.Name, ";2,S"), e.Name)
	list, err := d.List()
	require.NoError(t, err)
	assert.Equal(t, "S", list[0].Flags())
}

func TestMoveAndCopy(t *testing.T) {
	d := newDir(t, nil)
	a, err := d.CreateFolder("Entwürfe")
	require.NoError(t, err)
	assert.DirExists(t, filepath.Join(d.Path(), ".Entw&APw-rfe"))
	assert.FileExists(t, filepath.Join(d.Path(), ".Entw&APw-rfe", "maildirfolder"))
	e, err := d.SetFlags(put(t, d, "Subject: x\n\nbody\n"), "S")
	require.NoError(t, err)
	c, err := d.Copy(e, a)
	require.NoError(t, err)
	assert.Equal(t, "S", c.Flags())
	assert.NotEqual(t, e.Base(), c.Base())
	m, err := d.Move(e, a)
	require.NoError(t, err)
	assert.Equal(t, e.Name, m.Name)
	list, err := d.List()
	require.NoError(t, err)
	assert.Empty(t, list)
	list, err = a.List()
	require.NoError(t, err)
	assert.Len(t, list, 2)
	require.NoError(t, d.RenameFolder([]string{"Entwürfe"}, []string{"Drafts"}))
	folders, err := d.Folders()
	require.NoError(t, err)
	require.Len(t, folders, 1)
	assert.Equal(t, []string{"Drafts"}, folders[0].Names)
	require.NoError(t, d.DeleteFolder("Drafts"))
	assert.NoDirExists(t, filepath.Join(d.Path(), ".Drafts"))
}

func TestFolderNames(t *testing.T) {
	d := newDir(t, nil)
	for _, bad := range [][]string{{""}, {"a.b"}, {"a/b"}, {"INBOX"}, {"inbox", "x"}, {"a\x00"}, {"\xff"}, {".."}, {strings.Repeat("x", 300)}} {
		_, err := d.Folder(bad...)
		assert.ErrorIs(t, err, ErrFolderName, "%q", bad)
	}
	_, err := d.CreateFolder("A")
	require.NoError(t, err)
	_, err = d.CreateFolder("A")
	require.ErrorIs(t, err, fs.ErrExist)
}

func TestQuota(t *testing.T) {
	d := newDir(t, &Options{Quota: Quota{Messages: 3}})
	for range 3 {
		put(t, d, "Subject: x\n\n")
	}
	_, err := d.Deliver(t.Context(), nil, strings.NewReader("Subject: x\n\n"))
	require.ErrorIs(t, err, ErrQuota)
	list, err := d.List()
	require.NoError(t, err)
	require.Len(t, list, 3)
	_, err = d.SetFlags(list[0], "T")
	require.NoError(t, err)
	put(t, d, "Subject: trashed ones do not count\n\n")
	b, n, err := d.Count()
	require.NoError(t, err)
	assert.Equal(t, int64(3), n)
	require.NoError(t, d.Recount())
	if u, err := d.Usage(); err == nil {
		assert.Equal(t, b, u.Bytes)
	}
}

// What is renamed to or from Trash counts no more, or again.
func TestQuotaRenameTrash(t *testing.T) {
	d := newDir(t, &Options{Quota: Quota{Messages: 3}})
	w, err := d.CreateFolder("Work")
	require.NoError(t, err)
	put(t, w, "Subject: x\n\n")
	put(t, w, "Subject: x\n\n")
	for _, c := range []struct {
		from, to string
		counted  int64
	}{{"Work", "Trash", 0}, {"Trash", "Play", 2}} {
		require.NoError(t, os.WriteFile(filepath.Join(d.Path(), quotaFile), fmt.Appendf(nil, "3C\n24 %d\n", 2-c.counted), 0o600))
		require.NoError(t, d.RenameFolder([]string{c.from}, []string{c.to}))
		if u, err := d.Usage(); err == nil {
			assert.Equal(t, c.counted, u.Messages, c.to)
		} else { // it is counted when it is needed: the directories changed just now
			require.ErrorIs(t, err, fs.ErrNotExist)
		}
	}
}

// maildrop's deliverquota counts the same messages: not those in Trash and those marked T, but those in its subfolders.
func TestInteropDeliverquota(t *testing.T) {
	deliverquota := peer.Program(t, "deliverquota")
	d := newDir(t, &Options{Quota: Quota{Bytes: 100000}})
	for _, f := range [][]string{{"Trash"}, {"Trash", "Sub"}, {"Work"}} {
		sub, err := d.CreateFolder(f...)
		require.NoError(t, err)
		put(t, sub, strings.Repeat("x\n", 500))
	}
	_, err := d.SetFlags(put(t, d, strings.Repeat("x\n", 700)), "T")
	require.NoError(t, err)
	_ = os.Remove(filepath.Join(d.Path(), quotaFile))
	old := time.Now().Add(-time.Minute) // what was changed just now is not trusted
	require.NoError(t, filepath.WalkDir(d.Path(), func(p string, _ fs.DirEntry, err error) error { return os.Chtimes(p, old, old) }))
	cmd := exec.Command(deliverquota, d.Path(), "100000S")
	cmd.Stdin = strings.NewReader("Subject: x\n\n")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	u, err := d.Usage()
	require.NoError(t, err)
	assert.Equal(t, int64(3), u.Messages)
	bytes, n, err := d.Count()
	require.NoError(t, err)
	assert.Equal(t, [2]int64{bytes, n}, [2]int64{u.Bytes, u.Messages})
}

func TestKeywords(t *testing.T) {
	d := newDir(t, nil)
	c, err := d.AddKeyword("work")
	require.NoError(t, err)
	assert.Equal(t, byte('a'), c)
	c, err = d.AddKeyword("home")
	require.NoError(t, err)
	assert.Equal(t, byte('b'), c)
	c, err = d.AddKeyword("work")
	require.NoError(t, err)
	assert.Equal(t, byte('a'), c)
	k, err := d.Keywords()
	require.NoError(t, err)
	assert.Equal(t, []string{"work", "home"}, k.Names("ab"))
	assert.NoFileExists(t, filepath.Join(d.Path(), "dovecot-uidlist.lock"))
}

func TestWatch(t *testing.T) {
	d := newDir(t, nil)
	first := put(t, d, "Subject: 1\n\n")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	step := 0
	var second Entry
	var got []string
	for ev, err := range d.Watch(ctx, &WatchOptions{Poll: 200 * time.Millisecond}) {
		require.NoError(t, err)
		got = append(got, ev.Kind.String()+" "+ev.Entry.Flags())
		switch step++; step {
		case 1:
			require.Equal(t, first, ev.Entry)
			second = put(t, d, "Subject: 2\n\n")
		case 2:
			require.Equal(t, second, ev.Entry)
			_, err := d.SetFlags(first, "S")
			require.NoError(t, err)
		case 3:
			require.NoError(t, d.Remove(second))
		case 4:
			cancel()
		}
	}
	assert.Equal(t, []string{"added ", "added ", "changed S", "removed "}, got)
}

// What a watcher sees of messages that are there twice, and of those that move: one event for each change, and none
// without.
func TestLook(t *testing.T) {
	d := newDir(t, nil)
	touch := func(names ...string) {
		for _, name := range names {
			require.NoError(t, os.WriteFile(filepath.Join(d.Path(), name), nil, 0o600))
		}
	}
	w := watched{d: d, known: map[string]sighting{}}
	expect := func(want ...string) {
		t.Helper()
		events, err := w.look()
		require.NoError(t, err)
		var got []string
		for _, ev := range events {
			got = append(got, ev.Kind.String()+" "+ev.Entry.Sub.String()+"/"+ev.Entry.Name)
		}
		assert.Equal(t, want, got)
	}
	touch("new/3.both", "cur/3.both:2,S", "new/2.plain", "cur/1.flags:2,S")
	expect("added cur/1.flags:2,S", "added new/2.plain", "added cur/3.both:2,S")
	expect()
	touch("cur/1.flags:2,F")
	events, err := w.look() // which of the two it is, the directory decides; after that, there is peace
	require.NoError(t, err)
	assert.LessOrEqual(t, len(events), 1)
	expect()
	require.NoError(t, os.Remove(filepath.Join(d.Path(), "cur/3.both:2,S")))
	require.NoError(t, os.Rename(filepath.Join(d.Path(), "new/2.plain"), filepath.Join(d.Path(), "cur/2.plain:2,")))
	expect("changed cur/2.plain:2,", "changed new/3.both")
	require.NoError(t, os.Remove(filepath.Join(d.Path(), "new/3.both")))
	expect("removed new/3.both")
}

// Two flag changes of one message at the same time: none fails, and the message stays one.
func TestConcurrentFlags(t *testing.T) {
	d := newDir(t, &Options{NoSync: true})
	e := put(t, d, "Subject: x\n\n")
	var wg sync.WaitGroup
	for _, flag := range []string{"S", "F", "R"} {
		wg.Go(func() {
			for range 50 {
				if _, err := d.AddFlags(e, flag); err != nil {
					t.Error(err)
				}
				if _, err := d.RemoveFlags(e, flag); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	list, err := d.List()
	require.NoError(t, err)
	assert.Len(t, list, 1)
}

// Many deliveries at the same time: each has a message of its own.
func TestDeliverTogether(t *testing.T) {
	d := newDir(t, nil)
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() {
			for range 5 {
				_, err := d.Deliver(context.Background(), nil, strings.NewReader("x\n"))
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	list, err := d.List()
	require.NoError(t, err)
	assert.Len(t, list, 200)
}

// Deliveries by ours and procmail, while Python's mailbox module reads: it sees all, whole, with the flags we set.
func TestInteropPython(t *testing.T) {
	python, procmail := peer.Program(t, "python3"), peer.Program(t, "procmail")
	d := newDir(t, nil)
	rc := filepath.Join(t.TempDir(), "rc")
	require.NoError(t, os.WriteFile(rc, []byte("DEFAULT="+d.Path()+"/\n"), 0o600))
	const n = 50
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range n {
			put(t, d, fmt.Sprintf("Subject: ours %d\n\n%s", i, strings.Repeat("x\n", i)))
		}
	})
	wg.Go(func() {
		for i := range n {
			cmd := exec.Command(procmail, "-m", rc)
			cmd.Stdin = strings.NewReader(fmt.Sprintf("Subject: procmail %d\n\n%s", i, strings.Repeat("x\n", i)))
			out, err := cmd.CombinedOutput()
			assert.NoError(t, err, "%s", out)
		}
	})
	wg.Go(func() {
		out, err := exec.Command(python, "-c", `
import mailbox, sys, time
seen = set()
end = time.time() + 60
while len(seen) < int(sys.argv[2]) and time.time() < end:
    for k, m in mailbox.Maildir(sys.argv[1], create=False).items():
        s = m["Subject"].split()[-2:]
        assert m.get_payload() == "x\n" * int(s[1]), m
        seen.add(tuple(s))
    time.sleep(0.02)
sys.exit(0 if len(seen) == int(sys.argv[2]) else "saw %d" % len(seen))
`, d.Path(), fmt.Sprint(2*n)).CombinedOutput()
		assert.NoError(t, err, "%s", out)
	})
	wg.Wait()
	list, err := d.List()
	require.NoError(t, err)
	require.Len(t, list, 2*n)
	for i, e := range list {
		_, err := d.SetFlags(e, []string{"S", "FS", ""}[i%3])
		require.NoError(t, err)
	}
	out, err := exec.Command(python, "-c", `
import mailbox, sys
for k, m in mailbox.Maildir(sys.argv[1], create=False).items():
    print(k, m.get_flags())
`, d.Path()).Output()
	require.NoError(t, err)
	got := map[string]string{}
	for line := range strings.Lines(string(out)) {
		k, f, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		got[k] = f
	}
	list, err = d.List()
	require.NoError(t, err)
	want := map[string]string{}
	for _, e := range list {
		want[e.Base()] = e.Flags()
	}
	assert.Equal(t, want, got)
}

// dovecot gives the Maildir, as it is now, to a user of Dovecot, and returns what runs doveadm on it.
func dovecot(t *testing.T, d *Dir) func(args ...string) string {
	doveadm := peer.Program(t, "doveadm")
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "conf")
	require.NoError(t, os.WriteFile(conf, fmt.Appendf(nil, `
protocols =
ssl = no
mail_location = maildir:%s
first_valid_uid = 0
first_valid_gid = 0
mail_uid = 1
mail_gid = 1
default_internal_user = root
default_login_user = root
default_internal_group = root
log_path = /dev/stderr
base_dir = %s
state_dir = %s
namespace inbox {
  inbox = yes
}
`, d.Path(), dir+"/run", dir+"/run"), 0o644))
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	require.NoError(t, os.Chown(dir, 1, 1))
	require.NoError(t, filepath.WalkDir(d.Path(), func(p string, _ fs.DirEntry, err error) error { return os.Chown(p, 1, 1) }))
	return func(args ...string) string {
		t.Helper()
		cmd := exec.Command(doveadm, append([]string{"-c", conf, "-f", "tab"}, args...)...)
		cmd.Env = append(os.Environ(), "USER=root", "HOME="+dir)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		assert.NoError(t, err, "%s", stderr.String())
		return string(out)
	}
}

// Dovecot reads our messages, flags and folders, and we read what it makes of them.
func TestInteropDovecot(t *testing.T) {
	d := newDir(t, nil)
	e, err := d.SetFlags(put(t, d, "Subject: flagged\n\nx\n"), "FS")
	require.NoError(t, err)
	put(t, d, "Subject: new\n\nx\n")
	a, err := d.CreateFolder("Entwürfe", "Alt")
	require.NoError(t, err)
	put(t, a, "Subject: in a folder\n\nx\n")
	dove := dovecot(t, d)
	assert.Equal(t, "hdr.subject\tflags\nflagged\t\\Flagged \\Seen \\Recent\nnew\t\\Recent\n", dove("fetch", "hdr.subject flags", "mailbox", "INBOX"))
	assert.Contains(t, dove("mailbox", "list", "-8"), "Entwürfe.Alt\n")
	assert.Contains(t, dove("fetch", "hdr.subject", "mailbox", "Entwürfe.Alt"), "in a folder\n")
	dove("flags", "add", "\\Answered $Label", "mailbox", "INBOX", "header", "subject", "flagged")
	now, err := d.Find(e.Base())
	require.NoError(t, err)
	assert.Equal(t, "FRS", now.Flags())
	k, err := d.Keywords()
	require.NoError(t, err)
	assert.Equal(t, []string{"$Label"}, k.Names(now.KeywordLetters()))
}

// Two messages with the same base are two messages: a copy put back from a backup, or two programs that agreed on a
// name. One file under two names is one.
func TestListSameBase(t *testing.T) {
	for name, c := range map[string]struct {
		files []string    // each with its own content
		links [][2]string // from, to
		want  []string
	}{
		"new and cur":            {[]string{"new/1.a.h", "cur/1.a.h:2,S"}, nil, []string{"new/1.a.h", "cur/1.a.h:2,S"}},
		"two in cur":             {[]string{"cur/1.a.h:2,", "cur/1.a.h:2,S"}, nil, []string{"cur/1.a.h:2,", "cur/1.a.h:2,S"}},
		"three":                  {[]string{"cur/1.a.h", "cur/1.a.h:2,F", "cur/1.a.h:2,S"}, nil, []string{"cur/1.a.h", "cur/1.a.h:2,F", "cur/1.a.h:2,S"}},
		"delivery cut short":     {[]string{"new/1.a.h"}, [][2]string{{"new/1.a.h", "cur/1.a.h:2,"}}, []string{"cur/1.a.h:2,"}},
		"link and another file":  {[]string{"new/1.a.h", "cur/1.a.h:2,F"}, [][2]string{{"new/1.a.h", "cur/1.a.h:2,"}}, []string{"cur/1.a.h:2,", "cur/1.a.h:2,F"}},
		"different bases, a dir": {[]string{"new/1.a.h", "cur/1.b.h:2,F"}, nil, []string{"new/1.a.h", "cur/1.b.h:2,F"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDir(t, nil)
			for _, f := range c.files {
				require.NoError(t, os.WriteFile(filepath.Join(d.Path(), f), []byte(f), 0o600))
			}
			for _, l := range c.links {
				require.NoError(t, os.Link(filepath.Join(d.Path(), l[0]), filepath.Join(d.Path(), l[1])))
			}
			list, err := d.List()
			require.NoError(t, err)
			var got []string
			for _, e := range list {
				got = append(got, e.Sub.String()+"/"+e.Name)
				f, same, err := d.Open(e)
				require.NoError(t, err)
				require.Equal(t, e, same)
				require.NoError(t, f.Close())
			}
			assert.ElementsMatch(t, c.want, got)
		})
	}
}

// What stands in the way of one message does not keep the others from being taken. A name with no room for an info
// part goes without.
func TestTakeNewGoesOn(t *testing.T) {
	d := newDir(t, nil)
	long := "1." + strings.Repeat("x", maxName-3)
	for _, name := range []string{"1.a.h", long, "2.b.h", "3.c.h:2,F"} {
		require.NoError(t, os.WriteFile(filepath.Join(d.Path(), "new", name), []byte(name), 0o600))
	}
	taken, err := d.TakeNew()
	require.NoError(t, err)
	var got []string
	for _, e := range taken {
		require.FileExists(t, d.EntryPath(e))
		got = append(got, e.Sub.String()+"/"+e.Name)
	}
	assert.ElementsMatch(t, []string{"cur/1.a.h:2,", "cur/" + long, "cur/2.b.h:2,", "cur/3.c.h:2,F"}, got)
	left, err := os.ReadDir(filepath.Join(d.Path(), "new"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

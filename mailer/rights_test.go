//go:build linux

package mailer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/maildir"
	"github.com/mtakit/mtakit/mbox"
)

func needRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

// accounts are two users of the test's own, with homes below dir.
func accounts(dir string) mtakit.Accounts {
	return mtakit.AccountsFunc(func(_ context.Context, name string) (mtakit.Account, bool, error) {
		uid, ok := map[string]int{"ann": 61001, "bob": 61002}[name]
		return mtakit.Account{Name: name, UID: uid, GID: uid, Home: dir + "/" + name}, ok, nil
	})
}

func ownerOf(t *testing.T, path string) [2]int {
	fi, err := os.Lstat(path)
	require.NoError(t, err)
	st := fi.Sys().(*syscall.Stat_t)
	return [2]int{int(st.Uid), int(st.Gid)}
}

// Deliveries of root for several users at the same time: each with the user's rights, and the process keeps its own.
func TestRights(t *testing.T) {
	needRoot(t)
	dir := openDir(t)
	for i, u := range []string{"ann", "bob"} {
		require.NoError(t, os.Mkdir(dir+"/"+u, 0o700))
		require.NoError(t, os.Chown(dir+"/"+u, 61001+i, 61001+i))
	}
	m := &Maildir{Path: "%h/Maildir", Accounts: accounts(dir)}
	box := &Mbox{Path: "%h/mbox", Accounts: accounts(dir)}
	spool := &Mbox{Path: t.TempDir() + "/%u", Accounts: accounts(dir), Options: mbox.AppendOptions{LockOptions: mbox.LockOptions{DotlockOptional: true}}}
	for d := filepath.Dir(spool.Path); d != os.TempDir(); d = filepath.Dir(d) {
		require.NoError(t, os.Chmod(d, 0o755))
	}
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			a := attempt(mtakit.Route{User: []string{"ann", "bob"}[i%2]})
			assert.NoError(t, m.Deliver(t.Context(), a)[0].Err)
			assert.NoError(t, box.Deliver(t.Context(), a)[0].Err)
			assert.NoError(t, spool.Deliver(t.Context(), a)[0].Err)
			_, err := os.ReadDir(dir + "/" + []string{"bob", "ann"}[i%2])
			assert.NoError(t, err, "root's own rights")
		})
	}
	wg.Wait()
	for i, u := range []string{"ann", "bob"} {
		files, err := filepath.Glob(dir + "/" + u + "/Maildir/new/*")
		require.NoError(t, err)
		require.Len(t, files, 20)
		for _, f := range append(files, dir+"/"+u+"/mbox", dir+"/"+u+"/Maildir", filepath.Dir(spool.Path)+"/"+u) {
			assert.Equal(t, [2]int{61001 + i, 61001 + i}, ownerOf(t, f), f)
		}
	}
	// Somebody else's directory is closed to ann, although root runs this.
	closed := &Maildir{Path: dir + "/bob/other/%u", Accounts: accounts(dir)}
	err := one(t, closed, attempt(mtakit.Route{User: "ann"}))
	require.ErrorIs(t, err, os.ErrPermission)
	assert.True(t, mtakit.Temporary(err))
	// An unknown user.
	err = one(t, m, attempt(mtakit.Route{User: "carol"}))
	assert.False(t, mtakit.Temporary(err))
}

// Several processes (here: several values) make the same mailboxes at once, and no delivery is put off.
func TestMboxMadeTogether(t *testing.T) {
	needRoot(t)
	dir := openDir(t)
	require.NoError(t, os.Chmod(dir, 0o755))
	spools := make([]*Mbox, 4)
	for i := range spools {
		spools[i] = &Mbox{Path: dir + "/%u", Options: mbox.AppendOptions{NoSync: true, LockOptions: mbox.LockOptions{Locks: []mbox.Lock{mbox.Fcntl}}},
			Accounts: mtakit.AccountsFunc(func(_ context.Context, name string) (mtakit.Account, bool, error) {
				return mtakit.Account{Name: name, UID: 61001, GID: 61001}, true, nil
			})}
	}
	for i := range 30 {
		user := "user" + strconv.Itoa(i)
		var wg sync.WaitGroup
		for _, m := range spools {
			wg.Go(func() { assert.NoError(t, one(t, m, attempt(mtakit.Route{User: user}))) })
		}
		wg.Wait()
		assert.Equal(t, [2]int{61001, 61001}, ownerOf(t, dir+"/"+user))
		assert.Equal(t, len(spools), strings.Count(read(t, dir+"/"+user), "From sender@far.example DATE\n"))
	}
	left, err := filepath.Glob(dir + "/.new-*")
	require.NoError(t, err)
	assert.Empty(t, left)
}

// A process that is killed while it makes mailboxes leaves nothing but mailboxes, each of its owner.
func TestMboxMakerIsKilled(t *testing.T) {
	if dir := os.Getenv("MTAKIT_TEST_MAKE"); dir != "" {
		m := &Mbox{Path: dir + "/%u"}
		for i := 0; ; i++ {
			if err := m.makeOwned(fmt.Sprintf("%s/%d-%d", dir, os.Getpid(), i), rights{uid: 61001, gid: 61001}); err != nil {
				panic(err)
			}
		}
	}
	needRoot(t)
	dir := openDir(t)
	for i := range 10 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestMboxMakerIsKilled$")
		cmd.Env = append(os.Environ(), "MTAKIT_TEST_MAKE="+dir)
		require.NoError(t, cmd.Start())
		require.Eventually(t, func() bool {
			made, err := filepath.Glob(fmt.Sprintf("%s/%d-*", dir, cmd.Process.Pid))
			return err == nil && len(made) > i
		}, 30*time.Second, time.Millisecond)
		require.NoError(t, cmd.Process.Kill())
		require.Error(t, cmd.Wait())
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(entries), 10)
	for _, e := range entries {
		assert.NotContains(t, e.Name(), ".new")
		assert.Equal(t, [2]int{61001, 61001}, ownerOf(t, dir+"/"+e.Name()), e.Name())
	}
}

// Without files that have no name, what an earlier crash left is removed, and nothing else.
func TestMakeAside(t *testing.T) {
	needRoot(t)
	dir := openDir(t)
	old := time.Now().Add(-2 * asideAge)
	for name, text := range map[string]string{".new-1": "", ".new-2": "mail", ".new-3": "", "new-4": ""} {
		require.NoError(t, os.WriteFile(dir+"/"+name, []byte(text), 0o600))
		if name != ".new-3" { // somebody is at it now
			require.NoError(t, os.Chtimes(dir+"/"+name, old, old))
		}
	}
	require.NoError(t, makeAside(dir+"/ann", rights{uid: 61001, gid: 61001}))
	require.ErrorIs(t, makeAside(dir+"/ann", rights{uid: 61001, gid: 61001}), fs.ErrExist)
	assert.Equal(t, [2]int{61001, 61001}, ownerOf(t, dir+"/ann"))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	var names []string
	for _, e := range left {
		names = append(names, e.Name())
	}
	assert.Equal(t, []string{".new-2", ".new-3", "ann", "new-4"}, names)
}

// Both ways to move a new file into place leave one that is there alone.
func TestMoveNew(t *testing.T) {
	for name, move := range map[string]func(from, to string) error{"rename": moveNew, "link": linkNew} {
		t.Run(name, func(t *testing.T) {
			from, to := t.TempDir()+"/from", t.TempDir()+"/to"
			require.NoError(t, os.WriteFile(from, []byte("1"), 0o600))
			require.NoError(t, move(from, to))
			assert.NoFileExists(t, from)
			require.NoError(t, os.WriteFile(from, []byte("2"), 0o600))
			require.ErrorIs(t, move(from, to), fs.ErrExist)
			assert.Equal(t, "1", read(t, to))
		})
	}
}

// A file delivery has the controlling user's rights, or those of the owner of a setuid file; a program runs as the
// user, in his home.
func TestControllingUser(t *testing.T) {
	needRoot(t)
	dir := openDir(t)
	ctl := mtakit.Control{User: "ann", UID: 61001, GID: 61001}
	a := attempt(mtakit.Route{User: dir + "/file"})
	a.Rcpts[0].Control = ctl
	require.NoError(t, one(t, &File{}, a))
	assert.Equal(t, [2]int{61001, 61001}, ownerOf(t, dir+"/file"))

	suid := dir + "/suid"
	require.NoError(t, os.WriteFile(suid, nil, 0o600))
	require.NoError(t, os.Chown(suid, 61002, 61002))
	require.NoError(t, os.Chmod(suid, 0o600|os.ModeSetuid))
	a.Rcpts[0].Route.User = suid
	require.NoError(t, one(t, &File{}, a))
	assert.NotEmpty(t, read(t, suid))

	require.NoError(t, os.Mkdir(dir+"/ann", 0o700))
	require.NoError(t, os.Chown(dir+"/ann", 61001, 61001))
	a.Rcpts[0].Route.User = "|cat >msg; id -u >uid"
	require.NoError(t, one(t, &Program{Accounts: accounts(dir)}, a))
	assert.Equal(t, "61001\n", read(t, dir+"/ann/uid"))
	assert.Equal(t, [2]int{61001, 61001}, ownerOf(t, dir+"/ann/msg"))
	// An alias has no home.
	a.Rcpts[0].Control.Alias = true
	a.Rcpts[0].Route.User = "|pwd >" + dir + "/pwd"
	require.NoError(t, one(t, &Program{Accounts: accounts(dir)}, a))
	assert.Equal(t, "/\n", read(t, dir+"/pwd"))
}

// What the errors of a delivery become.
func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{syscall.ENOSPC, "452 4.3.1 Insufficient system storage"},
		{syscall.EDQUOT, "452 4.2.2 Disk quota exceeded"},
		{syscall.EFBIG, "552 5.2.2 Mailbox full"},
		{mbox.ErrTooBig, "552 5.2.2 Mailbox full"},
		{maildir.ErrQuota, "552 5.2.2 Mailbox full"},
		{mbox.ErrLocked, "450 4.2.0 Mailbox is locked"},
		{mbox.ErrUnsafe, "451 4.2.0 Mailbox cannot be used"},
		{os.ErrPermission, "451 4.2.0 Mailbox cannot be written"},
		{context.Canceled, "451 4.3.0 Delivery was interrupted"},
		{errors.New("surprise"), "451 4.3.0 Local delivery failed"},
	} {
		err := verdict(&os.PathError{Op: "x", Path: "y", Err: c.err}, false)
		var e *mtakit.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, c.want+": x y: "+c.err.Error(), e.Error())
	}
	assert.False(t, mtakit.Temporary(verdict(syscall.EDQUOT, true)))
	require.NoError(t, verdict(nil, false))
}

// Several recipients: one result each, in order, whatever happens to the others.
func TestManyRecipients(t *testing.T) {
	dir := t.TempDir()
	a := attempt(mtakit.Route{})
	a.Rcpts = nil
	for i := range 100 {
		user := "user" + string(rune('a'+i%26))
		if i%10 == 0 {
			user = "../x"
		}
		a.Rcpts = append(a.Rcpts, mtakit.Recipient{Route: mtakit.Route{User: user}})
	}
	res := (&Maildir{Path: dir + "/%u"}).Deliver(t.Context(), a)
	require.Len(t, res, 100)
	for i, r := range res {
		assert.Equal(t, i%10 == 0, r.Err != nil, "%d: %v", i, r.Err)
	}
	a.Open = func(context.Context) (io.ReadCloser, error) { return nil, errors.New("lost") }
	for _, r := range (&Mbox{Path: dir + "/m%u"}).Deliver(t.Context(), a) {
		require.Error(t, r.Err)
	}
}

func BenchmarkMaildir(b *testing.B) {
	m := &Maildir{Path: b.TempDir() + "/%u", Options: maildir.Options{NoSync: true}}
	body := bytes.Repeat([]byte("0123456789012345678901234567890123456789012345678901234567890\n"), 66)
	a := attempt(mtakit.Route{User: "ann"})
	a.Open = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if r := m.Deliver(b.Context(), a); r[0].Err != nil {
			b.Fatal(r[0].Err)
		}
	}
}

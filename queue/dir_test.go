package queue

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
)

func put(t *testing.T, d *Dir, env *Envelope) []Claim {
	w, err := d.Create(t.Context(), env)
	require.NoError(t, err)
	_, err = io.WriteString(w, "body\n")
	require.NoError(t, err)
	cs, err := w.CommitClaimed(t.Context())
	require.NoError(t, err)
	return cs
}

func to(addr, group string) UnitSpec {
	return UnitSpec{Group: group, Rcpts: []Recipient{{Addr: addr, Flags: RcptPrimary | RcptFailure}}}
}

// TestGroups: the units of a message go to the directories of their groups and share the body by hard links.
func TestGroups(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"main", "slow1", "slow2/qf", "slow2/df"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, dir), 0o700))
	}
	d, err := Open(root+"/main", &DirOptions{Groups: []Group{{Name: "slow", Path: "../slow*"}}})
	require.NoError(t, err)
	cs := put(t, d, &Envelope{Sender: "<a@b.example>", Header: []byte("Subject: x\n"), Units: []UnitSpec{to("<x@fast.example>", ""), to("<y@slow.example>", "slow"), to("<z@slow.example>", "slow")}})
	require.Len(t, cs, 3)
	qf, err := filepath.Glob(root + "/main/qf*")
	require.NoError(t, err)
	assert.Len(t, qf, 1)
	slow, _ := filepath.Glob(root + "/slow*/qf?*")
	deep, _ := filepath.Glob(root + "/slow*/qf/qf*")
	assert.Equal(t, 2, len(slow)+len(deep))
	for _, c := range cs {
		c.Release()
	}
	var b strings.Builder
	n, err := d.Print(t.Context(), &b, Listing{})
	require.NoError(t, err)
	assert.Equal(t, 3, n, b.String())
	for u, err := range d.List(t.Context(), Filter{}) {
		require.NoError(t, err)
		cs, err := d.Claim(t.Context(), ClaimRequest{IDs: []ID{u.ID}})
		require.NoError(t, err)
		r, err := cs[0].Open(t.Context())
		require.NoError(t, err)
		text, _ := io.ReadAll(r)
		r.Close()
		assert.Equal(t, "Subject: x\n\nbody\n", string(text))
		require.NoError(t, cs[0].Complete(t.Context()))
	}
	_, err = d.Create(t.Context(), &Envelope{Units: []UnitSpec{to("<x@y>", "nosuch")}})
	assert.ErrorContains(t, err, `no group "nosuch"`)
	require.NoError(t, filepath.WalkDir(root, func(p string, e os.DirEntry, err error) error {
		assert.True(t, e.IsDir(), "%s is left", p)
		return err
	}))
}

// TestRecover: what crashes leave goes away, and nothing else.
func TestRecover(t *testing.T) {
	root := t.TempDir()
	var problems []string
	d, err := Open(root, &DirOptions{Listener: func(e mtakit.Event) { problems = append(problems, e.Text) }})
	require.NoError(t, err)
	id := string(put(t, d, &Envelope{Sender: "<a@b.example>", Units: []UnitSpec{to("<x@y.example>", "")}})[0].Unit().ID)
	old := time.Now().Add(-48 * time.Hour)
	write := func(name string, at time.Time) {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte("V8\nS<>\n"), 0o600))
		require.NoError(t, os.Chtimes(filepath.Join(root, name), at, at))
	}
	write("dfOLD1", old)
	write("dfNEW1", time.Now())
	write("tfOLD2", old)
	write("tfNEW2", time.Now())
	write("qfOLD3", old)
	write("hfOLD3", old)
	write("dfOLD3", old)
	write("QfOLD4", old)
	write("dfOLD4", old)
	write("something else", old)
	res, err := d.Recover(t.Context())
	require.NoError(t, err)
	assert.Equal(t, RecoverResult{Orphans: 1, Temps: 1, Doubles: 1}, res)
	var names []string
	entries, _ := os.ReadDir(root)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	assert.ElementsMatch(t, []string{"qf" + id, "df" + id, "dfNEW1", "tfNEW2", "hfOLD3", "dfOLD3", "QfOLD4", "dfOLD4", "something else"}, names)
}

// TestLost: damaged and untrusted control files are set aside with the text that sendmail logs.
func TestLost(t *testing.T) {
	for text, want := range map[string]string{
		"V9\nS<>\nRP:a@b\n.\n":           "Losing ./qfX: unsupported queue file version",
		"V8\nS<>\nBx\nRP:a@b\n.\n":       "Losing ./qfX: bogus queue line",
		"V8\nS<>\nxgarbage\n.\n":         "Losing ./qfX: unrecognized line",
		"V8\nS<>\nRP:a@b\n.\n":           "Losing ./qfX: bogus file uid/gid in mqueue", // writable for the world
		"V8\nS<>\nd/nosuch\nRP:a@b\n.\n": "Losing ./qfX: bogus queue line",
	} {
		root := t.TempDir()
		var texts []string
		d, err := Open(root, &DirOptions{Listener: func(e mtakit.Event) { texts = append(texts, e.Text) }})
		require.NoError(t, err)
		name := filepath.Join(root, "qfX")
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		if strings.Contains(want, "uid") {
			require.NoError(t, os.Chmod(name, 0o666))
		}
		cs, err := d.Claim(t.Context(), ClaimRequest{IDs: []ID{"X"}})
		assert.ErrorIs(t, err, ErrDamaged)
		assert.Empty(t, cs)
		assert.Contains(t, texts, want)
		assert.FileExists(t, filepath.Join(root, "QfX"))
		res, err := d.Admin(t.Context(), Filter{States: []State{Lost}}, Action{Kind: ActionRemove})
		require.NoError(t, err)
		assert.Equal(t, 1, res.Changed)
	}
}

// TestLostIsDeleted: an operator can delete what was set aside, too, and bring it back as it was. Neither a body that is missing
// nor the time between stands in the way.
func TestLostIsDeleted(t *testing.T) {
	t.Parallel()
	for _, body := range []bool{true, false} {
		root := t.TempDir()
		d, err := Open(root, nil)
		require.NoError(t, err)
		files := func() (names []string) {
			entries, err := os.ReadDir(root)
			require.NoError(t, err)
			for _, e := range entries {
				if !e.IsDir() {
					names = append(names, e.Name())
				}
			}
			return names
		}
		want := []string{"QfX"}
		require.NoError(t, os.WriteFile(filepath.Join(root, "QfX"), []byte("V8\nS<>\nxgarbage\n.\n"), 0o600))
		if body {
			want = append(want, "dfX")
			require.NoError(t, os.WriteFile(filepath.Join(root, "dfX"), []byte("body\n"), 0o600))
		}
		remove := func() {
			res, err := d.Admin(t.Context(), Filter{States: []State{Lost}}, Action{Kind: ActionDelete, Reason: "rubbish"})
			require.NoError(t, err)
			assert.Equal(t, AdminResult{Matched: 1, Changed: 1}, res)
			assert.Empty(t, files())
			ids, err := d.Deleted(t.Context())
			require.NoError(t, err)
			assert.Equal(t, []ID{"X"}, ids)
		}
		remove()
		_, err = d.Recover(t.Context())
		require.NoError(t, err)
		require.NoError(t, d.Undelete(t.Context(), "X"))
		assert.Equal(t, want, files())
		remove()
		n, err := d.Purge(t.Context(), 0)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		left, err := os.ReadDir(filepath.Join(root, trashDir))
		require.NoError(t, err)
		assert.Len(t, left, 1, "the journal")
	}
}

// TestAdminMany: many units are changed at once, each once, and Progress hears of every one; what Do does comes one at a time.
func TestAdminMany(t *testing.T) {
	t.Parallel()
	const n = 200
	d, err := Open(t.TempDir(), nil)
	require.NoError(t, err)
	for range n {
		for _, c := range put(t, d, &Envelope{Sender: "<a@b.example>", Units: []UnitSpec{to("<x@y.example>", "")}}) {
			c.Release()
		}
	}
	all := Filter{States: []State{Ready, Deferred, Held, Quarantined, Lost}}
	calls := 0
	do := func(a Action) {
		done := 0
		a.Progress = func(*Unit, error) { done++ }
		res, err := d.Admin(t.Context(), all, a)
		require.NoError(t, err)
		assert.Equal(t, AdminResult{Matched: n, Changed: n}, res)
		assert.Equal(t, n, done)
	}
	do(Action{Kind: ActionHold, Reason: "wait"})
	do(Action{Kind: ActionCall, Do: func(context.Context, Claim) error { calls++; return nil }})
	assert.Equal(t, n, calls)
	do(Action{Kind: ActionRelease})
	do(Action{Kind: ActionDelete})
	journal, err := os.ReadFile(filepath.Join(d.root, trashDir, "journal"))
	require.NoError(t, err)
	assert.Equal(t, n, strings.Count(string(journal), `"action":"delete"`))
	purged, err := d.Purge(t.Context(), time.Hour)
	require.NoError(t, err)
	assert.Zero(t, purged)
	purged, err = d.Purge(t.Context(), 0)
	require.NoError(t, err)
	assert.Equal(t, n, purged)
	journal, err = os.ReadFile(filepath.Join(d.root, trashDir, "journal"))
	require.NoError(t, err)
	assert.Equal(t, n, strings.Count(string(journal), `"action":"purge"`))
}

// TestHostStatus: the Runner records what hosts answered, in sendmail's files.
func TestHostStatus(t *testing.T) {
	status := HostStatusDir{Path: t.TempDir()}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{HostStatus: &status})
		w.runner.o.Mailers = map[string]mtakit.Mailer{"esmtp": mtakit.MailerFunc(func(context.Context, *mtakit.Attempt) []mtakit.Result {
			return []mtakit.Result{{Relay: "mx.example.net. [192.0.2.1]", Reply: "451 4.7.1 later", Err: &mtakit.Error{Code: 451, Status: 4_007_001, Text: "later"}}}
		})}
		stop := w.run()
		w.queue("bob@example.net")
		synctest.Wait()
		stop()
	})
	s, err := status.Read("mx.example.net")
	require.NoError(t, err)
	assert.Equal(t, "451 4.7.1 later", s.Reply)
	assert.Equal(t, mtakit.Status(4_007_001), s.Status)
	n, err := status.Purge(time.Minute) // the clock of synctest is long ago
	require.NoError(t, err)
	assert.Equal(t, 1, n)
	left, _ := os.ReadDir(status.Path)
	assert.Empty(t, left)
	assert.NoError(t, status.Write(HostStatus{Host: "[192.0.2.9]", Used: time.Now()}))
	assert.FileExists(t, filepath.Join(status.Path, "9./2./0./192"))
	assert.Error(t, status.Write(HostStatus{Host: "../../etc"}))
}

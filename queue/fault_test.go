package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/vfs"
)

// onFaulty moves a world to a file system that can be told to fail. The bubble's clock is put ahead of the kernel's.
func (w *world) onFaulty() *vfs.Faults {
	fi, err := os.Stat(w.dir.root)
	require.NoError(w.t, err)
	time.Sleep(time.Until(fi.ModTime()) + time.Hour)
	f := vfs.NewFaults(quickFS{vfs.OS}, vfs.OpRename)
	w.dir, err = Open(w.dir.root, &DirOptions{fs: f})
	require.NoError(w.t, err)
	o := w.runner.o
	o.Store = w.dir
	w.runner = NewRunner(o)
	return f
}

// mixed is a peer that takes mail for some and knows nobody of the name of bad.
func mixed(took map[string]int) mtakit.Mailer {
	return mtakit.MailerFunc(func(_ context.Context, a *mtakit.Attempt) []mtakit.Result {
		out := make([]mtakit.Result, len(a.Rcpts))
		for i, r := range a.Rcpts {
			took[r.Addr.Local]++
			switch {
			case r.Addr.Local == "later" && took["later"] < 3:
				out[i].Err = temporary("")
			case r.Addr.Local == "bad":
				out[i].Err = &mtakit.Error{Code: 550, Status: mtakit.StatusBadMailbox, Text: "User unknown"}
			}
		}
		return out
	})
}

// TestOutcomeIsKept: while the spool cannot be written, what a peer has taken is not given to it again, and who was told of a
// failure is not told again.
func TestOutcomeIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Retry: func(*Unit) time.Duration { return time.Hour }, Rescan: -1})
		disk := w.onFaulty()
		took := map[string]int{}
		w.runner.o.Mailers["esmtp"] = mixed(took)
		stop := w.run()
		id := w.queue("fine@example.net", "later@example.net", "bad@example.net")
		disk.Add(vfs.Fault{Ops: vfs.OpCreate, Name: "tf*", Err: syscall.ENOSPC})
		synctest.Wait()
		time.Sleep(30 * time.Minute)
		assert.Equal(t, map[string]int{"fine": 1, "later": 1, "bad": 1}, took)
		assert.Len(t, w.reported(), 1)
		res, err := w.dir.Admin(t.Context(), Filter{IDs: []ID{id}}, Action{Kind: ActionRetry})
		require.NoError(t, err)
		assert.Equal(t, AdminResult{Matched: 1, Busy: 1}, res, "it is in the Runner's hands")
		disk.Clear()
		time.Sleep(time.Minute)
		synctest.Wait()
		u, err := w.dir.Get(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, 1, u.Attempts)
		require.Len(t, u.Rcpts, 1)
		assert.Equal(t, "<later@example.net>", u.Rcpts[0].Addr)
		assert.Equal(t, time.Hour, u.Due.Sub(u.LastAttempt).Truncate(time.Second), "whole seconds are kept of the attempt; counted from the attempt")
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		assert.Equal(t, map[string]int{"fine": 1, "later": 3, "bad": 1}, took)
		assert.Zero(t, w.left())
		stop()
	})
}

// TestOutcomeIsKeptAtTheEnd: a Runner that ends writes what it could not write before, or lets go of it.
func TestOutcomeIsKeptAtTheEnd(t *testing.T) {
	for name, well := range map[string]bool{"well again": true, "still full": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, Options{Rescan: -1})
				disk := w.onFaulty()
				w.runner.o.Mailers["esmtp"] = mixed(map[string]int{})
				stop := w.run()
				id := w.queue("fine@example.net", "later@example.net")
				disk.Add(vfs.Fault{Ops: vfs.OpCreate, Name: "tf*", Err: syscall.ENOSPC})
				time.Sleep(time.Minute)
				if well {
					disk.Clear()
				}
				stop()
				disk.Clear()
				cs, err := w.dir.Claim(t.Context(), ClaimRequest{IDs: []ID{id}})
				require.NoError(t, err)
				require.Len(t, cs, 1, "nobody holds it")
				assert.Len(t, cs[0].Unit().Rcpts, map[bool]int{true: 1, false: 2}[well])
				cs[0].Release()
			})
		})
	}
}

// TestWindowGrows: when success makes room for more attempts at one destination, they begin at once.
func TestWindowGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{InitialPerDestination: 1, Rescan: -1})
		w.runner.o.Mailers["esmtp"] = mtakit.MailerFunc(func(ctx context.Context, a *mtakit.Attempt) []mtakit.Result {
			time.Sleep(time.Second)
			return w.deliver(ctx, a)
		})
		for range 15 {
			w.queue("bob@example.net")
		}
		stop := w.run()
		time.Sleep(4*time.Second + time.Millisecond) // 1, 2, 4, 8 at once
		synctest.Wait()
		assert.Len(t, w.tried(), 15)
		stop()
	})
}

// TestFirstScanIsRepeated: a Runner that could not read its spool at the start tries again, even when it is told to look
// only once.
func TestFirstScanIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Rescan: -1})
		disk := w.onFaulty()
		w.queue("bob@example.net")
		w.runner.drain(func() {}) // it was another process
		w.runner = NewRunner(w.runner.o)
		disk.Add(vfs.Fault{Ops: vfs.OpReadDir, Err: syscall.EMFILE})
		stop := w.run()
		time.Sleep(time.Second)
		assert.Empty(t, w.tried())
		disk.Clear()
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Len(t, w.tried(), 1)
		stop()
	})
}

// TestUnreadableDamaged: a damaged entry that cannot even be read is an error like any other.
func TestUnreadableDamaged(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem(nil)
	require.NoError(t, mem.Mkdir("q", 0o700))
	f, err := mem.OpenFile("q/Qf6AMI0DSf018946", os.O_WRONLY|os.O_CREATE, 0o600)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	faults := vfs.NewFaults(mem, vfs.OpOpen)
	d, err := Open("q", &DirOptions{fs: faults})
	require.NoError(t, err)
	faults.Add(vfs.Fault{Ops: vfs.OpOpen, Name: "Qf*", Err: syscall.EMFILE})
	_, err = d.Get(t.Context(), "6AMI0DSf018946")
	require.ErrorIs(t, err, ErrFull)
	n := 0
	for u, err := range d.List(t.Context(), Filter{States: []State{Lost}}) {
		n++
		assert.Nil(t, u)
		require.ErrorIs(t, err, ErrFull)
	}
	assert.Equal(t, 1, n)
}

// TestRecoverCannotTell: a body is no orphan because the control files could not be looked at.
func TestRecoverCannotTell(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]vfs.Fault{
		"the list":  {Ops: vfs.OpReadDir, Name: "qf", Err: syscall.EIO},
		"one":       {Ops: vfs.OpStat, Name: "tf*", Err: syscall.EIO},
		"the trash": {Ops: vfs.OpReadDir, Name: trashDir, Err: syscall.EIO},
	} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem(nil)
			for _, dir := range []string{"q", "q/qf", "q/df", "q/.deleted"} {
				require.NoError(t, mem.Mkdir(dir, 0o700))
			}
			f, err := mem.OpenFile("q/df/df6AMI0DSf018946", os.O_WRONLY|os.O_CREATE, 0o600)
			require.NoError(t, err)
			require.NoError(t, f.Close())
			old := time.Now().Add(-48 * time.Hour)
			require.NoError(t, mem.Chtimes("q/df/df6AMI0DSf018946", old, old))
			faults := vfs.NewFaults(mem, vfs.OpOpen)
			d, err := Open("q", &DirOptions{fs: faults})
			require.NoError(t, err)
			faults.Add(fault)
			res, err := d.Recover(t.Context())
			require.ErrorIs(t, err, syscall.EIO)
			assert.Zero(t, res.Orphans)
			faults.Clear()
			res, err = d.Recover(t.Context())
			require.NoError(t, err)
			assert.Equal(t, 1, res.Orphans)
		})
	}
}

// TestRecoverBesideRelease: a qf that stood beside an hf when Recover looked is not removed when the release that had made it
// is finished by then.
func TestRecoverBesideRelease(t *testing.T) {
	t.Parallel()
	for name, finished := range map[string]bool{"finished": true, "cut short": false} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem(nil)
			require.NoError(t, mem.Mkdir("q", 0o700))
			faults := vfs.NewFaults(mem, vfs.OpOpen)
			d, err := Open("q", &DirOptions{fs: faults})
			require.NoError(t, err)
			w, err := d.Create(t.Context(), &Envelope{Sender: "<ann@example.org>", Units: []UnitSpec{{Rcpts: []Recipient{{Addr: "<bob@example.net>"}}}}})
			require.NoError(t, err)
			require.NoError(t, w.Commit(t.Context()))
			hf := d.spools[0].file('h', w.ID())
			require.NoError(t, mem.Link(d.spools[0].file('q', w.ID()), hf))
			faults.Add(vfs.Fault{Ops: vfs.OpOpen, Name: "qf*", At: 1, Before: func(vfs.Call) {
				if finished {
					require.NoError(t, mem.Remove(hf))
				}
			}})
			res, err := d.Recover(t.Context())
			require.NoError(t, err)
			assert.Equal(t, map[bool]int{true: 0, false: 1}[finished], res.Doubles)
			u, err := d.Get(t.Context(), w.ID())
			require.NoError(t, err)
			assert.Equal(t, w.ID(), u.ID)
		})
	}
}

// TestUndeleteOtherDirectory: the body of an entry whose control file names another directory for it goes back there.
func TestUndeleteOtherDirectory(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	require.NoError(t, os.Mkdir(root+"/slow", 0o700))
	d, err := Open(root, &DirOptions{Groups: []Group{{Name: "slow"}}})
	require.NoError(t, err)
	w, err := d.Create(t.Context(), &Envelope{Sender: "<ann@example.org>", Units: []UnitSpec{{Group: "slow", Rcpts: []Recipient{{Addr: "<bob@example.net>"}}}}})
	require.NoError(t, err)
	_, err = w.Write([]byte("the body\n"))
	require.NoError(t, err)
	cs, err := w.CommitClaimed(t.Context())
	require.NoError(t, err)
	id := w.ID()
	c := cs[0].(*dirClaim)
	require.NoError(t, os.Rename(root+"/slow/df"+string(id), root+"/df"+string(id)))
	c.file.DataDir = "."
	require.NoError(t, c.Update(t.Context(), nil))
	c.Release()
	_, err = d.Admin(t.Context(), Filter{IDs: []ID{id}}, Action{Kind: ActionDelete})
	require.NoError(t, err)
	assert.NoFileExists(t, root+"/df"+string(id))
	require.NoError(t, d.Undelete(t.Context(), id))
	cs, err = d.Claim(t.Context(), ClaimRequest{IDs: []ID{id}})
	require.NoError(t, err)
	r, err := cs[0].Open(t.Context())
	require.NoError(t, err)
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	assert.Equal(t, "\nthe body\n", string(b))
	cs[0].Release()
}

// TestIDIsUsedAgain: a message that comes with the id of one that was just delivered keeps its body, whichever moment the
// removal of the other body has come to.
func TestIDIsUsedAgain(t *testing.T) {
	t.Parallel()
	d, err := Open(t.TempDir(), nil)
	require.NoError(t, err)
	d.setLazy(func() {})
	queue := func(body string) Claim {
		w, err := d.Create(t.Context(), &Envelope{ID: "6AMI0DSf018946", Sender: "<ann@example.org>", Units: []UnitSpec{{Rcpts: []Recipient{{Addr: "<bob@example.net>"}}}}})
		require.NoError(t, err)
		_, err = w.Write([]byte(body))
		require.NoError(t, err)
		cs, err := w.CommitClaimed(t.Context())
		require.NoError(t, err)
		return cs[0]
	}
	s := d.spools[0].qfSync
	for i, between := range []func(again func()){
		func(again func()) { again() },
		func(again func()) { require.NoError(t, s.wait()); again() },
		func(again func()) { // while the directory is synced
			sync := s.sync
			s.sync = func() error { s.sync = sync; again(); return sync() }
			require.NoError(t, s.alone())
		},
	} {
		body := fmt.Sprintf("the second body %d\n", i)
		require.NoError(t, queue("the first body\n").Complete(t.Context()))
		var c Claim
		between(func() { c = queue(body) })
		require.NoError(t, d.flush(true))
		b, err := os.ReadFile(d.spools[0].file('d', "6AMI0DSf018946"))
		require.NoError(t, err, i)
		assert.Equal(t, body, string(b))
		require.NoError(t, c.Complete(t.Context()))
		require.NoError(t, d.flush(true))
		_, err = os.Stat(d.spools[0].file('d', "6AMI0DSf018946"))
		require.ErrorIs(t, err, os.ErrNotExist)
	}
}

// TestLateNews: what a look at the spool read before a change is not put over it.
func TestLateNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Rescan: -1, Retry: func(*Unit) time.Duration { return 10 * time.Hour }})
		w.onFaulty()
		w.answer = func(int, *mtakit.Attempt) error { return temporary("") }
		looks := 0
		o := w.runner.o
		o.Store = slowList{w.dir, func() {
			if looks++; looks == 2 {
				_, err := w.dir.Admin(t.Context(), Filter{}, Action{Kind: ActionRetry})
				require.NoError(t, err)
			}
		}}
		w.runner = NewRunner(o)
		stop := w.run()
		w.queue("bob@example.net")
		synctest.Wait()
		require.Len(t, w.tried(), 1)
		w.runner.Pause("example.net")
		w.runner.Wake()
		synctest.Wait()
		require.Equal(t, 2, looks)
		w.runner.Resume("example.net")
		synctest.Wait()
		assert.Len(t, w.tried(), 2)
		stop()
	})
}

// slowList is a Store that does something between reading its units and yielding them.
type slowList struct {
	*Dir
	after func()
}

func (s slowList) List(ctx context.Context, f Filter) iter.Seq2[*Unit, error] {
	return func(yield func(*Unit, error) bool) {
		var us []*Unit
		for u := range s.Dir.List(ctx, f) {
			us = append(us, u)
		}
		s.after()
		for _, u := range us {
			if !yield(u, nil) {
				return
			}
		}
	}
}

// TestComesBackDuringVainClaim: what an operator releases while the Runner finds out why it could not have it is tried.
func TestComesBackDuringVainClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Rescan: -1})
		w.onFaulty()
		d, err := w.dir.Create(t.Context(), &Envelope{Sender: "<ann@example.org>", Units: []UnitSpec{{Rcpts: []Recipient{{Addr: "<bob@example.net>"}}}}})
		require.NoError(t, err)
		held, err := d.CommitClaimed(t.Context())
		require.NoError(t, err)
		o := w.runner.o
		o.Store = vainGet{w.dir, func() {
			held[0].Release()
		}}
		w.runner = NewRunner(o)
		stop := w.run()
		time.Sleep(time.Second)
		assert.Len(t, w.tried(), 1)
		stop()
	})
}

// vainGet is a Store that does something between reading and answering.
type vainGet struct {
	*Dir
	after func()
}

func (s vainGet) Get(ctx context.Context, id ID) (*Unit, error) {
	u, err := s.Dir.Get(ctx, id)
	if err == nil {
		u.State = Held // as if it was read while it was held
	}
	s.after()
	return u, err
}

// TestClaimDueCannotTell: a Claim of whatever is due does not say that there is nothing when it could not look.
func TestClaimDueCannotTell(t *testing.T) {
	t.Parallel()
	mem := vfs.NewMem(nil)
	require.NoError(t, mem.Mkdir("q", 0o700))
	faults := vfs.NewFaults(mem, vfs.OpOpen)
	d, err := Open("q", &DirOptions{fs: faults})
	require.NoError(t, err)
	cs, err := d.Claim(t.Context(), ClaimRequest{})
	require.NoError(t, err)
	assert.Empty(t, cs)
	faults.Add(vfs.Fault{Ops: vfs.OpReadDir, Err: syscall.EIO})
	_, err = d.Claim(t.Context(), ClaimRequest{})
	require.True(t, errors.Is(err, ErrUnavailable), err)
}

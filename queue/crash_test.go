package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/vfs"
)

// ledger is what the world outside of the queue knows when the machine stops. Messages are known by a token in their
// header, since an id may be lost together with its message.
type ledger struct {
	accepted  map[string][]string // token -> recipients; the client got its 250
	offered   map[string][]string // the same, also when the answer was an error
	delivered map[string]int      // token/recipient -> how often
	bounced   map[string]int
	removed   map[string]bool // an operator was told that the message is gone
	held      map[string]bool // an operator was told that it is set aside
	uncertain map[string]bool // an operator got an error: either may be true
}

func newLedger() *ledger {
	return &ledger{map[string][]string{}, map[string][]string{}, map[string]int{}, map[string]int{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
}

// crashWorld runs the queue on a file system that stops.
type crashWorld struct {
	*ledger
	dir    *Dir
	runner *Runner
	answer func(rcpt string) error
	hasty  bool       // what was not acknowledged may be found damaged
	mu     sync.Mutex // mailers for one message run at the same time
	claims map[string][]Claim
}

func crashBody(token string) string {
	n := 100
	if strings.HasPrefix(token, "big") {
		n = 20000
	}
	return "body of " + token + "\n" + strings.Repeat("x", n) + "\nend of " + token + "\n"
}

// wholeFS is a file system with syncfs: it syncs all files that were opened for writing, and their directories.
type wholeFS struct {
	vfs.FS
	dirty map[string]bool
	dirs  map[string]bool
}

func (w *wholeFS) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	if flag&(os.O_WRONLY|os.O_RDWR) != 0 {
		w.dirty[name], w.dirs[filepath.Dir(name)] = true, true
	}
	return w.FS.OpenFile(name, flag, perm)
}

func (w *wholeFS) Link(from, to string) error {
	w.dirs[filepath.Dir(to)] = true
	return w.FS.Link(from, to)
}

func (w *wholeFS) SyncFS() error {
	for _, name := range slices.Sorted(maps.Keys(w.dirty)) {
		f, err := w.FS.OpenFile(name, os.O_RDWR, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue // renamed or removed
		}
		if err == nil {
			err = errors.Join(f.Sync(), f.Close())
		}
		if err != nil {
			return err
		}
	}
	clear(w.dirty)
	for _, name := range slices.Sorted(maps.Keys(w.dirs)) {
		if err := w.FS.SyncDir(name); err != nil {
			return err
		}
	}
	return nil
}

// journalFS is a file system with a journal: changes become durable in the order in which they were made, and a sync of
// anything makes everything durable that came before.
type journalFS struct {
	vfs.FS
	mem *vfs.Mem
}

type journalFile struct {
	vfs.File
	fs *journalFS
}

func (j *journalFS) WriteOut(vfs.File) error { return nil }

func (j *journalFS) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	f, err := j.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return journalFile{f, j}, nil
}

func (f journalFile) Sync() error { return f.fs.commit(f.File.Sync()) }

func (j *journalFS) SyncDir(name string) error { return j.commit(j.FS.SyncDir(name)) }

func (j *journalFS) commit(err error) error {
	if err == nil {
		j.mem.SyncAll()
	}
	return err
}

// hastyFS is a file system that is taken for one with a journal and has none.
type hastyFS struct{ vfs.FS }

func (hastyFS) WriteOut(vfs.File) error { return nil }

func openCrashWorld(fsys vfs.FS, path string, l *ledger) (*crashWorld, error) {
	o := &DirOptions{fs: fsys, MemoryBody: 10000}
	hasty := false
	switch kind, rest, _ := strings.Cut(path, ":"); kind {
	case "journal":
		inner := fsys
		if f, ok := fsys.(*vfs.Faults); ok {
			inner = f.Unwrap()
		}
		path, o.fs = rest, &journalFS{fsys, inner.(*vfs.Mem)}
	case "hasty":
		path, o.fs, hasty = rest, hastyFS{fsys}, true
	}
	if rest, ok := strings.CutPrefix(path, "whole:"); ok {
		path = rest
		o.fs, o.SyncFS = &wholeFS{fsys, map[string]bool{}, map[string]bool{}}, true
	}
	d, err := Open(path, o)
	if err != nil {
		return nil, err
	}
	w := &crashWorld{ledger: l, dir: d, hasty: hasty, claims: map[string][]Claim{}, answer: func(string) error { return nil }}
	w.runner = NewRunner(Options{Store: d, Rescan: -1,
		Resolve: func(_ context.Context, _ *Unit, r Recipient) ([]Target, error) {
			a := r.Address()
			if a.Local == "list" { // an alias with an owner: its members become recipients of their own
				return []Target{{Addr: mtakit.Address{Local: "m1", Domain: a.Domain}, Route: mtakit.Route{Mailer: "esmtp"}, Queue: "m1@" + a.Domain, Sender: "owner@example.org"},
					{Addr: mtakit.Address{Local: "m2", Domain: a.Domain}, Route: mtakit.Route{Mailer: "esmtp"}, Queue: "m2@" + a.Domain}}, nil
			}
			return []Target{{Addr: a, Route: mtakit.Route{Mailer: "esmtp", Host: a.Domain}}}, nil
		},
		Mailers: map[string]mtakit.Mailer{"esmtp": mtakit.MailerFunc(w.deliver)},
		Report:  (&Reporter{Store: d, Host: "mx.example.org"}).Report})
	w.runner.ctx = context.Background()
	return w, nil
}

// deliver is the peer. It notes what it took, and checks that it got the whole message.
func (w *crashWorld) deliver(ctx context.Context, a *mtakit.Attempt) []mtakit.Result {
	out := make([]mtakit.Result, len(a.Rcpts))
	r, err := a.Open(ctx)
	var text string
	if err == nil {
		var b []byte
		b, err = io.ReadAll(r)
		r.Close()
		text = string(b)
	}
	for i, rc := range a.Rcpts {
		switch {
		case err != nil:
			out[i].Err = err
		default:
			if out[i].Err = w.answer(rc.Addr.Local); out[i].Err == nil {
				w.took(text, a, rc.Addr)
			}
		}
	}
	return out
}

func (w *crashWorld) took(text string, a *mtakit.Attempt, to mtakit.Address) {
	w.mu.Lock()
	defer w.mu.Unlock()
	token := tokenOf(text)
	if strings.Contains(text, "multipart/report") {
		for rcpts := text; ; {
			_, rest, ok := strings.Cut(rcpts, "\nFinal-Recipient: ")
			if !ok {
				break
			}
			line, _, _ := strings.Cut(rest, "\n")
			_, addr, _ := strings.Cut(line, ";")
			w.bounced[token+"/"+strings.TrimSpace(addr)]++
			rcpts = rest
		}
		return
	}
	if !strings.HasSuffix(text, "\n\n"+crashBody(token)) {
		if _, was := w.accepted[token]; was || !w.hasty && !strings.HasSuffix(text, noBody) {
			panic(fmt.Sprintf("%s: delivered a damaged message: %.200q", token, text))
		}
		return // never acknowledged: a control file without its body
	}
	w.delivered[token+"/"+to.String()]++
}

func tokenOf(text string) string {
	_, rest, _ := strings.Cut(text, "X-Token: ")
	token, _, _ := strings.Cut(rest, "\n")
	return token
}

// accept takes a message as an SMTP server would, one unit per group of recipients.
func (w *crashWorld) accept(token string, units ...[]string) {
	ctx := context.Background()
	env := &Envelope{Sender: "<ann@example.org>", Header: []byte("X-Token: " + token + "\n")}
	var all []string
	for _, rcpts := range units {
		var u UnitSpec
		for _, r := range rcpts {
			u.Rcpts = append(u.Rcpts, Recipient{Addr: "<" + r + ">", Flags: RcptPrimary | RcptFailure | RcptDelay})
		}
		all = append(all, rcpts...)
		env.Units = append(env.Units, u)
	}
	w.offered[token] = all
	d, err := w.dir.Create(ctx, env)
	if err != nil {
		return
	}
	if _, err := io.WriteString(d, crashBody(token)); err != nil {
		d.Abort()
		return
	}
	cs, err := d.CommitClaimed(ctx)
	if err != nil {
		return
	}
	w.accepted[token] = all
	w.claims[token] = cs
}

// attempt tries everything that the process holds or finds, once.
func (w *crashWorld) attempt() {
	for _, token := range slices.Sorted(maps.Keys(w.claims)) {
		for _, c := range w.claims[token] {
			w.work(c.Unit(), c)
		}
	}
	w.claims = map[string][]Claim{}
	var units []*Unit
	for u, err := range w.dir.List(context.Background(), Filter{}) {
		if err == nil {
			units = append(units, u)
		}
	}
	slices.SortFunc(units, func(a, b *Unit) int { return strings.Compare(string(a.ID), string(b.ID)) })
	for _, u := range units {
		w.work(u, nil)
	}
}

// work is the Runner's attempt on one unit, without its goroutines.
func (w *crashWorld) work(u *Unit, c Claim) {
	r := w.runner
	r.mu.Lock()
	it := r.items[u.ID]
	if it == nil {
		it = r.newItem(u)
	}
	r.plan(it, u)
	it.claim = c
	r.begin(it)
	it.overdue = true // whatever its time
	r.mu.Unlock()
	l := it.lane
	r.work(context.Background(), it)
	r.mu.Lock()
	l.running--
	l.failures, l.until = 0, time.Time{}
	r.running--
	r.mu.Unlock()
}

// admin performs an operator's action and notes what the operator may rely on.
func (w *crashWorld) admin(kind ActionKind, token string, filter Filter) {
	for u, err := range w.dir.List(context.Background(), filter) {
		if err != nil || tokenOf(string(u.Header)) != token {
			continue
		}
		f := filter
		f.IDs = []ID{u.ID}
		w.uncertain[token] = true
		_, err := w.dir.Admin(context.Background(), f, Action{Kind: kind, Reason: "test"})
		if err != nil {
			continue
		}
		switch kind {
		case ActionHold, ActionQuarantine:
			w.held[token] = true
		case ActionRelease:
			w.held[token] = false
		case ActionDelete:
			w.removed[token] = true
		}
		w.uncertain[token] = kind == ActionRemove // it need not be durable
	}
}

func (w *crashWorld) undelete() {
	ids, _ := w.dir.Deleted(context.Background())
	for _, id := range ids {
		if w.dir.Undelete(context.Background(), id) == nil {
			for token := range w.removed {
				w.removed[token] = false
			}
		} else {
			for token := range w.removed {
				w.uncertain[token] = true
			}
		}
	}
}

func temporary(string) error { return &mtakit.Error{Code: 451, Status: 4_007_001, Text: "later"} }

func byName(rcpt string) error {
	switch {
	case strings.HasPrefix(rcpt, "bad"):
		return &mtakit.Error{Code: 550, Status: 5_001_001, Text: "User unknown"}
	case strings.HasPrefix(rcpt, "late"), strings.HasPrefix(rcpt, "m1"):
		return temporary(rcpt)
	}
	return nil
}

// crashScenarios are the stories that are cut short at every point.
var crashScenarios = map[string]func(w *crashWorld){
	"enqueue": func(w *crashWorld) {
		w.accept("one", []string{"a@example.net"})
		w.accept("big", []string{"a@example.net", "b@example.net"})
		w.accept("units", []string{"a@one.example"}, []string{"b@two.example"}, []string{"c@three.example", "d@three.example"})
		w.accept("bigunits", []string{"a@one.example"}, []string{"b@two.example"})
		w.accept("last", []string{"a@example.net"})
	},
	"attempt": func(w *crashWorld) {
		w.accept("one", []string{"a@example.net"})
		w.accept("two", []string{"a@example.net"}, []string{"b@example.com"})
		w.answer = temporary
		w.attempt()
		w.attempt()
		w.accept("three", []string{"a@example.net"})
		w.answer = func(string) error { return nil }
		w.attempt()
	},
	"partial": func(w *crashWorld) {
		w.accept("one", []string{"a@example.net", "late1@example.net", "b@example.net"})
		w.accept("big", []string{"late1@example.net", "a@example.org"})
		w.answer = byName
		w.attempt()
		w.attempt()
		w.answer = func(string) error { return nil }
		w.attempt()
	},
	"bounce": func(w *crashWorld) {
		w.accept("one", []string{"bad@example.net"})
		w.accept("two", []string{"bad@example.net", "late@example.net", "good@example.net", "bad2@example.net"})
		w.answer = byName
		w.attempt()
		w.attempt()
		w.answer = func(string) error { return nil }
		w.attempt()
	},
	"fork": func(w *crashWorld) {
		w.accept("one", []string{"list@example.net"})
		w.accept("two", []string{"list@example.net", "late@example.net"})
		w.answer = byName
		w.attempt()
		w.attempt()
		w.answer = func(string) error { return nil }
		w.attempt()
	},
	"quarantine": func(w *crashWorld) {
		w.accept("one", []string{"a@example.net"})
		w.accept("big", []string{"a@example.net"})
		w.release()
		w.admin(ActionHold, "one", Filter{})
		w.admin(ActionQuarantine, "big", Filter{})
		w.attempt()
		w.admin(ActionRelease, "one", Filter{States: []State{Held}})
		w.admin(ActionQuarantine, "one", Filter{})
		w.admin(ActionRelease, "big", Filter{States: []State{Quarantined}})
		w.attempt()
	},
	"surgery": func(w *crashWorld) {
		for _, token := range []string{"one", "two", "big", "three"} {
			w.accept(token, []string{"a@example.net"})
		}
		w.release()
		w.admin(ActionDelete, "one", Filter{})
		w.admin(ActionRetry, "two", Filter{})
		w.admin(ActionRequeue, "big", Filter{})
		w.undelete()
		w.admin(ActionDelete, "two", Filter{})
		w.admin(ActionRemove, "three", Filter{})
		w.attempt()
	},
}

// release gives back all claims, so that an operator can have them.
func (w *crashWorld) release() {
	for _, cs := range w.claims {
		for _, c := range cs {
			c.Release()
		}
	}
	w.claims = map[string][]Claim{}
}

var crashLayouts = map[string][]string{
	"q":  {"q"},
	"s":  {"s", "s/qf", "s/df", "s/xf"},
	"m*": {"m1", "m2"},
	// with DirOptions.SyncFS
	"whole:q": {"q"},
	// on a file system with a journal, where files get their names before they are synced
	"journal:q": {"q"},
	"journal:s": {"s", "s/qf", "s/df", "s/xf"},
	// the same where there is no journal: nothing that was acknowledged may depend on it
	"hasty:q": {"q"},
}

func setup(dirs []string) func(vfs.FS) {
	return func(fsys vfs.FS) {
		for _, d := range dirs {
			if err := fsys.Mkdir(d, 0o700); err != nil {
				panic(err)
			}
		}
	}
}

// run plays a scenario on a file system that may stop or fail.
func play(fsys vfs.FS, path string, story func(*crashWorld)) *ledger {
	l := newLedger()
	if w, err := openCrashWorld(fsys, path, l); err == nil {
		story(w)
	}
	return l
}

// crashCounts adds up what the checks saw.
type crashCounts struct{ crashes, lost, duplicates, ghosts int }

// aftermath starts again on what is left, delivers everything, and compares with what the world was promised.
func aftermath(t require.TestingT, where fmt.Stringer, fsys vfs.FS, path string, before *ledger, n *crashCounts) {
	n.crashes++
	after := newLedger()
	after.accepted = before.accepted
	w, err := openCrashWorld(fsys, path, after)
	require.NoError(t, err, "%v", where)
	_, err = w.dir.Recover(context.Background())
	require.NoError(t, err, "%v", where)
	heldNow := map[string]bool{}
	for u, err := range w.dir.List(context.Background(), Filter{States: []State{Held, Quarantined}}) {
		require.NoError(t, err, "%v", where)
		heldNow[tokenOf(string(u.Header))] = true
	}
	for token, held := range before.held {
		if !before.uncertain[token] && before.delivered[token+"/a@example.net"] == 0 {
			require.Equal(t, held, heldNow[token], "%v: %s: held or not", where, token)
		}
	}
	_, err = w.dir.Admin(context.Background(), Filter{States: []State{Held, Quarantined}}, Action{Kind: ActionRelease})
	require.NoError(t, err, "%v", where)
	for range 3 {
		w.attempt()
	}
	for u, err := range w.dir.List(context.Background(), Filter{States: []State{Ready, Deferred, Held, Quarantined, Lost}}) {
		if w.hasty {
			break // the loop below finds what was promised and is not there
		}
		require.NoError(t, err, "%v", where)
		require.Fail(t, "left in the queue", "%v: %s %v", where, u.ID, u.State)
	}
	for token, rcpts := range before.accepted {
		for _, r := range rcpts {
			names := []string{r}
			if r == "list@example.net" {
				names = []string{"m1@example.net", "m2@example.net"}
			}
			for _, r := range names {
				key := token + "/" + r
				got := before.delivered[key] + before.bounced[key] + after.delivered[key] + after.bounced[key]
				if got == 0 && !before.removed[token] && !before.uncertain[token] {
					n.lost++
					require.Fail(t, "lost", "%v: %s", where, key)
				}
				if before.removed[token] && !before.uncertain[token] {
					require.Zero(t, after.delivered[key], "%v: %s came back after its deletion", where, key)
				}
				if got > 1 {
					n.duplicates += got - 1
				}
			}
		}
	}
	for key := range after.delivered {
		token, _, _ := strings.Cut(key, "/")
		if _, ok := before.offered[token]; !ok {
			require.Fail(t, "from nowhere", "%v: %s", where, key)
		}
		if _, ok := before.accepted[token]; !ok {
			n.ghosts++ // it was not acknowledged, and is delivered all the same
		}
	}
}

// TestCrash stops the queue at every change it makes to the file system, in every story, and loses whatever was not
// synced, in several ways.
func TestCrash(t *testing.T) {
	t.Parallel()
	var total crashCounts
	for _, name := range slices.Sorted(maps.Keys(crashScenarios)) {
		for _, path := range slices.Sorted(maps.Keys(crashLayouts)) {
			if (testing.Short() || raceEnabled) && path != "q" {
				continue
			}
			var n crashCounts
			opts := &vfs.CrashOptions{Setup: setup(crashLayouts[path])}
			if strings.HasPrefix(path, "journal:") { // the other kinds lose an earlier change and keep a later one
				opts.Kinds = []vfs.CrashKind{vfs.CrashDrop, vfs.CrashKill}
			}
			vfs.EachCrashPointWith(t, opts, func(fsys vfs.FS) *ledger { return play(fsys, path, crashScenarios[name]) },
				func(t *testing.T, p vfs.CrashPoint, before *ledger, fsys vfs.FS) {
					aftermath(t, p, fsys, path, before, &n)
				})
			t.Logf("%-10s %-7s %5d crashes, %d lost, %4d duplicates, %4d delivered without having been acknowledged",
				name, path, n.crashes, n.lost, n.duplicates, n.ghosts)
			total.crashes += n.crashes
			total.lost += n.lost
			total.duplicates += n.duplicates
			total.ghosts += n.ghosts
		}
	}
	t.Logf("%d crashes: %d acknowledged messages lost, %d duplicates (a peer took the message and the crash came before that was on disk), %d without acknowledgement",
		total.crashes, total.lost, total.duplicates, total.ghosts)
	if !testing.Short() && !raceEnabled {
		require.GreaterOrEqual(t, total.crashes, 10000)
	}
}

// TestFaults makes every operation fail once, with the file system working again afterwards.
func TestFaults(t *testing.T) {
	t.Parallel()
	var total crashCounts
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EMFILE} {
		for _, name := range slices.Sorted(maps.Keys(crashScenarios)) {
			if (testing.Short() || raceEnabled) && errno != syscall.ENOSPC {
				continue
			}
			for _, path := range []string{"q", "journal:q"} {
				opts := &vfs.CrashOptions{Setup: setup(crashLayouts[path])}
				vfs.EachFaultWith(t, errno, opts, func(fsys vfs.FS) *ledger { return play(fsys, path, crashScenarios[name]) },
					func(t *testing.T, c vfs.Call, before *ledger, fsys vfs.FS) {
						aftermath(t, c, fsys, path, before, &total)
					})
			}
		}
	}
	t.Logf("%d faults: %d lost, %d duplicates, %d without acknowledgement", total.crashes, total.lost, total.duplicates, total.ghosts)
}

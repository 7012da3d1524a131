package queue

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/vfs"
)

// model is a random story about a spool: clients, operators, another process and a Runner that is stopped and started
// work on it, destinations go up and down, the file system fails now and then. What must hold whatever happens is in
// checkRunner, checkTimes and checkEnd.
type model struct {
	t    *testing.T
	rnd  *rand.Rand
	root string
	fs   *flakyFS
	// alone: nobody else uses the spool, and the Runner looks through it once and never again, so that everything later
	// has to be heard.
	alone bool
	real  bool // the operating system's file system, without faults and with everything that is done side by side
	dir   *Dir // of the Runner's process
	other *Dir // of another process
	watch *Dir // for looking, without faults
	o     Options

	runner *Runner
	stop   func()
	begun  time.Time // of the Runner

	work    sync.WaitGroup // what goes on for a while beside the story
	waiting map[ID]time.Time

	mu    sync.Mutex // of what follows; mailers and other processes use it, too
	peers *rand.Rand
	msgs  map[string]*modelMsg
	down  map[string]bool
	locks map[ID]int // units that somebody else works on
	log   []string
}

type modelMsg struct {
	body     string
	accepted bool
	loose    bool             // two faults at once: it may be delivered twice, or though it was refused
	fates    map[string]*fate // by address that a mailer gets
}

// fate is what became of one recipient.
type fate struct {
	delivered, bounced int
	gone               bool // an operator removed or deleted it, or may have
}

const modelHosts = 4

func newModel(t *testing.T, seed uint64) *model {
	m := &model{t: t, rnd: rand.New(rand.NewPCG(seed, 7)), peers: rand.New(rand.NewPCG(seed, 9)), msgs: map[string]*modelMsg{}, down: map[string]bool{}, locks: map[ID]int{}, waiting: map[ID]time.Time{}}
	m.root = t.TempDir()
	// The kernel's clock goes on from the bubble's past, so the bubble has to be ahead of it.
	fi, err := os.Stat(m.root)
	require.NoError(t, err)
	time.Sleep(time.Until(fi.ModTime()) + time.Hour)
	if m.rnd.IntN(3) == 0 {
		for _, s := range []string{"qf", "df", "xf"} {
			require.NoError(t, os.Mkdir(m.root+"/"+s, 0o700))
		}
	}
	var groups []Group
	if m.rnd.IntN(3) == 0 {
		require.NoError(t, os.Mkdir(m.root+"/slow", 0o700))
		groups = []Group{{Name: "slow"}}
	}
	m.fs = &flakyFS{FS: vfs.OS, rnd: rand.New(rand.NewPCG(seed, 8))}
	open := func(fsys vfs.FS) *Dir {
		// The kernel's times are no times of the bubble: nothing may count as old.
		d, err := Open(m.root, &DirOptions{fs: fsys, Groups: groups, MemoryBody: 2000, OrphanAge: 100 * 365 * 24 * time.Hour, SuperSafe: pick(m, SuperSafeTrue, SuperSafeFalse)})
		require.NoError(t, err)
		return d
	}
	m.dir, m.other, m.watch = open(m.fs), open(quickFS{vfs.OS}), open(quickFS{vfs.OS})
	if m.real = m.rnd.IntN(4) == 0; m.real {
		m.dir, m.other = open(vfs.OS), open(vfs.OS)
	}
	parked := 1000
	if m.real { // where faults are, what cannot be kept would be delivered twice
		parked = pick(m, 1, 3, 1000)
	}
	m.alone = m.rnd.IntN(3) == 0
	m.o = Options{Store: m.dir, Resolve: m.resolve, Mailers: map[string]mtakit.Mailer{"esmtp": mtakit.MailerFunc(m.deliver)}, Report: m.report,
		Concurrency: pick(m, 1, 2, 10, 100), PerDestination: pick(m, 1, 3, 20), InitialPerDestination: pick(m, 0, 1),
		MaxParked: parked, MinQueueAge: pick(m, 0, time.Minute), Drain: pick(m, time.Second, time.Minute),
		Retry: func(u *Unit) time.Duration {
			return Backoff{First: 5 * time.Minute, Max: time.Hour}.Delay(u.ID, u.Attempts)
		},
		Return: Timeouts{Normal: pick(m, 5*time.Hour, 5*24*time.Hour)}, Warn: Timeouts{Normal: time.Hour}}
	if m.alone {
		m.o.Rescan = -1
	}
	if m.rnd.IntN(3) == 0 {
		m.o.Limits = func(dest string) Limit {
			if dest == "h0.example" {
				return Limit{Interval: 10 * time.Second}
			}
			return Limit{}
		}
	}
	return m
}

func pick[T any](m *model, of ...T) T { return of[m.rnd.IntN(len(of))] }

func (m *model) chance(per int) bool { return m.rnd.IntN(100) < per }

// note keeps what happened, for the report on a failure.
func (m *model) note(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log = append(m.log, time.Now().Format("02 15:04:05.000 ")+fmt.Sprintf(format, args...))
}

func (m *model) fail(format string, args ...any) {
	m.t.Helper()
	m.fs.set(0)
	m.work.Wait()
	m.stop()
	m.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(m.log[max(0, len(m.log)-150):], "\n"))
}

// quickFS does not wait for the disk. That makes a Dir take it for a file system of tests, which does everything in turn.
type quickFS struct{ vfs.FS }

type quickFile struct{ vfs.File }

func (quickFile) Sync() error { return nil }

func (q quickFS) SyncDir(string) error { return nil }
func (q quickFS) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	f, err := q.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return quickFile{f}, nil
}

// flakyFS fails with some operations while it is told to.
type flakyFS struct {
	vfs.FS
	mu  sync.Mutex
	rnd *rand.Rand
	bad int // of 1000 operations
}

type flakyFile struct {
	vfs.File
	fs *flakyFS
}

func (f *flakyFS) set(bad int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bad = bad
}

func (f *flakyFS) faulty() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bad > 0
}

func (f *flakyFS) fault(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.bad == 0 || f.rnd.IntN(1000) >= f.bad {
		return nil
	}
	return &fs.PathError{Op: "fault", Path: name, Err: []error{syscall.EIO, syscall.ENOSPC, syscall.EMFILE}[f.rnd.IntN(3)]}
}

func (f *flakyFS) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	if err := f.fault(name); err != nil {
		return nil, err
	}
	file, err := f.FS.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return flakyFile{file, f}, nil
}

func (f *flakyFS) Rename(from, to string) error {
	return cmpErr(f.fault(from), func() error { return f.FS.Rename(from, to) })
}
func (f *flakyFS) Link(from, to string) error {
	return cmpErr(f.fault(from), func() error { return f.FS.Link(from, to) })
}
func (f *flakyFS) Remove(name string) error {
	return cmpErr(f.fault(name), func() error { return f.FS.Remove(name) })
}
func (f *flakyFS) Chtimes(name string, a, mt time.Time) error {
	return cmpErr(f.fault(name), func() error { return f.FS.Chtimes(name, a, mt) })
}
func (f *flakyFS) SyncDir(name string) error { return f.fault(name) }
func (f *flakyFS) Lstat(name string) (fi fs.FileInfo, err error) {
	if err = f.fault(name); err == nil {
		fi, err = f.FS.Lstat(name)
	}
	return fi, err
}
func (f *flakyFS) Stat(name string) (fi fs.FileInfo, err error) {
	if err = f.fault(name); err == nil {
		fi, err = f.FS.Stat(name)
	}
	return fi, err
}
func (f *flakyFS) ReadDir(name string) (l []fs.DirEntry, err error) {
	if err = f.fault(name); err == nil {
		l, err = f.FS.ReadDir(name)
	}
	return l, err
}

func (f flakyFile) Sync() error { return f.fs.fault(f.Name()) }
func (f flakyFile) Write(p []byte) (int, error) {
	if err := f.fs.fault(f.Name()); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

func cmpErr(err error, f func() error) error {
	if err != nil {
		return err
	}
	return f()
}

// resolve knows lists: with an owner, and without.
func (m *model) resolve(_ context.Context, _ *Unit, r Recipient) ([]Target, error) {
	a := r.Address()
	if !isList(a) {
		return []Target{{Addr: a, Route: mtakit.Route{Mailer: "esmtp", Host: a.Domain}}}, nil
	}
	var ts []Target
	for i, member := range members(a) {
		t := Target{Addr: member, Route: mtakit.Route{Mailer: "esmtp", Host: member.Domain}, Queue: member.String()}
		if strings.HasPrefix(a.Local, "owned") {
			t.Sender = fmt.Sprintf("owner%d@example.org", i%2)
		}
		ts = append(ts, t)
	}
	return ts, nil
}

func members(a mtakit.Address) (out []mtakit.Address) {
	for i := range 3 {
		out = append(out, mtakit.Address{Local: fmt.Sprintf("m%d-%s", i, a.Local), Domain: fmt.Sprintf("h%d.example", i)})
	}
	return out
}

// deliver is the peer: it takes a moment, may be down, knows users that do not exist or want to be asked again.
func (m *model) deliver(ctx context.Context, a *mtakit.Attempt) []mtakit.Result {
	m.mu.Lock()
	takes := time.Duration(m.peers.Int64N(int64(20 * time.Second)))
	switch m.peers.IntN(20) {
	case 0:
		takes *= 20
	case 1, 2, 3, 4, 5:
		takes = 0
	}
	down, later := m.down[a.Host], m.peers.IntN(8) == 0
	m.mu.Unlock()
	out := make([]mtakit.Result, len(a.Rcpts))
	all := func(err error) []mtakit.Result {
		for i := range out {
			out[i].Err = err
		}
		return out
	}
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return all(&mtakit.Error{Code: 451, Text: "told to stop"})
	}
	if down {
		return all(refused(0, a))
	}
	r, err := a.Open(ctx)
	if err != nil {
		return all(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		return all(err)
	}
	for i, rc := range a.Rcpts {
		switch {
		case strings.HasPrefix(rc.Addr.Local, "bad"):
			out[i].Err = &mtakit.Error{Code: 550, Status: mtakit.StatusBadMailbox, Text: "User unknown"}
		case later && i%2 == 0:
			out[i].Err = temporary("")
		default:
			m.took(a.ID, string(b), rc.Addr.String(), "delivered")
		}
	}
	return out
}

// took notes the end of a recipient's story.
func (m *model) took(id, text, addr, what string) {
	token := tokenOf(text)
	m.note("%s %s %s %s", id, token, addr, what)
	m.mu.Lock()
	defer m.mu.Unlock()
	msg := m.msgs[token]
	if msg == nil || msg.fates[addr] == nil {
		m.t.Errorf("%s %s %s: from nowhere", id, token, addr)
		return
	}
	if !strings.HasSuffix(text, "\n\n"+msg.body) && what == "delivered" {
		m.t.Errorf("%s %s: not the message: %.100q", id, token, text)
	}
	f := msg.fates[addr]
	if what == "delivered" {
		f.delivered++
	} else {
		f.bounced++
	}
	if f.delivered+f.bounced > 1 && !msg.loose {
		m.t.Errorf("%s %s %s: delivered %d times, bounced %d times", id, token, addr, f.delivered, f.bounced)
	}
}

func (m *model) report(_ context.Context, r *Report) error {
	u := r.Claim.Unit()
	if err := m.fs.fault("report"); err != nil {
		return err
	}
	for _, rr := range r.Rcpts {
		if rr.Action == ActionFailed {
			m.took(string(u.ID), string(u.Header), rr.Target.Addr.String(), "bounced")
		}
	}
	return nil
}

// start runs a new Runner.
func (m *model) start() {
	m.o.Listener = func(e mtakit.Event) {
		if e.Kind == mtakit.EventProblem {
			m.note("problem: %s %v", e.ID, e.Err)
			if e.Err != nil && strings.Contains(e.Err.Error(), "cannot be taken back") {
				m.loosen(e.Err)
			}
		}
	}
	m.runner = NewRunner(m.o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	r := m.runner
	go func() { done <- r.Run(ctx) }()
	m.begun = time.Now()
	m.note("start")
	m.stop = func() {
		m.note("stop")
		cancel()
		require.NoError(m.t, <-done)
		require.Zero(m.t, r.running)
	}
}

// loosen expects less of a message: a new unit that was not to be cannot be removed.
func (m *model) loosen(err error) {
	rest, _, _ := strings.Cut(err.Error(), " cannot be taken back")
	u, err := m.watch.Get(context.Background(), ID(rest[strings.LastIndexByte(rest, ' ')+1:]))
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil {
		m.msgs[tokenOf(string(u.Header))].loose = true
	}
}

// send is a client: a message with some recipients, in one unit or more.
func (m *model) send(d *Dir) []Claim {
	token := fmt.Sprintf("t%d", len(m.msgs))
	msg := &modelMsg{body: fmt.Sprintf("body of %s\n%s", token, strings.Repeat("x\n", m.rnd.IntN(3)*1000)), fates: map[string]*fate{}}
	env := &Envelope{Sender: "<ann@example.org>", Header: []byte("X-Token: " + token + "\n")}
	for i := range 1 + m.rnd.IntN(3)*m.rnd.IntN(2) {
		var u UnitSpec
		if len(d.spools) > 1 && m.chance(30) {
			u.Group = "slow"
		}
		for j := range 1 + m.rnd.IntN(3) {
			a := mtakit.Address{Local: fmt.Sprintf("%s%d-%d", pick(m, "ok", "ok", "ok", "bad", "list", "owned"), i, j), Domain: fmt.Sprintf("h%d.example", m.rnd.IntN(modelHosts))}
			u.Rcpts = append(u.Rcpts, Recipient{Addr: "<" + a.String() + ">", Flags: RcptPrimary | RcptFailure | RcptDelay})
			to := []mtakit.Address{a}
			if isList(a) {
				to = members(a)
			}
			for _, a := range to {
				msg.fates[a.String()] = &fate{}
			}
		}
		env.Units = append(env.Units, u)
	}
	m.mu.Lock()
	m.msgs[token] = msg
	m.mu.Unlock()
	w, err := d.Create(context.Background(), env)
	if err == nil {
		if _, err = io.WriteString(w, msg.body); err != nil {
			w.Abort()
		}
	}
	var cs []Claim
	if err == nil {
		if m.chance(30) {
			err = w.Commit(context.Background())
		} else {
			cs, err = w.CommitClaimed(context.Background())
		}
		m.note("%s %s accepted: %v", w.ID(), token, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	msg.accepted, msg.loose = err == nil, errors.Is(err, ErrUncertain)
	if err != nil && !msg.loose {
		for _, f := range msg.fates {
			f.delivered = 100 // nobody may get it
		}
	}
	return cs
}

// claimed does something with claims, now or after a while.
func (m *model) claimed(cs []Claim) {
	submit, wait := m.chance(80), time.Duration(0)
	if m.chance(20) {
		wait = m.duration(2 * time.Minute)
	}
	if m.chance(5) {
		m.runner.Wake()
	}
	if wait == 0 && submit {
		m.runner.Submit(cs...)
		return
	}
	for _, c := range cs {
		m.lock(c.Unit().ID, 1)
	}
	m.work.Go(func() {
		time.Sleep(wait)
		for _, c := range cs {
			m.lock(c.Unit().ID, -1)
			c.Release()
		}
	})
}

func (m *model) lock(id ID, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.locks[id] += n
}

func (m *model) duration(most time.Duration) time.Duration {
	return time.Duration(m.rnd.Int64N(int64(most)))
}

// unit picks one of those in the spool.
func (m *model) unit(f Filter) *Unit {
	var us []*Unit
	for u, err := range m.watch.List(context.Background(), f) {
		if err == nil {
			us = append(us, u)
		}
	}
	if len(us) == 0 {
		return nil
	}
	slices.SortFunc(us, func(a, b *Unit) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return us[m.rnd.IntN(len(us))]
}

var anyState = Filter{States: []State{Ready, Deferred, Held, Quarantined}}

// operator does something to one unit, in the Runner's process or in another.
func (m *model) operator(d *Dir) {
	u := m.unit(anyState)
	if u == nil {
		return
	}
	if m.chance(10) && !m.fs.faulty() && !hasList(u) {
		m.give(u)
		res, err := d.Admin(context.Background(), Filter{IDs: []ID{u.ID}}, Action{Kind: ActionCall, Do: func(ctx context.Context, c Claim) error {
			return Bounce(ctx, c, "test", m.report)
		}})
		m.note("%s bounced by the operator: %+v %v", u.ID, res, err)
		return
	}
	kind := pick(m, ActionHold, ActionQuarantine, ActionRelease, ActionRelease, ActionDelete, ActionRetry, ActionRetry, ActionRequeue, ActionRemove)
	f := anyState
	f.IDs = []ID{u.ID}
	if kind == ActionRemove || kind == ActionDelete {
		m.give(u)
	}
	res, err := d.Admin(context.Background(), f, Action{Kind: kind, Reason: "test"})
	m.note("%s operator %d: %+v %v", u.ID, kind, res, err)
}

// give lets go of the recipients of a unit: an operator may have removed it.
func (m *model) give(u *Unit) {
	m.mu.Lock()
	defer m.mu.Unlock()
	msg := m.msgs[tokenOf(string(u.Header))]
	for _, r := range u.Rcpts {
		a := r.Address()
		for _, to := range append(members(a), a) {
			if f := msg.fates[to.String()]; f != nil {
				f.gone = true
			}
		}
	}
}

// sendmail is another process that tries a unit, and takes its time.
func (m *model) sendmail() {
	u := m.unit(Filter{})
	if u == nil {
		return
	}
	cs, err := m.other.Claim(context.Background(), ClaimRequest{IDs: []ID{u.ID}})
	require.NoError(m.t, err)
	if len(cs) == 0 {
		return
	}
	c, wait, success, again := cs[0], m.duration(4*time.Minute), m.chance(30), m.duration(10*time.Minute)
	u = c.Unit()
	m.note("%s tried elsewhere for %v: %v", u.ID, wait, success)
	m.lock(u.ID, 1)
	text := string(u.Header) + "\n" + m.msgs[tokenOf(string(u.Header))].body
	m.work.Go(func() {
		defer m.lock(u.ID, -1)
		time.Sleep(wait)
		switch {
		case success && !hasList(u):
			for _, r := range u.Rcpts {
				m.took(string(u.ID), text, r.Address().String(), "delivered")
			}
			require.NoError(m.t, c.Complete(context.Background()))
		case again > 5*time.Minute:
			now := time.Now()
			require.NoError(m.t, c.Reschedule(context.Background(), now.Add(again), func(u *Unit) { u.Attempts, u.LastAttempt = u.Attempts+1, now }))
		default:
			c.Release()
		}
	})
}

// hasList reports whether a unit has a recipient that stands for others.
func hasList(u *Unit) bool {
	return slices.ContainsFunc(u.Rcpts, func(r Recipient) bool { return isList(r.Address()) })
}

func isList(a mtakit.Address) bool {
	return strings.HasPrefix(a.Local, "list") || strings.HasPrefix(a.Local, "owned")
}

// step does one thing.
func (m *model) step() {
	host := fmt.Sprintf("h%d.example", m.rnd.IntN(modelHosts))
	switch n := m.rnd.IntN(100); {
	case n < 35:
		m.claimed(m.send(m.dir))
	case n < 40:
		for range m.rnd.IntN(15) {
			m.claimed(m.send(m.dir))
		}
	case n < 45 && !m.alone:
		for _, c := range m.send(m.other) {
			c.Release()
		}
	case n < 55:
		m.mu.Lock()
		m.down[host] = !m.down[host]
		m.mu.Unlock()
		m.note("%s down: %v", host, m.down[host])
	case n < 58:
		m.runner.Pause(pick(m, host, host, ""))
	case n < 63:
		m.note("resume")
		m.runner.Resume("")
		m.runner.Resume(host)
	case n < 65:
		m.runner.Wake()
	case n < 75:
		m.operator(m.dir)
	case n < 79 && !m.alone:
		m.operator(m.other)
	case n < 83 && !m.alone:
		m.sendmail()
	case n < 86:
		if _, err := m.dir.Recover(context.Background()); err != nil {
			m.note("recover: %v", err)
		}
	case n < 90:
		m.undelete()
	case n < 94 && !m.fs.faulty(): // what was taken by a peer while the disk failed is not known after a restart
		m.stop()
		m.wait(pick(m, 0, m.duration(5*time.Minute)))
		m.start()
	case n < 97 && !m.real:
		bad := pick(m, 3, 30, 300)
		m.note("faults %d", bad)
		m.fs.set(bad)
	default:
		m.well()
	}
}

// well ends the faults of the file system, and waits until what they left undone is done.
func (m *model) well() {
	if m.fs.faulty() {
		m.note("no more faults")
		m.fs.set(0)
		m.wait(2 * time.Minute)
	}
}

func (m *model) undelete() {
	ids, err := m.watch.Deleted(context.Background())
	if err != nil || len(ids) == 0 {
		return
	}
	id := ids[m.rnd.IntN(len(ids))]
	m.note("%s undelete: %v", id, m.dir.Undelete(context.Background(), id))
}

// wait lets time pass, and looks at everything now and then.
func (m *model) wait(d time.Duration) {
	for d > 0 {
		pause := min(d, time.Duration(1+m.rnd.Int64N(int64(40*time.Second))))
		time.Sleep(pause)
		d -= pause
		synctest.Wait()
		if err := errors.Join(m.checkRunner(), m.checkTimes()); err != nil || m.t.Failed() {
			m.fail("%v", err)
		}
	}
}

// checkRunner looks at the Runner between two events: its books are in order, and nothing that could be started waits.
func (m *model) checkRunner() error {
	r := m.runner
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.open {
		return nil
	}
	now := time.Now()
	items, ready, running, parked := map[*lane]int{}, map[*lane]int{}, 0, 0
	for _, it := range r.items {
		items[it.lane]++
		if it.claim != nil && !it.running {
			parked++
		}
		if it.place >= 0 {
			ready[it.lane]++
		}
		switch {
		case it.lane == nil || r.lanes[it.lane.dest] != it.lane:
			return fmt.Errorf("%s is in no lane", it.id)
		case it.running && (it.timer >= 0 || it.place >= 0):
			return fmt.Errorf("%s is tried and waits", it.id)
		case !it.running && (it.timer < 0 || r.timers[it.timer] != it):
			return fmt.Errorf("%s waits for nothing", it.id)
		case !it.running && it.place < 0 && it.due < now.Add(-time.Millisecond).UnixNano():
			return fmt.Errorf("%s was due %v", it.id, time.Unix(0, it.due))
		}
	}
	for _, l := range r.lanes {
		running += l.running
		if l.items != items[l] || len(l.ready) != ready[l] || l.running < 0 || l.window < 1 {
			return fmt.Errorf("%s: %d items, %d ready, %d running, window %d", l.dest, l.items, len(l.ready), l.running, l.window)
		}
		limit := l.window
		if l.failures > 0 {
			limit = 1
		}
		at := now.Add(-time.Millisecond)
		if len(l.ready) > 0 && !r.paused && !l.paused && !l.until.After(at) && !l.next.After(at) && l.running < limit && r.running < r.o.Concurrency {
			return fmt.Errorf("%s: %d ready, %d of %d running, %d in all, and nothing begins", l.dest, len(l.ready), l.running, limit, r.running)
		}
		if l.items == 0 && l.running == 0 && !l.paused && !l.until.After(at) && !l.next.After(at) {
			return fmt.Errorf("%s is remembered for nothing", l.dest)
		}
	}
	for it, a := range r.kept {
		if r.items[it.id] != it || it.running || !a.c.Valid() {
			return fmt.Errorf("%s: its outcome is kept for nothing", it.id)
		}
	}
	if running != r.running || parked != r.parked {
		return fmt.Errorf("%d running, %d counted; %d parked, %d counted", running, r.running, parked, r.parked)
	}
	return nil
}

// lateness is how much later than due an attempt may come: a look at the spool, half a minute for one that was in other
// hands, a minute after an error, and a moment.
const lateness = 2 * time.Minute

// checkTimes looks for units that could be tried for too long.
func (m *model) checkTimes() error {
	now := time.Now()
	if m.fs.faulty() {
		clear(m.waiting)
		return nil
	}
	seen := map[ID]bool{}
	for u, err := range m.watch.List(context.Background(), Filter{}) {
		if err != nil {
			return err
		}
		if !m.free(u, now) {
			continue
		}
		seen[u.ID] = true
		if m.waiting[u.ID].IsZero() {
			m.waiting[u.ID] = now
		}
		if d := now.Sub(m.waiting[u.ID]); d > lateness {
			return fmt.Errorf("%s for %s is due since %v, and nothing was in its way for %v", u.ID, u.Dest, m.runner.dueAt(u), d)
		}
	}
	for id := range m.waiting {
		if !seen[id] {
			delete(m.waiting, id)
		}
	}
	return nil
}

// free reports whether a unit is due and could be tried, or has expired, which no destination can prevent.
func (m *model) free(u *Unit, now time.Time) bool {
	m.mu.Lock()
	locked := m.locks[u.ID] > 0 || m.msgs[tokenOf(string(u.Header))].loose // the Runner may not know that it is there
	m.mu.Unlock()
	if locked {
		return false
	}
	r := m.runner
	r.mu.Lock()
	defer r.mu.Unlock()
	it, l := r.items[u.ID], r.lanes[u.Dest]
	switch {
	case !r.open, it != nil && it.running, r.running >= r.o.Concurrency:
		return false
	case it != nil:
		l = it.lane // that of the first recipient it had
	}
	blocked := r.paused
	if l != nil {
		limit := l.window
		if l.failures > 0 {
			limit = 1
		}
		if !r.blocked(l, now) && (l.running >= limit || l.next.After(now)) {
			return false
		}
		blocked = blocked || r.blocked(l, now)
	}
	if expire, _ := r.o.deadlines(u); now.After(expire) {
		return true
	}
	return !blocked && !r.dueAt(u).After(now)
}

// finish gives everything a chance to be delivered.
func (m *model) finish() {
	m.well()
	m.work.Wait()
	m.mu.Lock()
	clear(m.down)
	m.mu.Unlock()
	m.runner.Wake()
	m.runner.Resume("")
	for i := range modelHosts {
		m.runner.Resume(fmt.Sprintf("h%d.example", i))
	}
	for i, f := range []Filter{{States: []State{Held, Quarantined}}, {States: []State{Held, Quarantined}}} {
		res, err := m.dir.Admin(context.Background(), f, Action{Kind: ActionRelease})
		if err != nil || i == 1 && res.Matched > 0 {
			m.fail("release: %+v %v", res, err)
		}
	}
	for range 24 * 60 { // each attempt may fail for some more times
		m.wait(time.Minute)
		if m.unit(anyState) == nil {
			return
		}
	}
	m.fail("%s is left", m.unit(anyState).ID)
}

// checkEnd counts.
func (m *model) checkEnd() {
	for token, msg := range m.msgs {
		for addr, f := range msg.fates {
			switch n := f.delivered + f.bounced; {
			case msg.accepted && !f.gone && (n < 1 || n > 1 && !msg.loose), msg.accepted && f.gone && n > 1 && !msg.loose:
				m.fail("%s %s: delivered %d times, bounced %d times", token, addr, f.delivered, f.bounced)
			}
		}
	}
	if len(m.dir.held) > 0 || len(m.other.held) > 0 {
		m.fail("claims are left: %v %v", slices.Collect(maps.Keys(m.dir.held)), slices.Collect(maps.Keys(m.other.held)))
	}
}

// TestModel plays 25 stories, always the same. MTAKIT_MODEL is how many to play, other ones at each run; with a number
// after a colon the first is that one.
func TestModel(t *testing.T) {
	t.Parallel()
	n, first := uint64(25), uint64(1)
	if testing.Short() || raceEnabled {
		n = 6
	}
	if v := os.Getenv("MTAKIT_MODEL"); v != "" {
		count, seed, ok := strings.Cut(v, ":")
		var err error
		n, err = strconv.ParseUint(count, 10, 64)
		require.NoError(t, err)
		first = uint64(time.Now().UnixNano())
		if ok {
			first, err = strconv.ParseUint(seed, 10, 64)
			require.NoError(t, err)
		}
	}
	for seed := first; seed < first+n; seed++ {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) { synctest.Test(t, playModel) })
	}
}

func playModel(t *testing.T) {
	seed, err := strconv.ParseUint(t.Name()[strings.LastIndexByte(t.Name(), '/')+1:], 10, 64)
	require.NoError(t, err)
	m := newModel(t, seed)
	m.start()
	for range 60 {
		m.step()
		switch m.rnd.IntN(4) {
		case 0:
		case 1:
			m.wait(m.duration(time.Second))
		case 2:
			m.wait(m.duration(2 * time.Minute))
		default:
			m.wait(m.duration(10 * time.Minute))
		}
	}
	m.finish()
	m.stop()
	m.checkEnd()
}

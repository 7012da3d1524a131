// Package queuetest holds implementations of queue.Store to their contract, sentence by sentence.
//
//	func TestStore(t *testing.T) {
//		queuetest.TestStore(t, queuetest.Config{
//			New:   func(t *testing.T) queue.Store { … },                 // empty
//			Again: func(t *testing.T, s queue.Store) queue.Store { … },  // another process at the same data
//		})
//	}
//
// Each failure quotes the sentence that was broken. What a store does when the machine dies cannot be tested from
// outside; a store has to bring its own crash tests.
//
// # Concurrency
//
// TestStore runs its tests one after the other, each on a store of its own.
package queuetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mtakit/mtakit/queue"
)

// Config says how to make the stores that are tested.
type Config struct {
	// New returns an empty store.
	New func(t *testing.T) queue.Store
	// Again opens the same data once more, as another process would. Nil leaves out what needs it.
	Again func(t *testing.T, s queue.Store) queue.Store
	// Large is the size of the largest body that is tried. Zero means 4 MiB.
	Large int64
}

// TestStore runs the whole suite.
func TestStore(t *testing.T, c Config) {
	if c.Large == 0 {
		c.Large = 4 << 20
	}
	for _, test := range []struct {
		name string
		run  func(*suite)
	}{
		{"CreateIsInvisible", (*suite).createIsInvisible},
		{"CreateReadsEnvelopeAtCommit", (*suite).createReadsEnvelopeAtCommit},
		{"DraftOpen", (*suite).draftOpen},
		{"Commit", (*suite).commit},
		{"CommitTwice", (*suite).commitTwice},
		{"CommitSameID", (*suite).commitSameID},
		{"CommitClaimed", (*suite).commitClaimed},
		{"CommitUnits", (*suite).commitUnits},
		{"CommitBadEnvelope", (*suite).commitBadEnvelope},
		{"Abort", (*suite).abort},
		{"LargeBody", (*suite).largeBody},
		{"EnvelopeComesBack", (*suite).envelopeComesBack},
		{"ClaimIsExclusive", (*suite).claimIsExclusive},
		{"ClaimRace", (*suite).claimRace},
		{"ClaimDue", (*suite).claimDue},
		{"ClaimWaits", (*suite).claimWaits},
		{"ClaimPriority", (*suite).claimPriority},
		{"Update", (*suite).update},
		{"UpdateIsACopy", (*suite).updateIsACopy},
		{"Reschedule", (*suite).reschedule},
		{"Fork", (*suite).fork},
		{"Complete", (*suite).complete},
		{"BodyGoesWithLastUnit", (*suite).bodyGoesWithLastUnit},
		{"Hold", (*suite).hold},
		{"Release", (*suite).release},
		{"ClaimLost", (*suite).claimLost},
		{"Get", (*suite).get},
		{"List", (*suite).list},
		{"ListStops", (*suite).listStops},
		{"Admin", (*suite).admin},
		{"AdminBusy", (*suite).adminBusy},
		{"Cancelled", (*suite).cancelled},
		{"Concurrent", (*suite).concurrent},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(&suite{T: t, c: c, s: c.New(t), ctx: t.Context()})
		})
	}
}

type suite struct {
	*testing.T
	c   Config
	s   queue.Store
	ctx context.Context
}

// broken reports that a sentence of the contract does not hold.
func (s *suite) broken(sentence, format string, args ...any) {
	s.Helper()
	s.Errorf("contract broken: %q: %s", sentence, fmt.Sprintf(format, args...))
}

// must ends the test when something that every test needs fails.
func (s *suite) must(err error, doing string) {
	s.Helper()
	if err != nil {
		s.Fatalf("%s: %v", doing, err)
	}
}

// is reports a sentence as broken when err is not target.
func (s *suite) is(sentence string, err, target error) {
	s.Helper()
	if !errors.Is(err, target) {
		s.broken(sentence, "got error %v, want %v", err, target)
	}
}

const (
	header = "From: ann@example.org\nTo: bob@example.net\nSubject: test\n\tfolded\n"
	body   = "Hello,\n.\n..dots\nFrom here\nno line end"
)

func rcpt(addr string) queue.Recipient {
	return queue.Recipient{Addr: "<" + addr + ">", Flags: queue.RcptPrimary | queue.RcptFailure | queue.RcptDelay}
}

func unit(addrs ...string) (u queue.UnitSpec) {
	for _, a := range addrs {
		u.Rcpts = append(u.Rcpts, rcpt(a))
	}
	return u
}

func envelope(units ...queue.UnitSpec) *queue.Envelope {
	if len(units) == 0 {
		units = []queue.UnitSpec{unit("bob@example.net")}
	}
	return &queue.Envelope{Sender: "<ann@example.org>", Header: []byte(header), Units: units}
}

// draft starts a message and writes its body.
func (s *suite) draft(env *queue.Envelope) queue.Draft {
	s.Helper()
	d, err := s.s.Create(s.ctx, env)
	s.must(err, "Create")
	_, err = io.WriteString(d, body)
	s.must(err, "Write")
	return d
}

// put queues a message and returns its id.
func (s *suite) put(env *queue.Envelope) queue.ID {
	s.Helper()
	d := s.draft(env)
	s.must(d.Commit(s.ctx), "Commit")
	return d.ID()
}

// claim claims one unit, or returns nil.
func (s *suite) claim(st queue.Store, id queue.ID) queue.Claim {
	s.Helper()
	cs, err := st.Claim(s.ctx, queue.ClaimRequest{IDs: []queue.ID{id}})
	s.must(err, "Claim")
	if len(cs) == 0 {
		return nil
	}
	return cs[0]
}

// mustClaim claims one unit that has to be there.
func (s *suite) mustClaim(id queue.ID) queue.Claim {
	s.Helper()
	c := s.claim(s.s, id)
	if c == nil {
		s.Fatalf("Claim(%s): nothing", id)
	}
	return c
}

func (s *suite) ids(f queue.Filter) (ids []queue.ID) {
	s.Helper()
	for u, err := range s.s.List(s.ctx, f) {
		s.must(err, "List")
		ids = append(ids, u.ID)
	}
	slices.Sort(ids)
	return ids
}

func (s *suite) text(r io.ReadCloser, err error) string {
	s.Helper()
	s.must(err, "Open")
	defer r.Close()
	b, err := io.ReadAll(r)
	s.must(err, "Read")
	return string(b)
}

// views are the store and, if there is one, the same data as another process sees it.
func (s *suite) views() []queue.Store {
	if s.c.Again == nil {
		return []queue.Store{s.s}
	}
	return []queue.Store{s.s, s.c.Again(s.T, s.s)}
}

func (s *suite) createIsInvisible() {
	const rule = "Nothing is visible to anybody until the draft is committed"
	d := s.draft(envelope())
	for _, v := range s.views() {
		for u := range v.List(s.ctx, queue.Filter{}) {
			s.broken(rule, "List shows %s", u.ID)
		}
		_, err := v.Get(s.ctx, d.ID())
		s.is(rule, err, queue.ErrNotFound)
		if c := s.claim(v, d.ID()); c != nil {
			s.broken(rule, "Claim takes %s", d.ID())
		}
	}
	s.must(d.Commit(s.ctx), "Commit")
	if len(s.ids(queue.Filter{})) != 1 {
		s.broken("Commit makes the message durable and visible", "List does not show it")
	}
}

func (s *suite) createReadsEnvelopeAtCommit() {
	env := &queue.Envelope{}
	d := s.draft(env)
	if d.ID() == "" {
		s.broken("ID is the name of the first unit, known before anything is written", "it is empty")
	}
	env.Sender = "<late@example.org>"
	env.Header = []byte("X-Id: " + string(d.ID()) + "\n")
	env.Units = []queue.UnitSpec{unit("bob@example.net")}
	s.must(d.Commit(s.ctx), "Commit")
	u, err := s.s.Get(s.ctx, d.ID())
	s.must(err, "Get")
	if u.Sender != "<late@example.org>" || string(u.Header) != "X-Id: "+string(d.ID())+"\n" {
		s.broken("the caller may go on filling it in until then", "got sender %s, header %q", u.Sender, u.Header)
	}
}

func (s *suite) draftOpen() {
	d := s.draft(envelope())
	if got := s.text(d.Open(s.ctx)); got != header+"\n"+body {
		s.broken("Open reads what a mailer would get: the header, an empty line, the body as far as it is written", "got %q", got)
	}
	_, err := io.WriteString(d, " more")
	s.must(err, "Write after Open")
	if got := s.text(d.Open(s.ctx)); got != header+"\n"+body+" more" {
		s.broken("Open reads … the body as far as it is written", "got %q", got)
	}
	s.must(d.Abort(), "Abort")
}

func (s *suite) commit() {
	id := s.put(envelope())
	for _, v := range s.views() {
		c := s.claim(v, id)
		if c == nil {
			s.broken("Commit makes the message durable and visible", "it cannot be claimed")
			continue
		}
		for range 2 {
			if got := s.text(c.Open(s.ctx)); got != header+"\n"+body {
				s.broken("Open reads header, empty line and body … It may be called again", "got %q", got)
			}
		}
		if n := c.Unit().Size(); n != int64(len(header)+1+len(body)) {
			s.broken("Size is the number of bytes that Claim.Open yields", "got %d", n)
		}
		c.Release()
	}
}

func (s *suite) commitTwice() {
	d := s.draft(envelope())
	s.must(d.Commit(s.ctx), "Commit")
	if err := d.Commit(s.ctx); err != nil {
		s.broken("A second Commit of the same draft returns what the first one did", "got %v", err)
	}
	if n := len(s.ids(queue.Filter{})); n != 1 {
		s.broken("A second Commit of the same draft returns what the first one did", "there are %d units", n)
	}
}

func (s *suite) commitSameID() {
	const rule = "An ID that the caller chose and that is there already is the same message: nil when it is equal, ErrConflict when it is not"
	env := func() *queue.Envelope {
		e := envelope()
		e.ID = "Test0123456789"
		return e
	}
	if id := s.put(env()); id != "Test0123456789" {
		s.broken("ID is the queue id of the first unit", "got %s", id)
	}
	d := s.draft(env())
	if err := d.Commit(s.ctx); err != nil {
		s.broken(rule, "an equal one fails with %v", err)
	}
	other := env()
	other.Sender = "<eve@example.org>"
	s.is(rule, s.draft(other).Commit(s.ctx), queue.ErrConflict)
	d, err := s.s.Create(s.ctx, env())
	s.must(err, "Create")
	_, err = io.WriteString(d, "another body\n")
	s.must(err, "Write")
	s.is(rule, d.Commit(s.ctx), queue.ErrConflict)
	if n := len(s.ids(queue.Filter{})); n != 1 {
		s.broken(rule, "there are %d units", n)
	}
	if got := s.text(s.mustClaim("Test0123456789").Open(s.ctx)); got != header+"\n"+body {
		s.broken(rule, "the first message was changed: %q", got)
	}
}

func (s *suite) commitClaimed() {
	const rule = "CommitClaimed is Commit that hands out the claims on the new units, one for each Envelope.Units in their order"
	d := s.draft(envelope(unit("a@one.example"), unit("b@two.example"), unit("c@three.example")))
	cs, err := d.CommitClaimed(s.ctx)
	s.must(err, "CommitClaimed")
	if len(cs) != 3 {
		s.broken(rule, "got %d claims", len(cs))
		return
	}
	for i, addr := range []string{"<a@one.example>", "<b@two.example>", "<c@three.example>"} {
		u := cs[i].Unit()
		if len(u.Rcpts) != 1 || u.Rcpts[0].Addr != addr {
			s.broken(rule, "claim %d is for %v", i, u.Rcpts)
		}
		for _, v := range s.views() {
			if c := s.claim(v, u.ID); c != nil {
				s.broken("After nil the caller owns the claims", "another could claim %s", u.ID)
				c.Release()
			}
		}
		if got := s.text(cs[i].Open(s.ctx)); got != header+"\n"+body {
			s.broken("Open reads header, empty line and body", "got %q", got)
		}
	}
	if cs[0].Unit().ID != d.ID() {
		s.broken("ID is the name of the first unit", "unit is %s, draft %s", cs[0].Unit().ID, d.ID())
	}
	for _, c := range cs {
		c.Release()
	}
	for _, c := range cs {
		s.mustClaim(c.Unit().ID).Release()
	}
}

func (s *suite) commitUnits() {
	s.put(envelope(unit("a@one.example", "b@one.example"), queue.UnitSpec{Dest: "relay:x", Rcpts: []queue.Recipient{rcpt("c@two.example")},
		Sender: "<owner-list@example.org>"}))
	var got []string
	for u, err := range s.s.List(s.ctx, queue.Filter{}) {
		s.must(err, "List")
		line := u.Sender
		for _, r := range u.Rcpts {
			line += " " + r.Addr
		}
		got = append(got, line)
	}
	slices.Sort(got)
	want := []string{"<ann@example.org> <a@one.example> <b@one.example>", "<owner-list@example.org> <c@two.example>"}
	if !slices.Equal(got, want) {
		s.broken("Units are the groups of recipients", "got %q", got)
	}
}

func (s *suite) commitBadEnvelope() {
	for name, change := range map[string]func(*queue.Envelope){
		"no units":            func(e *queue.Envelope) { e.Units = nil },
		"no recipients":       func(e *queue.Envelope) { e.Units = []queue.UnitSpec{{}} },
		"header is no header": func(e *queue.Envelope) { e.Header = []byte("no field at all\n") },
		"newline in address":  func(e *queue.Envelope) { e.Units[0].Rcpts[0].Addr = "<a@b>\nRPFD:<c@d>" },
	} {
		e := envelope()
		change(e)
		if err := s.draft(e).Commit(s.ctx); err == nil {
			s.broken("After an error nothing is queued", "%s: no error", name)
		}
	}
	if n := len(s.ids(queue.Filter{})); n != 0 {
		s.broken("After an error nothing is queued", "there are %d units", n)
	}
}

func (s *suite) abort() {
	d := s.draft(envelope())
	s.must(d.Abort(), "Abort")
	if err := d.Commit(s.ctx); err == nil {
		s.broken("Abort forgets the message", "it can be committed")
	}
	if n := len(s.ids(queue.Filter{})); n != 0 {
		s.broken("Abort forgets the message", "there are %d units", n)
	}
	id := s.put(envelope())
	d = s.draft(envelope())
	s.must(d.Commit(s.ctx), "Commit")
	if err := d.Abort(); err != nil {
		s.broken("After a commit it does nothing", "%v", err)
	}
	if n := len(s.ids(queue.Filter{})); n != 2 {
		s.broken("After a commit it does nothing", "%d units are left beside %s", n, id)
	}
}

func (s *suite) largeBody() {
	d, err := s.s.Create(s.ctx, envelope(unit("a@one.example"), unit("b@two.example")))
	s.must(err, "Create")
	line := strings.Repeat("0123456789abcde", 4) + "\n"
	var n int64
	for n < s.c.Large {
		k, err := io.WriteString(d, line)
		s.must(err, "Write")
		n += int64(k)
	}
	cs, err := d.CommitClaimed(s.ctx)
	s.must(err, "CommitClaimed")
	for _, c := range cs {
		got := s.text(c.Open(s.ctx))
		if int64(len(got)) != int64(len(header))+1+n || !strings.HasSuffix(got, line) || c.Unit().BodySize != n {
			s.broken("Open reads header, empty line and body", "got %d bytes, BodySize %d, want a body of %d", len(got), c.Unit().BodySize, n)
		}
		s.must(c.Complete(s.ctx), "Complete")
	}
}

func (s *suite) envelopeComesBack() {
	created := time.Now().Add(-time.Hour).Truncate(time.Second)
	env := &queue.Envelope{
		Sender: "<ann@example.org>", Header: []byte(header), Created: created, Priority: 12345, Flags: queue.FlagRet | queue.FlagNoBody,
		BodyType: "8BITMIME", EnvID: "QQ 314+159", Auth: "ann@example.org", DeliverBy: queue.DeliverBy{Mode: queue.ByReturn, After: 7200 * time.Second},
		Macros: []queue.Macro{{Name: "_", Value: "client.example.com [192.0.2.55]"}, {Name: "daemon_flags", Value: ""}, {Name: "r", Value: "ESMTP"}},
		Status: "Deferred: nobody home",
		Units: []queue.UnitSpec{{Rcpts: []queue.Recipient{
			{Addr: "<bob@example.net>", Flags: queue.RcptPrimary | queue.RcptNotify | queue.RcptSuccess, Original: "rfc822;Bob+x@example.net",
				Final: "RFC822; bob@example.net", Status: "Deferred: busy"},
			{Addr: "|/bin/prog arg", Flags: queue.RcptFailure | queue.RcptDelay},
		}}},
	}
	env.Units[0].Rcpts[1].Control.User, env.Units[0].Rcpts[1].Control.UID = "eve", 1000
	env.Units[0].Rcpts[1].Control.GID, env.Units[0].Rcpts[1].Control.Origin = 100, "<eve:s@example.org>"
	want := *env
	id := s.put(env)
	u, err := s.s.Get(s.ctx, id)
	s.must(err, "Get")
	const rule = "Get returns one unit"
	if u.Sender != want.Sender || string(u.Header) != header || !u.Created.Equal(created) || u.Priority != 12345 || u.Ret() != "HDRS" ||
		u.BodyType != want.BodyType || u.EnvID != want.EnvID || u.Auth != want.Auth || u.DeliverBy != want.DeliverBy ||
		u.Status != want.Status || !sameMacros(u.Macros, want.Macros) {
		s.broken(rule, "got %+v", u.Envelope)
	}
	if len(u.Rcpts) != 2 {
		s.broken(rule, "got recipients %+v", u.Rcpts)
		return
	}
	for i, r := range u.Rcpts {
		w := want.Units[0].Rcpts[i]
		if r.Addr != w.Addr || r.Flags != w.Flags || r.Original != w.Original || r.Status != w.Status || r.Control != w.Control {
			s.broken(rule, "got recipient %+v, want %+v", r, w)
		}
	}
	if u.State != queue.Ready || u.Attempts != 0 || !u.LastAttempt.IsZero() || u.Dest != "example.net" {
		s.broken(rule, "a new unit is %v to %q with %d attempts, last %v", u.State, u.Dest, u.Attempts, u.LastAttempt)
	}
}

// sameMacros compares without regard to the order, which is the store's.
func sameMacros(a, b []queue.Macro) bool {
	order := func(x, y queue.Macro) int { return strings.Compare(x.Name, y.Name) }
	return slices.Equal(slices.SortedFunc(slices.Values(a), order), slices.SortedFunc(slices.Values(b), order))
}

func (s *suite) claimIsExclusive() {
	id := s.put(envelope())
	c := s.mustClaim(id)
	if !c.Valid() {
		s.broken("Valid reports whether the claim still stood a moment ago", "a new claim is not valid")
	}
	for _, v := range s.views() {
		if again := s.claim(v, id); again != nil {
			s.broken("Claim takes units for exclusive use", "it was claimed twice")
			again.Release()
		}
		if u, err := v.Get(s.ctx, id); err != nil || u.ID != id {
			s.broken("Get returns one unit, whether or not somebody has claimed it", "got %v, %v", u, err)
		}
	}
	c.Release()
	if s.claim(s.s, id) == nil {
		s.broken("Release ends the claim without changing the unit", "it cannot be claimed again")
	}
}

func (s *suite) claimRace() {
	id := s.put(envelope())
	var got atomic.Int32
	var wg sync.WaitGroup
	views := s.views()
	for i := range 16 {
		wg.Go(func() {
			cs, err := views[i%len(views)].Claim(s.ctx, queue.ClaimRequest{IDs: []queue.ID{id}})
			if err != nil {
				s.Errorf("Claim: %v", err)
			}
			got.Add(int32(len(cs)))
		})
	}
	wg.Wait()
	if n := got.Load(); n != 1 {
		s.broken("Claim takes units for exclusive use", "%d of 16 got it", n)
	}
}

func (s *suite) claimDue() {
	const rule = "Without, it takes up to req.Max due units"
	id := s.put(envelope())
	late := s.put(envelope())
	s.must(s.mustClaim(late).Reschedule(s.ctx, time.Now().Add(time.Hour), func(u *queue.Unit) { u.Attempts++ }), "Reschedule")
	cs, err := s.s.Claim(s.ctx, queue.ClaimRequest{Max: 10})
	s.must(err, "Claim")
	if len(cs) != 1 || cs[0].Unit().ID != id {
		s.broken(rule, "got %d, want only the one that is due", len(cs))
	}
	for _, c := range cs {
		c.Release()
	}
	if c := s.claim(s.s, late); c == nil {
		s.broken("With req.IDs it takes those, without asking whether they are due", "it did not")
	} else {
		c.Release()
	}
	for range 3 {
		s.put(envelope())
	}
	cs, err = s.s.Claim(s.ctx, queue.ClaimRequest{Max: 2})
	s.must(err, "Claim")
	if len(cs) != 2 {
		s.broken(rule, "got %d, want 2", len(cs))
	}
}

func (s *suite) claimWaits() {
	const rule = "waits up to req.Wait for one. No claims and no error mean that nothing was to be had"
	began := time.Now()
	cs, err := s.s.Claim(s.ctx, queue.ClaimRequest{Wait: 50 * time.Millisecond})
	if len(cs) != 0 || err != nil || time.Since(began) < 50*time.Millisecond {
		s.broken(rule, "got %d claims, error %v after %v", len(cs), err, time.Since(began))
	}
	done := make(chan int)
	go func() {
		cs, _ := s.s.Claim(s.ctx, queue.ClaimRequest{Wait: 20 * time.Second})
		done <- len(cs)
	}()
	time.Sleep(20 * time.Millisecond)
	began = time.Now()
	s.put(envelope())
	if n := <-done; n != 1 || time.Since(began) > 10*time.Second {
		s.broken(rule, "got %d after %v", n, time.Since(began))
	}
}

func (s *suite) claimPriority() {
	var want []queue.ID
	for _, p := range []int64{30000, -5000, 90000, 60000} {
		e := envelope()
		e.Priority = p
		id := s.put(e)
		if p < 90000 {
			want = append(want, id)
		}
	}
	want[0], want[1] = want[1], want[0]
	cs, err := s.s.Claim(s.ctx, queue.ClaimRequest{Max: 3})
	s.must(err, "Claim")
	var got []queue.ID
	for _, c := range cs {
		got = append(got, c.Unit().ID)
	}
	if !slices.Equal(got, want) {
		s.broken("lowest Priority value first", "got %v, want %v", got, want)
	}
}

func (s *suite) update() {
	id := s.put(envelope(unit("a@one.example", "b@one.example")))
	c := s.mustClaim(id)
	before := c.Unit().Version
	when := time.Now().Truncate(time.Second)
	err := c.Update(s.ctx, func(u *queue.Unit) {
		u.Rcpts = u.Rcpts[1:]
		u.Rcpts[0].Status = "Deferred: busy"
		u.Status, u.Attempts, u.LastAttempt, u.Priority = "Deferred: busy", 3, when, 777
		u.Flags |= queue.FlagWarned
	})
	s.must(err, "Update")
	if !c.Valid() || s.claim(s.s, id) != nil {
		s.broken("Update changes the unit durably and keeps the claim", "the claim is gone")
	}
	for _, v := range s.views() {
		u, err := v.Get(s.ctx, id)
		s.must(err, "Get")
		if len(u.Rcpts) != 1 || u.Rcpts[0].Addr != "<b@one.example>" || u.Rcpts[0].Status != "Deferred: busy" || u.Status != "Deferred: busy" ||
			u.Attempts != 3 || !u.LastAttempt.Equal(when) || u.Priority != 777 || u.Flags&queue.FlagWarned == 0 || u.State != queue.Deferred {
			s.broken("Update changes the unit durably", "got %+v", u)
		}
		if u.Version == before {
			s.broken("Version changes with every write", "it did not")
		}
	}
	if got := s.text(c.Open(s.ctx)); got != header+"\n"+body {
		s.broken("Open reads header, empty line and body", "after Update: %q", got)
	}
}

func (s *suite) updateIsACopy() {
	c := s.mustClaim(s.put(envelope()))
	old := c.Unit()
	s.must(c.Update(s.ctx, func(u *queue.Unit) {
		u.Rcpts[0].Status = "x"
		u.Attempts = 1
	}), "Update")
	if old.Attempts != 0 || old.Rcpts[0].Status != "" {
		s.broken("f gets a copy", "the old unit was changed")
	}
	if c.Unit().Attempts != 1 {
		s.broken("which becomes the unit when the write has succeeded", "it did not")
	}
}

func (s *suite) reschedule() {
	const rule = "Reschedule is Update that also sets the time of the next attempt and ends the claim"
	id := s.put(envelope())
	c := s.mustClaim(id)
	due := time.Now().Add(3 * time.Hour).Truncate(time.Second)
	s.must(c.Reschedule(s.ctx, due, func(u *queue.Unit) {
		u.Attempts++
		u.LastAttempt = time.Now()
	}), "Reschedule")
	s.is(rule, c.Update(s.ctx, nil), queue.ErrClaimLost)
	for _, v := range s.views() {
		u, err := v.Get(s.ctx, id)
		s.must(err, "Get")
		if !u.Due.Equal(due) || u.Attempts != 1 {
			s.broken(rule, "due %v, want %v; %d attempts", u.Due, due, u.Attempts)
		}
	}
	s.must(s.mustClaim(id).Reschedule(s.ctx, time.Now(), nil), "Reschedule with nil")
	cs, err := s.s.Claim(s.ctx, queue.ClaimRequest{Wait: 5 * time.Second})
	s.must(err, "Claim")
	if len(cs) != 1 {
		s.broken(rule, "it is not due again")
	}
}

func (s *suite) fork() {
	const rule = "Fork makes a new unit of the same message, with the same times and its own recipients, and claims it"
	id := s.put(envelope(unit("a@one.example", "b@two.example")))
	c := s.mustClaim(id)
	n, err := c.Fork(s.ctx, queue.UnitSpec{Sender: "<owner@example.org>", Rcpts: c.Unit().Rcpts[1:]})
	s.must(err, "Fork")
	u := n.Unit()
	if u.ID == id || u.Sender != "<owner@example.org>" || len(u.Rcpts) != 1 || u.Rcpts[0].Addr != "<b@two.example>" ||
		!u.Created.Equal(c.Unit().Created) || s.claim(s.s, u.ID) != nil {
		s.broken(rule, "got %+v", u)
	}
	if len(c.Unit().Rcpts) != 2 {
		s.broken("the recipients stay in this unit until an Update removes them", "they are %v", c.Unit().Rcpts)
	}
	s.must(c.Complete(s.ctx), "Complete of the first")
	if got := s.text(n.Open(s.ctx)); got != header+"\n"+body {
		s.broken("The body goes with the last unit", "the other reads %q", got)
	}
	n.Release()
	if got := s.text(s.mustClaim(u.ID).Open(s.ctx)); got != header+"\n"+body {
		s.broken(rule, "it reads %q", got)
	}
}

func (s *suite) complete() {
	id := s.put(envelope())
	c := s.mustClaim(id)
	s.must(c.Complete(s.ctx), "Complete")
	for _, v := range s.views() {
		_, err := v.Get(s.ctx, id)
		s.is("Complete removes the unit", err, queue.ErrNotFound)
		if s.claim(v, id) != nil {
			s.broken("Complete removes the unit", "it can be claimed")
		}
	}
	s.is("It ends with Complete", c.Complete(s.ctx), queue.ErrClaimLost)
}

func (s *suite) bodyGoesWithLastUnit() {
	d := s.draft(envelope(unit("a@one.example"), unit("b@two.example")))
	cs, err := d.CommitClaimed(s.ctx)
	s.must(err, "CommitClaimed")
	s.must(cs[0].Complete(s.ctx), "Complete")
	id := cs[1].Unit().ID
	cs[1].Release()
	if got := s.text(s.mustClaim(id).Open(s.ctx)); got != header+"\n"+body {
		s.broken("The body goes with the last unit", "it reads %q", got)
	}
}

func (s *suite) hold() {
	for _, st := range []queue.State{queue.Held, queue.Quarantined} {
		id := s.put(envelope())
		c := s.mustClaim(id)
		s.must(c.Hold(s.ctx, st, "because of virus"), "Hold")
		const rule = "Hold sets the unit aside as Held or Quarantined with a reason, durably"
		u, err := s.s.Get(s.ctx, id)
		s.must(err, "Get")
		if u.State != st || !strings.Contains(u.Quarantine, "because of virus") {
			s.broken(rule, "it is %v, %q", u.State, u.Quarantine)
		}
		if slices.Contains(s.ids(queue.Filter{}), id) || !slices.Contains(s.ids(queue.Filter{States: []queue.State{st}}), id) {
			s.broken("List yields the units that match f", "states do not select a %v unit", st)
		}
		if s.claim(s.s, id) != nil {
			s.broken("leaves out those that are gone, held, quarantined or claimed by another", "a %v unit was claimed", st)
		}
		s.is("and ends the claim", c.Update(s.ctx, nil), queue.ErrClaimLost)
		cs, err := s.s.Claim(s.ctx, queue.ClaimRequest{IDs: []queue.ID{id}, Quarantined: true})
		s.must(err, "Claim")
		if len(cs) != 1 {
			s.broken("Quarantined lets IDs take held and quarantined units, too", "it did not")
			continue
		}
		s.must(cs[0].Hold(s.ctx, queue.Ready, ""), "Hold Ready")
		u, err = s.s.Get(s.ctx, id)
		s.must(err, "Get")
		if u.State != queue.Ready || u.Quarantine != "" {
			s.broken("or brings it back as Ready", "it is %v, %q", u.State, u.Quarantine)
		}
		if got := s.text(s.mustClaim(id).Open(s.ctx)); got != header+"\n"+body {
			s.broken("or brings it back as Ready", "it reads %q", got)
		}
	}
}

func (s *suite) release() {
	id := s.put(envelope())
	c := s.mustClaim(id)
	v := c.Unit().Version
	c.Release()
	c.Release()
	u, err := s.s.Get(s.ctx, id)
	s.must(err, "Get")
	if u.Version != v {
		s.broken("Release ends the claim without changing the unit", "the version changed")
	}
}

func (s *suite) claimLost() {
	const rule = "from then on every method fails with ErrClaimLost and changes nothing"
	id := s.put(envelope())
	c := s.mustClaim(id)
	c.Release()
	next := s.mustClaim(id)
	_, err := c.Open(s.ctx)
	s.is(rule, err, queue.ErrClaimLost)
	s.is(rule, c.Update(s.ctx, func(u *queue.Unit) { u.Attempts = 9 }), queue.ErrClaimLost)
	s.is(rule, c.Reschedule(s.ctx, time.Now(), func(u *queue.Unit) { u.Attempts = 9 }), queue.ErrClaimLost)
	s.is(rule, c.Hold(s.ctx, queue.Held, "x"), queue.ErrClaimLost)
	s.is(rule, c.Complete(s.ctx), queue.ErrClaimLost)
	_, err = c.Fork(s.ctx, unit("x@example.net"))
	s.is(rule, err, queue.ErrClaimLost)
	if c.Valid() {
		s.broken(rule, "Valid is true")
	}
	c.Release() // does nothing
	if !next.Valid() || s.claim(s.s, id) != nil {
		s.broken("and Release does nothing", "it ended another claim")
	}
	if u := next.Unit(); u.Attempts != 0 || u.State != queue.Ready {
		s.broken(rule, "the unit is %+v", u)
	}
	s.must(next.Update(s.ctx, nil), "Update by the next claim")
}

func (s *suite) get() {
	_, err := s.s.Get(s.ctx, "NoSuchId")
	s.is("ErrNotFound when there is none", err, queue.ErrNotFound)
	_, err = s.s.Get(s.ctx, "../../etc/passwd")
	s.is("ErrNotFound when there is none", err, queue.ErrNotFound)
}

func (s *suite) list() {
	var all []queue.ID
	for i := range 5 {
		e := envelope(unit(fmt.Sprintf("u%d@example.net", i)))
		if i == 3 {
			e.Sender, e.Units = "<>", []queue.UnitSpec{unit("u3@example.com")}
			e.Created = time.Now().Add(-48 * time.Hour)
		}
		all = append(all, s.put(e))
	}
	const rule = "List yields the units that match f"
	for name, test := range map[string]struct {
		f    queue.Filter
		want []queue.ID
	}{
		"everything":       {queue.Filter{}, all},
		"ids":              {queue.Filter{IDs: all[1:3]}, all[1:3]},
		"sender":           {queue.Filter{Sender: []string{"<>"}}, all[3:4]},
		"sender domain":    {queue.Filter{Sender: []string{"@EXAMPLE.org"}}, slices.Delete(slices.Clone(all), 3, 4)},
		"recipient":        {queue.Filter{Rcpt: []string{"U2@example.net"}}, all[2:3]},
		"recipient domain": {queue.Filter{Domain: []string{"example.com"}}, all[3:4]},
		"age":              {queue.Filter{OlderThan: time.Hour}, all[3:4]},
		"size":             {queue.Filter{MinSize: 1 << 20}, nil},
		"pattern":          {queue.Filter{Patterns: []queue.Pattern{{Kind: 'R', Text: "U4"}}}, all[4:]},
		"not pattern":      {queue.Filter{Patterns: []queue.Pattern{{Kind: 'R', Text: "net", Not: true}}}, all[3:4]},
		"state":            {queue.Filter{States: []queue.State{queue.Deferred}}, nil},
	} {
		want := slices.Clone(test.want)
		if name == "state" { // States select Deferred from Ready
			want = nil
		}
		slices.Sort(want)
		if got := s.ids(test.f); !slices.Equal(got, want) {
			s.broken(rule, "%s: got %v, want %v", name, got, want)
		}
	}
	if n := len(s.ids(queue.Filter{Limit: 2})); n != 2 {
		s.broken("Limit ends a listing after so many units", "got %d", n)
	}
}

func (s *suite) listStops() {
	for range 70 {
		s.put(envelope())
	}
	n := 0
	for range s.s.List(s.ctx, queue.Filter{}) {
		if n++; n == 3 {
			break
		}
	}
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	var err error
	for _, err = range s.s.List(ctx, queue.Filter{}) {
	}
	s.is("a cancelled listing ends with the context's error", err, context.Canceled)
}

func (s *suite) admin() {
	ids := []queue.ID{s.put(envelope()), s.put(envelope()), s.put(envelope())}
	const rule = "Admin applies a to every unit that matches f"
	do := func(f queue.Filter, a queue.Action, want int) {
		s.Helper()
		res, err := s.s.Admin(s.ctx, f, a)
		s.must(err, "Admin")
		if res.Changed != want || res.Matched != want || res.Busy != 0 || res.Failed != 0 {
			s.broken(rule, "action %d: %+v, want %d changed", a.Kind, res, want)
		}
	}
	do(queue.Filter{IDs: ids[:2]}, queue.Action{Kind: queue.ActionHold, Reason: "wait"}, 2)
	if got := s.ids(queue.Filter{}); !slices.Equal(got, ids[2:]) {
		s.broken(rule, "hold left %v", got)
	}
	do(queue.Filter{States: []queue.State{queue.Held}, IDs: ids[:1]}, queue.Action{Kind: queue.ActionRelease}, 1)
	do(queue.Filter{IDs: ids[:1]}, queue.Action{Kind: queue.ActionQuarantine, Reason: "virus"}, 1)
	do(queue.Filter{States: []queue.State{queue.Held, queue.Quarantined}}, queue.Action{Kind: queue.ActionRelease}, 2)
	s.must(s.mustClaim(ids[0]).Reschedule(s.ctx, time.Now().Add(time.Hour), func(u *queue.Unit) { u.Attempts, u.LastAttempt = 4, time.Now() }), "Reschedule")
	do(queue.Filter{IDs: ids[:1]}, queue.Action{Kind: queue.ActionRetry}, 1)
	if u, _ := s.s.Get(s.ctx, ids[0]); u == nil || u.Due.After(time.Now()) || u.Attempts != 4 {
		s.broken("ActionRetry: due at once", "got %+v", u)
	}
	do(queue.Filter{IDs: ids[:1]}, queue.Action{Kind: queue.ActionRequeue}, 1)
	if u, _ := s.s.Get(s.ctx, ids[0]); u == nil || u.Attempts != 0 || u.State != queue.Ready {
		s.broken("ActionRequeue: with the counters of a new message", "got %+v", u)
	}
	called := 0
	do(queue.Filter{}, queue.Action{Kind: queue.ActionCall, Do: func(context.Context, queue.Claim) error { called++; return nil }}, 3)
	if called != 3 {
		s.broken("Do is called by ActionCall with each unit claimed", "%d times", called)
	}
	do(queue.Filter{IDs: ids[:2]}, queue.Action{Kind: queue.ActionRemove}, 2)
	if got := s.ids(queue.Filter{}); !slices.Equal(got, ids[2:]) {
		s.broken(rule, "remove left %v", got)
	}
	boom := errors.New("boom")
	res, err := s.s.Admin(s.ctx, queue.Filter{}, queue.Action{Kind: queue.ActionCall, Do: func(context.Context, queue.Claim) error { return boom }})
	s.is("the errors are joined", err, boom)
	if res.Failed != 1 {
		s.broken("It goes on after a failure of one unit", "%+v", res)
	}
	s.mustClaim(ids[2]).Release() // was released after the failure
}

func (s *suite) adminBusy() {
	c := s.mustClaim(s.put(envelope()))
	s.put(envelope())
	res, err := s.s.Admin(s.ctx, queue.Filter{}, queue.Action{Kind: queue.ActionRemove})
	s.must(err, "Admin")
	if res.Matched != 2 || res.Changed != 1 || res.Busy != 1 || !c.Valid() {
		s.broken("such units count as Busy and stay as they are", "%+v", res)
	}
	s.must(c.Complete(s.ctx), "Complete")
}

func (s *suite) cancelled() {
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	const rule = "cancellation returns ctx.Err() and leaves state as if the call had not begun"
	_, err := s.s.Create(ctx, envelope())
	s.is(rule, err, context.Canceled)
	d := s.draft(envelope())
	s.is(rule, d.Commit(ctx), context.Canceled)
	s.must(d.Commit(s.ctx), "Commit after a cancelled one")
	c := s.mustClaim(d.ID())
	s.is(rule, c.Update(ctx, func(u *queue.Unit) { u.Attempts = 9 }), context.Canceled)
	s.is(rule, c.Reschedule(ctx, time.Now(), nil), context.Canceled)
	s.is(rule, c.Complete(ctx), context.Canceled)
	s.is(rule, c.Hold(ctx, queue.Held, ""), context.Canceled)
	if !c.Valid() || c.Unit().Attempts != 0 {
		s.broken(rule, "the claim changed")
	}
	s.must(c.Update(s.ctx, nil), "Update afterwards")
}

// concurrent queues, tries, reschedules and completes from many goroutines: everything is completed exactly once.
func (s *suite) concurrent() {
	const writers, each = 8, 6
	var mu sync.Mutex
	done := make(map[queue.ID]int)
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for k := range each {
				d, err := s.s.Create(s.ctx, envelope(unit("a@one.example"), unit("b@two.example")))
				if err != nil {
					s.Errorf("Create: %v", err)
					return
				}
				io.WriteString(d, body)
				if k%2 == 0 {
					err = d.Commit(s.ctx)
				} else {
					var cs []queue.Claim
					cs, err = d.CommitClaimed(s.ctx)
					for _, c := range cs {
						c.Release()
					}
				}
				if err != nil {
					s.Errorf("Commit: %v", err)
				}
			}
		})
	}
	stop, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	for range 4 {
		wg.Go(func() {
			for stop.Err() == nil {
				cs, err := s.s.Claim(stop, queue.ClaimRequest{Max: 8, Wait: 50 * time.Millisecond})
				if err != nil && stop.Err() == nil {
					s.Errorf("Claim: %v", err)
					return
				}
				for _, c := range cs {
					u := c.Unit()
					if u.Attempts == 0 {
						err = c.Reschedule(s.ctx, time.Now(), func(u *queue.Unit) { u.Attempts++ })
					} else {
						err = c.Complete(s.ctx)
						mu.Lock()
						if done[u.ID]++; len(done) == 2*writers*each {
							cancel()
						}
						mu.Unlock()
					}
					if err != nil {
						s.Errorf("%s: %v", u.ID, err)
					}
				}
			}
		})
	}
	wg.Wait()
	if len(done) != 2*writers*each {
		s.broken("units are claimed until they are complete", "%d of %d", len(done), 2*writers*each)
	}
	for id, n := range done {
		if n != 1 {
			s.broken("Claim takes units for exclusive use", "%s was completed %d times", id, n)
		}
	}
}

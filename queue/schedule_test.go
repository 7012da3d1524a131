package queue

import (
	"context"
	"fmt"
	"iter"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
)

// run starts the world's Runner inside a synctest bubble and returns what ends it.
func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error)
	go func() { done <- w.runner.Run(ctx) }()
	synctest.Wait()
	return func() {
		cancel()
		require.NoError(w.t, <-done)
	}
}

func refused(int, *mtakit.Attempt) error {
	return &mtakit.Error{Code: 421, Status: mtakit.StatusNoAnswer, Text: "Connection refused by mx.example.net."}
}

func TestDestinationDownCostsOneAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{InitialPerDestination: 1, PerDestination: 1})
		w.answer = refused
		stop := w.run()
		for range 30 {
			w.queue("bob@example.net")
		}
		synctest.Wait()
		assert.Len(t, w.tried(), 1, "the other 29 learn from the first")
		assert.Zero(t, w.runner.Stats().Ready, "and none could be tried now")
		time.Sleep(59 * time.Minute) // back-off of the destination: 1, 2, 4, 8, 16, 30 minutes
		synctest.Wait()
		assert.LessOrEqual(t, len(w.tried()), 7)
		assert.GreaterOrEqual(t, len(w.tried()), 5)
		assert.Equal(t, []string{"example.net"}, w.runner.Stats().Down)
		w.mu.Lock()
		w.answer = func(int, *mtakit.Attempt) error { return nil }
		w.mu.Unlock()
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		assert.Zero(t, w.left())
		assert.Empty(t, w.runner.Stats().Down)
		stop()
	})
}

func TestExpiryDoesNotWaitForTheDestination(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{InitialPerDestination: 1, PerDestination: 1})
		w.answer = refused
		stop := w.run()
		for range 5 {
			w.queue("bob@example.net")
		}
		time.Sleep(5*24*time.Hour + time.Hour)
		synctest.Wait()
		assert.Zero(t, w.left())
		bounces, warnings := 0, 0
		for _, r := range w.reported() {
			switch r.Text {
			case "Cannot send message for 5 days":
				bounces++
			case "Warning: could not send message for past 4 hours":
				warnings++
			}
		}
		assert.Equal(t, 5, bounces)
		assert.Equal(t, 5, warnings)
		stop()
	})
}

func TestTimeoutsByClass(t *testing.T) {
	o := Options{Return: Timeouts{Urgent: time.Hour, NonUrgent: 7 * 24 * time.Hour, DSN: 2 * time.Hour}, Warn: Timeouts{Urgent: time.Minute}}
	created := time.Unix(1795334713, 0)
	unit := func(header string, change func(*Unit)) *Unit {
		u := &Unit{Envelope: Envelope{Sender: "<ann@example.org>", Header: []byte(header), Created: created}, Rcpts: []Recipient{{Addr: "<b@c>", Flags: RcptDelay | RcptFailure}}}
		if change != nil {
			change(u)
		}
		return u
	}
	for name, test := range map[string]struct {
		u            *Unit
		expire, warn time.Duration // warn 0 is never
	}{
		"normal":           {unit("Subject: x\n", nil), 5 * 24 * time.Hour, 4 * time.Hour},
		"bulk":             {unit("Precedence: bulk\n", nil), 7 * 24 * time.Hour, 0},
		"special-delivery": {unit("Precedence:\n special-delivery\n", nil), time.Hour, time.Minute},
		"Priority wins":    {unit("Precedence: bulk\nPriority: Urgent\n", nil), time.Hour, time.Minute},
		"report":           {unit("Content-Type: multipart/report;\n\treport-type=delivery-status\n", nil), 2 * time.Hour, 0},
		"response":         {unit("", func(u *Unit) { u.Flags |= FlagResponse }), 2 * time.Hour, 0},
		"null sender":      {unit("", func(u *Unit) { u.Sender = "<>" }), 5 * 24 * time.Hour, 0},
		"owner":            {unit("", func(u *Unit) { u.Sender = "<owner-list@x>" }), 5 * 24 * time.Hour, 0},
		"request":          {unit("", func(u *Unit) { u.Sender = "<list-request@x>" }), 5 * 24 * time.Hour, 0},
		"nobody asked":     {unit("", func(u *Unit) { u.Rcpts[0].Flags = RcptFailure }), 5 * 24 * time.Hour, 0},
		"warned":           {unit("", func(u *Unit) { u.Flags |= FlagWarned }), 5 * 24 * time.Hour, 0},
		"by return":        {unit("", func(u *Unit) { u.DeliverBy = DeliverBy{ByReturn, 30 * time.Minute} }), 30 * time.Minute, 0},
		"by notify":        {unit("", func(u *Unit) { u.DeliverBy = DeliverBy{ByNotify, 30 * time.Minute} }), 5 * 24 * time.Hour, 30 * time.Minute},
	} {
		expire, warn := o.deadlines(test.u)
		assert.Equal(t, test.expire, expire.Sub(created), name)
		if test.warn == 0 {
			if name != "report" {
				assert.True(t, warn.IsZero(), name)
			}
		} else {
			assert.Equal(t, test.warn, warn.Sub(created), name)
		}
	}
}

func TestBackoff(t *testing.T) {
	b := Backoff{First: time.Minute, Max: 10 * time.Minute, Jitter: -1}
	for attempts, want := range map[int]time.Duration{0: time.Minute, 1: time.Minute, 2: 2 * time.Minute, 4: 8 * time.Minute, 5: 10 * time.Minute, 5000: 10 * time.Minute} {
		assert.Equal(t, want, b.Delay("x", attempts), "%d", attempts)
	}
	seen := map[time.Duration]bool{}
	for i := range 100 {
		d := Backoff{}.Delay(ID(fmt.Sprint("id", i)), 1)
		assert.GreaterOrEqual(t, d, 5*time.Minute)
		assert.LessOrEqual(t, d, 6*time.Minute)
		assert.Equal(t, d, Backoff{}.Delay(ID(fmt.Sprint("id", i)), 1), "a pure function")
		seen[d] = true
	}
	assert.Greater(t, len(seen), 90)
}

func TestSpell(t *testing.T) {
	for d, want := range map[time.Duration]string{5 * 24 * time.Hour: "5 days", 28 * time.Hour: "1 day, 4 hours", time.Hour: "1 hour", 14 * 24 * time.Hour: "2 weeks", 90 * time.Second: "1 minute, 30 seconds", 0: "0 seconds"} {
		assert.Equal(t, want, spell(d))
	}
}

func TestPauseAndPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{PerDestination: 1})
		var order []string
		w.answer = func(_ int, a *mtakit.Attempt) error {
			order = append(order, a.Rcpts[0].Addr.Local)
			return nil
		}
		stop := w.run()
		w.runner.Pause("example.net")
		for i, class := range []int{0, -100, 100, -30} {
			env := &Envelope{Sender: "<>", Class: class, Units: []UnitSpec{{Rcpts: []Recipient{{Addr: fmt.Sprintf("<%d@example.net>", i)}}}}}
			d, err := w.dir.Create(t.Context(), env)
			require.NoError(t, err)
			require.NoError(t, d.Commit(t.Context()))
		}
		w.queue("other@example.com")
		synctest.Wait()
		assert.Equal(t, []string{"other"}, order)
		w.runner.Resume("example.net")
		synctest.Wait()
		assert.Equal(t, []string{"other", "2", "0", "3", "1"}, order)
		w.runner.Pause("")
		w.queue("late@example.com")
		time.Sleep(time.Minute)
		assert.Len(t, order, 5)
		w.runner.Resume("")
		synctest.Wait()
		assert.Len(t, order, 6)
		stop()
	})
}

func TestRateAndConcurrencyLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Limits: func(dest string) Limit { return Limit{Concurrency: 1, Interval: 10 * time.Second} }})
		stop := w.run()
		for range 5 {
			w.queue("bob@example.net")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, w.tried(), 5)
		for i, at := range w.tried() {
			assert.Equal(t, time.Duration(i)*10*time.Second, at.Round(time.Second))
		}
		stop()
	})
}

func TestMinQueueAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{MinQueueAge: time.Hour, Retry: func(*Unit) time.Duration { return time.Minute }})
		w.answer = func(try int, _ *mtakit.Attempt) error {
			if try < 2 {
				return &mtakit.Error{Code: 451, Text: "later"}
			}
			return nil
		}
		stop := w.run()
		w.queue("bob@example.net")
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if assert.Len(t, w.tried(), 3) {
			assert.Equal(t, 2*time.Hour, w.tried()[2].Round(time.Minute))
		}
		stop()
	})
}

// TestDrain: attempts under way are finished when the Runner is told to end, and no new ones begin.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{PerDestination: 2})
		w.answer = func(int, *mtakit.Attempt) error { return nil }
		r := w.runner
		slow := r.o.Mailers["esmtp"]
		r.o.Mailers = map[string]mtakit.Mailer{"esmtp": mtakit.MailerFunc(func(ctx context.Context, a *mtakit.Attempt) []mtakit.Result {
			time.Sleep(5 * time.Second)
			return slow.Deliver(ctx, a)
		})}
		stop := w.run()
		for range 6 {
			w.queue("bob@example.net")
		}
		time.Sleep(time.Second)
		began := time.Now()
		stop()
		assert.Equal(t, 4*time.Second, time.Since(began))
		assert.Len(t, w.tried(), 2)
		assert.Equal(t, 4, w.left(), "the others stay queued")
		for u := range w.dir.List(t.Context(), Filter{}) {
			cs, err := w.dir.Claim(t.Context(), ClaimRequest{IDs: []ID{u.ID}})
			require.NoError(t, err)
			assert.Len(t, cs, 1, "and nobody holds them")
		}
	})
}

// TestOthersChanges: what another process does to the spool is found by the next look.
func TestOthersChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Retry: func(*Unit) time.Duration { return 10 * time.Hour }})
		w.answer = func(try int, _ *mtakit.Attempt) error { return &mtakit.Error{Code: 451, Text: "later"} }
		stop := w.run()
		id := w.queue("bob@example.net")
		synctest.Wait()
		require.Len(t, w.tried(), 1)
		other, err := Open(w.dir.root, nil)
		require.NoError(t, err)
		_, err = other.Admin(t.Context(), Filter{IDs: []ID{id}}, Action{Kind: ActionRetry})
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		assert.Len(t, w.tried(), 2, "retry")
		_, err = other.Admin(t.Context(), Filter{IDs: []ID{id}}, Action{Kind: ActionHold})
		require.NoError(t, err)
		time.Sleep(30 * time.Hour)
		assert.Len(t, w.tried(), 2, "held")
		_, err = other.Admin(t.Context(), Filter{States: []State{Held}}, Action{Kind: ActionRelease})
		require.NoError(t, err)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		assert.Len(t, w.tried(), 3, "released")
		stop()
	})
}

// TestAliasWithOwner: members of a list that have to wait become recipients of their own, with the owner as sender.
func TestAliasWithOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		w.runner.o.Resolve = func(_ context.Context, _ *Unit, r Recipient) ([]Target, error) {
			a := r.Address()
			route := mtakit.Route{Mailer: "esmtp", Host: a.Domain}
			if a.Local != "list" {
				return []Target{{Addr: a, Route: route}}, nil
			}
			return []Target{
				{Addr: mtakit.Address{Local: "ok", Domain: "example.net"}, Route: route, Queue: "ok@example.net"},
				{Addr: mtakit.Address{Local: "late", Domain: "example.net"}, Route: route, Queue: "late@example.net", Sender: "owner-list@example.org",
					Control: mtakit.Control{Origin: "<list@example.org>", Alias: true}},
			}, nil
		}
		var senders []string
		w.answer = func(try int, a *mtakit.Attempt) error {
			senders = append(senders, a.From.String()+">"+a.Rcpts[0].Addr.String())
			if try < 2 && a.Rcpts[0].Addr.Local == "late" {
				return &mtakit.Error{Code: 451, Text: "later"}
			}
			return nil
		}
		stop := w.run()
		w.queue("list@example.org")
		synctest.Wait()
		require.Equal(t, 1, w.left())
		for u := range w.dir.List(t.Context(), Filter{}) {
			assert.Equal(t, "owner-list@example.org", u.Sender)
			assert.Equal(t, "late@example.net", u.Rcpts[0].Addr)
			assert.Equal(t, RcptFailure|RcptDelay|RcptAlias, u.Rcpts[0].Flags)
			assert.Equal(t, "<list@example.org>", u.Rcpts[0].Control.Origin)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Zero(t, w.left())
		assert.ElementsMatch(t, []string{"ann@example.org>ok@example.net", "owner-list@example.org>late@example.net", "owner-list@example.org>late@example.net"}, senders)
		stop()
	})
}

// TestOwnerIsTold: what becomes of the members of a list with an owner is told to the owner, with what a new message asks for,
// and the sender who wanted to hear of the success hears that the list was expanded. A member that waits carries what
// sendmail writes for it: flags FDA, no RET=.
func TestOwnerIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{})
		w.runner.o.Resolve = func(_ context.Context, u *Unit, r Recipient) (ts []Target, err error) {
			if r.Address().Local != "list" {
				return []Target{{Addr: r.Address(), Route: mtakit.Route{Mailer: "esmtp", Host: "later"}}}, nil
			}
			for _, name := range []string{"fine", "unknown", "later"} {
				a := mtakit.Address{Local: name, Domain: "example.net"}
				ts = append(ts, Target{Addr: a, Route: mtakit.Route{Mailer: "esmtp", Host: name}, Queue: a.String(), Sender: "owner-list@example.org",
					Control: mtakit.Control{Origin: "<list@example.org>", Alias: true}})
			}
			return ts, nil
		}
		w.answer = func(_ int, a *mtakit.Attempt) error {
			assert.Equal(t, "owner-list@example.org", a.From.String())
			assert.Zero(t, a.Rcpts[0].Notify)
			assert.Empty(t, a.Ret)
			switch a.Host {
			case "unknown":
				return &mtakit.Error{Code: 550, Status: mtakit.StatusBadMailbox, Text: "User unknown"}
			case "later":
				return &mtakit.Error{Code: 451, Text: "later"}
			}
			return nil
		}
		stop := w.run()
		d, err := w.dir.Create(t.Context(), &Envelope{Sender: "<ann@example.org>", EnvID: "abc", Flags: FlagRet | FlagNoBody, Units: []UnitSpec{{Rcpts: []Recipient{{
			Addr: "<list@example.org>", Original: "rfc822;list@orig.example", Flags: RcptPrimary | RcptNotify | RcptSuccess}}}}})
		require.NoError(t, err)
		require.NoError(t, d.Commit(t.Context()))
		synctest.Wait()
		for u := range w.dir.List(t.Context(), Filter{}) {
			assert.Equal(t, RcptFailure|RcptDelay|RcptAlias, u.Rcpts[0].Flags)
			assert.Equal(t, "rfc822;list@orig.example", u.Rcpts[0].Original)
			assert.Equal(t, "abc", u.EnvID)
			assert.Empty(t, u.Ret())
		}
		assert.Equal(t, 1, w.left())
		told := map[string]string{}
		for _, r := range w.reported() {
			for _, rr := range r.Rcpts {
				told[r.Sender+" "+string(rr.Action)] += rr.Target.Addr.String()
			}
		}
		assert.Equal(t, map[string]string{" expanded": "list@example.org", "owner-list@example.org failed": "unknown@example.net"}, told)
		time.Sleep(6 * 24 * time.Hour) // the one that waits bounces to the owner, too, whose unit it is
		synctest.Wait()
		assert.Zero(t, w.left())
		last := w.reported()[len(w.reported())-1]
		assert.Equal(t, "owner-list@example.org", last.Claim.Unit().Sender)
		assert.Equal(t, ActionFailed, last.Rcpts[0].Action)
		stop()
	})
}

// TestReporterTellsTheOwner: a Report with a Sender goes there, whole, whatever the message's sender asked for.
func TestReporterTellsTheOwner(t *testing.T) {
	t.Parallel()
	d, err := Open(t.TempDir(), nil)
	require.NoError(t, err)
	w, err := d.Create(t.Context(), &Envelope{Sender: "<ann@example.org>", Header: []byte("Subject: x\n"), Flags: FlagRet | FlagNoBody,
		Units: []UnitSpec{{Rcpts: []Recipient{{Addr: "<list@example.org>", Flags: RcptPrimary | RcptFailure}}}}})
	require.NoError(t, err)
	_, err = w.Write([]byte("the body\n"))
	require.NoError(t, err)
	claims, err := w.CommitClaimed(t.Context())
	require.NoError(t, err)
	defer claims[0].Release()
	rr := ReportRcpt{Recipient: claims[0].Unit().Rcpts[0], Action: ActionFailed, Target: Target{Addr: mtakit.Address{Local: "unknown", Domain: "example.net"}},
		Result: mtakit.Result{Err: &mtakit.Error{Code: 550, Status: mtakit.StatusBadMailbox, Text: "User unknown"}}}
	p := &Reporter{Store: d, Host: "mx.example.org"}
	require.NoError(t, p.Report(t.Context(), &Report{Claim: claims[0], Rcpts: []ReportRcpt{rr}, Sender: "owner-list@example.org"}))
	n := 0
	for u, err := range d.List(t.Context(), Filter{Sender: []string{"<>"}}) {
		require.NoError(t, err)
		n++
		assert.Equal(t, "<owner-list@example.org>", u.Rcpts[0].Addr)
		body, err := os.ReadFile(d.spools[0].file('d', u.ID))
		require.NoError(t, err)
		assert.Contains(t, string(body), "the body\n")
	}
	assert.Equal(t, 1, n)
}

// TestDeliverByNotify: the sender hears that the time is over, in sendmail's words, once, and delivery goes on.
func TestDeliverByNotify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Retry: func(*Unit) time.Duration { return 5 * time.Minute }})
		w.answer = func(try int, _ *mtakit.Attempt) error {
			if time.Since(w.start) < 9*time.Hour {
				return temporary("")
			}
			return nil
		}
		stop := w.run()
		d, err := w.dir.Create(t.Context(), &Envelope{Sender: "<ann@example.org>", DeliverBy: DeliverBy{ByNotify, 30 * time.Minute}, Units: []UnitSpec{{Rcpts: []Recipient{{
			Addr: "<bob@example.net>", Flags: RcptPrimary | RcptFailure | RcptDelay}}}}})
		require.NoError(t, err)
		require.NoError(t, d.Commit(t.Context()))
		time.Sleep(10 * time.Hour)
		synctest.Wait()
		assert.Zero(t, w.left())
		if assert.Len(t, w.reported(), 1) {
			assert.Equal(t, "Warning: Delivery time (1800s) exceeded", w.reported()[0].Text)
		}
		stop()
	})
}

// lateClaim is a Store that does something between a Claim that came too soon and its answer.
type lateClaim struct {
	*Dir
	after func()
}

func (s lateClaim) Claim(ctx context.Context, req ClaimRequest) ([]Claim, error) {
	cs, err := s.Dir.Claim(ctx, req)
	if len(cs) == 0 {
		s.after()
	}
	return cs, err
}

// TestReleaseIsHeard: a scan may meet a message that is still in the hands of whoever accepts it. It is tried as soon as it is
// released, not when the Runner would have asked again.
func TestReleaseIsHeard(t *testing.T) {
	for name, during := range map[string]bool{"after the vain claim": false, "during the vain claim": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, Options{Rescan: -1})
				var held []Claim
				vain := 0
				o := w.runner.o
				o.Store = lateClaim{w.dir, func() {
					vain++
					if during {
						held[0].Release()
					}
				}}
				w.runner = NewRunner(o)
				stop := w.run()
				d, err := w.dir.Create(t.Context(), &Envelope{Sender: "<ann@example.org>", Units: []UnitSpec{{Rcpts: []Recipient{{Addr: "<bob@example.net>"}}}}})
				require.NoError(t, err)
				held, err = d.CommitClaimed(t.Context())
				require.NoError(t, err)
				w.runner.Wake()
				synctest.Wait()
				assert.Equal(t, 1, vain)
				time.Sleep(time.Second)
				held[0].Release()
				synctest.Wait()
				assert.Len(t, w.tried(), 1)
				assert.Zero(t, w.left())
				stop()
			})
		})
	}
}

// TestBlockedMailIsFree: what waits for a destination that does not answer or is paused is nobody's, so that an operator can
// hold or delete it.
func TestBlockedMailIsFree(t *testing.T) {
	for name, dest := range map[string]string{"down": "", "paused": "example.net", "all paused": ""} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, Options{InitialPerDestination: 1, PerDestination: 1})
				w.answer = refused
				before, after := w.queue("bob@example.net"), w.queue("bob@example.net")
				stop := w.run()
				if name == "down" {
					assert.Len(t, w.tried(), 1)
				} else {
					w.runner.Pause(dest)
				}
				later := w.queue("bob@example.net")
				for _, id := range []ID{before, after, later} {
					res, err := w.dir.Admin(t.Context(), Filter{IDs: []ID{id}}, Action{Kind: ActionHold})
					require.NoError(t, err)
					assert.Equal(t, AdminResult{Matched: 1, Changed: 1}, res)
				}
				time.Sleep(6 * time.Hour)
				assert.Len(t, w.tried(), 1)
				stop()
			})
		})
	}
}

// TestLanesAreForgotten: what is known of a destination goes when it has no more mail and its back-off and rate limit are
// over, so that a server which runs for years keeps nothing of destinations that are gone.
func TestLanesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Return: Timeouts{Normal: time.Hour}, Limits: func(string) Limit { return Limit{Interval: 10 * time.Minute} }})
		w.answer = func(_ int, a *mtakit.Attempt) error {
			if a.Host == "up.example" {
				return nil
			}
			return refused(0, a)
		}
		stop := w.run()
		for i := range 20 {
			w.queue(fmt.Sprintf("bob@down%d.example", i))
		}
		w.queue("bob@up.example")
		w.runner.Pause("paused.example")
		w.runner.Resume("paused.example")
		w.runner.Pause("stays.example")
		lanes := func() int {
			w.runner.mu.Lock()
			defer w.runner.mu.Unlock()
			return len(w.runner.lanes)
		}
		synctest.Wait()
		assert.Equal(t, 22, lanes())
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		assert.Zero(t, w.left())
		assert.Equal(t, 1, lanes(), "the one that is paused")
		stop()
	})
}

// TestHangingDestination: one destination that hangs takes only its share.
func TestHangingDestination(t *testing.T) {
	rate := func(hang bool) int {
		var done atomic.Int64
		synctest.Test(t, func(t *testing.T) {
			st := &simulated{units: 20000, dest: func(i int) string {
				if hang && i%2 == 0 {
					return "hangs.example"
				}
				return fmt.Sprintf("d%d.example", i%40)
			}}
			r := NewRunner(Options{Store: st, Rescan: -1, Concurrency: 100, Attempt: func(ctx context.Context, c Claim) []Outcome {
				if c.Unit().Dest == "hangs.example" {
					select {
					case <-time.After(5 * time.Minute):
					case <-ctx.Done():
					}
					return []Outcome{{Tried: true, Result: mtakit.Result{Err: refused(0, nil)}}}
				}
				time.Sleep(100 * time.Millisecond)
				done.Add(1)
				return []Outcome{{Tried: true}}
			}, Drain: time.Millisecond})
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			r.Run(ctx)
		})
		return int(done.Load())
	}
	alone, beside := rate(false), rate(true)
	t.Logf("%d deliveries in 5 s alone, %d beside a destination that hangs", alone, beside)
	assert.GreaterOrEqual(t, float64(beside), 0.9*float64(alone))
}

// simulated is a Store of many units that exist only when looked at.
type simulated struct {
	Store
	units int
	dest  func(i int) string
	retry time.Duration
}

func (s *simulated) unit(i int) *Unit {
	return &Unit{Envelope: Envelope{ID: ID(fmt.Sprintf("6AM8%04dX%06d", i/1000000, i%1000000)), Sender: "<a@b.example>", Created: time.Now(), Priority: 30000}, Dest: s.dest(i),
		Rcpts: []Recipient{{Addr: "<x@y.example>", Flags: RcptFailure}}, Version: 1}
}

func (s *simulated) List(ctx context.Context, _ Filter) iter.Seq2[*Unit, error] {
	return func(yield func(*Unit, error) bool) {
		for i := range s.units {
			u := s.unit(i)
			if s.retry > 0 {
				u.Attempts, u.State, u.Due = 1, Deferred, time.Now().Add(s.retry+time.Duration(i)*time.Millisecond)
			}
			if !yield(u, nil) {
				return
			}
		}
	}
}

func (s *simulated) Claim(_ context.Context, req ClaimRequest) ([]Claim, error) {
	var a, b int
	fmt.Sscanf(string(req.IDs[0]), "6AM8%04dX%06d", &a, &b)
	return []Claim{&simulatedClaim{s: s, u: s.unit(a*1000000 + b)}}, nil
}

type simulatedClaim struct {
	Claim
	s *simulated
	u *Unit
}

func (c *simulatedClaim) Unit() *Unit                    { return c.u }
func (c *simulatedClaim) Valid() bool                    { return true }
func (c *simulatedClaim) Complete(context.Context) error { return nil }
func (c *simulatedClaim) Release()                       {}
func (c *simulatedClaim) Reschedule(_ context.Context, due time.Time, f func(*Unit)) error {
	f(c.u)
	c.u.Due = due
	return nil
}

// TestMemory: what a Runner needs for a deferred unit. BenchmarkMillion is the same for a million.
func TestMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector needs memory of its own")
	}
	bytes, perEvent := loadRunner(t, 100_000)
	t.Logf("%.0f bytes each, %v per event", bytes, perEvent)
	assert.Less(t, bytes, 300.0)
}

// loadRunner loads n deferred units in a thousand destinations, and moves many of them about.
func loadRunner(tb testing.TB, n int) (bytesEach float64, perEvent time.Duration) {
	st := &simulated{units: n, dest: func(i int) string { return fmt.Sprintf("d%d.example", i%1000) }, retry: time.Hour}
	r := NewRunner(Options{Store: st, Rescan: -1, Attempt: func(context.Context, Claim) []Outcome { return nil }})
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	before := heap()
	r.scan(context.Background())
	bytesEach = (heap() - before) / float64(n)
	require.Equal(tb, n, r.Stats().Units)
	began := time.Now()
	r.mu.Lock()
	const events = 100_000
	for i := range events {
		it := r.timers[len(r.timers)-1-i%1000]
		r.unready(it)
		it.due += int64(time.Hour)
		r.place(it, time.Now())
	}
	r.mu.Unlock()
	perEvent = time.Since(began) / events
	runtime.KeepAlive(r)
	return bytesEach, perEvent
}

// BenchmarkMillion is a Runner with a million deferred units.
func BenchmarkMillion(b *testing.B) {
	for b.Loop() {
		bytes, perEvent := loadRunner(b, 1_000_000)
		b.ReportMetric(bytes, "B/unit")
		b.ReportMetric(float64(perEvent.Nanoseconds()), "ns/event")
	}
}

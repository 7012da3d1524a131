package queue

import (
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
)

// world is a spool, a Runner and a scripted mailer.
type world struct {
	t      *testing.T
	dir    *Dir
	runner *Runner
	mu     sync.Mutex
	events []mtakit.Event
	report []*Report
	tries  []time.Duration
	start  time.Time
	answer func(try int, a *mtakit.Attempt) error
}

func newWorld(t *testing.T, o Options) *world {
	d, err := Open(t.TempDir(), nil)
	require.NoError(t, err)
	w := &world{t: t, dir: d, start: time.Now(), answer: func(int, *mtakit.Attempt) error { return nil }}
	o.Store = d
	o.Resolve = func(_ context.Context, _ *Unit, r Recipient) ([]Target, error) {
		a := r.Address()
		return []Target{{Addr: a, Route: mtakit.Route{Mailer: "esmtp", Host: a.Domain, User: a.String()}}}, nil
	}
	o.Mailers = map[string]mtakit.Mailer{"esmtp": mtakit.MailerFunc(w.deliver)}
	o.Listener = func(e mtakit.Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.events = append(w.events, e)
	}
	o.Report = func(_ context.Context, r *Report) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.report = append(w.report, r)
		return nil
	}
	w.runner = NewRunner(o)
	return w
}

// tried returns when deliveries were tried so far, since the start.
func (w *world) tried() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.tries)
}

// reported returns the reports so far.
func (w *world) reported() []*Report {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.report)
}

func (w *world) deliver(_ context.Context, a *mtakit.Attempt) []mtakit.Result {
	w.mu.Lock()
	n := len(w.tries)
	w.tries = append(w.tries, time.Since(w.start))
	err := w.answer(n, a)
	w.mu.Unlock()
	out := make([]mtakit.Result, len(a.Rcpts))
	for i := range out {
		out[i] = mtakit.Result{Err: err}
	}
	return out
}

func (w *world) queue(rcpts ...string) ID {
	var rs []Recipient
	for _, r := range rcpts {
		rs = append(rs, Recipient{Addr: "<" + r + ">", Flags: RcptPrimary | RcptFailure | RcptDelay})
	}
	d, err := w.dir.Create(context.Background(), &Envelope{Sender: "<ann@example.org>", Header: []byte("Subject: x\n"), Units: []UnitSpec{{Rcpts: rs}}})
	require.NoError(w.t, err)
	_, err = io.WriteString(d, "body\n")
	require.NoError(w.t, err)
	claims, err := d.CommitClaimed(context.Background())
	require.NoError(w.t, err)
	w.runner.Submit(claims...)
	return d.ID()
}

func (w *world) left() (n int) {
	for range w.dir.List(context.Background(), Filter{}) {
		n++
	}
	return n
}

func TestRunnerFiveDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Retry: func(u *Unit) time.Duration { return time.Hour }})
		w.answer = func(int, *mtakit.Attempt) error {
			return &mtakit.Error{Code: 451, Status: 4_007_001, Text: "Greylisted"}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.runner.Run(ctx) }()
		w.queue("bob@example.net")
		time.Sleep(6 * 24 * time.Hour)
		synctest.Wait()
		assert.Zero(t, w.left())
		assert.Len(t, w.tried(), 121, "one at once, then one an hour for five days")
		if assert.Len(t, w.reported(), 2) {
			assert.Equal(t, "Warning: could not send message for past 4 hours", w.reported()[0].Text)
			assert.Equal(t, "Cannot send message for 5 days", w.reported()[1].Text)
		}
		cancel()
		require.NoError(t, <-done)
	})
}

func TestRunnerDelivers(t *testing.T) {
	w := newWorld(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.runner.Run(ctx) }()
	for range 50 {
		w.queue("bob@example.net", "eve@example.com")
	}
	require.Eventually(t, func() bool { return w.left() == 0 }, 10*time.Second, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
	assert.Len(t, w.tried(), 100)
}

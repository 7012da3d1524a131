package queue

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mtakit/mtakit"
)

// Options tunes a Runner. Store and either Attempt, or Resolve and Mailers, are required; everything else may be zero.
type Options struct {
	Store Store

	// Resolve says where one recipient goes now. It is asked at every attempt, because routes are never stored; asking
	// again for what it answered before must give the same when the tables did not change. An error is the fate of
	// the recipient: a permanent *mtakit.Error bounces it, everything else defers it.
	Resolve func(ctx context.Context, u *Unit, r Recipient) ([]Target, error)
	// Mailers are found by the name in a Target's route.
	Mailers map[string]mtakit.Mailer
	// Attempt, if not nil, replaces Resolve and Mailers: it tries all recipients of the claimed unit and returns what became
	// of them. A recipient that is in no Outcome stays queued.
	Attempt func(ctx context.Context, c Claim) []Outcome

	// Report makes a delivery status notification and returns when that is safe in the queue; only then is the recipient
	// forgotten. An error keeps everything as it was, for another attempt. Nil means that nobody is told.
	Report func(ctx context.Context, r *Report) error
	// Listener receives EventDeliver, EventDefer, EventBounce, EventDone, EventQuarantine and EventProblem. Nil discards.
	Listener mtakit.Listener

	// HostStatus, if not nil, is where the last result of each host is recorded, for sendmail and its hoststat.
	HostStatus *HostStatusDir

	// Concurrency is the number of units attempted at once. Zero means 100.
	Concurrency int
	// PerDestination is how many of them may go to one destination. It begins at InitialPerDestination, grows with each
	// success and falls back when the destination does not answer. Zero means 20 and 5.
	PerDestination, InitialPerDestination int
	// Limits overrides the limits of single destinations. Nil, and zero fields of its answer, mean the defaults.
	Limits func(dest string) Limit
	// Dest names the destination of a unit that was found in the store. Nil means Unit.Dest as the store gives it.
	Dest func(u *Unit) string

	// Retry is the wait after an attempt that left recipients, counted from the attempt. Nil means Backoff{}. It must be a
	// pure function of the unit: after a restart it is asked again.
	Retry func(u *Unit) time.Duration
	// Intervals are the waits of queue groups that are not to go by Retry: always the same, counted from the attempt.
	// sendmail: I=, the interval of a group's queue runs.
	Intervals map[string]time.Duration
	// DestinationBackoff is the wait before a destination that did not answer is tried again, by any message. The zero value
	// means 1 minute, doubled each time, at most 30 minutes.
	DestinationBackoff Backoff
	// MinQueueAge is the least time between two attempts, sendmail's option of that name.
	MinQueueAge time.Duration
	// Return is how long messages wait before they bounce, and Warn how long before the sender hears of the delay.
	Return, Warn Timeouts

	// Rescan is how often the store is looked through for units that others put there. Zero means 1 minute, negative means
	// never. What this process queues is known at once.
	Rescan time.Duration
	// Drain is how long running attempts may go on when Run is told to end. Zero means 30 s.
	Drain time.Duration
	// MaxParked is how many claimed units may wait for their first attempt; more, and those for destinations that do not
	// answer or are paused, are released and read again. As many may
	// wait for the store to take what became of them; others are released then, too, and tried again. Zero means 1000.
	MaxParked int
}

// Limit bounds what goes to one destination.
type Limit struct {
	Concurrency int           // attempts at once
	Interval    time.Duration // least time between the begin of two attempts
}

// Runner tries what is in a Store until it is settled. It keeps one small record per unit in memory and owns all
// timing: when a unit is due, how many go where at once, when a destination that is down is tried again, when messages
// expire. The zero value is not usable; see NewRunner. All methods may be called by several goroutines.
type Runner struct {
	o Options

	mu      sync.Mutex
	items   map[ID]*item
	timers  timerHeap
	lanes   map[string]*lane
	active  []*lane            // lanes that may start something, in turn
	stalled map[*lane]struct{} // lanes with work that wait for a moment
	fresh   map[ID]struct{}    // while the store is looked through: what is known better since that began
	running int
	parked  int
	kept    map[*item]*attempt // whose outcome could not be written yet; they keep their claims
	open    bool               // Run is running
	paused  bool
	closed  bool
	wake    chan struct{} // tells Run that the first timer changed
	rescan  chan struct{}
	wg      sync.WaitGroup
	ctx     context.Context // of the attempts
}

// NewRunner returns a Runner. It does nothing before Run.
func NewRunner(o Options) *Runner {
	set := func(p *int, v int) {
		if *p == 0 {
			*p = v
		}
	}
	set(&o.Concurrency, 100)
	set(&o.PerDestination, 20)
	set(&o.InitialPerDestination, min(5, o.PerDestination))
	set(&o.MaxParked, 1000)
	if o.Retry == nil {
		o.Retry = func(u *Unit) time.Duration { return Backoff{}.Delay(u.ID, u.Attempts) }
	}
	if o.DestinationBackoff == (Backoff{}) {
		o.DestinationBackoff = Backoff{First: time.Minute, Max: 30 * time.Minute}
	}
	if o.Rescan == 0 {
		o.Rescan = time.Minute
	}
	if o.Drain == 0 {
		o.Drain = 30 * time.Second
	}
	return &Runner{o: o, items: make(map[ID]*item), lanes: make(map[string]*lane), stalled: make(map[*lane]struct{}), kept: make(map[*item]*attempt), wake: make(chan struct{}, 1), rescan: make(chan struct{}, 1)}
}

// Notifier is a Store that tells about units that this process made ready. The Runner uses it when it is there.
type Notifier interface {
	Notify(f func(*Unit)) (stop func())
}

// Recoverer is a Store that cleans up after crashes. The Runner calls it when it has looked through the store for the first
// time, and once an hour.
type Recoverer interface {
	Recover(ctx context.Context) (RecoverResult, error)
}

// Run attempts units until ctx ends, waits for the attempts under way, and returns nil; attempts that take longer than
// Options.Drain are cut off. A Runner runs once.
func (r *Runner) Run(ctx context.Context) error {
	attempts, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	r.mu.Lock()
	if r.open || r.closed {
		r.mu.Unlock()
		return errors.New("queue: the runner was run before")
	}
	r.ctx = attempts
	r.open = true
	r.mu.Unlock()
	if n, ok := r.o.Store.(Notifier); ok {
		defer n.Notify(r.notify)()
	}
	r.mu.Lock()
	r.dispatch()
	r.mu.Unlock()

	var loops sync.WaitGroup
	scanned := make(chan struct{})
	loops.Go(func() { r.scanLoop(ctx, scanned) })
	loops.Go(func() {
		<-scanned // what waits to be delivered comes before what waits to be cleaned up
		r.recoverLoop(ctx)
	})
	if f, ok := r.o.Store.(flusher); ok {
		wake := make(chan struct{}, 1)
		f.setLazy(func() {
			select {
			case wake <- struct{}{}:
			default:
			}
		})
		loops.Go(func() { r.flushLoop(ctx, f, wake) })
		defer func() {
			f.setLazy(nil)
			if err := f.flush(true); err != nil {
				r.problem("", err)
			}
		}()
	}
	r.timerLoop(ctx)
	r.mu.Lock()
	r.open = false // nothing begins any more
	r.mu.Unlock()
	loops.Wait()
	r.drain(cancel)
	return nil
}

// flusher is a Store whose removals may wait a moment, so that many share one sync.
type flusher interface {
	setLazy(wake func())
	flush(all bool) error
}

func (r *Runner) flushLoop(ctx context.Context, f flusher, wake <-chan struct{}) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
			f.flush(false)
		case <-t.C:
			if err := f.flush(true); err != nil {
				r.problem("", err)
			}
		}
	}
}

// drain ends what is under way and releases what has not begun.
func (r *Runner) drain(cancel context.CancelFunc) {
	r.mu.Lock()
	r.closed = true
	var release []Claim
	for _, it := range r.items {
		if it.claim != nil && !it.running {
			release = append(release, it.claim)
			it.claim = nil
		}
	}
	r.mu.Unlock()
	releaseAll(release)
	done := make(chan struct{})
	go func() {
		r.wg.Wait()
		close(done)
	}()
	t := time.NewTimer(r.o.Drain)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		cancel()
		<-done
	}
	r.mu.Lock()
	kept := r.kept
	r.kept = nil
	r.mu.Unlock()
	for _, a := range kept {
		if _, err := a.settle(r.ctx); err != nil {
			r.problem(a.u.ID, err)
			a.giveUp()
		}
	}
}

// timerLoop moves units whose time has come to their lanes.
func (r *Runner) timerLoop(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		r.mu.Lock()
		next := r.expireTimers(time.Now())
		r.dispatch()
		r.mu.Unlock()
		timer.Reset(next)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-r.wake:
		}
	}
}

// scanLoop loads the store at the start and looks for other people's units from time to time. A scan that took long
// is not repeated soon; one that could not see everything is repeated in any case. The first one closes scanned.
func (r *Runner) scanLoop(ctx context.Context, scanned chan<- struct{}) {
	for {
		began := time.Now()
		whole := r.scan(ctx)
		if scanned != nil {
			close(scanned)
			scanned = nil
		}
		wait := max(r.o.Rescan, 20*time.Since(began))
		switch {
		case !whole:
			wait = max(time.Minute, 20*time.Since(began))
		case r.o.Rescan < 0:
			wait = 1 << 62
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		case <-r.rescan:
			t.Stop()
		}
	}
}

// scan looks through the store. It returns false when there may be units that it did not see.
func (r *Runner) scan(ctx context.Context) (whole bool) {
	r.mu.Lock()
	r.fresh = make(map[ID]struct{})
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.fresh = nil
		r.mu.Unlock()
	}()
	whole = true
	for u, err := range r.o.Store.List(ctx, Filter{}) {
		switch {
		case ctx.Err() != nil:
			return false
		case errors.Is(err, ErrDamaged):
			r.setAside(ctx, err)
		case err != nil:
			r.problem("", err)
			whole = false
		default:
			r.mu.Lock()
			if _, newer := r.fresh[u.ID]; !newer {
				r.see(u)
				r.dispatch()
			}
			r.mu.Unlock()
		}
	}
	return whole
}

// setAside claims a damaged unit, which makes the store put it where only an administrator looks and say so.
func (r *Runner) setAside(ctx context.Context, err error) {
	id, _, ok := cutID(err)
	if !ok {
		r.problem("", err)
		return
	}
	cs, err := r.o.Store.Claim(ctx, ClaimRequest{IDs: []ID{id}})
	for _, c := range cs {
		c.Release()
		r.notify(c.Unit())
	}
	if err != nil {
		r.problem(id, err)
	}
}

func (r *Runner) recoverLoop(ctx context.Context) {
	rec, ok := r.o.Store.(Recoverer)
	if !ok || ctx.Err() != nil {
		return
	}
	t := time.NewTicker(time.Hour)
	defer t.Stop()
	for {
		if _, err := rec.Recover(ctx); err != nil && ctx.Err() == nil {
			r.problem("", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// Submit hands over claims, normally those of Draft.CommitClaimed, for their first attempt. When the Runner has ended,
// they are released.
func (r *Runner) Submit(claims ...Claim) {
	var release []Claim
	r.mu.Lock()
	for _, c := range claims {
		if !r.addClaim(c) {
			release = append(release, c)
		}
	}
	r.dispatch()
	r.mu.Unlock()
	releaseAll(release)
}

// Wake looks through the store now, for units that other processes changed.
func (r *Runner) Wake() {
	select {
	case r.rescan <- struct{}{}:
	default:
	}
}

// Pause stops attempts to one destination, or with "" to all. What is under way goes on; expiry does, too.
func (r *Runner) Pause(dest string) {
	r.mu.Lock()
	var release []Claim
	if dest == "" {
		r.paused = true
		for _, l := range r.lanes {
			release = append(release, r.unpark(l)...)
		}
	} else {
		l := r.lane(dest)
		l.paused = true
		release = r.unpark(l)
	}
	r.mu.Unlock()
	releaseAll(release)
}

// Resume ends Pause and forgets that a destination did not answer.
func (r *Runner) Resume(dest string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if dest == "" {
		r.paused = false
		for _, l := range r.lanes {
			r.activate(l)
		}
	} else {
		l := r.lane(dest)
		l.paused, l.until, l.failures = false, time.Time{}, 0
		r.activate(l)
		r.dropLane(l)
	}
	r.dispatch()
	r.kick()
}

// Stats is a look at a Runner.
type Stats struct {
	Units   int // known
	Ready   int // could be tried now, and their destinations answer as far as is known
	Running int
	Oldest  time.Duration // how long the one that is due longest has been due
	Down    []string      // destinations that do not answer or are paused
}

// Stats counts.
func (r *Runner) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Stats{Units: len(r.items), Running: r.running}
	now := time.Now()
	for _, l := range r.lanes {
		if !r.blocked(l, now) {
			s.Ready += len(l.ready)
		}
		if l.paused || l.until.After(now) {
			s.Down = append(s.Down, l.dest)
		}
		for _, it := range l.ready {
			s.Oldest = max(s.Oldest, now.Sub(time.Unix(0, it.due)))
		}
	}
	return s
}

func (r *Runner) emit(e mtakit.Event) {
	if r.o.Listener != nil {
		r.o.Listener(e)
	}
}

func (r *Runner) problem(id ID, err error) {
	r.emit(mtakit.Event{Time: time.Now(), Kind: mtakit.EventProblem, ID: string(id), Err: err})
}

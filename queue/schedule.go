package queue

import (
	"container/heap"
	"strings"
	"time"
)

// item is what the Runner remembers of a unit. Of a million units there are a million, so it is small.
type item struct {
	id      ID
	lane    *lane
	claim   Claim // not nil while a first attempt waits
	version uint64
	due     int64 // Unix nanoseconds: when it may be tried
	expire  int64 // when it has to be looked at whatever the lane says: expiry or warning
	prio    int64
	timer   int32 // place in the timer heap, -1 when not there
	place   int32 // place in the lane's ready heap, -1 when not there
	told    *Unit // what the store said of it last while it was being attempted
	running bool
	busy    bool // was in other hands when its time came
	overdue bool // expire has passed: try it without regard to the lane
}

// at is when the timer has something to do: make it ready, or look at its deadline.
func (it *item) at() int64 {
	if it.place >= 0 {
		return it.expire
	}
	return min(it.due, it.expire)
}

// lane is one destination.
type lane struct {
	dest     string
	ready    readyHeap
	limit    Limit
	window   int // attempts at once, for now
	running  int
	paused   bool
	active   bool      // is in Runner.active
	until    time.Time // the destination did not answer: nothing before then
	next     time.Time // rate limit
	failures int       // in a row
	items    int       // that belong here
}

// timerHeap orders items by at.
type timerHeap []*item

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at() < h[j].at() }
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].timer, h[j].timer = int32(i), int32(j)
}
func (h *timerHeap) Push(x any) {
	it := x.(*item)
	it.timer = int32(len(*h))
	*h = append(*h, it)
}
func (h *timerHeap) Pop() any {
	old := *h
	it := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	it.timer = -1
	return it
}

// readyHeap orders items by priority, then by the time they became due.
type readyHeap []*item

func (h readyHeap) Len() int { return len(h) }
func (h readyHeap) Less(i, j int) bool {
	if h[i].prio != h[j].prio {
		return h[i].prio < h[j].prio
	}
	return h[i].due < h[j].due
}
func (h readyHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = int32(i), int32(j)
}
func (h *readyHeap) Push(x any) {
	it := x.(*item)
	it.place = int32(len(*h))
	*h = append(*h, it)
}
func (h *readyHeap) Pop() any {
	old := *h
	it := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	it.place = -1
	return it
}

// lane returns the lane of a destination and makes it if need be.
func (r *Runner) lane(dest string) *lane {
	l := r.lanes[dest]
	if l == nil {
		l = &lane{dest: strings.Clone(dest), window: r.o.InitialPerDestination}
		if r.o.Limits != nil {
			l.limit = r.o.Limits(dest)
		}
		if l.limit.Concurrency <= 0 {
			l.limit.Concurrency = r.o.PerDestination
		}
		l.window = min(l.window, l.limit.Concurrency)
		r.lanes[l.dest] = l
	}
	return l
}

// notify takes note of what the store says of a unit that nobody in this process holds any more. One that was in other
// hands when its time came need not wait any longer.
func (r *Runner) notify(u *Unit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.learn(u.ID)
	it := r.items[u.ID]
	if it != nil && it.running {
		it.told = u
		return
	}
	if it != nil && it.busy {
		it.version = 0
	}
	r.see(u)
	r.dispatch()
}

// learn notes that a scan under way may have read an older state of a unit than what is known from now on.
func (r *Runner) learn(id ID) {
	if r.fresh != nil {
		r.fresh[ID(strings.Clone(string(id)))] = struct{}{}
	}
}

// see takes note of a unit that may be new or changed.
func (r *Runner) see(u *Unit) {
	it := r.items[u.ID]
	switch {
	case r.closed:
		return
	case it != nil && r.ours(it):
		return
	case u.State > Deferred:
		if it != nil {
			r.forget(it)
		}
		return
	case it != nil && it.version == u.Version:
		return
	}
	if it == nil {
		it = r.newItem(u)
	}
	r.plan(it, u)
}

// ours reports whether the Runner has the claim, or is about to ask for it.
func (r *Runner) ours(it *item) bool { return it.running || it.claim != nil || r.kept[it] != nil }

// unpark takes back the claims of what waits in a lane that is blocked now, for the caller to release when the Runner is
// unlocked: until the destination is back, operators and other processes may want the units.
func (r *Runner) unpark(l *lane) (release []Claim) {
	for _, it := range l.ready {
		if it.claim != nil {
			release = append(release, it.claim)
			it.claim = nil
			r.parked--
		}
	}
	return release
}

func releaseAll(claims []Claim) {
	for _, c := range claims {
		c.Release()
	}
}

func (r *Runner) newItem(u *Unit) *item {
	it := &item{id: ID(strings.Clone(string(u.ID))), timer: -1, place: -1}
	r.items[it.id] = it
	return it
}

// addClaim is notify for a unit that comes with its claim. It returns false when the claim cannot be kept.
func (r *Runner) addClaim(c Claim) bool {
	u := c.Unit()
	if r.closed {
		return false
	}
	it := r.items[u.ID]
	if it == nil {
		it = r.newItem(u)
	}
	if r.ours(it) {
		return false
	}
	r.learn(u.ID)
	r.plan(it, u)
	if u.State > Deferred {
		r.forget(it)
		return false
	}
	if r.parked >= r.o.MaxParked || it.place < 0 || r.blocked(it.lane, time.Now()) {
		return false // it would wait for longer than a claim may
	}
	r.parked++
	it.claim = c
	return true
}

// plan gives an item its times from the unit and puts it where it belongs.
func (r *Runner) plan(it *item, u *Unit) {
	r.unready(it)
	dest := u.Dest
	if r.o.Dest != nil {
		dest = r.o.Dest(u)
	}
	if l := r.lane(dest); l != it.lane {
		r.leave(it)
		it.lane = l
		l.items++
	}
	it.version, it.prio = u.Version, u.Priority
	it.due = min(r.dueAt(u).UnixNano(), maxDue)
	if u.Attempts == 0 && u.Due.IsZero() {
		it.due = min(it.due, time.Now().UnixNano()) // a clock that was set back delays nothing
	}
	expire, warn := r.o.deadlines(u)
	if !warn.IsZero() {
		expire = warn
	}
	now := time.Now()
	// What is overdue already gets an ordinary attempt first, and is looked at again soon when there was none.
	it.expire = max(expire.UnixNano(), now.Add(time.Minute).UnixNano())
	it.overdue, it.busy = false, false
	r.place(it, now)
}

// maxDue keeps sums of times from overflowing.
const maxDue = 1 << 62

// retry is the wait after an attempt.
func (o *Options) retry(u *Unit) time.Duration {
	if d, ok := o.Intervals[u.Group]; ok {
		return d
	}
	return o.Retry(u)
}

// dueAt is when a unit may be tried: what the store says, or the retry policy, and not sooner than MinQueueAge allows.
func (r *Runner) dueAt(u *Unit) time.Time {
	last := u.LastAttempt
	if now := time.Now(); last.After(now) {
		last = now // the clock was set back
	}
	due := u.Due
	if due.IsZero() {
		due = u.Created
		if u.Attempts > 0 {
			due = last.Add(r.o.retry(u))
		}
	}
	if u.Attempts > 0 && due.Before(last.Add(r.o.MinQueueAge)) {
		due = last.Add(r.o.MinQueueAge)
	}
	return due
}

// place puts an item into its lane when it is due, and into the timer heap in any case.
func (r *Runner) place(it *item, now time.Time) {
	if it.due <= now.UnixNano() && it.place < 0 {
		heap.Push(&it.lane.ready, it)
		r.activate(it.lane)
	}
	if it.timer >= 0 {
		heap.Fix(&r.timers, int(it.timer))
	} else {
		heap.Push(&r.timers, it)
	}
	if it.timer == 0 {
		r.kick()
	}
}

// unready takes an item out of both heaps.
func (r *Runner) unready(it *item) {
	if it.place >= 0 {
		heap.Remove(&it.lane.ready, int(it.place))
	}
	if it.timer >= 0 {
		heap.Remove(&r.timers, int(it.timer))
	}
}

func (r *Runner) forget(it *item) {
	r.unready(it)
	delete(r.items, it.id)
	r.leave(it)
}

// leave takes an item out of its lane.
func (r *Runner) leave(it *item) {
	l := it.lane
	if l == nil {
		return
	}
	it.lane = nil
	l.items--
	r.dropLane(l)
}

// dropLane forgets a lane that has nothing to remember, or makes expireTimers do so when that is the case.
func (r *Runner) dropLane(l *lane) {
	if l.items > 0 || l.running > 0 || l.paused {
		return
	}
	if now := time.Now(); l.until.After(now) || l.next.After(now) {
		r.stalled[l] = struct{}{}
		r.kick()
		return
	}
	delete(r.lanes, l.dest)
	delete(r.stalled, l)
}

// kick makes Run look at the timers again.
func (r *Runner) kick() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// expireTimers handles what is due and returns how long until the next.
func (r *Runner) expireTimers(now time.Time) time.Duration {
	nano := now.UnixNano()
	for len(r.timers) > 0 && r.timers[0].at() <= nano {
		it := r.timers[0]
		switch {
		case it.expire <= nano:
			// Expired or due for a warning: it goes through whatever state the destination is in. The mark is taken
			// back with the next plan; until then, ask again in a minute.
			it.overdue = true
			it.due, it.expire = min(it.due, nano), nano+int64(time.Minute)
			r.place(it, now)
			r.startOverdue(it)
		default:
			r.place(it, now)
		}
	}
	wait := time.Minute // not for longer: the clock may be set, or the machine sleep
	if len(r.timers) > 0 {
		wait = min(wait, time.Duration(r.timers[0].at()-nano))
	}
	for l := range r.stalled {
		at := l.until
		if l.next.After(at) {
			at = l.next
		}
		if d := at.Sub(now); d <= 0 {
			delete(r.stalled, l)
			if l.items == 0 {
				r.dropLane(l)
			} else {
				r.activate(l)
			}
		} else {
			wait = min(wait, d)
		}
	}
	return max(wait, 0)
}

// activate puts a lane into the round of those that may start something.
func (r *Runner) activate(l *lane) {
	if !l.active {
		l.active = true
		r.active = append(r.active, l)
	}
}

// dispatch starts attempts as long as limits allow.
func (r *Runner) dispatch() {
	if !r.open {
		return
	}
	for r.running < r.o.Concurrency {
		it := r.pick()
		if it == nil {
			return
		}
		r.start(it)
	}
}

// start begins the attempt on an item in a goroutine of its own, which goes on with others.
func (r *Runner) start(it *item) {
	r.begin(it)
	r.wg.Go(func() {
		for it != nil {
			l := it.lane
			r.work(r.ctx, it)
			it = r.finish(l)
		}
	})
}

// begin marks an item as being attempted.
func (r *Runner) begin(it *item) {
	r.unready(it)
	it.running, it.told = true, nil
	it.lane.running++
	r.running++
	if it.claim != nil {
		r.parked--
	}
}

// startOverdue starts an item past its deadline even when its lane is blocked: there it is only expired or warned about.
func (r *Runner) startOverdue(it *item) {
	if r.open && r.blocked(it.lane, time.Now()) && r.running < 2*r.o.Concurrency {
		r.start(it)
	}
}

func (r *Runner) blocked(l *lane, now time.Time) bool {
	return r.paused || l.paused || l.until.After(now)
}

// pick takes the next item, lanes in turn. A lane that can start nothing leaves the round, until something changes.
func (r *Runner) pick() *item {
	if r.paused {
		return nil
	}
	now := time.Now()
	for len(r.active) > 0 {
		l := r.active[0]
		r.active = r.active[1:]
		l.active = false
		limit := l.window
		if l.failures > 0 {
			limit = 1 // one message finds out whether the destination is back
		}
		if len(l.ready) == 0 || l.running >= limit || l.paused {
			continue // finish, plan or Resume bring it back
		}
		if l.until.After(now) || l.next.After(now) {
			r.stalled[l] = struct{}{}
			r.kick()
			continue
		}
		if l.limit.Interval > 0 {
			l.next = now.Add(l.limit.Interval)
		}
		it := l.ready[0]
		if len(l.ready) > 1 {
			r.activate(l)
		}
		return it
	}
	return nil
}

// finish records that an attempt in a lane is over and returns the next item for the same goroutine. Success may have made
// room for more than one.
func (r *Runner) finish(l *lane) *item {
	r.mu.Lock()
	defer r.mu.Unlock()
	l.running--
	r.running--
	if len(l.ready) > 0 {
		r.activate(l)
	}
	r.dropLane(l)
	if !r.open || r.running >= r.o.Concurrency {
		return nil
	}
	next := r.pick()
	if next != nil {
		r.begin(next)
		r.dispatch()
	}
	return next
}

// destUp and destDown record whether a destination answered.
func (r *Runner) destUp(l *lane) {
	l.failures, l.until = 0, time.Time{}
	l.window = min(l.window+1, l.limit.Concurrency)
}

func (r *Runner) destDown(l *lane, now time.Time) (release []Claim) {
	if l.until.After(now) {
		return nil // found out by several attempts at once: count it once
	}
	l.failures++
	l.window = min(r.o.InitialPerDestination, l.limit.Concurrency)
	l.until = now.Add(r.o.DestinationBackoff.Delay(ID(l.dest), l.failures))
	return r.unpark(l)
}

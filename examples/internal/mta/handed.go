package mta

import (
	"sync"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/queue"
)

// handed is where the recipients of new queue entries go, as it was found when the client named them: the first attempt, a
// moment later, need not look them up again. It is forgotten when the tables change, and any part of it may be: what is
// not here is looked up.
type handed struct {
	mu    sync.Mutex
	units map[queue.ID]*handedUnit
}

type handedUnit struct {
	tables  uint64 // generation
	until   time.Time
	targets []handedTarget
}

// handedTarget is a recipient as it stands in the queue, with where it goes.
type handedTarget struct {
	addr    string
	control mtakit.Control
	to      queue.Target
}

const (
	handedTTL = 5 * time.Second // forward files and lists have no generation
	handedMax = 10_000
)

// give keeps the targets of the unit id, which were found in a generation of the tables.
func (h *handed) give(id queue.ID, tables uint64, targets []*target) {
	u := &handedUnit{tables: tables, until: time.Now().Add(handedTTL)}
	for _, t := range targets {
		if t.Err == nil && t.Route.Mailer != "" { // else nobody knows yet
			control := t.rcpt.Control
			control.Alias = t.rcpt.Flags&queue.RcptAlias != 0 // as it is read back
			u.targets = append(u.targets, handedTarget{t.rcpt.Addr, control, queue.Target{Addr: t.Addr, Route: t.Route, Control: control}})
		}
	}
	if len(u.targets) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.units == nil || len(h.units) >= handedMax {
		h.units = map[queue.ID]*handedUnit{}
	}
	h.units[id] = u
}

// take gives back the target of a recipient of u, once.
func (h *handed) take(u *queue.Unit, r queue.Recipient, tables uint64) (to queue.Target, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := h.units[u.ID]
	if known == nil {
		return to, false
	}
	if u.Attempts > 0 || known.tables != tables || time.Now().After(known.until) {
		delete(h.units, u.ID)
		return to, false
	}
	for i := range known.targets {
		if t := &known.targets[i]; t.addr == r.Addr && t.control == r.Control {
			to = t.to
			known.targets = append(known.targets[:i], known.targets[i+1:]...)
			if len(known.targets) == 0 {
				delete(h.units, u.ID)
			}
			return to, true
		}
	}
	return to, false
}

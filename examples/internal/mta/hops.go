package mta

import (
	"context"
	"sync"
	"time"

	"github.com/mtakit/mtakit"
)

// hops remembers which next hops take mail at once. A message for one of them is handed over while its client waits
// for the 250, as sendmail does with SuperSafe=interactive: when the next hop has it, the queue need not, and a refusal
// goes to the client instead of becoming a bounce. A next hop that is unknown, slow or failing never holds up a client:
// its mail is queued first.
type hops struct {
	mu   sync.Mutex
	seen map[string]*hop
}

type hop struct {
	goodUntil time.Time
	active    int // clients that wait for it
}

const (
	hopMemory   = time.Minute            // how long one quick success is trusted
	hopQuick    = 500 * time.Millisecond // what counts as quick
	hopClients  = 100                    // clients that may wait for one next hop
	hopPatience = 20 * time.Second       // then the message is queued after all
	hopMax      = 10_000
)

// enter reports whether a client may wait for host; leave must be called afterwards.
func (h *hops) enter(host string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.seen[host]
	if p == nil || p.active >= hopClients || time.Now().After(p.goodUntil) {
		return false
	}
	p.active++
	return true
}

func (h *hops) leave(host string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.seen[host]; p != nil && p.active > 0 { // else it was forgotten meanwhile
		p.active--
	}
}

// watch is a mailer that learns about next hops from every attempt.
func (h *hops) watch(next mtakit.Mailer) mtakit.Mailer {
	return mtakit.MailerFunc(func(ctx context.Context, a *mtakit.Attempt) []mtakit.Result {
		start := time.Now()
		results := next.Deliver(ctx, a)
		good := false
		for _, r := range results {
			if r.Err != nil && mtakit.Temporary(r.Err) {
				good = false
				break
			}
			good = good || r.Err == nil
		}
		h.learn(a.Host, good && time.Since(start) < hopQuick)
		return results
	})
}

func (h *hops) learn(host string, good bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.seen[host]
	if p == nil {
		if !good {
			return
		}
		if h.seen == nil || len(h.seen) >= hopMax {
			h.seen = map[string]*hop{}
		}
		p = &hop{}
		h.seen[host] = p
	}
	if good {
		p.goodUntil = time.Now().Add(hopMemory)
	} else {
		p.goodUntil = time.Time{}
	}
}

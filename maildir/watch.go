package maildir

import (
	"context"
	"iter"
	"slices"
	"time"
)

// EventKind says what happened to a message.
type EventKind uint8

// What can happen.
const (
	Added   EventKind = iota + 1 // it is there, or was when watching began
	Changed                      // it moved from new to cur, or its flags changed
	Removed
)

// String returns the name.
func (k EventKind) String() string {
	return [...]string{"", "added", "changed", "removed"}[min(k, Removed)]
}

// Event is a change of a Maildir.
type Event struct {
	Kind  EventKind
	Entry Entry // as it is now; as it was last when it was removed
}

// WatchOptions tunes Watch. The zero value, and a nil pointer, are ready for use.
type WatchOptions struct {
	// Poll is how often the directories are looked at when the system does not tell of changes, and to be sure when it
	// does. Zero means 2 seconds without notification and a minute with it.
	Poll time.Duration
	// SkipExisting leaves out the Added events of the messages that are there at the beginning.
	SkipExisting bool
}

// Watch yields what happens to the messages of the Maildir until ctx ends or the loop does. First come Added events for
// the messages that are there. A message counts as removed only when a second look does not find it either, since
// a reader of a directory can miss one that is renamed meanwhile. It remembers the names of all messages: about 165 bytes each.
//
// The directories must exist. Changes that cancel each other between two looks are not seen.
func (d *Dir) Watch(ctx context.Context, opts *WatchOptions) iter.Seq2[Event, error] {
	var o WatchOptions
	if opts != nil {
		o = *opts
	}
	return func(yield func(Event, error) bool) {
		n, err := newNotifier(d.newd, d.cur)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer n.close()
		if o.Poll == 0 {
			o.Poll = n.poll()
		}
		seen := watched{d: d, known: map[string]sighting{}, silent: o.SkipExisting}
		for ; ; seen.silent = false {
			events, err := seen.look()
			if err != nil {
				yield(Event{}, err)
				return
			}
			for _, ev := range events {
				if !yield(ev, nil) {
					return
				}
			}
			if !n.wait(ctx, o.Poll) {
				return
			}
		}
	}
}

// watched is what a watcher knows of a Maildir.
type watched struct {
	d      *Dir
	known  map[string]sighting // by base
	round  uint32              // counts the looks
	silent bool                // report nothing
}

// sighting is how a message was seen last.
type sighting struct {
	name  string
	round uint32
	sub   Sub
	noted bool // in that round it was put down as changed
}

func (w *watched) entry(l sighting) Entry {
	return Entry{Sub: l.sub, Name: l.name, sep: w.d.opts.Separator}
}

// change is a message that is not as it was before this look.
type change struct {
	base   string
	before sighting // the zero value when it was not there
}

// look reads the directories and returns what has changed since the last time: messages that are there in the order of
// Compare, then those that are gone. What changes while it reads can escape it until the next look.
func (w *watched) look() ([]Event, error) {
	w.round++
	var changes []change
	found := 0
	for e, err := range w.d.All() {
		if err != nil {
			return nil, err
		}
		base := e.Base()
		old := w.known[base]
		now := sighting{name: e.Name, round: w.round, sub: e.Sub}
		if old.round == w.round { // renamed meanwhile, or there twice: the later one counts
			now.noted = old.noted
		} else {
			found++
		}
		if !now.noted && w.entry(old) != e {
			now.noted = true
			if !w.silent {
				changes = append(changes, change{base, old})
			}
		}
		w.known[base] = now
	}
	events := w.events(changes)
	if found == len(w.known) {
		return events, nil
	}
	gone, err := w.gone()
	return append(events, gone...), err
}

// events are the changes that are left in the end, in order.
func (w *watched) events(changes []change) []Event {
	var events []Event
	for _, c := range changes {
		switch e := w.entry(w.known[c.base]); {
		case c.before.name == "":
			events = append(events, Event{Added, e})
		case w.entry(c.before) != e:
			events = append(events, Event{Changed, e})
		}
	}
	slices.SortFunc(events, func(a, b Event) int { return Compare(a.Entry, b.Entry) })
	return events
}

// gone looks again for those that the last look did not find.
func (w *watched) gone() ([]Event, error) {
	missing := map[string]Entry{}
	for base, l := range w.known {
		if l.round != w.round {
			missing[base] = w.entry(l)
		}
	}
	var events []Event
	for e, err := range w.d.All() {
		if err != nil {
			return nil, err
		}
		base := e.Base()
		old, ok := missing[base]
		if !ok {
			continue
		}
		delete(missing, base)
		w.known[base] = sighting{name: e.Name, round: w.round, sub: e.Sub}
		if old != e {
			events = append(events, Event{Changed, e})
		}
	}
	for base, e := range missing {
		delete(w.known, base)
		events = append(events, Event{Removed, e})
	}
	return events, nil
}

// sleep waits; it returns false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

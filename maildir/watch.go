package maildir

import (
	"context"
	"iter"
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
// a reader of a directory can miss one that is renamed meanwhile. It remembers the names of all messages.
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
		known := map[string]Entry{}
		for first := true; ; first = false {
			events, err := d.changes(known)
			if err != nil {
				yield(Event{}, err)
				return
			}
			for _, ev := range events {
				if (!first || !o.SkipExisting) && !yield(ev, nil) {
					return
				}
			}
			if !n.wait(ctx, o.Poll) {
				return
			}
		}
	}
}

// changes brings known up to date and returns the differences, new messages in the order of Compare.
func (d *Dir) changes(known map[string]Entry) ([]Event, error) {
	list, err := d.List()
	if err != nil {
		return nil, err
	}
	var events []Event
	now := make(map[string]bool, len(list))
	for _, e := range list {
		base := e.Base()
		now[base] = true
		switch old, ok := known[base]; {
		case !ok:
			events = append(events, Event{Added, e})
		case old != e:
			events = append(events, Event{Changed, e})
		default:
			continue
		}
		known[base] = e
	}
	var gone []Entry
	for base, e := range known {
		if !now[base] {
			gone = append(gone, e)
		}
	}
	if len(gone) == 0 {
		return events, nil
	}
	again, err := d.scan()
	if err != nil {
		return nil, err
	}
	for _, e := range gone {
		base := e.Base()
		if still, ok := again[base]; ok {
			if still != e {
				known[base] = still
				events = append(events, Event{Changed, still})
			}
			continue
		}
		delete(known, base)
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

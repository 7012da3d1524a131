package logfmt

import (
	"container/list"
	"iter"
	"time"
)

// Message is the history of one message, as far as a log tells it.
type Message struct {
	ID          string
	From        *From // nil when its line was not seen: it is older than the log, or a report made here
	Parent      string
	Origin      string // how it was made out of Parent: "DSN", "sender notify", "clone", …; "" for mail that came in
	Children    []string
	Recipients  []Recipient // in the order in which the log first names them
	First, Last time.Time   // of its lines
	Finished    bool        // its "done" or "discarded" line was seen, or every recipient it was accepted for is settled
	Lines       []*Line     // every line of the message, in log order; nil with StitchOptions.DropLines
}

// Recipient is what became of one recipient of a Message.
type Recipient struct {
	Addr     string  // as logged: "<ann@example.org>"
	Outcome  Outcome // the latest
	Mailer   string
	Relay    string
	DSN      string
	Stat     string
	Delay    time.Duration // between acceptance and the latest line
	Attempts int           // lines that report a delivery attempt
}

// Settled tells whether nothing more will happen to the recipient.
func (r *Recipient) Settled() bool {
	return r.Outcome == Sent || r.Outcome == Failed || r.Outcome == Dropped
}

// StitchOptions tunes Stitch. The zero value is ready for use.
type StitchOptions struct {
	// Idle is how long after its last line a message is taken for complete, on the clock of the log. Zero means six
	// days: a day more than sendmail keeps mail by default.
	Idle time.Duration
	// DropLines leaves Message.Lines empty, to save memory.
	DropLines bool
}

// Stitch puts the lines of each message together. Lines of several messages and processes may be mixed, as they are in
// every log. A message is yielded when it has been idle for long enough, or at the end of the log, in order of its last
// line; then it is forgotten, and a later line of the same id begins a new Message. Errors of lines are passed on in
// place.
func Stitch(lines iter.Seq2[*Line, error], opts *StitchOptions) iter.Seq2[*Message, error] {
	var o StitchOptions
	if opts != nil {
		o = *opts
	}
	if o.Idle == 0 {
		o.Idle = 6 * 24 * time.Hour
	}
	return func(yield func(*Message, error) bool) {
		open := map[string]*list.Element{}
		var byAge list.List // of *Message, the longest idle first
		get := func(id string, at time.Time) *Message {
			el := open[id]
			if el == nil {
				el = byAge.PushBack(&Message{ID: id, First: at})
				open[id] = el
			}
			byAge.MoveToBack(el)
			m := el.Value.(*Message)
			if at.After(m.Last) {
				m.Last = at
			}
			return m
		}
		for l, err := range lines {
			if err != nil {
				if !yield(nil, err) {
					return
				}
				continue
			}
			for el := byAge.Front(); el != nil && l.Time.Sub(el.Value.(*Message).Last) > o.Idle; el = byAge.Front() {
				m := byAge.Remove(el).(*Message)
				delete(open, m.ID)
				if !yield(m, nil) {
					return
				}
			}
			if l.ID == "" || l.ID == NoQueue {
				continue
			}
			m := get(l.ID, l.Time)
			m.add(l)
			if !o.DropLines {
				m.Lines = append(m.Lines, l)
			}
			if id := l.NewID(); id != "" && id != l.ID {
				m.Children = append(m.Children, id)
				child := get(id, l.Time)
				child.Parent, child.Origin = l.ID, l.Field("type")
				if l.Kind == KindClone {
					child.Origin = string(KindClone)
				}
			}
		}
		for el := byAge.Front(); el != nil; el = el.Next() {
			if !yield(el.Value.(*Message), nil) {
				return
			}
		}
	}
}

// add takes over what a line tells.
func (m *Message) add(l *Line) {
	switch l.Kind {
	case KindFrom:
		m.From = l.From
	case KindTo:
		for _, addr := range l.To.To {
			m.recipient(addr).update(l.To)
		}
	case KindDone, KindDiscarded:
		m.Finished = true
		return
	}
	if m.From == nil || m.From.NRcpts == 0 || len(m.Recipients) < m.From.NRcpts {
		return
	}
	for i := range m.Recipients {
		if !m.Recipients[i].Settled() {
			m.Finished = false
			return
		}
	}
	m.Finished = true
}

func (m *Message) recipient(addr string) *Recipient {
	for i := range m.Recipients {
		if m.Recipients[i].Addr == addr {
			return &m.Recipients[i]
		}
	}
	m.Recipients = append(m.Recipients, Recipient{Addr: addr})
	return &m.Recipients[len(m.Recipients)-1]
}

func (r *Recipient) update(t *To) {
	r.Outcome, r.Mailer, r.Relay, r.DSN, r.Stat, r.Delay = t.Outcome(), t.Mailer, t.Relay, t.DSN, t.Stat, t.Delay
	if t.XDelay >= 0 {
		r.Attempts++
	}
}

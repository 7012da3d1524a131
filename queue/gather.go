package queue

import (
	"iter"
	"strings"
	"time"
)

// The original reads a control file twice for a listing: once to sort and to select (gatherq), once to print. Both look at
// physical lines, not at continued ones, and know only so much of each.
const (
	gatheredLine = 256  // bytes; the rest of a longer line is not looked at
	printedLine  = 2047 // bytes; what follows is a line of its own
)

// physicalLines yields the lines of text that are not empty, in pieces of at most limit bytes.
func physicalLines(text string, limit int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for text != "" {
			line, rest, ended := strings.Cut(text, "\n")
			text = rest
			for {
				piece := line[:min(len(line), limit)]
				line = line[len(piece):]
				if ended && line == "" {
					piece = strings.TrimSuffix(piece, "\r")
				}
				if piece != "" && !yield(piece) {
					return
				}
				if line == "" {
					break
				}
			}
		}
	}
}

// gatherer finds out what sorting and selecting need to know of a control file. It stops at the line where it has that:
// what comes later, a quarantine reason for instance, has no effect.
type gatherer struct {
	o *Listing
	e *listed

	version  int32
	last     int64
	attempts int64

	sender, rcpt, quarantine want
}

// want is the state of the patterns of one kind: none, waiting for a line that matches, or satisfied.
type want struct {
	patterns  bool
	satisfied bool
}

func (w *want) open() bool { return w.patterns && !w.satisfied }

// noPriority is what sendmail shows for a file without a P line.
const noPriority = 1<<31 - 1

func (g *gatherer) gather(text string) {
	e := g.e
	e.prio = noPriority
	for _, p := range g.o.Patterns {
		switch p.Kind {
		case 'S':
			g.sender.patterns = true
		case 'R':
			g.rcpt.patterns = true
		case 'Q':
			g.quarantine.patterns = true
		}
	}
	host := g.o.Sort == SortHost || g.o.Sort == SortShuffle
	prio, created, quarantined := false, false, false
	for text != "" && (!prio || !created || host || g.sender.open() || g.rcpt.open() || g.quarantine.open()) {
		line, rest, _ := strings.Cut(text, "\n")
		text = rest
		if line = line[:min(len(line), gatheredLine)]; line == "" {
			continue
		}
		v := line[1:]
		switch line[0] {
		case 'V':
			g.version = int32(number(v))
		case 'T':
			e.ctime, created = number(v), true
		case 'P':
			e.prio, prio = number(v), true
		case 'K':
			g.last = number(v)
		case 'N':
			g.attempts = number(v)
		case 'q':
			quarantined = true
			g.match(&g.quarantine, 'Q', v)
		case 'S':
			g.match(&g.sender, 'S', v)
		case 'R':
			if i := strings.LastIndexByte(v, '@'); i >= 0 && e.host == "" {
				e.host = reverse(strings.ToLower(strings.TrimSuffix(v[i+1:], ">")))
			}
			host = host && e.host == ""
			if _, addr, ok := strings.Cut(v, ":"); ok && g.version > 0 {
				v = addr
			}
			g.match(&g.rcpt, 'R', v)
		}
	}
	e.skip = g.o.needsReading() && quarantined && e.letter == 'q' || g.sender.open() || g.rcpt.open() || g.quarantine.open() || !g.idMatches()
	e.young = g.young()
}

// match holds a line against the patterns of one kind.
func (g *gatherer) match(w *want, kind byte, text string) {
	for _, p := range g.o.Patterns {
		if p.Kind == kind && containsFold(text, p.Text) != p.Not {
			w.satisfied = true
		}
	}
}

func (g *gatherer) idMatches() bool {
	f := Filter{}
	for _, p := range g.o.Patterns {
		if p.Kind == 'I' {
			f.Patterns = append(f.Patterns, p)
		}
	}
	return f.matchPatterns(&Unit{Envelope: Envelope{ID: g.e.id}})
}

// young tells whether the entry was tried too lately to be tried again.
func (g *gatherer) young() bool {
	if g.attempts == 0 || len(g.o.Patterns) > 0 {
		return false
	}
	since := g.o.Now.Sub(time.Unix(g.last, 0))
	switch {
	case g.o.MaxAge > 0:
		return since < min(time.Duration(g.last-g.e.ctime)*time.Second, g.o.MaxAge)
	case g.o.MinAge > 0:
		return since < g.o.MinAge
	}
	return false
}

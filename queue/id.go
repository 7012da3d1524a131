package queue

import (
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"time"
)

// idAlphabet is the digits of a queue id. Seconds may reach 61, so that all 62 are in use.
const idAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// idsPerBase is how many ids share a base time: two digits of base 60.
const idsPerBase = 3600

// newID makes sendmail's queue ids: eight characters for the year modulo 60, month, day, hour, minute and second of
// the base time (UTC) and the sequence number, then the process id in at least six digits. A process counts on from a
// random number without looking at the clock, until 3600 ids are used up. Then it needs another second that was never
// its base: now, or one that it let pass before (the process id was its own all the time), or, when there is none,
// one of the next few. All stores of the process draw from one source.
var newID = new(idSource).next

type idSource struct {
	mu    sync.Mutex
	base  int64 // Unix seconds
	top   int64 // the highest base so far
	seq   int
	left  int
	pid   int
	spare []secondRange // seconds that were never a base, oldest first
}

type secondRange struct{ from, to int64 } // from <= s < to

const (
	borrowAhead = 5    // seconds that a base may lie in the future
	spareLimit  = 3600 // seconds that are remembered as unused
)

// next returns a fresh id. When there is none before some time has passed, it sleeps.
func (s *idSource) next() ID {
	for {
		if id, ok := s.take(time.Now().Unix()); ok {
			return id
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (s *idSource) take(now int64) (ID, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 && !s.rebase(now) {
		return "", false
	}
	s.left--
	id := formatID(s.base, s.seq, s.pid)
	s.seq = (s.seq + 1) % idsPerBase
	return id, true
}

func (s *idSource) rebase(now int64) bool {
	switch {
	case s.top == 0 || now < s.top-borrowAhead || now > s.top+24*3600:
		// The first time, or the clock jumped: nothing is known about the seconds before.
		s.base, s.top, s.spare = now, now, nil
		s.seq, s.pid = rand.IntN(idsPerBase), os.Getpid()
	case now > s.top:
		if from := max(s.top+1, now-spareLimit); from < now {
			s.spare = append(s.spare, secondRange{from, now})
		}
		s.base, s.top = now, now
		s.trimSpare(now)
	case len(s.spare) > 0:
		last := &s.spare[len(s.spare)-1]
		last.to--
		s.base = last.to
		if last.from == last.to {
			s.spare = s.spare[:len(s.spare)-1]
		}
	case s.top < now+borrowAhead:
		s.top++
		s.base = s.top
	default:
		return false
	}
	s.left = idsPerBase
	return true
}

func (s *idSource) trimSpare(now int64) {
	for len(s.spare) > 0 && s.spare[0].to < now-spareLimit {
		s.spare = s.spare[1:]
	}
}

func formatID(base int64, seq, pid int) ID {
	t := time.Unix(base, 0).UTC()
	b := make([]byte, 8, 16)
	for i, n := range [8]int{(t.Year() - 1900) % 60, int(t.Month()) - 1, t.Day(), t.Hour(), t.Minute(), t.Second(), seq / 60, seq % 60} {
		b[i] = idAlphabet[n]
	}
	p := strconv.Itoa(pid)
	for i := len(p); i < 6; i++ {
		b = append(b, '0')
	}
	return ID(append(b, p...))
}

// maxID is the longest queue id that sendmail reads: its file names have at most 20 characters.
const maxID = 18

// ValidID reports whether s can be a queue id: 1 to 18 letters and digits.
func ValidID(s ID) bool {
	if len(s) == 0 || len(s) > maxID {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

package queue

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrNotMailq is returned by ParseMailqArgs for an argument that is none of a listing.
var ErrNotMailq = errors.New("not an option of mailq")

// ParseMailqArgs reads the arguments of sendmail -bp and mailq: -v, -bp, -Ac, -Am, -qQ[text], -qL, -q[!]Itext, -q[!]Rtext,
// -q[!]Stext, -qGgroup, -oQdir, and -OName=value for QueueDirectory, MinQueueAge, MaxQueueAge, MaxQueueRunSize, QueueLA,
// QueueFactor, QueueSortOrder and, without effect, Timeout. dir is the queue directory if one was named. Arguments that it
// does not know are returned as rest, in their order; an unknown option is ErrNotMailq.
func ParseMailqArgs(args []string) (l Listing, dir string, rest []string, err error) {
	for i := 0; i < len(args); i++ {
		a := args[i]
		switch {
		case a == "-v":
			l.Verbose = true
		case a == "-bp", a == "-Ac", a == "-Am":
		case strings.HasPrefix(a, "-q"):
			err = l.queueOption(a[2:])
		case a == "-O" && i+1 < len(args):
			i++
			err = l.option(args[i], &dir)
		case strings.HasPrefix(a, "-O"):
			err = l.option(a[2:], &dir)
		case strings.HasPrefix(a, "-oQ"):
			dir = a[3:]
		default:
			rest = append(rest, a)
		}
		if err != nil {
			return l, dir, rest, err
		}
	}
	return l, dir, rest, nil
}

func (l *Listing) queueOption(s string) error {
	text, not := strings.CutPrefix(s, "!")
	if text == "" {
		return fmt.Errorf("%w: -q%s", ErrNotMailq, s)
	}
	kind, text := text[0], text[1:]
	switch kind {
	case 'L':
		l.Lost = true
	case 'Q':
		l.Quarantined = true
		if text != "" {
			l.Patterns = append(l.Patterns, Pattern{'Q', text, not})
		}
	case 'G':
		switch {
		case not:
			return asSendmail("Can not use -q!G")
		case l.Group != "":
			return asSendmail("Can not use multiple -qG options")
		case text == "":
			return asSendmail("Queue group  unknown")
		}
		l.Group = text
	case 'I', 'R', 'S':
		l.Patterns = append(l.Patterns, Pattern{kind, text, not})
	default:
		return fmt.Errorf("%w: -q%s", ErrNotMailq, s)
	}
	return nil
}

// asSendmail is an error in the words of sendmail.
func asSendmail(text string) error { return errors.New(text) }

func (l *Listing) option(s string, dir *string) (err error) {
	name, value, _ := strings.Cut(s, "=")
	name = strings.ToLower(name)
	if name == "timeout" || strings.HasPrefix(name, "timeout.") {
		return nil // it changes no listing
	}
	switch name {
	case "queuedirectory":
		*dir = value
	case "minqueueage":
		l.MinAge, err = ParseInterval(value, time.Minute)
	case "maxqueueage":
		l.MaxAge, err = ParseInterval(value, time.Minute)
	case "maxqueuerunsize":
		l.MaxRun, err = strconv.Atoi(value)
	case "queuela":
		l.QueueLA, err = strconv.Atoi(value)
		if l.QueueLA == 0 {
			l.QueueLA = -1
		}
	case "queuefactor":
		l.QueueFactor, err = strconv.Atoi(value)
	case "queuesortorder":
		l.Sort, err = ParseSortOrder(value)
	default:
		err = fmt.Errorf("%w: -O%s", ErrNotMailq, s)
	}
	return err
}

// ParseInterval reads sendmail's time values: numbers with s, m, h, d or w, added up; a number without a letter is in the
// given unit.
func ParseInterval(s string, unit time.Duration) (time.Duration, error) {
	var total time.Duration
	rest := s
	for rest != "" {
		n := 0
		for n < len(rest) && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		v, err := strconv.ParseInt(rest[:n], 10, 32)
		if err != nil {
			return 0, fmt.Errorf("invalid interval %q", s)
		}
		u := unit
		if n < len(rest) {
			switch rest[n] {
			case 's':
				u = time.Second
			case 'm':
				u = time.Minute
			case 'h':
				u = time.Hour
			case 'd':
				u = 24 * time.Hour
			case 'w':
				u = 7 * 24 * time.Hour
			default:
				return 0, fmt.Errorf("invalid interval %q", s)
			}
			n++
		}
		rest = rest[n:]
		total += time.Duration(v) * u
	}
	return total, nil
}

package sendmailcf

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/mtakit/mtakit/queue"
)

// Queue is a queue group: "Qname, P=path, F=flags, R=runners, r=recipients, I=interval, J=jobs, N=nice".
type Queue struct {
	Name     string
	Path     string // P=; "" means QueueDirectory
	Flags    string
	Runners  int           // R=
	MaxRcpts int           // r=: the most recipients of an envelope; 0 is any number
	Interval time.Duration // I=; 0 is that of the daemon
	Jobs     int           // J=
	Nice     int           // N=
}

// parseQueue reads what follows the Q. Only the first letter of an equate counts.
func parseQueue(s string) (q Queue, err error) {
	end := strings.IndexAny(s, ", \t")
	if end < 0 {
		end = len(s)
	}
	if q.Name = s[:end]; q.Name == "" {
		return q, errors.New("name required for queue")
	}
	for s = s[end:]; ; {
		if s = strings.TrimLeft(s, ", \t"); s == "" {
			return q, nil
		}
		var field string
		field, s, _ = strings.Cut(s, ",")
		key, value, ok := strings.Cut(field, "=")
		if !ok {
			return q, fmt.Errorf("queue %s: `=' expected", q.Name)
		}
		if err := q.set(key, strings.TrimSpace(value)); err != nil {
			return q, err
		}
	}
}

func (q *Queue) set(key, value string) (err error) {
	number := func(n *int) { *n, err = strconv.Atoi(value) }
	switch key[:min(1, len(key))] {
	case "P":
		q.Path = value
	case "F":
		q.Flags = value
	case "R":
		number(&q.Runners)
	case "r":
		number(&q.MaxRcpts)
	case "J":
		number(&q.Jobs)
	case "N":
		number(&q.Nice)
	case "I":
		q.Interval, err = queue.ParseInterval(value, time.Minute)
	default:
		return fmt.Errorf("%s: unknown queue equate %s=", "Q"+q.Name, strings.TrimSpace(key))
	}
	if err != nil {
		return fmt.Errorf("queue %s: %s=%s: %w", q.Name, key, value, err)
	}
	return nil
}

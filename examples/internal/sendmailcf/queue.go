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

// parseQueue reads what follows the Q. Only the first letter of an equate counts. Numbers and intervals are never faults; remark
// is called about odd ones.
func parseQueue(s string, remark func(string)) (q Queue, err error) {
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
		if err := q.set(key, strings.TrimSpace(value), remark); err != nil {
			return q, err
		}
	}
}

func (q *Queue) set(key, value string, remark func(string)) error {
	switch key[:min(1, len(key))] {
	case "P":
		if q.Path = value; value == "" {
			return fmt.Errorf("queue %s: empty path name", q.Name)
		}
	case "F":
		q.Flags = value
	case "R":
		q.Runners = Atoi(value)
	case "r":
		q.MaxRcpts = Atoi(value)
	case "J":
		q.Jobs = Atoi(value)
	case "N":
		q.Nice = Atoi(value)
	case "I":
		bad := BadUnits(value)
		for _, text := range bad {
			remark(text)
		}
		if bad == nil {
			q.Interval, _ = queue.ParseInterval(value, time.Minute)
		}
	default:
		return fmt.Errorf("%s: unknown queue equate %s=", "Q"+q.Name, strings.TrimSpace(key))
	}
	return nil
}

// Atoi reads the number at the beginning of s, as atoi(3) does.
func Atoi(s string) int {
	s = strings.TrimLeft(s, " \t")
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || end == 0 && (s[0] == '-' || s[0] == '+')) {
		end++
	}
	n, _ := strconv.Atoi(s[:end])
	return n
}

// BadUnits returns what sendmail says of an interval's letters that are no units, one message for each.
func BadUnits(s string) (messages []string) {
	for i := range len(s) {
		if strings.IndexByte("0123456789wdhms", s[i]) < 0 {
			messages = append(messages, fmt.Sprintf("Invalid time unit `%c'", s[i]))
		}
	}
	return messages
}

package queue

import (
	"bytes"
	"hash/fnv"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/mtakit/mtakit"
)

// Backoff is the default retry policy: the wait after an attempt grows by a factor, up to a limit, and is stretched by
// some per cent that depend on the queue id alone, so that messages queued together do not come back together. The
// zero value stands for 5 minutes, doubled each time, at most 4 hours, and 20 per cent.
type Backoff struct {
	First  time.Duration
	Factor float64
	Max    time.Duration
	Jitter float64 // 0.2 is up to 20 per cent; negative is none
}

// Delay returns the wait after the given number of attempts (1 after the first). It is a pure function.
func (b Backoff) Delay(id ID, attempts int) time.Duration {
	if b.First <= 0 {
		b.First = 5 * time.Minute
	}
	if b.Factor < 1 {
		b.Factor = 2
	}
	if b.Max <= 0 {
		b.Max = 4 * time.Hour
	}
	switch {
	case b.Jitter == 0:
		b.Jitter = 0.2
	case b.Jitter < 0:
		b.Jitter = 0
	}
	d := math.Min(float64(b.First)*math.Pow(b.Factor, float64(max(attempts, 1)-1)), float64(max(b.Max, b.First)))
	h := fnv.New32a()
	h.Write([]byte(id))
	h.Write([]byte{byte(attempts)})
	return time.Duration(d * (1 + b.Jitter*float64(h.Sum32())/math.MaxUint32))
}

// Timeouts are sendmail's queuereturn and queuewarn for the classes of messages. In Warn zero means 4 hours and negative
// never; in Return zero means 5 days.
type Timeouts struct{ Normal, Urgent, NonUrgent, DSN time.Duration }

// SetAll gives all classes the same value.
func (t *Timeouts) SetAll(d time.Duration) { *t = Timeouts{d, d, d, d} }

func (t *Timeouts) of(c urgency) time.Duration {
	return [...]time.Duration{t.Normal, t.Urgent, t.NonUrgent, t.DSN}[c]
}

// urgency is the class of a message that picks its timeouts.
type urgency uint8

const (
	normal urgency = iota
	urgent
	nonUrgent
	delivery // a delivery status notification
)

// urgencyOf reads Precedence, Priority and Content-Type, as sendmail does: Priority decides where it is given, then
// whether it is a report, then the precedence.
func urgencyOf(u *Unit) urgency {
	class, isDSN := u.Class, u.Flags&FlagResponse != 0
	for field := range headerFields(u.Header) {
		switch name, value := field[0], strings.ToLower(strings.TrimSpace(field[1])); strings.ToLower(name) {
		case "priority":
			switch value {
			case "urgent":
				return urgent
			case "normal":
				return normal
			case "non-urgent":
				return nonUrgent
			}
		case "precedence":
			if class == 0 {
				class = Class(value)
			}
		case "content-type":
			isDSN = isDSN || strings.HasPrefix(value, "multipart/report") && strings.Contains(value, "delivery-status")
		}
	}
	switch {
	case isDSN:
		return delivery
	case class < 0:
		return nonUrgent
	case class > 0:
		return urgent
	}
	return normal
}

// Class returns the precedence class of the value of a Precedence field, zero for an unknown word.
func Class(precedence string) int {
	switch strings.ToLower(strings.TrimSpace(precedence)) {
	case "special-delivery":
		return 100
	case "list":
		return -30
	case "bulk":
		return -60
	case "junk":
		return -100
	}
	return 0
}

// headerFields yields name and unfolded value of each field.
func headerFields(header []byte) func(func([2]string) bool) {
	return func(yield func([2]string) bool) {
		for len(header) > 0 {
			line, rest, _ := bytes.Cut(header, newline)
			if len(rest) == 0 || rest[0] != ' ' && rest[0] != '\t' {
				header = rest
				if name, value, ok := bytes.Cut(line, []byte{':'}); ok && !yield([2]string{string(bytes.TrimSpace(name)), string(value)}) {
					return
				}
				continue
			}
			for len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t') {
				var more []byte
				more, rest, _ = bytes.Cut(rest, newline)
				line = append(bytes.Clone(line), more...)
			}
			header = rest
			if name, value, ok := bytes.Cut(line, []byte{':'}); ok && !yield([2]string{string(bytes.TrimSpace(name)), string(value)}) {
				return
			}
		}
	}
}

// deadlines returns when a unit expires and when its sender is warned; the zero time means never.
func (o *Options) deadlines(u *Unit) (expire, warn time.Time) {
	class := urgencyOf(u)
	ret, wrn := o.Return.of(class), o.Warn.of(class)
	if ret == 0 {
		ret = 5 * 24 * time.Hour
	}
	if wrn == 0 {
		wrn = 4 * time.Hour
	}
	expire = u.Created.Add(ret)
	if by := u.DeliverBy; by.Mode&ByReturn != 0 && u.Created.Add(by.After).Before(expire) {
		expire = u.Created.Add(by.After)
	}
	if wrn < 0 || u.Flags&(FlagWarned|FlagResponse) != 0 || class == nonUrgent || !wantsWarning(u) {
		return expire, time.Time{}
	}
	warn = u.Created.Add(wrn)
	if by := u.DeliverBy; by.Mode&ByNotify != 0 && u.Created.Add(by.After).Before(warn) {
		warn = u.Created.Add(by.After)
	}
	if !warn.Before(expire) {
		return expire, time.Time{}
	}
	return expire, warn
}

// wantsWarning is false for senders that are no person, and when no recipient asked to hear of delays.
func wantsWarning(u *Unit) bool {
	from := u.SenderAddress()
	local := strings.ToLower(from.Local)
	if from.IsNull() || strings.HasPrefix(local, "owner-") || strings.HasSuffix(local, "-request") {
		return false
	}
	for _, r := range u.Rcpts {
		if r.Flags&RcptDelay != 0 {
			return true
		}
	}
	return false
}

// deliverByExpired reports whether it is the sender's own limit that has run out, not the queue's.
func deliverByExpired(u *Unit, now time.Time) bool {
	return u.DeliverBy.Mode&ByReturn != 0 && !now.Before(u.Created.Add(u.DeliverBy.After))
}

// spell prints a duration in sendmail's words: "5 days", "1 day, 4 hours".
func spell(d time.Duration) string {
	secs := int64(d / time.Second)
	var parts []string
	for _, unit := range []struct {
		name string
		secs int64
	}{{"week", 7 * 86400}, {"day", 86400}, {"hour", 3600}, {"minute", 60}, {"second", 1}} {
		n := secs / unit.secs
		if n == 0 || unit.name == "week" && secs%unit.secs != 0 {
			continue
		}
		secs -= n * unit.secs
		s := strconv.FormatInt(n, 10) + " " + unit.name
		if n != 1 {
			s += "s"
		}
		parts = append(parts, s)
	}
	if len(parts) == 0 {
		return "0 seconds"
	}
	return strings.Join(parts, ", ")
}

// downStatus reports whether an error says that the destination as a whole cannot be reached now, so that other
// messages for it need not try.
func downStatus(err error) bool {
	e, ok := asVerdict(err)
	if !ok || !mtakit.Temporary(err) {
		return false
	}
	switch e.EnhancedStatus().AsTemporary() {
	case mtakit.StatusNoAnswer, mtakit.StatusBadConnection, mtakit.StatusCongestion:
		return true
	}
	return e.Code == 421
}

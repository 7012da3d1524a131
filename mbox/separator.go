package mbox

import (
	"bytes"
	"strings"
	"time"
)

// Separator is what a From_ line says.
type Separator struct {
	Sender string    // as it stands there, quotes included; often "" or "MAILER-DAEMON" for the null reverse-path
	Date   time.Time // zero when the line has no date, or an impossible one such as day 32
	Zone   string    // zone words as they stand there, "" if none; only numeric ones and UTC, GMT, Z count for Date
	Valid  bool      // the line has the full shape, date included
}

// AppendSeparator appends a From_ line with its line end: sender, one blank, the time in the form of asctime(3) in
// the location of t. A null sender (empty, or "<>") is written MAILER-DAEMON. Blanks and control bytes in the
// sender become "-": they would end it early, or inject a line.
func AppendSeparator(b []byte, sender string, t time.Time) []byte {
	b = append(b, "From "...)
	if sender == "" || sender == "<>" {
		sender = "MAILER-DAEMON"
	}
	for i := 0; i < len(sender); i++ {
		c := sender[i]
		if c <= ' ' || c == 0x7f {
			c = '-'
		}
		b = append(b, c)
	}
	b = append(b, ' ')
	b = t.AppendFormat(b, time.ANSIC)
	return append(b, '\n')
}

// ParseSeparator reads a From_ line, with or without its line end. ok is false when it does not even begin with
// "From "; Valid in the result tells whether it has the full shape.
//
//	"From " [sender] WS+ date
//	date = wday WS+ mon WS+ day WS+ hh:mm[:ss] [WS+ zone [WS+ zone]] WS+ year [WS+ anything]
//	     | wday "," WS+ day WS+ mon WS+ year WS+ hh:mm[:ss] [WS+ zone] [WS+ anything]
//
// The sender has no blanks except within double quotes. A zone is a word that does not begin with a digit. A date without
// zone is taken as UTC.
func ParseSeparator(line []byte) (sep Separator, ok bool) { return parseSeparator(line, time.UTC) }

func parseSeparator(line []byte, loc *time.Location) (sep Separator, ok bool) {
	if !hasFrom(line) {
		return Separator{}, false
	}
	var p sepParser
	if p.parse(line) {
		sep.Valid = true
		sep.Sender = string(p.sender)
		sep.Zone = strings.Join(strings.FieldsFunc(string(p.zone), func(r rune) bool { return r == ' ' || r == '\t' }), " ")
		sep.Date = p.date(loc)
	} else {
		sep.Sender = string(firstWord(trimLine(line[5:])))
	}
	return sep, true
}

// hasFrom reports whether b begins with "From ".
func hasFrom(b []byte) bool {
	return len(b) >= 5 && b[0] == 'F' && b[1] == 'r' && b[2] == 'o' && b[3] == 'm' && b[4] == ' '
}

// validSeparator reports whether a line that begins with "From " has a date where it belongs.
func validSeparator(line []byte) bool {
	var p sepParser
	return p.parse(line)
}

// sepParser holds the pieces of a From_ line; they point into it.
type sepParser struct {
	sender, zone        []byte
	month               time.Month
	day, hour, min, sec int
	year                int
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// trimLine drops the line end and blanks before it.
func trimLine(b []byte) []byte {
	for len(b) > 0 && (isBlank(b[len(b)-1]) || b[len(b)-1] == '\r' || b[len(b)-1] == '\n') {
		b = b[:len(b)-1]
	}
	return b
}

func firstWord(b []byte) []byte {
	w, _ := nextWord(skipBlanks(b))
	return w
}

func skipBlanks(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	return b
}

// nextWord splits off what stands before the next blank, and skips the blanks.
func nextWord(b []byte) (word, rest []byte) {
	i := 0
	for i < len(b) && !isBlank(b[i]) {
		i++
	}
	return b[:i], skipBlanks(b[i:])
}

// nextSender is nextWord where blanks within double quotes do not count.
func nextSender(b []byte) (word, rest []byte) {
	quoted := false
	i := 0
	for i < len(b) && (quoted || !isBlank(b[i])) {
		switch {
		case b[i] == '"':
			quoted = !quoted
		case b[i] == '\\' && quoted && i+1 < len(b):
			i++
		}
		i++
	}
	if quoted { // no closing quote: an ordinary character
		return nextWord(b)
	}
	return b[:i], skipBlanks(b[i:])
}

func (p *sepParser) parse(line []byte) bool {
	b := trimLine(line)
	if len(b) < 5 || !hasFrom(b) {
		return false
	}
	b = b[5:]
	// "From " date: no sender. "From  date" is the same with an empty sender and its blank.
	if p.parseDate(skipBlanks(b)) {
		p.sender = nil
		return true
	}
	sender, rest := nextSender(skipBlanks(b))
	p.sender = sender
	return len(rest) > 0 && p.parseDate(rest)
}

func (p *sepParser) parseDate(b []byte) bool {
	wday, rest := nextWord(b)
	if len(wday) == 4 && wday[3] == ',' && isWeekday(wday[:3]) {
		return p.parseRFC(rest)
	}
	if len(wday) != 3 || !isWeekday(wday) {
		return false
	}
	mon, rest := nextWord(rest)
	if !p.setMonth(mon) {
		return false
	}
	day, rest := nextWord(rest)
	if !p.setDay(day) {
		return false
	}
	clock, rest := nextWord(rest)
	if !p.setTime(clock) {
		return false
	}
	zone := rest
	n := 0
	for ; n < 2 && len(rest) > 0 && isZone(rest); n++ {
		_, after := nextWord(rest)
		rest = after
	}
	p.zone = zone[:len(zone)-len(rest)]
	year, rest := nextWord(rest)
	if !p.setYear(year) {
		return false
	}
	if n == 0 && len(rest) > 0 { // a zone may also follow the year
		if w, _ := nextWord(rest); isNumericZone(w) || isUTC(w) {
			p.zone = w
		}
	}
	return true
}

// parseRFC reads the rest of "Thu, 01 Jan 2015 00:00:01 +0100".
func (p *sepParser) parseRFC(b []byte) bool {
	day, rest := nextWord(b)
	mon, rest := nextWord(rest)
	year, rest := nextWord(rest)
	clock, rest := nextWord(rest)
	if !p.setDay(day) || !p.setMonth(mon) || !p.setYear(year) || !p.setTime(clock) {
		return false
	}
	if isZone(rest) {
		p.zone, _ = nextWord(rest)
	}
	return true
}

func (p *sepParser) setDay(b []byte) bool {
	n, ok := number(b, 1, 2)
	p.day = n
	return ok
}

func (p *sepParser) setYear(b []byte) bool {
	n, ok := number(b, 4, 4)
	p.year = n
	return ok
}

// setTime reads h{1,2}:mm[:ss].
func (p *sepParser) setTime(b []byte) bool {
	i := bytes.IndexByte(b, ':')
	if i < 0 {
		return false
	}
	var ok bool
	if p.hour, ok = number(b[:i], 1, 2); !ok {
		return false
	}
	b = b[i+1:]
	p.sec = 0
	if len(b) == 5 && b[2] == ':' {
		if p.sec, ok = number(b[3:], 2, 2); !ok {
			return false
		}
		b = b[:2]
	}
	p.min, ok = number(b, 2, 2)
	return ok
}

func number(b []byte, least, most int) (n int, ok bool) {
	if len(b) < least || len(b) > most {
		return 0, false
	}
	for _, c := range b {
		if !isDigit(c) {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

const weekdays, months = "sunmontuewedthufrisat", "janfebmaraprmayjunjulaugsepoctnovdec"

func isWeekday(b []byte) bool { return index3(weekdays, b) >= 0 }

func (p *sepParser) setMonth(b []byte) bool {
	n := index3(months, b)
	p.month = time.Month(n + 1)
	return n >= 0
}

// index3 finds a three letter word, any case, in a row of them.
func index3(words string, b []byte) int {
	if len(b) != 3 {
		return -1
	}
	x, y, z := b[0]|0x20, b[1]|0x20, b[2]|0x20
	for i := 0; i < len(words); i += 3 {
		if words[i] == x && words[i+1] == y && words[i+2] == z {
			return i / 3
		}
	}
	return -1
}

// isZone reports whether b begins with a word that can be a zone. Besides MET, +0100 and -01:00 there are Europe/Berlin,
// GMT+2, +03, (CET): what follows the time and is not the year is a zone to all readers.
func isZone(b []byte) bool { return len(b) > 0 && !isDigit(b[0]) }

func isNumericZone(w []byte) bool {
	if len(w) == 6 && w[3] == ':' {
		_, ok := number(w[4:], 2, 2)
		_, ok2 := number(w[1:3], 2, 2)
		return ok && ok2 && (w[0] == '+' || w[0] == '-')
	}
	if len(w) != 5 || w[0] != '+' && w[0] != '-' {
		return false
	}
	_, ok := number(w[1:], 4, 4)
	return ok
}

func isUTC(w []byte) bool {
	return bytes.EqualFold(w, []byte("UTC")) || bytes.EqualFold(w, []byte("GMT")) || bytes.EqualFold(w, []byte("Z"))
}

// date computes the time; zero when a value is out of range.
func (p *sepParser) date(loc *time.Location) time.Time {
	if p.hour > 23 || p.min > 59 || p.sec > 60 || p.day < 1 || p.year < 1 {
		return time.Time{}
	}
	for w, rest := nextWord(p.zone); len(w) > 0; w, rest = nextWord(rest) {
		if isUTC(w) {
			loc = time.UTC
		}
		if isNumericZone(w) {
			h := int(w[1]-'0')*10 + int(w[2]-'0')
			m := int(w[len(w)-2]-'0')*10 + int(w[len(w)-1]-'0')
			off := (h*60 + m) * 60
			if w[0] == '-' {
				off = -off
			}
			loc = time.FixedZone("", off)
		}
	}
	if time.Date(p.year, p.month, p.day, 0, 0, 0, 0, time.UTC).Day() != p.day {
		return time.Time{} // such as February 30
	}
	t := time.Date(p.year, p.month, p.day, p.hour, p.min, 0, 0, loc)
	return t.Add(time.Duration(p.sec) * time.Second) // 60 is a leap second
}

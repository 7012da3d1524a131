package mtakit

import (
	"strconv"
	"strings"
)

// NewFail gives an error value of a table its meaning, as sendmail does with its error mailer. word says what kind of
// failure it is: an enhanced status, one of the words usage, nouser, nohost, unavailable, software, tempfail, protocol
// and config, or an exit status of sysexits.h; anything else stands for unavailable. text is the reply; it may begin
// with a reply code, and that may be followed by an enhanced status. Quotes in text are removed.
//
//	word "5.7.0",  text "550 Closed"          550 5.7.0 Closed, exit status 65
//	word "nouser", text "550 5.1.6 Moved"     550 5.1.6 Moved, exit status 67
//	word "5.1.1",  text "No code"             553 5.3.0 No code, exit status 67: without a code, the status is lost
//	word "4.2.1",  text "450 Later"           450 4.2.1 Later, temporary
//
// The exit status, and with it word, decides whether the failure is temporary.
func NewFail(word, text string) Fail {
	f := Fail{Exit: exitOfWord(word), Route: Route{MailerError, word, text}}
	text = strings.ReplaceAll(loginName(text), "\r", " ")
	text = strings.ReplaceAll(text, "\n", " ")
	code, rest, ok := cutReplyCode(text)
	if !ok {
		f.Code, f.Status, f.Text = 553, StatusSystem, text
		return f
	}
	f.Code, f.Text = code, rest
	if dsn, after, ok := strings.Cut(rest, " "); ok {
		if s, err := ParseStatus(dsn); err == nil {
			f.Status, f.Text = s, after
			return f
		}
	}
	if s, err := ParseStatus(word); err == nil {
		f.Status = s
		return f
	}
	f.Status = NewStatus(code/100, 0, 0)
	return f
}

// cutReplyCode cuts a reply code of three digits and a blank.
func cutReplyCode(text string) (code int, rest string, ok bool) {
	if len(text) < 4 || text[3] != ' ' || text[0] < '2' || text[0] > '5' {
		return 0, "", false
	}
	code, err := strconv.Atoi(text[:3])
	return code, text[4:], err == nil
}

var exitWords = map[string]int{
	"usage": exitUsage, "nouser": exitNoUser, "nohost": exitNoHost, "unavailable": exitUnavailable, "software": exitSoftware,
	"tempfail": exitTempFail, "protocol": exitProtocol, "config": exitConfig,
}

// exitOfWord maps the word of an error value to an exit status.
func exitOfWord(word string) int {
	switch {
	case word == "":
		return exitUnavailable
	case strings.Contains(word, "."):
		if s, err := ParseStatus(word); err == nil {
			return s.ExitStatus()
		}
		return exitConfig
	case word[0] >= '0' && word[0] <= '9':
		n, _ := strconv.Atoi(strings.TrimRightFunc(word, func(c rune) bool { return c < '0' || c > '9' }))
		return n & 0xff
	}
	if exit, ok := exitWords[strings.ToLower(word)]; ok {
		return exit
	}
	return exitUnavailable
}

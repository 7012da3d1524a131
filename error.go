package mtakit

import (
	"errors"
	"fmt"
	"strconv"
)

// Error is a verdict about a message or one of its recipients: what happened, in the terms of SMTP.
// Text may be shown to a stranger; Err is for the log and may say more.
type Error struct {
	Code   int    // SMTP reply code, 4xx or 5xx; zero means derive one from Status (see ReplyCode)
	Status Status // enhanced status; zero means 4.0.0 or 5.0.0 by Code, and 4.0.0 when Code is zero, too
	Text   string // one line for the peer, without codes
	Err    error  // the cause; never sent to a peer

	// Exit is the exit status of sysexits.h that sendmail reports; 75 makes the verdict temporary whatever Code says.
	// Zero means derive it from Status (see ExitStatus). Tables can set it apart from the codes.
	Exit int
}

// Error prints code, status and text as they would appear in a reply, then the cause.
func (e *Error) Error() string {
	s := strconv.Itoa(e.ReplyCode()) + " " + e.EnhancedStatus().String() + " " + e.Text
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// EnhancedStatus returns Status, or the undefined status of the class that Code implies.
func (e *Error) EnhancedStatus() Status {
	switch {
	case e.Status != 0:
		return e.Status
	case e.Code >= 500:
		return StatusPermanent
	}
	return StatusTemporary
}

// ReplyCode returns Code, or a usual reply code for Status: 452 for 4.3.1, 451 for other temporary and 550 for
// other permanent ones (RFC 5321 section 4.2.3). A Code below 400, which tables can ask for, is never returned: a peer
// would take it for success.
func (e *Error) ReplyCode() int {
	switch {
	case e.Code >= 400:
		return e.Code
	case e.Status == StatusSystemFull:
		return 452
	case e.Status.Class() == ClassPermanent:
		return 550
	}
	return 451
}

// Temporary reports whether the verdict may change when the same thing is tried again: when Exit is that of a temporary
// failure or Code is 4yz, since that is what a peer acts on (RFC 5321 section 4.2.1). Without a Code, Status decides.
func (e *Error) Temporary() bool {
	if e.Exit == exitTempFail || e.Code >= 400 && e.Code < 500 {
		return true
	}
	return e.Code == 0 && e.Status.Class() != ClassPermanent
}

// Temporary reports whether trying again later may help. It is the one predicate for that question: an *Error in
// the chain answers for itself, and every other error is temporary, so that a surprise never bounces mail.
// It is false for nil.
func Temporary(err error) bool {
	if err == nil {
		return false
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Temporary()
	}
	return true
}

// Position is a place in a table: file, 1-based line and column, the column in bytes. An entry that continues over
// several lines has the position where it begins. The zero value means "nowhere".
type Position struct {
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	Col  int    `json:"col,omitempty"`
}

// orZero returns the position, or the zero value when there is none.
func (p *Position) orZero() Position {
	if p == nil {
		return Position{}
	}
	return *p
}

// String prints file:line:col, leaving out what is not known.
func (p Position) String() string {
	s := p.File
	for _, n := range [...]int{p.Line, p.Col} {
		if n == 0 {
			break
		}
		if s != "" {
			s += ":"
		}
		s += strconv.Itoa(n)
	}
	return s
}

// SyntaxError is a fault in a table's text: where it is and what is wrong.
type SyntaxError struct {
	Pos Position
	Err error
}

// Error prints position and reason.
func (e *SyntaxError) Error() string { return fmt.Sprintf("%v: %v", e.Pos, e.Err) }

// Unwrap returns the reason.
func (e *SyntaxError) Unwrap() error { return e.Err }

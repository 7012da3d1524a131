package lint

import (
	"cmp"
	"slices"

	"github.com/mtakit/mtakit"
)

// Severity tells how bad a finding is.
type Severity uint8

// The severities.
const (
	Note    Severity = iota + 1 // odd, harmless
	Warning                     // probably not meant that way
	Error                       // mail is lost or refused, or the server can be abused
)

// String returns note, warning or error.
func (s Severity) String() string {
	switch s {
	case Note:
		return "note"
	case Warning:
		return "warning"
	}
	return "error"
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Finding is one thing that is wrong.
type Finding struct {
	Pos      mtakit.Position // file and line; the zero value speaks of no line in particular
	Severity Severity
	Code     string // which kind, from the list in the package comment
	Text     string // what is wrong, for people
}

// Codes lists the kinds of findings in the order of the package comment.
func Codes() []string {
	return []string{
		"syntax", "duplicate-key", "shadowed-key", "unreachable-key", "loop", "dangling-target", "broken-target",
		"no-postmaster", "not-our-domain", "local-domain", "no-mailer", "catch-all", "open-relay", "unsafe-mode", "missing-file",
	}
}

// String prints file:line:col: severity: code: text.
func (f Finding) String() string {
	s := f.Severity.String() + ": " + f.Code + ": " + f.Text
	if f.Pos != (mtakit.Position{}) {
		s = f.Pos.String() + ": " + s
	}
	return s
}

// Worst returns the highest severity among findings, zero when there are none.
func Worst(findings []Finding) Severity {
	var worst Severity
	for _, f := range findings {
		worst = max(worst, f.Severity)
	}
	return worst
}

// tidy sorts findings by place and drops repetitions.
func tidy(findings []Finding) []Finding {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col),
			cmp.Compare(b.Severity, a.Severity), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Text, b.Text))
	})
	return slices.Compact(findings)
}

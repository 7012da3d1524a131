package stats

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/cflines"
)

// ErrTooManyMailers says that a configuration defines more than MaxMailers.
var ErrTooManyMailers = errors.New("too many mailers defined")

// Config is what mailstats needs to know of a sendmail.cf.
type Config struct {
	Mailers    []string // names by number, beginning with prog, *file* and *include*
	StatusFile string   // "" when there is no such option; the last one counts

	StatusFileSet bool // there is such an option, be its value empty
}

// builtin are the mailers that sendmail itself defines, before any configuration.
var builtin = [...]string{"prog", "*file*", "*include*"}

// ParseConfig reads the M lines and the StatusFile option ("O StatusFile=FILE", "OSFILE") of a sendmail.cf; name appears in
// errors. Everything from a '#' or NUL on is left out first, as mailstats does, and mailer names are cut at 20 bytes. Like
// mailstats it knows no continued lines and reads a line of more than 2047 bytes in pieces, each a line of its own.
func ParseConfig(r io.Reader, name string) (*Config, error) {
	c := &Config{Mailers: slices.Clone(builtin[:])}
	for line, err := range cflines.Physical(r) {
		if err != nil {
			return nil, err
		}
		if err := c.line(line.Text); err != nil {
			return nil, &mtakit.SyntaxError{Pos: mtakit.Position{File: name, Line: line.Number}, Err: err}
		}
	}
	return c, nil
}

const blanks = " \t\n\v\f\r"

func (c *Config) line(line string) error {
	line, _, _ = strings.Cut(line, "#")
	line = strings.TrimRight(line, blanks)
	const option = "O StatusFile"
	switch {
	case strings.HasPrefix(line, "M"):
		if len(c.Mailers) >= MaxMailers {
			return ErrTooManyMailers
		}
		name := line[1:]
		if i := strings.IndexAny(name, ","+blanks); i >= 0 {
			name = name[:i]
		}
		name = name[:min(len(name), 20)]
		if !slices.Contains(c.Mailers, name) {
			c.Mailers = append(c.Mailers, name)
		}
	case strings.HasPrefix(line, "O") && len(line) >= len(option) && strings.EqualFold(line[:len(option)], option) && !alnumAt(line, len(option)):
		if _, value, ok := strings.Cut(line, "="); ok {
			c.StatusFile, c.StatusFileSet = strings.TrimLeft(value, blanks), true
		}
	case strings.HasPrefix(line, "OS"):
		c.StatusFile, c.StatusFileSet = line[2:], true
	}
	return nil
}

func alnumAt(s string, i int) bool {
	return i < len(s) && (s[i] >= '0' && s[i] <= '9' || s[i]|0x20 >= 'a' && s[i]|0x20 <= 'z')
}

package sendmailcf

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/cflines"
	"github.com/mtakit/mtakit/internal/lex"
)

// Default is the configuration of a stock sendmail, and Submit that of its submission queue (-Ac).
const (
	Default = "/etc/mail/sendmail.cf"
	Submit  = "/etc/mail/submit.cf"
)

// Option is an option as "O Name=value" sets it, by its full name; those of one letter ("OQ/var/spool/mqueue") have their long
// name here if it is one of longNames, and else none.
type Option struct {
	Name, Value string
	Line        int
}

// longNames are the names of those options of one letter that the commands use.
var longNames = map[byte]string{'Q': "QueueDirectory", 'q': "QueueFactor", 'x': "QueueLA"}

// File is what was read of a configuration.
type File struct {
	Options []Option
	// Queues are the queue groups in their order. Of one that is defined twice, each later definition takes the place of
	// the first, as in sendmail.
	Queues []Queue
	// Remarks are what sendmail prints about the lines, "FILE: line N: text", in their order: the faults and more.
	Remarks []string
}

// Read reads a configuration file.
func Read(path string, given ...string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Parse(f, path, given...)
}

// Parse reads a configuration. It keeps what is good, and its error joins a *mtakit.SyntaxError for every line that is not.
// given are the names of options that the command line has set already.
func Parse(r io.Reader, name string, given ...string) (*File, error) {
	f := &File{}
	p := &parser{File: f, placed: slices.Contains(given, "QueueDirectory")}
	var errs []error
	for line, err := range cflines.Logical(r) {
		if err != nil {
			errs = append(errs, err)
			break
		}
		p.number = line.Number
		p.remark = func(text string) {
			f.Remarks = append(f.Remarks, fmt.Sprintf("%s: line %d: %s", lex.Short(name, lex.ShortFile), line.Number, text))
		}
		for _, err := range p.line(line.Text) {
			p.remark(err.Error())
			errs = append(errs, &mtakit.SyntaxError{Pos: mtakit.Position{File: name, Line: line.Number}, Err: err})
		}
	}
	return f, errors.Join(errs...)
}

// parser is at one line of a configuration.
type parser struct {
	*File
	number int
	remark func(text string)
	placed bool // QueueDirectory is set
}

func (p *parser) line(line string) (faults []error) {
	letter, rest := line[0], line[1:]
	switch {
	case letter == 'O' && strings.HasPrefix(rest, " "):
		name, value, remark, err := ParseOption(rest[1:])
		if remark != "" {
			p.remark(remark)
		}
		if err != nil {
			return []error{err}
		}
		p.option(name, value)
	case letter == 'O' && rest != "" && longNames[rest[0]] != "":
		p.option(longNames[rest[0]], strings.TrimSpace(rest[1:]))
	case letter == 'Q':
		q, err := parseQueue(rest, p.remark)
		if err != nil {
			faults = append(faults, err)
		}
		if q.Name != "" && !p.placed {
			faults = append(faults, errors.New("QueueDir must be defined before queue groups"))
		}
		if faults == nil {
			p.queue(q)
		}
	}
	return faults
}

func (p *parser) option(name, value string) {
	p.placed = p.placed || name == "QueueDirectory"
	p.Options = append(p.Options, Option{name, value, p.number})
}

func (p *parser) queue(q Queue) {
	for i := range p.Queues {
		if strings.EqualFold(p.Queues[i].Name, q.Name) {
			p.Queues[i] = q
			return
		}
	}
	p.Queues = append(p.Queues, q)
}

// Option returns the last value that an option is given, in any case of its name, and "" when there is none.
func (f *File) Option(name string) string {
	value := ""
	for _, o := range f.Options {
		if strings.EqualFold(o.Name, name) {
			value = o.Value
		}
	}
	return value
}

package sendmailcf

import (
	"errors"
	"io"
	"os"
	"strings"

	"github.com/mtakit/mtakit"
)

// Default is the configuration of a stock sendmail, and Submit that of its submission queue (-Ac).
const (
	Default = "/etc/mail/sendmail.cf"
	Submit  = "/etc/mail/submit.cf"
)

// Option is an option as "O Name=value" sets it; those of one letter ("OQ/var/spool/mqueue") have their long name here if it is
// one of longNames, and else none.
type Option struct{ Name, Value string }

// longNames are the names of those options of one letter that the commands use.
var longNames = map[byte]string{'Q': "QueueDirectory", 'q': "QueueFactor", 'x': "QueueLA"}

// File is what was read of a configuration.
type File struct {
	Options []Option
	// Queues are the queue groups in their order. Of one that is defined twice, each later definition takes the place of
	// the first, as in sendmail.
	Queues []Queue
}

// Read reads a configuration file.
func Read(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return Parse(f, path)
}

// Parse reads a configuration. It keeps what is good, and its error joins a *mtakit.SyntaxError for every line that is not.
func Parse(r io.Reader, name string) (*File, error) {
	f := &File{}
	var errs []error
	err := Lines(r, func(number int, line string) {
		if err := f.line(line); err != nil {
			errs = append(errs, &mtakit.SyntaxError{Pos: mtakit.Position{File: name, Line: number}, Err: err})
		}
	})
	return f, errors.Join(append(errs, err)...)
}

func (f *File) line(line string) error {
	letter, rest := line[0], line[1:]
	switch {
	case letter == 'O' && strings.HasPrefix(rest, " "):
		name, value, _ := strings.Cut(rest, "=")
		f.Options = append(f.Options, Option{strings.TrimSpace(name), strings.TrimSpace(value)})
	case letter == 'O' && rest != "" && longNames[rest[0]] != "":
		f.Options = append(f.Options, Option{longNames[rest[0]], strings.TrimSpace(rest[1:])})
	case letter == 'Q':
		q, err := parseQueue(rest)
		if err != nil {
			return err
		}
		for i := range f.Queues {
			if strings.EqualFold(f.Queues[i].Name, q.Name) {
				f.Queues[i] = q
				return nil
			}
		}
		f.Queues = append(f.Queues, q)
	}
	return nil
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

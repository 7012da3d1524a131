package alias

import (
	"errors"
	"fmt"
	"strings"
)

// Source is one element of sendmail's AliasFile option: [class:][-options ]file.
type Source struct {
	Class    string // "implicit" when none is given: hash, or the text itself as long as there is no database
	File     string
	Optional bool // -o: a missing file is no error
	Append   bool // -A: values of repeated keys are joined
	KeepCase bool // -f: keys are not folded
	NUL      bool // -N: keys and values carry a trailing NUL byte, as they always do in class implicit
}

// class says what aliases can do with a map class.
type class int

const (
	refused  class = iota + 1 // the class cannot hold aliases
	nameless                  // it holds them, and needs no file name
	asked                     // it holds them, and is asked as it is
	compiled                  // newaliases builds a database
)

// classes are the map classes of a stock sendmail 8.17, and cdb.
var classes = map[string]class{
	"implicit": compiled, "hash": compiled, "btree": compiled, "cdb": compiled,
	"text": asked, "stab": asked, "program": asked, "switch": asked, "nis": asked, "nisplus": asked, "socket": asked,
	"null": nameless, "sequence": nameless, "ldap": nameless,
	"host": refused, "dns": refused, "dequote": refused, "regex": refused, "user": refused, "userdb": refused,
	"bestmx": refused, "macro": refused, "arith": refused, "syslog": refused,
}

// flags are the letters that may follow the dash of an option of a class that newaliases builds.
const flags = "AaDdfkmNOoqSTtvz"

// Compiled reports whether newaliases builds a database for the source.
func (s Source) Compiled() bool { return classes[s.Class] == compiled }

// ParseSources reads sendmail's AliasFile option. Commas separate the elements; of an element only the first word
// after its options counts. Class names are folded. The good elements are returned in any case; the error joins what is wrong with
// the others, in sendmail's words.
func ParseSources(option string) ([]Source, error) { return AppendSources(nil, option) }

// maxSources is how many sources there may be.
const maxSources = 128

// AppendSources reads another AliasFile option, the elements of which sendmail adds to those that it has: list.
func AppendSources(list []Source, option string) ([]Source, error) {
	var errs []error
	number := len(list)
	for elem := range strings.SplitSeq(option, ",") {
		if elem = strings.TrimSpace(elem); elem == "" {
			continue
		}
		if number >= maxSources {
			errs = append(errs, fmt.Errorf("Too many alias databases defined, %d max", maxSources)) //lint:ignore ST1005 sendmail's words
			break
		}
		s, err := parseSource(elem, number)
		if s.File != "" || classes[s.Class] == nameless {
			number++
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		list = append(list, s)
	}
	return list, errors.Join(errs...)
}

// parseSource reads one element. number counts the maps before it, from which its name is made.
func parseSource(elem string, number int) (Source, error) {
	s := Source{Class: "implicit"}
	if class, rest, ok := strings.Cut(elem, ":"); ok && !strings.HasPrefix(elem, "/") {
		s.Class, elem = strings.ToLower(strings.TrimSpace(class)), rest
		switch classes[s.Class] {
		case 0:
			return s, fmt.Errorf("setalias: unknown alias class %s", strings.TrimSpace(class))
		case refused:
			return s, fmt.Errorf("setalias: map class %s can't handle aliases", s.Class)
		}
	}
	var errs []error
	for _, word := range strings.Fields(elem) {
		if word[0] != '-' {
			s.File = word
			break
		}
		if s.Compiled() && (len(word) < 2 || strings.IndexByte(flags, word[1]) < 0) {
			errs = append(errs, fmt.Errorf("Illegal option %s map Alias%d", word[1:min(2, len(word))], number)) //lint:ignore ST1005 sendmail's words
		}
		s.Optional = s.Optional || strings.HasPrefix(word, "-o")
		s.Append = s.Append || strings.HasPrefix(word, "-A")
		s.KeepCase = s.KeepCase || strings.HasPrefix(word, "-f")
		s.NUL = s.NUL || strings.HasPrefix(word, "-N")
	}
	if s.File == "" && classes[s.Class] >= asked {
		errs = append(errs, fmt.Errorf("No file name for %s map Alias%d", s.Class, number)) //lint:ignore ST1005 sendmail's words
	}
	return s, errors.Join(errs...)
}

package alias

import (
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

// classes are the map classes of a stock sendmail 8.17. Those that are true can be compiled by newaliases.
var classes = map[string]bool{
	"implicit": true, "hash": true, "btree": true, "dbm": true, "cdb": true,
	"text": false, "stab": false, "null": false, "program": false, "sequence": false, "switch": false, "nis": false,
	"host": false, "dns": false, "dequote": false, "regex": false, "user": false, "bestmx": false, "macro": false,
	"arith": false, "socket": false, "syslog": false, "ldap": false,
}

// Compiled reports whether newaliases builds a database for the source.
func (s Source) Compiled() bool { return classes[s.Class] }

// ParseSources reads sendmail's AliasFile option. Commas separate the elements; of an element only the first word
// after its options counts. An unknown class is an error with sendmail's text.
func ParseSources(option string) ([]Source, error) {
	var list []Source
	for elem := range strings.SplitSeq(option, ",") {
		elem = strings.TrimSpace(elem)
		if elem == "" {
			continue
		}
		s := Source{Class: "implicit"}
		if class, rest, ok := strings.Cut(elem, ":"); ok && !strings.HasPrefix(elem, "/") {
			s.Class, elem = strings.TrimSpace(class), rest
			if _, known := classes[s.Class]; !known {
				return list, fmt.Errorf("setalias: unknown alias class %s", s.Class)
			}
		}
		for _, word := range strings.Fields(elem) {
			if word[0] != '-' {
				s.File = word
				break
			}
			s.Optional = s.Optional || strings.HasPrefix(word, "-o")
			s.Append = s.Append || strings.HasPrefix(word, "-A")
			s.KeepCase = s.KeepCase || strings.HasPrefix(word, "-f")
			s.NUL = s.NUL || strings.HasPrefix(word, "-N")
		}
		if s.File != "" {
			list = append(list, s)
		}
	}
	return list, nil
}

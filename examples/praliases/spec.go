package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/mtakit/mtakit/internal/cflines"
	"github.com/mtakit/mtakit/internal/strerror"
)

// spec is an alias database: "[class:][-option ...] file".
type spec struct {
	class string // "" when none is given
	file  string
}

const blanks = " \t\n\v\f\r"

// parseSpec reads the text of a database. All that follows the options is the name of the file.
func parseSpec(text string) (s spec, err error) {
	class, file, named := strings.Cut(text, ":")
	if !named {
		class, file = "", text
	}
	for {
		file = strings.TrimLeft(file, blanks)
		if !strings.HasPrefix(file, "-") {
			break
		}
		if end := strings.IndexAny(file, blanks); end >= 0 {
			file = file[end:]
		} else {
			file = ""
		}
	}
	switch {
	case named && class == "":
		return s, fmt.Errorf("illegal alias specification: %s", text)
	case named && class != "hash" && class != "btree" && class != "cdb":
		//lint:ignore ST1005 sendmail's words
		return s, fmt.Errorf("Skipping non-file based alias type %s", class)
	case file == "":
		return s, fmt.Errorf("illegal alias specification: %s", text)
	}
	return spec{class, file}, nil
}

// cannotOpen words the reason why a database cannot be opened. Without a class, several kinds were tried.
func (s spec) cannotOpen(path string, err error) string {
	if fi, serr := os.Stat(path); serr == nil && fi.IsDir() {
		return strerror.Text(syscall.EISDIR)
	}
	var errno syscall.Errno
	switch {
	case s.class == "" && (!errors.As(err, &errno) || errors.Is(err, fs.ErrNotExist)):
		return "Unknown database type"
	case !errors.As(err, &errno):
		return strerror.Text(syscall.EINVAL) // it is damaged
	}
	return strerror.Text(err)
}

// readConfig returns the texts of the databases that a configuration names, with praliases' eyes: it joins no lines, knows neither
// comments nor abbreviations, and takes all AliasFile options together.
func readConfig(path string) (specs []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for line, err := range cflines.Physical(f) {
		if errors.Is(err, syscall.EISDIR) {
			break // which says nothing
		}
		if err != nil {
			return nil, err
		}
		if list, ok := aliasFile(line.Text); ok {
			for list != "" {
				elem, rest, more := strings.Cut(list, ",")
				if list = strings.TrimLeft(rest, blanks); more {
					elem = strings.TrimRight(elem, blanks)
				}
				specs = append(specs, elem)
			}
		}
	}
	return specs, nil
}

// aliasFile returns the value of an AliasFile option.
func aliasFile(line string) (value string, ok bool) {
	const name = "O AliasFile"
	if rest, ok := strings.CutPrefix(line, "OA"); ok {
		return strings.TrimLeft(rest, blanks), true
	}
	if !strings.HasPrefix(line, "O ") || len(line) < len(name) || !strings.EqualFold(line[:len(name)], name) {
		return "", false
	}
	rest := line[len(name):]
	if rest != "" && (rest[0] >= '0' && rest[0] <= '9' || rest[0]|0x20 >= 'a' && rest[0]|0x20 <= 'z') {
		return "", false // a longer name
	}
	_, value, ok = strings.Cut(rest, "=")
	return strings.TrimLeft(value, blanks), ok
}

// Package getopt takes command lines apart as getopt(3) does: single letters that may be joined, with the argument of an option
// in the same word or in the next. The first word that is no option ends them, and so does "--".
package getopt

import (
	"fmt"
	"strings"
)

// Parse calls set for each option of args. spec lists the letters; a colon follows those that take an argument, two
// follow those whose argument may be missing and is never in the next word. It returns the
// operands. An error, worded as getopt(3) prints it without the program's name, is about an unknown letter or a missing
// argument; set's own errors are returned as they are.
func Parse(args []string, spec string, set func(letter byte, arg string) error) (operands []string, err error) {
	for len(args) > 0 {
		word := args[0]
		if len(word) < 2 || word[0] != '-' {
			return args, nil
		}
		args = args[1:]
		if word == "--" {
			return args, nil
		}
		for i := 1; i < len(word); i++ {
			at := strings.IndexByte(spec, word[i])
			if at < 0 || word[i] == ':' {
				return args, fmt.Errorf("invalid option -- '%c'", word[i])
			}
			arg := ""
			takes := at+1 < len(spec) && spec[at+1] == ':'
			if takes {
				arg = word[i+1:]
				optional := at+2 < len(spec) && spec[at+2] == ':'
				if arg == "" && !optional {
					if len(args) == 0 {
						return args, fmt.Errorf("option requires an argument -- '%c'", word[i])
					}
					arg, args = args[0], args[1:]
				}
			}
			if err := set(word[i], arg); err != nil {
				return args, err
			}
			if takes {
				break
			}
		}
	}
	return nil, nil
}

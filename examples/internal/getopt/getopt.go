// Package getopt takes command lines apart as getopt(3) does: single letters that may be joined, with the argument of an option
// in the same word or in the next. The first word that is no option ends them, and so does "--".
package getopt

import (
	"fmt"
	"strings"
)

// Sendmail are the options of sendmail(8), and so of newaliases and mailq, which are other names of it.
const Sendmail = "A:B:b:C:::cD:d::e:F:f:Gh:IiL:M:mN:nO:o:p:Q::q::R:r:sTtUV:vX:"

// Error is about an option that is unknown, or lacks its argument.
type Error struct {
	Letter byte
	NoArg  bool
}

// Error words it as getopt(3) of the GNU C library does.
func (e *Error) Error() string {
	if e.NoArg {
		return fmt.Sprintf("option requires an argument -- '%c'", e.Letter)
	}
	return fmt.Sprintf("invalid option -- '%c'", e.Letter)
}

// Short words it as sendmail does, which has a getopt of its own.
func (e *Error) Short() string {
	if e.NoArg {
		return fmt.Sprintf("option requires an argument -- %c", e.Letter)
	}
	return fmt.Sprintf("illegal option -- %c", e.Letter)
}

// Parse calls set for each option of args. spec lists the letters; a colon follows those that take an argument, two
// follow those whose argument may be missing and is never in the next word, and three those where it may be missing when there is
// no next word. It returns the operands. An error is an *Error, or what set returned.
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
				return args, &Error{Letter: word[i]}
			}
			arg := ""
			takes := at+1 < len(spec) && spec[at+1] == ':'
			if takes {
				arg = word[i+1:]
				optional := strings.HasPrefix(spec[at+2:], ":")
				joined := optional && !strings.HasPrefix(spec[at+2:], "::")
				switch {
				case arg != "" || joined:
				case len(args) > 0:
					arg, args = args[0], args[1:]
				case !optional:
					return args, &Error{Letter: word[i], NoArg: true}
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

// Permuted is Parse for programs whose options may stand behind operands, too, as getopt(3) of the GNU C library has it. Behind "--"
// there are operands alone.
func Permuted(args []string, spec string, set func(letter byte, arg string) error) (operands []string, err error) {
	for {
		rest, err := Parse(args, spec, set)
		if err != nil {
			return nil, err
		}
		read := len(args) - len(rest)
		if len(rest) == 0 || read > 0 && args[read-1] == "--" {
			return append(operands, rest...), nil
		}
		operands, args = append(operands, rest[0]), rest[1:]
	}
}

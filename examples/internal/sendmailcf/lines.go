package sendmailcf

import (
	"bufio"
	"io"
	"strings"
)

// Lines calls f for the lines of a configuration, without comments and with continued lines joined by a blank. number is that
// of the last physical line, which sendmail names in its messages. The error is that of r.
func Lines(r io.Reader, f func(number int, line string)) error {
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	held, n := "", 0
	for in.Scan() {
		line := strings.TrimRight(in.Text(), "\r")
		if line != "" && (line[0] == ' ' || line[0] == '\t') {
			held += " " + strings.TrimLeft(line, " \t")
		} else {
			give(n, held, f)
			held = line
		}
		n++
	}
	give(n, held, f)
	return in.Err()
}

func give(number int, line string, f func(number int, line string)) {
	if line != "" && line[0] != '#' {
		f(number, cutComment(line))
	}
}

// cutComment takes off what follows a "#" that has white space before it.
func cutComment(s string) string {
	for i := 1; i < len(s); i++ {
		if s[i] == '#' && (s[i-1] == ' ' || s[i-1] == '\t') {
			return strings.TrimRight(s[:i], " \t")
		}
	}
	return s
}

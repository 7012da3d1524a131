// Package listfile reads the files that :include: and .forward have in common: lines of addresses, which belong to a
// user and are believed only when nobody else could have written them.
package listfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/mtakit/mtakit"
)

// Limits bounds what is read. Zero fields mean the defaults.
type Limits struct {
	MaxSize int64 // bytes of a file; default 16 MiB
	MaxLine int   // bytes of a line without its newline; default 64 KiB
}

func (l Limits) maxSize() int64 {
	if l.MaxSize > 0 {
		return l.MaxSize
	}
	return 16 << 20
}

func (l Limits) maxLine() int {
	if l.MaxLine > 0 {
		return l.MaxLine
	}
	return 64 << 10
}

// ErrTooBig means that a file is bigger than the limit.
var ErrTooBig = errors.New("file too large")

// Parse reads the lines of a list file. Each is a list as in an alias. Lines that are empty or begin with a number
// sign say nothing, and neither does what follows a "#@#" between blanks; CR before the end of a line is dropped. A
// line that is too long becomes a Fail member, and the others count. An error means that the file could not be read
// to its end: what was read so far must not be used.
func Parse(r io.Reader, name string, limits Limits) ([]mtakit.Member, error) {
	lr := &io.LimitedReader{R: r, N: limits.maxSize() + 1}
	br := bufio.NewReader(lr)
	var members []mtakit.Member
	for pos := (mtakit.Position{File: name, Line: 1, Col: 1}); ; pos.Line++ {
		line, long, err := readLine(br, limits.maxLine())
		if err != nil && err != io.EOF {
			return nil, err
		}
		if lr.N == 0 {
			return nil, ErrTooBig
		}
		if long {
			members = append(members, tooLong(limits.maxLine(), pos))
		} else if text := content(line); text != "" {
			members = append(members, mtakit.ParseList(text, pos)...)
		}
		if err == io.EOF {
			return members, nil
		}
	}
}

// readLine reads up to a newline, which is not part of line. What is longer than limit is dropped and makes long true.
func readLine(br *bufio.Reader, limit int) (line []byte, long bool, err error) {
	line, err = br.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		line = bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) {
			var more []byte
			if more, err = br.ReadSlice('\n'); len(line) <= limit+1 {
				line = append(line, more...)
			}
		}
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	return line, len(line) > limit, err
}

func tooLong(limit int, pos mtakit.Position) mtakit.Member {
	fail := mtakit.Fail{
		Code:   554,
		Status: mtakit.StatusListExpansion,
		Text:   fmt.Sprintf("Line too long (limit is %d bytes)", limit),
	}
	return mtakit.Member{To: fail, Pos: pos}
}

// content returns the list on a line, "" if there is none.
func content(line []byte) string {
	s := strings.TrimSuffix(string(line), "\r")
	if s == "" || s[0] == '#' {
		return ""
	}
	for at := 0; ; {
		n := strings.Index(s[at:], "#@#")
		if n < 0 {
			return s
		}
		at += n
		if end := at + len("#@#"); at > 0 && isSpace(s[at-1]) && (end == len(s) || isSpace(s[end])) {
			return strings.TrimRight(s[:at], " \t\r\n\v\f")
		}
		at++
	}
}

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

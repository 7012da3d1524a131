package forward

import (
	"fmt"
	"os"
	"strings"

	"github.com/mtakit/mtakit"
)

// Smrsh is the allow list of sendmail's restricted shell, FEATURE(smrsh): programs are taken from one directory only,
// and nothing that a shell could be tricked with gets through. The zero value is ready for use.
type Smrsh struct {
	// Dir holds the programs that are allowed, or links to them. Empty means /etc/mail/smrsh.
	Dir string
}

// SmrshEnv is the environment that the restricted shell runs commands with.
var SmrshEnv = []string{"PATH=/usr/bin:/bin"}

const (
	smrshSpecials = "<>|^();&`$\r\n"
	smrshMax      = 1000 // bytes of a command after rewriting, with a NUL byte
)

// Command checks a command and rewrites it, the names of programs replaced by those in Dir, for /bin/sh -c. A command
// that is refused is an *mtakit.Error with the restricted shell's message as Text and 69 or 64 as exit status.
//
// The words that begin a command, at the start and after && and ||, must name a file in Dir that can be executed,
// whatever directory stands in front of them; exec may precede them, and exit and echo are let through. None of
// < > | ^ ( ) ; & ` $ CR LF may stand anywhere else, quoted or not. Other quoting and globbing is the shell's.
func (s *Smrsh) Command(command string) (string, error) {
	dir := s.Dir
	if dir == "" {
		dir = "/etc/mail/smrsh"
	}
	if len(command) > smrshMax-len(dir)-3 {
		return "", smrshTooLong(command)
	}
	var b strings.Builder
	exec := false
	for rest := command; ; {
		rest = strings.TrimLeft(rest, " \t")
		if rest == "" {
			break
		}
		word, args, more := rest, "", false
		if i := strings.IndexAny(rest, " \t"); i >= 0 {
			word, args, more = rest[:i], rest[i+1:], true
		}
		if word == "exec" && more {
			b.WriteString("exec ")
			rest, exec = args, true
			continue
		}
		program, err := s.program(dir, word)
		if err != nil {
			return "", err
		}
		b.WriteString(program)
		exec = false
		if !more {
			break
		}
		args = " " + args
		end := indexSpecial(args)
		if end < 0 {
			b.WriteString(args)
			break
		}
		if op := args[end:]; !strings.HasPrefix(op, "&&") && !strings.HasPrefix(op, "||") {
			return "", smrshError(69, "cannot use %s in command", op[:1])
		}
		b.WriteString(args[:end+2])
		rest = args[end+2:]
	}
	switch {
	case exec:
		return "", smrshError(69, "missing command to exec")
	case b.Len() >= smrshMax:
		return "", smrshTooLong(command)
	case b.Len() == 0:
		e := smrshError(64, "")
		e.Text = "Usage: smrsh -c command"
		return "", e
	}
	return b.String(), nil
}

// program returns what stands for the first word of a command.
func (s *Smrsh) program(dir, word string) (string, error) {
	if word == "exit" || word == "echo" {
		return word, nil
	}
	name := word
	for i := len(name) - 1; i >= 0; i-- {
		if name[i]&0x7f == '/' {
			name = name[i+1:]
			break
		}
	}
	path := dir + "/" + name
	fi, err := os.Stat(path)
	switch {
	case err != nil:
		return "", smrshError(69, "\"%s\" not available for sendmail programs (stat failed)", name)
	case !fi.Mode().IsRegular():
		return "", smrshError(69, "\"%s\" not available for sendmail programs (not a file)", name)
	case fi.Mode()&0o111 == 0:
		return "", smrshError(69, "\"%s\" not available for sendmail programs", name)
	}
	return path, nil
}

// indexSpecial finds the first character that must not be in a command, with or without its eighth bit.
func indexSpecial(s string) int {
	for i := 0; i < len(s); i++ {
		if strings.IndexByte(smrshSpecials, s[i]&0x7f) >= 0 {
			return i
		}
	}
	return -1
}

func smrshTooLong(command string) error {
	return smrshError(69, "command too long: %s", command)
}

func smrshError(exit int, format string, args ...any) *mtakit.Error {
	return &mtakit.Error{
		Code:   554,
		Status: mtakit.StatusPermanent,
		Exit:   exit,
		Text:   "smrsh: " + fmt.Sprintf(format, args...),
	}
}

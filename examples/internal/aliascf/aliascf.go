// Package aliascf reads what newaliases needs of a sendmail configuration.
package aliascf

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/examples/internal/sendmailcf"
	"github.com/mtakit/mtakit/internal/cflines"
	"github.com/mtakit/mtakit/internal/lex"
	"github.com/mtakit/mtakit/internal/listfile"
	"github.com/mtakit/mtakit/internal/safefile"
)

// Exit codes of sysexits.h.
const (
	exSoftware = 70
	exOSErr    = 71
)

// Default is the configuration of a stock sendmail.
const Default = sendmailcf.Default

// Options are the options that concern alias files. Those of the command line are set first, and win.
type Options struct {
	Sources        []alias.Source // those of AliasFile that are good
	CheckAliases   bool
	QueueDirectory string // where sendmail works, and relative names of alias files begin
	TrustedUser    string
	DontBlame      mtakit.DontBlame // DontBlameSendmail, which adds up

	LocalDomains []string // class w

	Messages []string // what sendmail says about the options
	Exit     int      // not 0 when one of them is such that sendmail does nothing more, and ends so

	at    string          // "file: line N: " in front of messages
	given map[string]bool // options that were set
	fixed map[string]bool // options that stay as they are
}

// Read reads a configuration file. What was set before stays, but for DontBlame, to which the file adds.
func (o *Options) Read(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil && fi.IsDir() {
		return &os.PathError{Op: "read", Path: path, Err: syscall.EISDIR}
	}
	return o.Parse(f, path)
}

// Parse reads the O lines of a configuration called name: "O Name=value", and "OAvalue" for AliasFile.
func (o *Options) Parse(r io.Reader, name string) error {
	o.fixed, o.given = o.given, nil
	defer func() { o.at = "" }()
	for l, err := range cflines.Logical(r) {
		if err != nil {
			return err
		}
		line := l.Text
		o.at = lex.Short(name, lex.ShortFile) + ": line " + strconv.Itoa(l.Number) + ": "
		switch {
		case strings.HasPrefix(line, "O "):
			o.Set(line[2:])
		case strings.HasPrefix(line, "O"):
			o.SetLetter(line[1:])
		case strings.HasPrefix(line, "Cw"), strings.HasPrefix(line, "C{w}"):
			o.LocalDomains = append(o.LocalDomains, strings.Fields(strings.TrimPrefix(strings.TrimPrefix(line[1:], "w"), "{w}"))...)
		case line[0] == 'F':
			o.class(line[1:])
		}
	}
	return nil
}

// class reads the F line of a class, "F{name}[-o] path [format]", without its letter. Files of all classes must be there, unless
// "-o" says that they may be missing; the words of class w are kept. Programs and maps are not asked for words.
func (o *Options) class(line string) {
	name, rest, err := className(line)
	if err != nil {
		o.check("", err)
		return
	}
	rest = strings.TrimLeft(rest, blanks)
	optional := strings.HasPrefix(rest, "-o")
	if optional {
		rest = strings.TrimLeft(rest[min(len(rest), max(0, strings.IndexAny(rest+" ", blanks))):], blanks)
	}
	if rest == "" {
		o.fail(exSoftware, "fileclass: missing file name")
		return
	}
	if _, at, ok := strings.Cut(rest, "@"); rest[0] == '|' || rest[0] != '/' && ok && (at == "LDAP" || at != "" && strings.Contains(at[1:], ":")) {
		return
	}
	path, format := rest, "%s"
	if i := strings.IndexAny(rest, blanks); i >= 0 {
		path = rest[:i]
		if f := strings.TrimLeft(rest[i:], blanks); f != "" {
			format = f
		}
	}
	text, err := o.readClass(path)
	switch {
	case err != nil && !optional:
		o.fail(exOSErr, "fileclass: cannot open '"+path+"': "+listfile.Text(err))
	case err == nil && name == "w":
		for line := range strings.Lines(string(text)) {
			o.LocalDomains = append(o.LocalDomains, scan(line, format)...)
		}
	}
}

const blanks = " \t\r\n\v\f"

// className takes the name of a class off the front of s.
func className(s string) (name, rest string, err error) {
	switch {
	case s == "":
		//lint:ignore ST1005 sendmail's words
		return "", "", errors.New("Name required for macro/class")
	case s[0] != '{':
		return s[:1], s[1:], nil
	}
	name, rest, ok := strings.Cut(s[1:], "}")
	if !ok {
		return "", "", errors.New("Unbalanced { on " + name + "\n" + "Unable to assign macro/class ID (mid = 0xffffffff)")
	}
	return name, rest, nil
}

// scan returns the words of a line that sscanf(3) finds by format: what "%[^…]" spans, or the first word.
func scan(line, format string) []string {
	if set, ok := strings.CutPrefix(format, "%[^"); ok {
		set, _, _ = strings.Cut(strings.ReplaceAll(set, "\\", ""), "]")
		if i := strings.IndexAny(line, set); i >= 0 {
			line = line[:i]
		}
		return strings.Fields(line)
	}
	words := strings.Fields(line)
	return words[:min(len(words), 1)]
}

// readClass reads a file if nobody else may have written it. Relative names begin in the current directory.
func (o *Options) readClass(path string) ([]byte, error) {
	dir := "/"
	if filepath.IsLocal(path) {
		dir, path = ".", "/"+path // of a relative name sendmail examines no directory above the current one either
	} else if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	root, err := safefile.NewRoot(dir, "/")
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.Open(path, safefile.Identity{UID: os.Geteuid(), GID: os.Getegid()}, safefile.Rules{
		GroupWritable: true,
		WorldWritable: true,
		UnsafeDir:     o.DontBlame.Has(mtakit.DontBlameClassFileInUnsafeDirPath),
		Linked:        o.DontBlame.Has(mtakit.DontBlameLinkedClassFileInWritableDir),
		TrustSticky:   o.DontBlame.Has(mtakit.DontBlameTrustStickyBit),
		GroupDirSafe:  o.DontBlame.Has(mtakit.DontBlameGroupWritableDirPathSafe),
	})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(f)
}

// Set takes an option in the form "Name=value". Its name may be cut short as long as it is the only one that begins so.
func (o *Options) Set(s string) {
	name, value, remark, err := sendmailcf.ParseOption(s)
	if remark != "" {
		o.say(remark)
	}
	if err != nil {
		o.fail(exSoftware, err.Error())
		return
	}
	o.assign(name, value)
}

// letters are the options of one letter that concern alias files.
var letters = map[byte]string{'A': "AliasFile", 'n': "CheckAliases", 'Q': "QueueDirectory"}

// SetLetter takes an option in the old form, its letter and its value. Letters that mean nothing here are passed over.
func (o *Options) SetLetter(s string) {
	letter := byte(0)
	if s != "" {
		letter = s[0]
	}
	if name, ok := letters[letter]; ok {
		o.assign(name, strings.TrimSpace(s[1:]))
	} else if c := letter | 0x20; (c < 'a' || c > 'z') && (letter < '0' || letter > '9') {
		o.fail(exSoftware, fmt.Sprintf("readcf: unknown option name 0x%x", letter))
	}
}

// assign gives an option its value.
func (o *Options) assign(name, value string) {
	if o.fixed[name] && name != "DontBlameSendmail" {
		return
	}
	if o.given == nil {
		o.given = make(map[string]bool)
	}
	o.given[name] = true
	switch name {
	case "AliasFile":
		var err error
		o.Sources, err = alias.AppendSources(o.Sources, value)
		o.check("", err)
	case "CheckAliases":
		o.CheckAliases = value == "" || strings.ContainsAny(value[:1], "tTyY1")
	case "QueueDirectory":
		if o.QueueDirectory = value; value == "" {
			o.QueueDirectory = "mqueue"
		}
	case "TrustedUser":
		o.TrustedUser = value
		if _, err := strconv.Atoi(value); err != nil {
			if _, err := user.Lookup(value); err != nil {
				o.fail(exSoftware, "readcf: option TrustedUser: unknown user "+value)
			}
		}
	case "DontBlameSendmail":
		d, err := mtakit.ParseDontBlame(o.DontBlame.String() + "," + value)
		o.DontBlame = d
		o.check("readcf: ", err)
	}
}

// check reports the errors that are joined in err.
func (o *Options) check(prefix string, err error) {
	if err == nil {
		return
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		o.fail(exSoftware, prefix+line)
	}
}

func (o *Options) say(text string) { o.Messages = append(o.Messages, o.at+text) }

// fail says why nothing more is done. The first reason decides the exit code.
func (o *Options) fail(exit int, text string) {
	o.say(text)
	if o.Exit == 0 {
		o.Exit = exit
	}
}

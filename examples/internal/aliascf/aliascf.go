// Package aliascf reads what newaliases and praliases need of a sendmail configuration.
package aliascf

import (
	"bufio"
	"io"
	"os"
	"strings"
)

// Default is the configuration of a stock sendmail.
const Default = "/etc/mail/sendmail.cf"

// Options are the options that concern alias files.
type Options struct {
	AliasFile    string
	CheckAliases bool
	TrustedUser  string
	DontBlame    string // DontBlameSendmail
}

// Read reads a configuration file.
func Read(path string) (o Options, err error) {
	f, err := os.Open(path)
	if err != nil {
		return o, err
	}
	defer f.Close()
	return Parse(f)
}

// Parse reads the O lines of a configuration: "O Name=value", and "OAvalue" for AliasFile.
func Parse(r io.Reader) (o Options, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "O "):
			o.Set(line[2:])
		case strings.HasPrefix(line, "OA"):
			o.addAliasFile(line[2:])
		}
	}
	return o, lines.Err()
}

// Set takes an option in the form "Name=value". It reports whether it is one that matters here.
func (o *Options) Set(s string) bool {
	name, value, _ := strings.Cut(s, "=")
	value = strings.TrimSpace(value)
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "aliasfile":
		o.addAliasFile(value)
	case "checkaliases":
		o.CheckAliases = value == "" || strings.ContainsAny(value[:1], "tTyY1")
	case "trusteduser":
		o.TrustedUser = value
	case "dontblamesendmail":
		o.DontBlame = value
	default:
		return false
	}
	return true
}

// addAliasFile: the option may be given several times, and then names all the files.
func (o *Options) addAliasFile(value string) {
	if o.AliasFile != "" {
		value = o.AliasFile + "," + value
	}
	o.AliasFile = value
}

// Package vectorworld rebuilds, for tests, the worlds in which the real sendmail was asked: it reads a configuration of
// the test vectors (m4 features, tables, files, name server records), makes a Resolver of it, and compares its answers
// with those that were observed. A feature that it does not understand is an error, never ignored.
package vectorworld

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/mtakit/mtakit"
)

// Hostname is the name of the host in every world.
const Hostname = "mx.example.com"

// Config is a configuration as configs.json has it.
type Config struct {
	Features []string          `json:"features"`
	Defines  []string          `json:"defines"`
	Local    []string          `json:"local"`
	Mailers  []string          `json:"mailers"`
	OSType   string            `json:"ostype"`
	Tables   map[string]string `json:"tables"`
	Files    []File            `json:"files"`
	NoHome   []string          `json:"nohome"`
	DNS      Zone              `json:"dns"`

	MakemapOutput map[string]any    `json:"makemap_output"`    // what makemap said; not compared here
	Allowed       string            `json:"allowed_directory"` // for smrsh
	Entries       map[string]string `json:"entries"`
	Environment   string            `json:"environment"`
}

// File is a file, directory or link to be made.
type File struct {
	Path    string `json:"path"`
	Type    string `json:"type"` // file (or ""), dir, symlink, hardlink, fifo
	Content string `json:"content"`
	Target  string `json:"target"`
	Owner   any    `json:"owner"` // name or number; root if missing
	Group   any    `json:"group"` // as Owner; the owner's if missing
	Mode    string `json:"mode"`  // octal
}

// settings is what the m4 lines of a configuration say.
type settings struct {
	resolver mtakit.Resolver

	virtual, mailer    string // map definitions, "" if the feature is not used
	wholeDomain        bool   // virtuser_entire_domain
	canonify           bool
	local, virtHosts   []string
	aliasFiles         string
	forwardPath        string
	noForward          bool
	dontBlame          []string
	unknownOptionNames []string
}

var (
	featureLine = regexp.MustCompile("^FEATURE\\(`([a-zA-Z_]+)'(.*)\\)$")
	defineLine  = regexp.MustCompile("^define\\(`([A-Za-z_]+)', *`(.*)'\\)$")
	domainLine  = regexp.MustCompile("^VIRTUSER_DOMAIN\\(`([^']*)'\\)$")
	argument    = regexp.MustCompile("`([^']*)'")
)

// read interprets the m4 lines.
func (c *Config) read() (*settings, error) {
	s := &settings{canonify: true, aliasFiles: "/etc/mail/aliases"}
	s.resolver = mtakit.Resolver{Hostname: Hostname, DefaultUser: mtakit.Account{Name: "daemon", UID: 1}}
	for _, line := range c.Features {
		if err := s.feature(line); err != nil {
			return nil, err
		}
	}
	for _, line := range c.Defines {
		m := defineLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("define not understood: %s", line)
		}
		if err := s.define(m[1], m[2]); err != nil {
			return nil, err
		}
	}
	for _, text := range c.Local {
		if err := s.localConfig(text); err != nil {
			return nil, err
		}
	}
	for _, line := range c.Mailers {
		if line != "MAILER(local)" && line != "MAILER(smtp)" {
			return nil, fmt.Errorf("mailer not understood: %s", line)
		}
	}
	switch c.OSType {
	case "", "linux", "bsd4.4": // the local mailer has no effect on resolution in either
	default:
		return nil, fmt.Errorf("ostype not understood: %s", c.OSType)
	}
	return s, nil
}

func (s *settings) feature(line string) error {
	if m := domainLine.FindStringSubmatch(line); m != nil {
		s.virtHosts = append(s.virtHosts, strings.Fields(m[1])...)
		return nil
	}
	m := featureLine.FindStringSubmatch(line)
	if m == nil {
		return fmt.Errorf("feature not understood: %s", line)
	}
	var args []string
	for _, a := range argument.FindAllStringSubmatch(m[2], -1) {
		args = append(args, a[1])
	}
	switch name := m[1]; {
	case name == "virtusertable" && len(args) == 1:
		s.virtual = args[0]
	case name == "mailertable" && len(args) == 1:
		s.mailer = args[0]
	case len(args) > 0:
		return fmt.Errorf("feature not understood: %s", line)
	case name == "virtuser_entire_domain":
		s.wholeDomain = true
	case name == "nocanonify":
		s.canonify = false
	case name == "preserve_local_plus_detail":
		s.resolver.PreserveDetail = true
	case name == "redirect":
		s.resolver.Redirect = true
	case name == "stickyhost":
		s.resolver.StickyHost = true
	default:
		return fmt.Errorf("feature not understood: %s", line)
	}
	return nil
}

func (s *settings) define(name, value string) (err error) {
	r := &s.resolver
	switch name {
	case "SMART_HOST":
		if r.SmartHost = mailerHost(value); !strings.Contains(value, ":") {
			r.SmartHost.Mailer = ""
		}
	case "MAIL_HUB":
		r.MailHub = mailerHost(value)
	case "LOCAL_RELAY":
		r.LocalRelay = mailerHost(value)
	case "LUSER_RELAY":
		s.userRelay(value)
	case "confME_TOO":
		r.NoMeToo = value == "False"
	case "confMAX_ALIAS_RECURSION":
		_, err = fmt.Sscan(value, &r.MaxDepth)
	case "confFORWARD_PATH":
		s.forwardPath, s.noForward = value, value == ""
	case "confDONT_BLAME_SENDMAIL":
		s.dontBlame = strings.Split(value, ",")
	case "ALIAS_FILE":
		s.aliasFiles = value
	case "_NO_VIRTUSER_RECURSION_":
		r.VirtualRecursion = mtakit.RecurseNever
	case "_VIRTUSER_STOP_ONE_LEVEL_RECURSION_":
		r.VirtualRecursion = mtakit.RecurseUnlessSelf
	case "confALIAS_WAIT", "confCHECK_ALIASES", "LOCAL_MAILER_PATH", "confX": // nothing that resolution would show
	default:
		return fmt.Errorf("define not understood: %s", name)
	}
	return err
}

// mailerHost reads mailer:host; a host alone is for the relay mailer.
func mailerHost(value string) mtakit.Route {
	mailer, host, ok := strings.Cut(value, ":")
	if !ok {
		return mtakit.Route{Mailer: mtakit.MailerRelay, Host: value}
	}
	return mtakit.Route{Mailer: mailer, Host: host}
}

func (s *settings) userRelay(value string) {
	mailer, rest, _ := strings.Cut(value, ":")
	switch mailer {
	case mtakit.MailerLocal:
		s.resolver.UserRelay = mtakit.Route{Mailer: mailer, User: rest}
	case mtakit.MailerError:
		word, text, _ := strings.Cut(rest, ":")
		s.resolver.UserRelayError = mtakit.NewFail(word, text).Err()
	default:
		s.resolver.UserRelay = mailerHost(value)
	}
}

// localConfig reads the lines that add words to classes.
func (s *settings) localConfig(text string) error {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "LOCAL_CONFIG", line == "", line == "Kmacro macro":
		case strings.HasPrefix(line, "Cw"):
			s.local = append(s.local, strings.Fields(line[2:])...)
		default:
			return fmt.Errorf("local configuration not understood: %s", line)
		}
	}
	return nil
}

// option applies a command line option of one run.
func (s *settings) option(text string) error {
	switch name, value, _ := strings.Cut(text, "="); {
	case text == "-om":
		s.resolver.NoMeToo = false
	case name == "-ODefaultUser":
		_, err := fmt.Sscanf(value, "%d:", &s.resolver.DefaultUser.UID)
		return err
	case strings.HasPrefix(name, "-OMax"):
		s.unknownOptionNames = append(s.unknownOptionNames, name[2:])
	default:
		return fmt.Errorf("option not understood: %s", text)
	}
	return nil
}

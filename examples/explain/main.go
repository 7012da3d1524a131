// Explain tells why mail for an address goes where it goes: which tables are asked, with file and line, which keys are
// tried, which one matches, and which mailer gets the message in the end. It asks the same code that delivers. It also
// looks for mistakes in tables, and for the addresses that a change of the tables sends elsewhere.
//
//	explain [flags] ADDRESS…
//	explain lint [flags]
//	explain diff [flags] OLD NEW
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/examples/internal/mta"
	"github.com/mtakit/mtakit/lint"
)

// Exit codes: those of sysexits.h, and for lint and diff those of their kind.
const (
	exUsage    = 64
	exNoInput  = 66
	exTempFail = 75
	exNoPerm   = 77

	exWarnings  = 1 // lint
	exErrors    = 2 // lint
	exDifferent = 1 // diff
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

const usage = `usage: explain [flags] ADDRESS…       why does mail for ADDRESS go where it goes?
       explain lint [flags]           what is wrong with the tables?
       explain diff [flags] OLD NEW   which addresses does a change of the tables send elsewhere?

OLD, NEW and the argument of -etc are directories that hold aliases, virtusertable, mailertable, access,
local-host-names, relay-domains and passwd; each file may be missing. Without -etc, the tables of the server's data
directory ($MTAKIT_DATA, or ./mtakit-data) are read, or else those in /etc/mail.
`

// run is the command: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c := &command{stdout: stdout, stderr: stderr}
	name := ""
	if len(args) > 0 && (args[0] == "lint" || args[0] == "diff") {
		name, args = args[0], args[1:]
	}
	operands, err := c.parse(name, args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "explain: %v\n", err)
		return exUsage
	}
	var code int
	switch name {
	case "lint":
		code, err = c.lint(ctx, operands)
	case "diff":
		code, err = c.diff(ctx, operands)
	default:
		code, err = c.explain(ctx, operands)
	}
	if err != nil {
		fmt.Fprintf(stderr, "explain: %v\n", err)
	}
	return code
}

// command is one run of the program: its flags.
type command struct {
	stdout, stderr io.Writer

	etc, hostname, aliases, users, smartHost string
	domains, virtual                         words
	noForward                                bool
	data                                     *mta.Config // of the server, when -etc is not given

	from, client, clientName, helo string
	dns, json, html, text, bv      bool

	skip, severity string // lint
	addresses      string // diff
}

// words is a flag that may be repeated.
type words []string

func (w *words) String() string { return strings.Join(*w, ",") }
func (w *words) Set(s string) error {
	*w = append(*w, s)
	return nil
}

// parse reads flags and operands, in any order.
func (c *command) parse(name string, args []string) (operands []string, err error) {
	fs := flag.NewFlagSet("explain", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&c.etc, "etc", "", "read the tables in `DIR`")
	fs.StringVar(&c.hostname, "hostname", "", "the `NAME` of the mail host, which is always local (default that of the server, or of this machine)")
	fs.Var(&c.domains, "domain", "a local `DOMAIN` besides those in local-host-names; may be repeated")
	fs.Var(&c.virtual, "virtual", "a `DOMAIN` that the virtusertable is asked about although it is not local; may be repeated")
	fs.StringVar(&c.users, "users", "", "`FILE` of passwd(5) lines that names the local users (default DIR/passwd, or /etc/passwd)")
	fs.BoolVar(&c.noForward, "no-forward", false, "do not read the forward files of users")
	fs.BoolVar(&c.json, "json", false, "print JSON")
	switch name {
	case "":
		fs.StringVar(&c.aliases, "aliases", "", "alias `FILE` (default DIR/aliases)")
		fs.StringVar(&c.smartHost, "smarthost", "", "`HOST` that gets all mail for other hosts which the mailertable does not know")
		fs.StringVar(&c.from, "from", "", "the envelope sender is `ADDRESS`; <> is the null sender")
		fs.StringVar(&c.client, "client", "", "ask the access rules about a client with this `IP` address, too")
		fs.StringVar(&c.clientName, "client-name", "", "the verified host `NAME` of that client; without it the client has none, or the one that -dns finds")
		fs.StringVar(&c.helo, "helo", "", "the `NAME` that the client gives in EHLO")
		fs.BoolVar(&c.dns, "dns", false, "ask the DNS about the client's name and the sender's domain")
		fs.BoolVar(&c.html, "html", false, "print a page of HTML")
		fs.BoolVar(&c.text, "text", false, "print text; this is the default")
		fs.BoolVar(&c.bv, "bv", false, "print what sendmail -bv prints: a line for each recipient")
	case "lint":
		fs.StringVar(&c.aliases, "aliases", "", "alias `FILE` (default DIR/aliases)")
		fs.StringVar(&c.skip, "skip", "", "leave out findings with these `CODES`, separated by commas")
		fs.StringVar(&c.severity, "severity", "note", "leave out findings below `LEVEL`: note, warning or error")
	case "diff":
		fs.StringVar(&c.addresses, "addresses", "", "compare the addresses in `FILE`, one on a line, - for standard input (default: every key of the tables and its neighbours)")
	}
	fs.Usage = func() {}
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				fs.SetOutput(c.stdout)
				fmt.Fprint(c.stdout, usage, "\nFlags:\n")
				fs.PrintDefaults()
				fmt.Fprint(c.stdout, exits[name])
				return nil, err
			}
			return nil, fmt.Errorf("%w; see -h", err)
		}
		args = fs.Args()
		if len(args) > 0 {
			operands, args = append(operands, args[0]), args[1:]
		}
	}
	return operands, nil
}

// exits explains the exit codes.
var exits = map[string]string{
	"": `
Exit status: 0 when every recipient can be delivered to or may be later, else that of sendmail -bv: 67 for an unknown
user, 68 for an unknown host, 64 or 69 for other failures; 77 when the access rules refuse the client, the sender or the
recipient, 75 when they do so for now; 64 for wrong usage, 66 when the tables cannot be read.
`,
	"lint": `
Exit status: 0 when nothing is wrong, 1 after warnings, 2 after errors; 64 for wrong usage, 66 when the tables cannot be
read. Notes count for nothing.

Codes: syntax, duplicate-key, shadowed-key, unreachable-key, loop, dangling-target, broken-target, no-postmaster,
not-our-domain, local-domain, no-mailer, catch-all, open-relay, unsafe-mode, missing-file.
`,
	"diff": `
Exit status: 0 when no address is sent elsewhere, 1 when some are; 64 for wrong usage, 66 when the tables cannot be read.
`,
}

// load reads the tables in dir.
func (c *command) load(dir string) (*lint.Tables, error) {
	opt := &lint.Options{
		Hostname: c.hostname, Domains: c.domains, VirtualDomains: c.virtual, Aliases: c.aliases, Passwd: c.users,
	}
	if c.smartHost != "" {
		opt.SmartHost = mtakit.Route{Mailer: mtakit.MailerRelay, Host: c.smartHost}
	}
	if !c.noForward {
		fwd, inc, err := mta.UserFiles(c.hostname, c.ownUsers(dir))
		if err != nil {
			return nil, err
		}
		opt.Forward, opt.Includes = fwd, inc
	}
	return lint.Load(dir, opt)
}

// ownUsers reports whether the users are named in a file of the server's, and are not the machine's.
func (c *command) ownUsers(dir string) bool {
	if c.users != "" {
		return c.users != "/etc/passwd"
	}
	_, err := os.Stat(filepath.Join(dir, "passwd"))
	return err == nil && filepath.Clean(dir) != "/etc"
}

// directory finds the tables when no flag names them: those of the server, with its settings, or sendmail's.
func (c *command) directory() (string, error) {
	if c.etc != "" {
		return c.etc, nil
	}
	cfg, err := mta.CommandConfig("")
	if err != nil {
		return "", err
	}
	if err := cfg.Complete(); err != nil {
		return "", err
	}
	if _, err := os.Stat(cfg.Etc); err != nil {
		return "/etc/mail", nil
	}
	set := func(to *string, from string) {
		if *to == "" {
			*to = from
		}
	}
	set(&c.hostname, cfg.Hostname)
	set(&c.aliases, cfg.Aliases)
	set(&c.smartHost, cfg.SmartHost)
	if cfg.Users == "system" {
		set(&c.users, "/etc/passwd")
	}
	c.domains = append(c.domains, cfg.Domains...)
	c.data = &cfg
	return filepath.Clean(cfg.Etc), nil
}

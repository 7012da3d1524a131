// Mailstats prints the statistics file of sendmail, or of the reference server, as sendmail's mailstats(8) does: same
// options, same output, same messages and exit codes.
//
//	mailstats [-C cffile] [-c] [-P] [-f stfile] [-o] [-p]
//
// Where there is no sendmail, and so no sendmail.cf, -f alone is enough: the mailers then have the names of sendmail's own
// configuration files, as those of the reference server have.
package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/mtakit/mtakit/internal/strerror"
	"github.com/mtakit/mtakit/stats"
)

// Exit codes of sysexits.h.
const (
	exUsage    = 64
	exNoInput  = 66
	exSoftware = 70
	exOSErr    = 71
	exOSFile   = 72
	exIOErr    = 74
)

const defaultConfig = "/etc/mail/sendmail.cf"

const usage = "usage: mailstats [-C cffile] [-c] [-P] [-f stfile] [-o] [-p]\n"

func main() {
	c := &command{name: os.Args[0], stdout: os.Stdout, stderr: os.Stderr, sleep: time.Sleep, location: time.Local}
	os.Exit(c.run(os.Args[1:]))
}

// command is one run of the program.
type command struct {
	name           string
	stdout, stderr io.Writer
	sleep          func(time.Duration)
	location       *time.Location

	config, file string
	fileSet      bool // -f was given, be it with an empty name
	list         stats.ListOptions
	thenTruncate bool
}

func (c *command) run(args []string) (exit int) {
	c.config = defaultConfig
	if !c.options(args) {
		fmt.Fprint(c.stderr, usage)
		return exUsage
	}
	conf, code := c.readConfig()
	if code != 0 {
		return code
	}
	if !c.fileSet {
		c.file = conf.StatusFile
	}
	if !c.fileSet && !conf.StatusFileSet {
		fmt.Fprintln(c.stderr, "mailstats: no statistics file located")
		return exOSFile
	}
	flag := os.O_RDONLY
	if c.thenTruncate {
		flag = os.O_RDWR
	}
	f, err := os.OpenFile(c.file, flag, 0)
	if err != nil {
		return c.noInput(c.file, err)
	}
	defer f.Close()
	if fi, err := f.Stat(); err == nil && fi.Size() == 0 {
		c.sleep(time.Second) // a sendmail may just be writing the first record
	}
	counters, err := stats.Parse(f, c.file)
	if errors.Is(err, syscall.EISDIR) {
		return c.noInput(c.file, err)
	}
	if err != nil {
		return c.badFile(err)
	}
	c.list.Names, c.list.Location = conf.Mailers, c.location
	if err := counters.List(c.stdout, &c.list); err != nil {
		fmt.Fprintln(c.stderr, "mailstats:", err)
		return exIOErr
	}
	if c.thenTruncate {
		if err := f.Truncate(0); err != nil {
			fmt.Fprintln(c.stderr, "mailstats:", err)
			return exOSErr
		}
	}
	return 0
}

// options reads the arguments as getopt(3) does: letters may be put together, and stand behind other arguments, though there may
// be none.
func (c *command) options(args []string) bool {
	ok := true
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return ok && i+1 == len(args)
		}
		if len(arg) < 2 || arg[0] != '-' {
			ok = false
			continue
		}
	letters:
		for j := 1; j < len(arg); j++ {
			switch arg[j] {
			case 'c':
				c.config = "/etc/mail/submit.cf"
			case 'o':
				c.list.NoNames = true
			case 'P':
				c.list.Program = true
			case 'p':
				c.list.Program, c.thenTruncate = true, true
			case 'C', 'f':
				value := arg[j+1:]
				if j+1 == len(arg) {
					if i++; i >= len(args) {
						fmt.Fprintf(c.stderr, "%s: option requires an argument -- '%c'\n", c.name, arg[j])
						return false
					}
					value = args[i]
				}
				if arg[j] == 'C' {
					c.config = value
				} else {
					c.file, c.fileSet = value, true
				}
				break letters
			default:
				fmt.Fprintf(c.stderr, "%s: invalid option -- '%c'\n", c.name, arg[j])
				return false
			}
		}
	}
	return ok
}

func (c *command) readConfig() (*stats.Config, int) {
	f, err := os.Open(c.config)
	if errors.Is(err, fs.ErrNotExist) && c.config == defaultConfig && c.fileSet {
		return &stats.Config{Mailers: stats.StockMailers()}, 0
	}
	if err != nil {
		return nil, c.noInput(c.config, err)
	}
	defer f.Close()
	conf, err := stats.ParseConfig(f, c.config)
	switch {
	case errors.Is(err, stats.ErrTooManyMailers):
		fmt.Fprintf(c.stderr, "Too many mailers defined, %d max.\n", stats.MaxMailers)
		return nil, exSoftware
	case errors.Is(err, syscall.EISDIR): // it opens, and says nothing
		conf, _ = stats.ParseConfig(strings.NewReader(""), c.config)
	case err != nil:
		return nil, c.noInput(c.config, err)
	}
	return conf, 0
}

// noInput says what the system says about a file.
func (c *command) noInput(name string, err error) int {
	text := strerror.Text(err)
	if name != "" { // as perror(3) does
		name += ": "
	}
	fmt.Fprintf(c.stderr, "mailstats: %s%s\n", name, text)
	return exNoInput
}

func (c *command) badFile(err error) int {
	var version stats.VersionError
	switch {
	case errors.Is(err, stats.ErrMagic):
		fmt.Fprintf(c.stderr, "mailstats: incorrect magic number in %s\n", c.file)
	case errors.As(err, &version):
		fmt.Fprintf(c.stderr, "mailstats version (4) incompatible with %s version (%d)\n", c.file, int32(version))
	case errors.Is(err, stats.ErrSize):
		fmt.Fprintln(c.stderr, "mailstats: file size changed.")
	default: // it could not be read
		return c.noInput(c.file, err)
	}
	return exOSErr
}

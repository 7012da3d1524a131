package mta

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/mtakit/mtakit/examples/internal/datadir"
)

// Config is everything that can be set, by flag or under the same name in a TOML file.
type Config struct {
	Listen          string   `toml:"listen"`
	Hostname        string   `toml:"hostname"`
	Data            string   `toml:"data"`
	Etc             string   `toml:"etc"`
	Domains         []string `toml:"domain"`
	Aliases         string   `toml:"aliases"`
	Users           string   `toml:"users"`
	Mailbox         string   `toml:"mailbox"`
	Relays          []string `toml:"relay"`
	SmartHost       string   `toml:"smarthost"`
	MaxConns        int      `toml:"max-conns"`
	MaxMessageBytes int64    `toml:"max-message-bytes"`
	QueueInterval   duration `toml:"queue-interval"`
	QueueReturn     duration `toml:"queue-return"`
	QueueWarn       duration `toml:"queue-warn"`
	SuperSafe       string   `toml:"super-safe"`
	Log             string   `toml:"log"`

	// QueueDir, if set, replaces DATA/queue: sendmail's -OQueueDirectory.
	QueueDir string `toml:"-"`

	relays    []relay
	mailbox   mailboxConfig
	sampleDir bool // Etc is DATA/etc: create and populate it
}

// relay is one -relay flag, parsed.
type relay struct{ domain, host string } // host as in a route: "127.0.0.1:2600"

// mailboxConfig is the -mailbox flag, parsed.
type mailboxConfig struct{ format, pattern string }

// duration is a time.Duration that also knows sendmail's days and weeks ("5d") and reads from TOML strings.
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error { return d.Set(string(text)) }

// Set implements flag.Value.
func (d *duration) Set(s string) error {
	unit := map[byte]time.Duration{'d': 24 * time.Hour, 'w': 7 * 24 * time.Hour}
	if n := len(s); n > 1 && unit[s[n-1]] != 0 {
		v, err := strconv.ParseFloat(s[:n-1], 64)
		if v *= float64(unit[s[n-1]]); err != nil || !(v >= 0 && v < math.MaxInt64) {
			return fmt.Errorf("bad interval %q: want a form like 30s, 15m, 4h or 5d", s)
		}
		*d = duration(v)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf("bad interval %q: want a form like 30s, 15m, 4h or 5d", s)
	}
	*d = duration(v)
	return nil
}

func (d *duration) String() string {
	v := time.Duration(*d)
	if day := 24 * time.Hour; v >= day && v%day == 0 {
		return fmt.Sprintf("%dd", v/day)
	}
	// 4h0m0s reads better as 4h.
	s := v.String()
	for _, zero := range []string{"0s", "0m"} {
		if rest, ok := strings.CutSuffix(s, zero); ok && rest != "" && (rest[len(rest)-1] == 'm' || rest[len(rest)-1] == 'h') {
			s = rest
		}
	}
	return s
}

// list is a repeatable flag. The first use replaces what a file or default said.
type list struct {
	to   *[]string
	used bool
}

func (l *list) String() string {
	if l.to == nil {
		return ""
	}
	return strings.Join(*l.to, ",")
}

func (l *list) Set(s string) error {
	if !l.used {
		*l.to, l.used = nil, true
	}
	*l.to = append(*l.to, s)
	return nil
}

// Defaults returns the configuration of a server that was told nothing.
func Defaults() Config {
	return Config{
		Listen:          "127.0.0.1:2525",
		Data:            datadir.Default(),
		MaxConns:        500,
		MaxMessageBytes: 50 << 20,
		QueueInterval:   duration(time.Minute),
		QueueReturn:     duration(5 * 24 * time.Hour),
		QueueWarn:       duration(4 * time.Hour),
		SuperSafe:       "interactive",
	}
}

func (c *Config) flags(fs *flag.FlagSet) {
	fs.StringVar(&c.Listen, "listen", c.Listen, "accept SMTP connections on `ADDRESS:PORT`")
	fs.StringVar(&c.Hostname, "hostname", c.Hostname, "the `NAME` this server goes by in greetings and trace fields (default mx.DOMAIN)")
	fs.StringVar(&c.Data, "data", c.Data, "keep everything below `DIR`; it is created when it is missing")
	fs.StringVar(&c.Etc, "etc", c.Etc, "read aliases, virtusertable, mailertable, access, local-host-names and relay-domains from `DIR` (default DATA/etc, created with samples)")
	fs.Var(&list{to: &c.Domains}, "domain", "`DOMAIN` to accept mail for, beside those in local-host-names; may be repeated (default example.test when the data directory is new)")
	fs.StringVar(&c.Aliases, "aliases", c.Aliases, "alias `FILE`, or CLASS:FILE for a map that newaliases built: hash, btree or cdb (default ETC/aliases)")
	fs.StringVar(&c.Users, "users", c.Users, "`FILE` of passwd(5) lines that names the local users, or \"system\" for this machine's own (default ETC/passwd)")
	fs.StringVar(&c.Mailbox, "mailbox", c.Mailbox, "where mail is kept: `FORMAT:PATTERN`, maildir:DIR/%u/Maildir or mbox:DIR/%u, %u being the user (default maildir:DATA/home/%u/Maildir)")
	fs.Var(&list{to: &c.Relays}, "relay", "hand mail for a domain to a host: `DOMAIN=HOST:PORT`; may be repeated")
	fs.StringVar(&c.SmartHost, "smarthost", c.SmartHost, "hand all mail for other domains to `HOST[:PORT]` instead of looking up MX records")
	fs.IntVar(&c.MaxConns, "max-conns", c.MaxConns, "serve at most `N` connections at once; more get 421")
	fs.Int64Var(&c.MaxMessageBytes, "max-message-bytes", c.MaxMessageBytes, "refuse messages larger than `N` bytes")
	fs.Var(&c.QueueInterval, "queue-interval", "look for messages that other processes queued every `TIME`, and wait so long after a first deferral")
	fs.Var(&c.QueueReturn, "queue-return", "return a message to its sender after `TIME` in the queue")
	fs.Var(&c.QueueWarn, "queue-warn", "tell the sender after `TIME` that a message is delayed; 0 means never")
	fs.StringVar(&c.SuperSafe, "super-safe", c.SuperSafe, "`MODE` true: queue and sync every message before accepting it; interactive: write local mail straight into the mailbox, synced, before accepting it, and queue only the rest")
	fs.StringVar(&c.Log, "log", c.Log, "append maillog lines to `FILE`, - for standard output (default DATA/maillog)")
}

// ErrVersion is returned by ParseArgs for -version.
var ErrVersion = errors.New("version requested")

// ParseArgs reads a server's command line and the TOML file that -config names. What a flag says goes before what the
// file says. On -h it returns flag.ErrHelp after printing the help to out.
func ParseArgs(args []string, out io.Writer) (Config, error) {
	parse := func(c *Config, out io.Writer) (string, error) {
		fs := flag.NewFlagSet("server", flag.ContinueOnError)
		fs.SetOutput(out)
		file := fs.String("config", "", "read settings from a TOML `FILE`; its keys are the names of these flags")
		version := fs.Bool("version", false, "print the version and exit")
		c.flags(fs)
		fs.Usage = func() {
			fmt.Fprintf(out, "usage: server [flags]\n\nA complete mail server built from mtakit. Without flags it serves %s and keeps everything in ./mtakit-data.\n\n", c.Listen)
			fs.PrintDefaults()
			fmt.Fprint(out, "\nSIGHUP reloads the tables (they are also checked for changes while mail flows), SIGINT and SIGTERM end the server.\n")
		}
		if err := fs.Parse(args); err != nil {
			return "", err
		}
		if fs.NArg() > 0 {
			return "", fmt.Errorf("unexpected argument %q; see -h", fs.Arg(0))
		}
		if *version {
			return "", ErrVersion
		}
		return *file, nil
	}
	c := Defaults()
	file, err := parse(&c, out)
	if err != nil || file == "" {
		return c, err
	}
	c = Defaults()
	if err := c.readTOML(file); err != nil {
		return c, err
	}
	_, err = parse(&c, out) // flags over file
	return c, err
}

func (c *Config) readTOML(file string) error {
	meta, err := toml.DecodeFile(file, c)
	var pe toml.ParseError
	if errors.As(err, &pe) {
		return fmt.Errorf("%s:%d: %s", file, pe.Position.Line, pe.Message)
	}
	if err != nil {
		line := 0
		if _, scanErr := fmt.Sscanf(err.Error(), "toml: line %d", &line); scanErr == nil { // a value of the wrong type
			return fmt.Errorf("%s:%d: %w", file, line, err)
		}
		return fmt.Errorf("%s: %w", file, err)
	}
	if keys := meta.Undecoded(); len(keys) > 0 {
		return fmt.Errorf("%s: unknown key %q", place(file, keys[0][0]), keys[0])
	}
	return nil
}

// place finds the line of a key, which the library tells only of values.
func place(file, key string) string {
	text, _ := os.ReadFile(file) // it was just read
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimLeft(line, " \t[\"'")
		if rest, ok := strings.CutPrefix(line, key); ok && strings.IndexByte("= \t\"'.]", (rest + "=")[0]) >= 0 {
			return fmt.Sprintf("%s:%d", file, n)
		}
	}
	return file
}

// Complete checks the settings and fills in what depends on others. The paths become absolute, so that a later
// change of directory is harmless.
func (c *Config) Complete() error {
	var err error
	if c.Data, err = filepath.Abs(c.Data); err != nil {
		return err
	}
	if c.Etc == "" {
		c.Etc = filepath.Join(c.Data, "etc")
		c.sampleDir = true
	}
	def := func(p *string, name string) {
		if *p == "" {
			*p = filepath.Join(name)
		}
	}
	def(&c.Aliases, filepath.Join(c.Etc, "aliases"))
	def(&c.Users, filepath.Join(c.Etc, "passwd"))
	def(&c.Log, filepath.Join(c.Data, "maillog"))
	def(&c.QueueDir, filepath.Join(c.Data, "queue"))
	if err := absolute(&c.Etc, &c.Users, &c.Log, &c.QueueDir); err != nil {
		return err
	}
	class, file, ok := strings.Cut(c.Aliases, ":")
	if !ok {
		class, file = "", c.Aliases
	}
	if err := absolute(&file); err != nil {
		return err
	}
	if c.Aliases = file; ok {
		c.Aliases = class + ":" + file
	}
	if c.Mailbox == "" {
		c.Mailbox = "maildir:" + filepath.Join(c.Data, "home/%u/Maildir")
	}
	for i, d := range c.Domains {
		c.Domains[i] = strings.ToLower(strings.TrimSuffix(d, "."))
	}
	if err := c.completeMailbox(); err != nil {
		return err
	}
	c.relays = nil
	for _, r := range c.Relays {
		domain, host, ok := strings.Cut(r, "=")
		if !ok || domain == "" || host == "" {
			return fmt.Errorf("-relay %q: want DOMAIN=HOST:PORT", r)
		}
		hop, err := nextHop(host)
		if err != nil {
			return fmt.Errorf("-relay %q: %w", r, err)
		}
		c.relays = append(c.relays, relay{strings.ToLower(strings.TrimSuffix(domain, ".")), hop})
	}
	if c.SmartHost != "" {
		if c.SmartHost, err = nextHop(c.SmartHost); err != nil {
			return fmt.Errorf("-smarthost: %w", err)
		}
	}
	if !slices.Contains([]string{"true", "interactive"}, c.SuperSafe) {
		return fmt.Errorf("-super-safe %q: want true or interactive", c.SuperSafe)
	}
	if c.MaxConns <= 0 || c.MaxMessageBytes <= 0 {
		return errors.New("-max-conns and -max-message-bytes must be greater than zero")
	}
	return nil
}

// absolute makes paths absolute, but leaves the words that stand for something else.
func absolute(paths ...*string) error {
	for _, p := range paths {
		if *p == "-" || *p == "system" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return err
		}
		*p = abs
	}
	return nil
}

func (c *Config) completeMailbox() error {
	format, pattern, _ := strings.Cut(c.Mailbox, ":")
	if format != "maildir" && format != "mbox" || pattern == "" {
		return fmt.Errorf("-mailbox %q: want maildir:PATTERN or mbox:PATTERN", c.Mailbox)
	}
	if !strings.Contains(pattern, "%u") && !strings.Contains(pattern, "%h") {
		return fmt.Errorf("-mailbox %q: without %%u all users would share one mailbox", c.Mailbox)
	}
	if !strings.HasPrefix(pattern, "%h") {
		abs, err := filepath.Abs(pattern)
		if err != nil {
			return err
		}
		pattern = abs
	}
	c.mailbox = mailboxConfig{format, pattern}
	return nil
}

// nextHop turns HOST[:PORT] into the host of a route: a host with a port as it is, one without in brackets, which keeps
// MX records out of it.
func nextHop(s string) (string, error) {
	if strings.HasPrefix(s, "[") {
		return s, nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = s, ""
	}
	if host == "" || strings.ContainsAny(host, " /@") {
		return "", fmt.Errorf("bad host %q", s)
	}
	if port == "" {
		return "[" + host + "]", nil
	}
	return s, nil
}

// effectiveFile is where a server leaves its settings for the commands that work on the same data directory.
const effectiveFile = "server.toml"

// CommandConfig returns the settings for a command: those of a TOML file, or, when file is empty, those that the
// server of the data directory was started with last.
func CommandConfig(file string) (Config, error) {
	c := Defaults()
	if file == "" {
		file = filepath.Join(c.Data, effectiveFile)
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			return c, nil
		}
	}
	return c, c.readTOML(file)
}

// saveEffective writes the settings for CommandConfig.
func (c *Config) saveEffective() error {
	var text bytes.Buffer
	text.WriteString("# The settings that the server was started with. Written at every start.\n")
	if err := toml.NewEncoder(&text).Encode(c); err != nil {
		return err
	}
	file := filepath.Join(c.Data, effectiveFile)
	tmp := file + ".new"
	if err := os.WriteFile(tmp, text.Bytes(), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}

// MarshalText implements encoding.TextMarshaler.
func (d duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

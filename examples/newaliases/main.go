// Newaliases builds the databases of alias files, as sendmail's newaliases(1) does: same messages, same exit codes.
//
//	newaliases [-C cffile] [-OAliasFile=[class:][flags ]file,…] [-oAfile,…] [-v]
//
// It takes the options of sendmail(8), of which most mean nothing here. Relative names of files begin in the queue directory.
//
// Classes are hash, btree and cdb; implicit, when none is given, is hash with a NUL byte behind keys and values. The file
// FILE.db, or FILE.cdb, is built aside and renamed into place: a sendmail that is running reads the old one until then,
// and notices.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/examples/internal/aliascf"
	"github.com/mtakit/mtakit/examples/internal/getopt"
	"github.com/mtakit/mtakit/examples/internal/progress"
	"github.com/mtakit/mtakit/examples/internal/sendmailcf"
	"github.com/mtakit/mtakit/internal/filelock"
	"github.com/mtakit/mtakit/internal/lex"
	"github.com/mtakit/mtakit/internal/strerror"
	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/bdb"
	"github.com/mtakit/mtakit/table/cdb"
)

// Exit codes of sysexits.h.
const (
	exUsage  = 64
	exOSFile = 72
	exConfig = 78
)

func main() {
	debug.SetGCPercent(10) // nearly all memory holds records, which the collector does not have to look into
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	c := &command{stdout: os.Stdout, stderr: os.Stderr}
	code := c.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// command is one run of the program.
type command struct {
	stdout, stderr io.Writer

	config string
	conf   aliascf.Options
}

func (c *command) run(ctx context.Context, args []string) int {
	if _, err := getopt.Parse(args, getopt.Sendmail, c.option); err != nil {
		var wrong *getopt.Error
		if errors.As(err, &wrong) {
			fmt.Fprintf(c.stderr, "newaliases: %s\n", wrong.Short())
		} else {
			fmt.Fprintln(c.stdout, err)
		}
		return exUsage
	}
	if c.say(); c.conf.Exit != 0 {
		return c.conf.Exit
	}
	if code := c.readConfig(); code != 0 {
		return code
	}
	if err := checkQueue(c.conf.QueueDirectory); err != nil {
		fmt.Fprintln(c.stdout, err)
		return exConfig
	}
	var held locks
	defer held.release()
	n := alias.Newaliases{
		Builder:   alias.Builder{CheckValues: c.conf.CheckAliases, Parser: alias.Parser{LocalDomain: localDomains(ctx, c.conf.LocalDomains)}},
		DontBlame: c.conf.DontBlame,
		Dir:       queueDir(c.conf.QueueDirectory),
		Lock:      held.lock,
		Create: func(src alias.Source, name string) (alias.Database, error) {
			return newDatabase(ctx, src, name, trustedUser(c.conf.TrustedUser), c.stderr)
		},
	}
	rep := n.Run(c.conf.Sources)
	fmt.Fprint(c.stdout, rep)
	return rep.Exit
}

func (c *command) option(letter byte, arg string) error {
	switch letter {
	case 'C':
		if c.config = arg; arg == "" {
			c.config = "sendmail.cf"
		}
	case 'O':
		c.conf.Set(arg)
	case 'o':
		c.conf.SetLetter(arg)
	case 'A':
		if arg == "c" {
			c.config = sendmailcf.Submit
		}
	case 'b':
		switch {
		case strings.HasPrefix(arg, "i"):
		case arg != "" && strings.IndexByte("adDhHmpPstv", arg[0]) >= 0:
			return fmt.Errorf("newaliases: -b%s is for sendmail", arg)
		default:
			//lint:ignore ST1005 sendmail's words
			return fmt.Errorf("Invalid operation mode %s", arg)
		}
	case 'q', 'Q':
		//lint:ignore ST1005 sendmail's words
		return fmt.Errorf("Can not use -%c with -bi", letter)
	}
	return nil // -v says no more than without, and the others are about mail
}

// checkQueue complains as sendmail does when it cannot work in the queue directory. Where none was named there is nothing to
// complain about.
func checkQueue(dir string) error {
	if dir == "" {
		return nil
	}
	at := queueDir(dir)
	if _, err := os.Stat(at + "/."); err != nil { // which needs the right to search it, as chdir(2) does
		return fmt.Errorf("can not chdir(%s/): %s", at, strerror.Text(err))
	}
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("QueuePath %s not absolute", dir)
	}
	if prefix, ok := strings.CutSuffix(dir, "*"); ok {
		if found, err := filepath.Glob(dir); err == nil && found == nil && !strings.HasSuffix(prefix, "/") {
			return fmt.Errorf("can not opendir(%s): %s", prefix, strerror.Text(syscall.ENOENT))
		}
	}
	return nil
}

// queueDir is the directory that holds the queue, or several ("/var/spool/mq*"); where none was named, the one of a stock
// sendmail.
func queueDir(dir string) string {
	switch {
	case dir == "":
		return "/var/spool/mqueue"
	case strings.HasSuffix(dir, "*"):
		return filepath.Dir(dir)
	}
	return filepath.Clean(dir)
}

// readConfig adds what the configuration file says. Without a configuration there is one alias file.
func (c *command) readConfig() (exit int) {
	path := c.config
	if path == "" {
		path = aliascf.Default
	}
	err := c.conf.Read(path)
	switch {
	case errors.Is(err, syscall.EISDIR):
		fmt.Fprintf(c.stdout, "%s: line 0: not a plain file\n", lex.Short(path, lex.ShortFile))
		return exOSFile
	case err != nil && c.config != "":
		fmt.Fprintf(c.stdout, "%s: line 0: cannot open: %s\n", lex.Short(path, lex.ShortFile), strerror.Text(err))
		return exOSFile
	}
	if c.say(); c.conf.Exit != 0 {
		return c.conf.Exit
	}
	if c.conf.Sources == nil {
		c.conf.Sources = []alias.Source{{Class: "implicit", File: "/etc/mail/aliases"}}
	}
	return 0
}

// say prints what there is to say about the options, once.
func (c *command) say() {
	for _, line := range c.conf.Messages {
		fmt.Fprintln(c.stdout, line)
	}
	c.conf.Messages = nil
}

// locks are the locks on source files, which are held for the whole run.
type locks []*os.File

// lock locks a file as newaliases does, and reports whether it is free. A file that cannot be opened is free: it is complained
// about in its turn.
func (l *locks) lock(name string) bool {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO is refused later, and must not hold us up here
	if err != nil {
		return true
	}
	if ok, err := filelock.TryFlock(f, true); err == nil && !ok && !l.mine(f) {
		f.Close()
		return false
	}
	*l = append(*l, f)
	return true
}

// mine reports whether the file is one that we hold: it may be named twice.
func (l *locks) mine(f *os.File) bool {
	fi, err := f.Stat()
	return err == nil && slices.ContainsFunc(*l, func(h *os.File) bool {
		other, err := h.Stat()
		return err == nil && os.SameFile(fi, other)
	})
}

func (l *locks) release() {
	for _, f := range *l {
		f.Close()
	}
}

// localDomains is class w: what the configuration says, and the names of this host, which are looked up when they are first
// needed, as most files name nothing but local users.
func localDomains(ctx context.Context, configured []string) func(domain string) bool {
	local := sync.OnceValue(func() map[string]bool {
		set := make(map[string]bool)
		for _, name := range configured {
			set[strings.ToLower(strings.TrimSuffix(name, "."))] = true
		}
		host, err := os.Hostname()
		if err != nil {
			return set
		}
		set[strings.ToLower(host)] = true
		if !strings.Contains(host, ".") {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			if full, err := net.DefaultResolver.LookupCNAME(ctx, host); err == nil {
				set[strings.ToLower(strings.TrimSuffix(full, "."))] = true
			}
		}
		return set
	})
	return func(domain string) bool { return local()[domain] }
}

// trustedUser is the owner that new databases get from root.
func trustedUser(name string) *table.Owner {
	if name == "" || os.Geteuid() != 0 {
		return nil
	}
	uid, err := strconv.Atoi(name)
	if err != nil {
		u, err := user.Lookup(name)
		if err != nil {
			return nil
		}
		uid, _ = strconv.Atoi(u.Uid) // a number on all systems that have sendmail
	}
	return &table.Owner{UID: uid, GID: -1}
}

// database is an alias.Database over an engine of package table.
type database struct {
	ctx     context.Context // of the run, which a signal ends
	engine  table.Engine
	builder table.Builder
	path    string
	options table.ReplaceOptions
	meter   *progress.Meter
}

func newDatabase(ctx context.Context, src alias.Source, name string, owner *table.Owner, stderr io.Writer) (alias.Database, error) {
	registry := table.Registry{"implicit": bdb.Hash(), "hash": bdb.Hash(), "btree": bdb.Btree(), "cdb": cdb.Engine()}
	engine, err := registry.Engine(src.Class)
	if err != nil {
		return nil, err
	}
	o := table.BuildOptions{Duplicates: table.KeepLast}
	if src.Class == "cdb" {
		o.Duplicates = table.KeepAll // so that the first is found
	}
	if src.NUL || src.Class == "implicit" {
		o.NUL = table.NULAlways
	}
	b, err := engine.NewBuilder(o)
	if err != nil {
		return nil, err
	}
	d := &database{ctx: ctx, engine: engine, builder: b, path: engine.Path(name), meter: progress.New(stderr, "newaliases: "+name, 0)}
	d.options = table.ReplaceOptions{Owner: owner, LockWait: 10 * time.Minute}
	if fi, err := os.Stat(name); err == nil {
		d.options.NotBefore = fi.ModTime()
	}
	if has, ok := b.(hasser); ok {
		return &knowing{d, has}, nil
	}
	return d, nil
}

// knowing is a database that can tell which keys it has, so that package alias need not remember them.
type knowing struct {
	*database
	has hasser
}

// Has reports whether key was stored.
func (k *knowing) Has(key string) bool { return k.has.Has([]byte(key)) }

// Store adds an alias.
func (d *database) Store(key, value string) error {
	d.meter.Record()
	if err := d.ctx.Err(); err != nil {
		return err
	}
	return d.builder.Put([]byte(key), []byte(value))
}

// hasser is a Builder that knows its keys.
type hasser interface{ Has(key []byte) bool }

// Commit puts the database in place.
func (d *database) Commit() error {
	d.meter.Done()
	return d.engine.Install(d.ctx, d.path, d.builder, &d.options)
}

// Abort leaves the old database alone.
func (d *database) Abort() error {
	d.meter.Done()
	return nil
}

// Newaliases builds the databases of alias files, as sendmail's newaliases(1) does: same messages, same exit codes.
//
//	newaliases [-C cffile] [-OAliasFile=[class:][flags ]file,…] [-oAfile,…] [-v]
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
	"os"
	"os/signal"
	"os/user"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/examples/internal/getopt"
	"github.com/mtakit/mtakit/examples/internal/progress"
	"github.com/mtakit/mtakit/examples/internal/sendmailcf"
	"github.com/mtakit/mtakit/internal/filelock"
	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/bdb"
	"github.com/mtakit/mtakit/table/cdb"
)

// Exit codes of sysexits.h.
const (
	exUsage    = 64
	exSoftware = 70
	exOSFile   = 72
)

const usage = "usage: newaliases [-C cffile] [-O option=value] [-oA files] [-v]\n"

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
	opts   sendmailcf.AliasOptions // from the command line
}

func (c *command) run(ctx context.Context, args []string) int {
	if _, err := getopt.Parse(args, "b:C:O:o:v", c.option); err != nil {
		fmt.Fprintf(c.stderr, "newaliases: %v\n%s", err, usage)
		return exUsage
	}
	conf, err := c.readConfig()
	if err != nil {
		fmt.Fprintf(c.stderr, "%s: line 0: cannot open: %s\n", c.config, errText(err))
		return exOSFile
	}
	sources, err := alias.ParseSources(conf.AliasFile)
	if err != nil {
		fmt.Fprintln(c.stderr, err)
		return exSoftware
	}
	sources, unlock := c.lock(sources)
	defer unlock()
	n := alias.Newaliases{
		Builder: alias.Builder{CheckValues: conf.CheckAliases},
		Create: func(src alias.Source, name string) (alias.Database, error) {
			return newDatabase(ctx, src, name, trustedUser(conf.TrustedUser), c.stderr)
		},
	}
	if n.DontBlame, err = mtakit.ParseDontBlame(conf.DontBlame); err != nil {
		fmt.Fprintf(c.stderr, "readcf: %v\n", err)
		return exSoftware
	}
	rep := n.Run(sources)
	fmt.Fprint(c.stdout, rep)
	return rep.Exit
}

func (c *command) option(letter byte, arg string) error {
	switch letter {
	case 'C':
		c.config = arg
	case 'O':
		c.opts.Set(arg)
	case 'o':
		if rest, ok := strings.CutPrefix(arg, "A"); ok {
			c.opts.Set("AliasFile=" + rest)
		}
	}
	return nil // -v says no more than without; -bi is what we do anyway
}

// readConfig joins the configuration file and the command line, which wins.
func (c *command) readConfig() (conf sendmailcf.AliasOptions, err error) {
	given := c.config != ""
	if !given {
		c.config = sendmailcf.Default
	}
	file, err := sendmailcf.Read(c.config)
	switch {
	case file != nil:
		conf = file.Aliases() // faults elsewhere in the file are not ours
	case given:
		return conf, err
	}
	if c.opts.AliasFile != "" {
		conf.AliasFile = c.opts.AliasFile
	}
	if conf.AliasFile == "" {
		conf.AliasFile = "/etc/mail/aliases"
	}
	conf.CheckAliases = conf.CheckAliases || c.opts.CheckAliases
	if c.opts.DontBlame != "" {
		conf.DontBlame = c.opts.DontBlame
	}
	if c.opts.TrustedUser != "" {
		conf.TrustedUser = c.opts.TrustedUser
	}
	return conf, nil
}

// lock locks the source files as newaliases does, for the whole run, and leaves out those that somebody else has locked. Files that
// cannot be opened stay in the list: they are complained about in their turn.
func (c *command) lock(sources []alias.Source) (free []alias.Source, unlock func()) {
	var held []*os.File
	for _, src := range sources {
		f, err := os.OpenFile(src.File, os.O_RDONLY, 0)
		if err == nil {
			if ok, err := filelock.TryFlock(f, true); err == nil && !ok {
				fmt.Fprintf(c.stdout, "Alias file %s is locked (maybe being rebuilt)\n", src.File)
				f.Close()
				continue
			}
			held = append(held, f)
		}
		free = append(free, src)
	}
	return free, func() {
		for _, f := range held {
			f.Close()
		}
	}
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

// errText words an error as strerror(3) does when it comes from the system.
func errText(err error) string {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return err.Error()
	}
	s := errno.Error()
	return strings.ToUpper(s[:1]) + s[1:]
}

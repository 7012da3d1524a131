// Makemap builds map files from text, as sendmail's makemap(8) does: same options, same messages, same exit codes.
//
//	makemap [-C cffile] [-N] [-c cachesize] [-D commentchar] [-d] [-e] [-f] [-i type] [-l] [-o] [-r] [-s]
//	        [-t delimiter] [-u] [-v] type mapname <source
//
// Types are hash and btree (Berkeley DB), cdb, and text, which writes the records back as text; implicit is hash; cf and CF
// look the type up in the K lines of the configuration. With -u it lists a map instead.
//
// It differs from the original in that it builds the new map aside and renames it into place, so that nobody ever sees
// half a map and nobody waits; that a running sendmail notices all the same; that -c is accepted and not needed; that a
// configuration that does not exist is an error only with -C; and that it shows its progress when a long run has a
// terminal for its standard error.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/mtakit/mtakit/examples/internal/getopt"
	"github.com/mtakit/mtakit/internal/strerror"
	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/bdb"
	"github.com/mtakit/mtakit/table/cdb"
)

// Exit codes of sysexits.h.
const (
	exUsage     = 64
	exDataErr   = 65
	exNoInput   = 66
	exCantCreat = 73
	exIOErr     = 74
)

const usage = `Usage: makemap [-C cffile] [-N] [-c cachesize] [-D commentchar]
               [-d] [-e] [-f] [-i type] [-l] [-o] [-r] [-s] [-t delimiter]
               [-u] [-v] type mapname
`

const defaultConfig = "/etc/mail/sendmail.cf"

func main() {
	debug.SetGCPercent(10) // nearly all memory holds records, which the collector does not have to look into
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	c := &command{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, root: os.Geteuid() == 0}
	code := c.run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

// command is one run of the program.
type command struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	root           bool // may give files away

	class, name string
	grammar     table.Grammar
	nul         bool // -N
	add         bool // -o
	list        bool // -u
	noChecks    bool // -s
	verbose     bool // -v
	config      string
	fallback    string          // -i
	seen        map[string]bool // new keys, when a map with duplicates shall get no more of them
	exit        int
}

// classes are the types in the order in which -l lists them.
var classes = []string{"hash", "btree", "cdb", "text", "implicit"}

func registry() table.Registry {
	return table.Registry{
		"hash": bdb.Hash(), "implicit": bdb.Hash(), "btree": bdb.Btree(), "cdb": cdb.Engine(), "text": table.TextEngine(nil),
	}
}

// errDone ends the options after one that is a job by itself.
var errDone = errors.New("done")

func (c *command) run(ctx context.Context, args []string) int {
	operands, err := getopt.Permuted(args, "C:Nc:D:defi:lLorst:uvx", c.option)
	switch {
	case errors.Is(err, errDone):
		return 0
	case err != nil:
		fmt.Fprintf(c.stderr, "makemap: %v\n%s", err, usage)
		return exUsage
	case len(operands) != 2:
		fmt.Fprint(c.stderr, usage)
		return exUsage
	}
	c.class, c.name = operands[0], operands[1]
	conf, err := c.readConfig()
	if err != nil {
		fmt.Fprintf(c.stderr, "makemap: %s: %s\n", c.config, strerror.Text(err))
		return exNoInput
	}
	if c.class == "cf" || c.class == "CF" {
		if !c.findClass(conf) {
			return exDataErr
		}
	}
	engine, err := registry().Engine(c.class)
	if c.class == "dbm" {
		fmt.Fprintln(c.stderr, "makemap: Need to recompile with -DNDBM for dbm support")
		return exCantCreat
	}
	if err != nil {
		return c.cannotOpen(sendmailError("Unknown database type"))
	}
	path := engine.Path(c.name)
	c.warnDirs(path)
	if err := c.checkFile(path); err != nil {
		return c.cannotOpen(err)
	}
	if c.list {
		return c.dump(ctx, engine, path)
	}
	return c.build(ctx, engine, path, conf)
}

// option takes one option.
func (c *command) option(letter byte, arg string) error {
	switch letter {
	case 'C':
		c.config = arg
	case 'D':
		c.grammar.Comment = '\n' // no line begins with it
		if arg != "" {
			c.grammar.Comment = arg[0]
		}
	case 'N':
		c.nul = true
	case 'd':
		c.grammar.Duplicates = table.KeepAll
	case 'e':
		c.grammar.EmptyValues = true
	case 'f':
		c.grammar.KeepCase = true
	case 'i':
		c.fallback = arg
	case 'o':
		c.add = true
	case 'r':
		if c.grammar.Duplicates != table.KeepAll {
			c.grammar.Duplicates = table.KeepLast
		}
	case 's':
		c.noChecks = true
	case 't':
		if arg == "" {
			fmt.Fprintln(c.stderr, "Invalid separator")
		} else {
			c.grammar.Separator = arg[0]
		}
	case 'u':
		c.list = true
	case 'v':
		c.verbose = true
	case 'L', 'l', 'x':
		c.listClasses(letter)
		return errDone
	}
	return nil // -c: there is no cache
}

func (c *command) listClasses(letter byte) {
	if letter == 'L' {
		fmt.Fprint(c.stdout, "cf\nCF\n")
	}
	for _, class := range classes {
		suffix := ""
		if letter == 'x' {
			suffix = ":"
			if class != "implicit" {
				suffix += strings.TrimPrefix(registry()[class].Suffix, ".")
			}
		}
		fmt.Fprintln(c.stdout, class+suffix)
	}
}

// cannotOpen complains about the map as a whole.
func (c *command) cannotOpen(err error) int {
	if err = foreign(err); c.class == "implicit" && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EINVAL)) {
		err = sendmailError("Unknown database type") // none of those that the original then tries can do it
	}
	fmt.Fprintf(c.stderr, "makemap: error opening type %s map %s: %s\n", c.class, c.name, strerror.Text(err))
	return exCantCreat
}

// sendmailError is an error in the words of sendmail.
type sendmailError string

func (e sendmailError) Error() string { return string(e) }

// warnDirs names the directories on the way to path that others may write to: once when the way is checked, and once when the
// file is.
func (c *command) warnDirs(path string) {
	for range 2 {
		for i := 1; i < len(path); i++ {
			if path[i] != '/' || path[i-1] == '/' {
				continue
			}
			fi, err := os.Stat(path[:i])
			if err != nil || !fi.IsDir() {
				continue
			}
			switch mode := fi.Mode().Perm(); {
			case mode&0o002 != 0:
				fmt.Fprintf(c.stderr, "WARNING: World writable directory %s\n", path[:i])
			case mode&0o020 != 0:
				fmt.Fprintf(c.stderr, "WARNING: Group writable directory %s\n", path[:i])
			}
		}
	}
}

// checkFile refuses what is no plain file.
func (c *command) checkFile(path string) error {
	fi, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if c.list || c.add {
			return err
		}
		_, err := os.Stat(filepath.Dir(path))
		return err
	}
	if err != nil {
		return err
	}
	st, _ := fi.Sys().(*syscall.Stat_t)
	switch {
	case c.noChecks && fi.Mode()&fs.ModeSymlink != 0:
		return nil
	case fi.Mode()&fs.ModeSymlink != 0:
		return sendmailError("Symbolic links not allowed")
	case !fi.Mode().IsRegular():
		return sendmailError("Regular files only")
	case !c.noChecks && st != nil && st.Nlink > 1:
		return sendmailError("Hard links not allowed")
	}
	return nil
}

// open opens the map that is there. One of the other access method is an error, as it is for libdb; to implicit both are right.
func (c *command) open(ctx context.Context, engine table.Engine, path string, o table.OpenOptions) (m table.Map, meta bdb.Meta, err error) {
	if m, err = engine.Open(ctx, path, o); err != nil {
		return nil, meta, err
	}
	if f, ok := m.(*bdb.File); ok {
		meta, err = f.Meta(ctx)
		if err == nil && c.class != "implicit" && meta.Type != c.class {
			err = syscall.EINVAL
		}
		if err != nil {
			m.Close()
			return nil, meta, err
		}
	}
	return m, meta, nil
}

// foreign gives files that are no map at all the error that libdb gives.
func foreign(err error) error {
	if errors.Is(err, table.ErrEmptyFile) || errors.Is(err, table.ErrNotDatabase) {
		return syscall.EINVAL
	}
	return err
}

// dump lists a map.
func (c *command) dump(ctx context.Context, engine table.Engine, path string) int {
	m, _, err := c.open(ctx, engine, path, table.OpenOptions{})
	if err != nil {
		return c.cannotOpen(err)
	}
	defer m.Close()
	sep := []byte{'\t'}
	if c.grammar.Separator != 0 {
		sep[0] = c.grammar.Separator
	}
	out := bufio.NewWriterSize(c.stdout, 64<<10)
	for rec, err := range m.All() {
		if err != nil {
			_ = out.Flush()
			fmt.Fprintf(c.stderr, "makemap: %v\n", err)
			return exDataErr
		}
		fmt.Fprintf(out, "%s%s%s\n", table.Printable(rec.Key), sep, table.Printable(rec.Value))
	}
	if err := out.Flush(); err != nil {
		fmt.Fprintf(c.stderr, "makemap: %s\n", strerror.Text(err))
		return exIOErr
	}
	return 0
}

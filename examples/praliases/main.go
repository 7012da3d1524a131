// Praliases lists alias databases, as sendmail's praliases(8) does.
//
//	praliases [-C cffile] [-f aliasfile] [key ...]
//
// Without keys it prints all entries as key:value in the order of the file, the mark "@:@" included; with keys, which are taken as
// they are, those entries. Other than the original it reads cdb files as well, and finds the access method by itself.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/examples/internal/getopt"
	"github.com/mtakit/mtakit/examples/internal/sendmailcf"
	"github.com/mtakit/mtakit/internal/strerror"
	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/bdb"
	"github.com/mtakit/mtakit/table/cdb"
)

// Exit codes of sysexits.h.
const (
	exUsage   = 64
	exNoInput = 66
)

func main() {
	c := &command{stdout: os.Stdout, stderr: os.Stderr}
	os.Exit(c.run(context.Background(), os.Args[1:]))
}

// command is one run of the program.
type command struct {
	stdout, stderr io.Writer
	config         string
	specs          []string // what to list
}

func (c *command) run(ctx context.Context, args []string) int {
	c.config = sendmailcf.Default
	keys, err := getopt.Permuted(args, "C:f:", func(letter byte, arg string) error {
		if letter == 'C' {
			c.config = arg
		} else {
			c.specs = []string{arg}
		}
		return nil
	})
	if err != nil {
		fmt.Fprintf(c.stderr, "praliases: %v\nusage: praliases [-C cffile] [-f aliasfile] [key ...]\n", err)
		return exUsage
	}
	if c.specs == nil {
		if c.specs, err = readConfig(c.config); err != nil {
			fmt.Fprintf(c.stderr, "praliases: %s: %s\n", c.config, strerror.Text(err))
			return exNoInput
		}
	}
	for _, text := range c.specs {
		c.list(ctx, text, keys)
	}
	return 0
}

// list prints one database, or says why not.
func (c *command) list(ctx context.Context, text string, keys []string) {
	s, err := parseSpec(text)
	if err == nil {
		err = c.print(ctx, s, keys)
	}
	if err != nil {
		fmt.Fprintf(c.stderr, "praliases: %v\n", err)
	}
}

// print prints one database.
func (c *command) print(ctx context.Context, s spec, keys []string) error {
	engine := bdb.Hash()
	if s.class == "cdb" || strings.HasSuffix(s.file, ".cdb") {
		engine = cdb.Engine()
	}
	path := engine.Path(s.file)
	m, err := engine.Open(ctx, path, table.OpenOptions{})
	if err != nil {
		return fmt.Errorf("%s: open: %s", s.file, s.cannotOpen(path, err))
	}
	defer m.Close()
	out := bufio.NewWriter(c.stdout)
	defer out.Flush()
	if len(keys) > 0 {
		return alias.Praliases(ctx, out, m, keys...)
	}
	for rec, err := range m.All() {
		if err != nil {
			return err
		}
		if err := alias.PrintEntry(out, table.Printable(rec.Key), table.Printable(rec.Value)); err != nil {
			return err
		}
	}
	return nil
}

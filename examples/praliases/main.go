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
	"github.com/mtakit/mtakit/examples/internal/aliascf"
	"github.com/mtakit/mtakit/examples/internal/getopt"
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
	config, file   string
}

func (c *command) run(ctx context.Context, args []string) int {
	c.config = aliascf.Default
	keys, err := getopt.Parse(args, "C:f:", func(letter byte, arg string) error {
		if letter == 'C' {
			c.config = arg
		} else {
			c.file = arg
		}
		return nil
	})
	if err != nil {
		fmt.Fprintf(c.stderr, "praliases: %v\nusage: praliases [-C cffile] [-f aliasfile] [key ...]\n", err)
		return exUsage
	}
	if c.file == "" {
		var conf aliascf.Options
		if err := conf.Read(c.config); err != nil {
			fmt.Fprintf(c.stderr, "praliases: %s: %s\n", c.config, strerror.Text(err))
			return exNoInput
		}
		c.file = conf.AliasFile // what else is wrong with the file does not matter here
	}
	for elem := range strings.SplitSeq(c.file, ",") {
		sources, err := alias.ParseSources(elem)
		class, _, named := strings.Cut(strings.TrimSpace(elem), ":")
		switch {
		case err != nil && named && !(alias.Source{Class: strings.ToLower(class)}).Compiled():
			fmt.Fprintf(c.stderr, "praliases: Skipping non-file based alias type %s\n", class)
			continue
		case err != nil:
			fmt.Fprintf(c.stderr, "praliases: illegal alias specification: %s\n", elem)
			continue
		}
		for _, src := range sources {
			c.source(ctx, src, keys)
		}
	}
	return 0
}

// source prints one database, or says why not.
func (c *command) source(ctx context.Context, src alias.Source, keys []string) {
	if !src.Compiled() {
		fmt.Fprintf(c.stderr, "praliases: Skipping non-file based alias type %s\n", src.Class)
		return
	}
	if err := c.print(ctx, src, keys); err != nil {
		fmt.Fprintf(c.stderr, "praliases: %s: open: %s\n", src.File, strerror.Text(err))
	}
}

// print prints one database.
func (c *command) print(ctx context.Context, src alias.Source, keys []string) error {
	engine := bdb.Hash()
	if src.Class == "cdb" || strings.HasSuffix(src.File, ".cdb") {
		engine = cdb.Engine()
	}
	m, err := engine.Open(ctx, engine.Path(src.File), table.OpenOptions{})
	if err != nil {
		return err
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

package mta

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/access"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/mailertable"
	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/bdb"
	"github.com/mtakit/mtakit/table/cdb"
	"github.com/mtakit/mtakit/virtuser"
)

// Names of the tables in the set, which are also the names of their files in the etc directory.
const (
	aliasTable   = "aliases"
	virtTable    = "virtusertable"
	mailerTable  = "mailertable"
	accessTable  = "access"
	localTable   = "local-host-names"
	relayTable   = "relay-domains"
	accountTable = "passwd"
)

// classTable is a class of names read from a file: local-host-names, relay-domains.
type classTable struct {
	mtakit.MapTable
	words []string
}

// accountsTable carries accounts through the table set, so that they are reloaded with the rest.
type accountsTable struct {
	mtakit.MapTable
	accounts passwd
}

// loadTables reads all tables. They are switched together when files change; a mistake in one keeps the last good
// state of all.
func (c *Config) loadTables(ctx context.Context, report func(*table.Generation, error)) (*table.Set, error) {
	etc := func(name string) string { return filepath.Join(c.Etc, name) }
	aliases, err := c.aliasSource()
	if err != nil {
		return nil, err
	}
	src := []table.Source{
		aliases,
		parsed(virtTable, etc(virtTable), virtuser.Parse),
		parsed(mailerTable, etc(mailerTable), mailertable.Parse),
		parsed(accessTable, etc(accessTable), access.Parse),
		parsed(localTable, etc(localTable), readClass),
		parsed(relayTable, etc(relayTable), readClass),
	}
	if c.Users != "system" {
		src = append(src, table.Source{Name: accountTable, Files: []string{c.Users}, Load: func(context.Context) (mtakit.Table, error) {
			p, err := readPasswd(c.Users)
			return accountsTable{accounts: p}, err
		}})
	}
	return table.NewSet(ctx, &table.SetOptions{Report: report}, src...)
}

// aliasSource is the text of the aliases, or, with a class in front, the map that newaliases made of it.
func (c *Config) aliasSource() (table.Source, error) {
	class, file, ok := strings.Cut(c.Aliases, ":")
	if !ok {
		return parsed(aliasTable, c.Aliases, alias.Parse), nil
	}
	maps := table.Registry{"hash": bdb.Hash(), "btree": bdb.Btree(), "cdb": cdb.Engine()}
	if _, err := maps.Engine(class); err != nil {
		return table.Source{}, fmt.Errorf("-aliases %s: %w", c.Aliases, err)
	}
	return maps.Source(aliasTable, class+":"+file)
}

// parsed is a source made of one text file. A file that does not exist is an empty table.
func parsed[T mtakit.Table](name, file string, parse func(io.Reader, string) (T, error)) table.Source {
	return table.Source{Name: name, Files: []string{file}, Load: func(context.Context) (mtakit.Table, error) {
		f, err := os.Open(file)
		if errors.Is(err, fs.ErrNotExist) {
			return parse(strings.NewReader(""), file)
		}
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return parse(bufio.NewReaderSize(f, 64<<10), file)
	}}
}

// readClass reads the words of a class file: a # begins a comment.
func readClass(r io.Reader, name string) (classTable, error) {
	words, err := access.ReadRelayDomains(r)
	if err != nil {
		return classTable{}, fmt.Errorf("%s: %w", name, err)
	}
	c := classTable{MapTable: mtakit.MapTable{}}
	for _, w := range words {
		w = strings.ToLower(strings.TrimSuffix(w, "."))
		c.words = append(c.words, w)
		c.MapTable[w] = ""
	}
	return c, nil
}

// localDomains is class w: the fixed names and what local-host-names says now.
type localDomains struct {
	fixed mtakit.DomainSet
	file  mtakit.Table
}

// Contains implements mtakit.Domains.
func (l localDomains) Contains(ctx context.Context, domain string) (bool, error) {
	if l.fixed[domain] {
		return true, nil
	}
	_, ok, err := l.file.Lookup(ctx, domain)
	return ok, err
}

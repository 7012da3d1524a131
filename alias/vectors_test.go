package alias_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/internal/vectorworld"
)

// The vectors about compiling run here, those about resolving through the whole Resolver.
var vectorOps = map[string]vectorworld.Op{"newaliases": runNewaliases, "praliases": runPraliases}

func TestVectorsAlias(t *testing.T) { vectorworld.Run(t, "alias", vectorOps) }

// Questions about odd keys and values, modes, directories and list files.
func TestAsked(t *testing.T) { vectorworld.RunAsked(t, vectorOps) }

// text turns bytes into text in which every character stands for one byte, as the vectors have it.
func text(s string) string {
	r := make([]rune, 0, len(s))
	for i := 0; i < len(s); i++ {
		r = append(r, rune(s[i]))
	}
	return string(r)
}

// define returns the value of an m4 definition.
func define(c *vectorworld.Config, name string) (value string, ok bool) {
	for _, d := range c.Defines {
		if rest, found := strings.CutPrefix(d, "define(`"+name+"',`"); found {
			return strings.TrimSuffix(rest, "')"), true
		}
	}
	return "", false
}

// needRoot skips a test that makes files of other users.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("makes files that belong to other users: needs root")
	}
}

// memory is a Database in memory.
type memory struct {
	entries map[string]string
	done    bool
}

func (m *memory) Store(key, value string) error { m.entries[key] = value; return nil }
func (m *memory) Commit() error                 { m.done = true; return nil }
func (m *memory) Abort() error                  { m.entries = nil; return nil }

// newaliases builds all alias files of a world at root and returns the report and the databases by source file.
func newaliases(t *testing.T, cfg *vectorworld.Config, root string) (alias.Report, map[string]*memory) {
	option, ok := define(cfg, "ALIAS_FILE")
	if !ok {
		option = "/etc/mail/aliases"
	}
	sources, err := alias.ParseSources(option)
	if err != nil {
		// sendmail reads the option from its configuration, and says where.
		return alias.Report{Lines: []string{"/etc/mail/sendmail.cf: line 135: " + err.Error()}, Exit: 70}, nil
	}
	dbs := make(map[string]*memory)
	n := alias.Newaliases{
		Builder: alias.Builder{Parser: alias.Parser{LocalDomain: worldLocal}},
		Create: func(_ alias.Source, name string) (alias.Database, error) {
			dbs[name] = &memory{entries: make(map[string]string)}
			return dbs[name], nil
		},
		Root:     root,
		RootName: "/",
	}
	if _, ok := define(cfg, "confCHECK_ALIASES"); ok {
		n.Builder.CheckValues = true
	}
	n.Builder.CheckHost = func(domain string) error {
		if slices.Contains(cfg.DNS.ServFail, domain) {
			return fmt.Errorf("%s: Name server timeout", domain)
		}
		return nil
	}
	if words, ok := define(cfg, "confDONT_BLAME_SENDMAIL"); ok {
		n.DontBlame, err = mtakit.ParseDontBlame(words)
		require.NoError(t, err)
	}
	return n.Run(sources), dbs
}

// worldLocal is class w of the vectors' world, with the short name that the hosts file makes full.
func worldLocal(domain string) bool {
	return domain == "mx.example.com" || domain == "mx" || domain == "[ipv6:2001:db8:0:0:0:0:0:10]"
}

// newWorld makes the files of a configuration in a new directory.
func newWorld(t *testing.T, cfg *vectorworld.Config) string {
	root := t.TempDir()
	require.NoError(t, os.Chmod(root, 0o755))
	vectorworld.Put(t, root, vectorworld.File{Path: "/etc/mail", Type: "dir"})
	for _, f := range cfg.Files {
		vectorworld.Put(t, root, f)
	}
	if text, ok := cfg.Tables["aliases"]; ok {
		vectorworld.Put(t, root, vectorworld.File{Path: "/etc/mail/aliases", Content: text})
	}
	return root
}

// vectorCase is a case as far as all operations have it.
type vectorCase[In, Want any] struct {
	ID, Config, Op, Note string
	Input                In
	Expect               Want
	Raw                  any
}

type newaliasesInput struct {
	Aliases         *string
	Options         []string
	Mode            string
	Files           []vectorworld.File
	DirectoryMode   string `json:"directory_mode"`
	AliasFileOption string `json:"alias_file_option"`
}

type newaliasesWant struct {
	Exit      int
	Messages  []string
	Entries   [][2]string
	Sentinel  *bool
	Praliases []string
	Stats     *struct{ Aliases, Longest, Bytes int }
}

func runNewaliases(t *testing.T, line []byte, cfg *vectorworld.Config) {
	var c vectorCase[newaliasesInput, newaliasesWant]
	require.NoError(t, vectorworld.Strict(line, &c))
	in, want := c.Input, c.Expect
	for _, o := range in.Options {
		require.Equal(t, "-v", o, "option") // says no more than without
	}
	for _, f := range append(in.Files, cfg.Files...) {
		if f.Owner != nil {
			needRoot(t)
		}
	}
	root := newWorld(t, cfg)
	if in.Aliases != nil {
		vectorworld.Put(t, root, vectorworld.File{Path: "/etc/mail/aliases", Content: *in.Aliases, Mode: in.Mode})
	}
	for _, f := range in.Files {
		vectorworld.Put(t, root, f)
	}
	if in.DirectoryMode != "" {
		vectorworld.SetMode(t, root, "/etc/mail", in.DirectoryMode)
	}
	rep, dbs := newaliases(t, cfg, root)
	got := make([]string, 0, len(rep.Lines))
	for _, line := range rep.Lines {
		got = append(got, text(line))
	}
	assert.Equal(t, want.Messages, got)
	assert.Equal(t, want.Exit, rep.Exit)
	if want.Stats != nil {
		assert.Equal(t, *want.Stats, struct{ Aliases, Longest, Bytes int }{rep.Aliases, rep.Longest, rep.Bytes})
	}
	if in.AliasFileOption != "" {
		return
	}
	db := dbs["/etc/mail/aliases"]
	if db == nil {
		assert.Empty(t, want.Entries)
		if want.Sentinel != nil {
			assert.False(t, *want.Sentinel)
		}
		return
	}
	assert.True(t, db.done)
	_, sentinel := db.entries[alias.EndKey]
	if want.Sentinel != nil {
		assert.Equal(t, *want.Sentinel, sentinel)
	}
	entries := [][2]string{}
	var lines []string
	for key, value := range db.entries {
		if key != alias.EndKey {
			entries = append(entries, [2]string{text(key), text(value)})
		}
		var b strings.Builder
		require.NoError(t, alias.PrintEntry(&b, key, value))
		lines = append(lines, strings.TrimSuffix(text(b.String()), "\n"))
	}
	sort.Slice(entries, func(i, j int) bool { return entries[i][0] < entries[j][0] })
	if want.Entries != nil {
		assert.Equal(t, want.Entries, entries)
	}
	if want.Praliases != nil {
		sort.Strings(lines)
		assert.Equal(t, want.Praliases, lines)
	}
}

func runPraliases(t *testing.T, line []byte, cfg *vectorworld.Config) {
	var c vectorCase[struct{ Arguments []string }, struct {
		Exit  int
		Lines []string
	}]
	require.NoError(t, vectorworld.Strict(line, &c))
	in, want := c.Input, c.Expect
	root := newWorld(t, cfg)
	_, dbs := newaliases(t, cfg, root)
	require.Contains(t, dbs, "/etc/mail/aliases")
	var b strings.Builder
	require.NoError(t, alias.Praliases(context.Background(), &b, mtakit.MapTable(dbs["/etc/mail/aliases"].entries), in.Arguments...))
	assert.Equal(t, want.Lines, strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n"))
	assert.Equal(t, 0, want.Exit)
}

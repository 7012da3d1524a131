package alias_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/internal/vectorfile"
)

// vectorDirs returns the directories that hold the vectors of an area: the published ones and our own questions, which
// sendmail answered in the same way, or those below $MTAKIT_VECTORS.
func vectorDirs(t *testing.T, area string) []string {
	if root := os.Getenv("MTAKIT_VECTORS"); root != "" {
		var dirs []string
		err := filepath.WalkDir(filepath.Join(root, area), func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, p)
			}
			return err
		})
		if errors.Is(err, fs.ErrNotExist) {
			t.Skipf("no vectors for %s in %s", area, root)
		}
		require.NoError(t, err)
		return dirs
	}
	return []string{filepath.Join("testdata", "vectors"), filepath.Join("testdata", "asked")}
}

type vectorCase struct {
	ID     string          `json:"id"`
	Config string          `json:"config"`
	Op     string          `json:"op"`
	Input  json.RawMessage `json:"input"`
	Expect json.RawMessage `json:"expect"`
	Raw    json.RawMessage `json:"raw"`
	Note   string          `json:"note"`
}

// strict decodes JSON and fails on fields that the runner does not know.
func strict(t *testing.T, text []byte, v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(v))
}

func readCases(t *testing.T, file string) (cases []vectorCase) {
	f, err := os.Open(file)
	require.NoError(t, err)
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		if len(bytes.TrimSpace(s.Bytes())) == 0 {
			continue
		}
		var c vectorCase
		strict(t, s.Bytes(), &c)
		cases = append(cases, c)
	}
	require.NoError(t, s.Err())
	return cases
}

func TestVectorsCompile(t *testing.T) {
	passed, failed := 0, 0
	for _, dir := range vectorDirs(t, "alias") {
		var configs map[string]worldConfig
		text, err := os.ReadFile(filepath.Join(dir, "configs.json"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		strict(t, text, &configs)
		files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
		require.NoError(t, err)
		for _, file := range files {
			for _, c := range readCases(t, file) {
				if c.Op == "expand" {
					continue // TestVectors
				}
				cfg, ok := configs[c.Config]
				require.True(t, ok, "%s: config %s", c.ID, c.Config)
				ok = t.Run(c.ID, func(t *testing.T) {
					switch c.Op {
					case "newaliases":
						runNewaliases(t, cfg, c)
					case "praliases":
						runPraliases(t, cfg, c)
					default:
						t.Errorf("unknown op %s", c.Op)
					}
				})
				if ok {
					passed++
				} else {
					failed++
				}
			}
		}
	}
	t.Logf("vectors alias (newaliases, praliases): %d passed, %d failed", passed, failed)
}

// worldConfig is a configuration of the vectors, as far as compiling needs it.
type worldConfig struct {
	Features, Defines, Local, Mailers []string
	OSType                            string `json:"ostype"`
	Tables                            map[string]string
	MakemapOutput                     json.RawMessage `json:"makemap_output"`
	Makemap                           json.RawMessage `json:"makemap"`
	Files                             []vectorfile.File
	NoHome                            []string `json:"nohome"`
	DNS                               struct {
		Recs     [][]any
		Servfail []string
	}
}

// define returns the value of an m4 definition.
func (c worldConfig) define(name string) (value string, ok bool) {
	for _, d := range c.Defines {
		if rest, found := strings.CutPrefix(d, "define(`"+name+"',`"); found {
			return strings.TrimSuffix(rest, "')"), true
		}
	}
	return "", false
}

// put makes one file of the world below root.
func put(t *testing.T, root string, f vectorfile.File) {
	t.Helper()
	require.NoError(t, vectorfile.Put(root, f))
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
func newaliases(t *testing.T, cfg worldConfig, root string) (alias.Report, map[string]*memory) {
	option, ok := cfg.define("ALIAS_FILE")
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
	if _, ok := cfg.define("confCHECK_ALIASES"); ok {
		n.Builder.CheckValues = true
	}
	n.Builder.CheckHost = func(domain string) error {
		if slices.Contains(cfg.DNS.Servfail, domain) {
			return fmt.Errorf("%s: Name server timeout", domain)
		}
		return nil
	}
	if words, ok := cfg.define("confDONT_BLAME_SENDMAIL"); ok {
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
func newWorld(t *testing.T, cfg worldConfig) string {
	needRoot(t)
	root := t.TempDir()
	require.NoError(t, vectorfile.World(root, cfg.NoHome))
	for _, f := range cfg.Files {
		put(t, root, f)
	}
	if text, ok := cfg.Tables["aliases"]; ok {
		put(t, root, vectorfile.File{Path: "/etc/mail/aliases", Content: text})
	}
	return root
}

func runNewaliases(t *testing.T, cfg worldConfig, c vectorCase) {
	var in struct {
		Aliases         *string
		Options         []string
		Mode            string
		Files           []vectorfile.File
		DirectoryMode   string `json:"directory_mode"`
		AliasFileOption string `json:"alias_file_option"`
	}
	var want struct {
		Exit      int
		Messages  []string
		Entries   [][2]string
		Sentinel  *bool
		Praliases []string
		Stats     *struct{ Aliases, Longest, Bytes int }
	}
	strict(t, c.Input, &in)
	strict(t, c.Expect, &want)
	for _, o := range in.Options {
		require.Equal(t, "-v", o, "option") // says no more than without
	}
	root := newWorld(t, cfg)
	if in.Aliases != nil {
		put(t, root, vectorfile.File{Path: "/etc/mail/aliases", Content: *in.Aliases, Mode: in.Mode})
	}
	for _, f := range in.Files {
		put(t, root, f)
	}
	if in.DirectoryMode != "" {
		require.NoError(t, vectorfile.Chmod(filepath.Join(root, "etc/mail"), in.DirectoryMode))
	}
	rep, dbs := newaliases(t, cfg, root)
	got := make([]string, 0, len(rep.Lines))
	for _, line := range rep.Lines {
		got = append(got, vectorfile.Text(line))
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
			entries = append(entries, [2]string{vectorfile.Text(key), vectorfile.Text(value)})
		}
		var b strings.Builder
		require.NoError(t, alias.PrintEntry(&b, key, value))
		lines = append(lines, strings.TrimSuffix(vectorfile.Text(b.String()), "\n"))
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

func runPraliases(t *testing.T, cfg worldConfig, c vectorCase) {
	var in struct{ Arguments []string }
	var want struct {
		Exit  int
		Lines []string
	}
	strict(t, c.Input, &in)
	strict(t, c.Expect, &want)
	root := newWorld(t, cfg)
	_, dbs := newaliases(t, cfg, root)
	require.Contains(t, dbs, "/etc/mail/aliases")
	var b strings.Builder
	require.NoError(t, alias.Praliases(context.Background(), &b, mtakit.MapTable(dbs["/etc/mail/aliases"].entries), in.Arguments...))
	assert.Equal(t, want.Lines, strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n"))
	assert.Equal(t, 0, want.Exit)
}

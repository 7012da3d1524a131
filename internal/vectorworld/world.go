package vectorworld

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/forward"
	"github.com/mtakit/mtakit/mailertable"
	"github.com/mtakit/mtakit/virtuser"
)

// World is a Resolver with everything that a configuration says around it.
type World struct {
	Resolver *mtakit.Resolver
	Fatal    string // sendmail refuses the configuration with this message
	zone     Zone
}

// Extra is what a single case adds to its configuration.
type Extra struct {
	Aliases     map[string]string // in place of the configuration's
	Files, Dirs []File
	NoHome      []string
	Options     []string
	Situation   string
}

// New builds the world of c. Files live below a temporary directory that passes for the root directory.
func New(t testing.TB, c *Config, extra Extra) (*World, error) {
	s, err := c.read()
	if err != nil {
		return nil, err
	}
	for _, option := range extra.Options {
		if err := s.option(option); err != nil {
			return nil, err
		}
	}
	w := &World{Resolver: &s.resolver, zone: c.DNS}
	w.zone.Records = append([][]any{{Hostname, "A", "192.0.2.10"}}, w.zone.Records...)
	r := w.Resolver
	r.Accounts, r.ValidShell = mtakit.AccountsFunc(account), validShell
	if s.canonify {
		r.Canonify = w.zone.canonify
	}
	r.LocalDomains = localClass(s.local)
	r.VirtualDomains = virtualClass{s.virtHosts, s.wholeDomain}
	if r.Virtual, err = c.virtual(s); err != nil {
		return nil, err
	}
	if r.Router, err = c.router(s); err != nil {
		return nil, err
	}
	if w.Fatal = s.fatal(); w.Fatal != "" {
		return w, nil
	}
	if err := c.withAliases(extra.Aliases).aliases(w, s, extra.Situation); err != nil || w.Fatal != "" {
		return w, err
	}
	return w, c.files(t, w, s, extra)
}

// fatal is what sendmail says about a configuration that it does not read.
func (s *settings) fatal() string {
	for _, name := range s.unknownOptionNames {
		return "readcf: unknown option name " + name
	}
	for _, word := range s.dontBlame {
		if _, err := mtakit.ParseDontBlame(word); err != nil {
			return "readcf: DontBlameSendmail option: " + word + " unrecognized"
		}
	}
	return ""
}

func localClass(names []string) mtakit.DomainSet {
	set := mtakit.DomainSet{Hostname: true, "localhost": true, "[ipv6:2001:db8:0:0:0:0:0:10]": true}
	for _, name := range names {
		set[strings.ToLower(name)] = true
	}
	return set
}

// virtualClass is class VirtHost, with subdomains if whole.
type virtualClass struct {
	names []string
	whole bool
}

func (v virtualClass) Contains(_ context.Context, domain string) (bool, error) {
	for _, name := range v.names {
		if domain == name || v.whole && strings.HasSuffix(domain, "."+name) {
			return true, nil
		}
	}
	return false, nil
}

// mapSource finds the source of "hash [-flags] path" and says what a lookup does without one.
func (c *Config) mapSource(name, definition string) (text string, missing mtakit.Table, err error) {
	words := strings.Fields(definition)
	if len(words) < 2 || words[0] != "hash" {
		return "", nil, fmt.Errorf("map not understood: %s", definition)
	}
	file := words[len(words)-1]
	if text, ok := c.Tables[path.Base(file)]; ok {
		return text, nil, nil
	}
	optional := false
	for _, flag := range words[1 : len(words)-1] {
		switch {
		case flag == "-o":
			optional = true
		case strings.HasPrefix(flag, "-T"):
		default:
			return "", nil, fmt.Errorf("map flag not understood: %s", definition)
		}
	}
	if optional {
		return "", mtakit.MapTable{}, nil
	}
	return "", missingMap(name, file), nil
}

// missingMap fails as sendmail does without the file of a map.
func missingMap(name, file string) mtakit.Table {
	text := fmt.Sprintf("hash map %q: missing map file %s.db: No such file or directory", name, file)
	return failing(&mtakit.Error{Code: 451, Status: mtakit.StatusMisconfigured.AsTemporary(), Text: text, Exit: 71})
}

func failing(err error) mtakit.Table {
	return mtakit.TableFunc(func(context.Context, string) (string, bool, error) { return "", false, err })
}

func (c *Config) virtual(s *settings) (mtakit.Expander, error) {
	if s.virtual == "" {
		return nil, nil
	}
	text, missing, err := c.mapSource("virtuser", s.virtual)
	if err != nil || missing != nil {
		return virtuser.New(missing), err
	}
	file, _ := virtuser.Parse(strings.NewReader(text), "virtusertable") // makemap, too, goes on after bad lines
	return virtuser.New(file), nil
}

func (c *Config) router(s *settings) (mtakit.Router, error) {
	if s.mailer == "" {
		return nil, nil
	}
	text, missing, err := c.mapSource("mailertable", s.mailer)
	if err != nil || missing != nil {
		return mailertable.New(missing), err
	}
	file, _ := mailertable.Parse(strings.NewReader(text), "mailertable")
	return mailertable.New(file), nil
}

// aliases builds the alias tables that the AliasFile option names.
func (c *Config) aliases(w *World, s *settings, situation string) error {
	sources, err := alias.ParseSources(s.aliasFiles)
	if err != nil {
		w.Fatal = err.Error()
		return nil
	}
	switch situation {
	case "", "source newer than database", "source removed", "database removed", "source changed but not rebuilt",
		"database lacks the @ key, AliasWait 2s", "database lacks the @ key, AliasWait 0", "database made with makemap -N plus @":
	case "database and source removed":
		w.Resolver.Aliases = alias.New(failing(errors.New("no alias database")), alias.Options{})
		return nil
	default:
		return fmt.Errorf("situation not understood: %s", situation)
	}
	var chain chain
	options := alias.Options{}
	for i, src := range sources {
		table, err := c.aliasTable(w, src, i)
		if err != nil {
			return err
		}
		options.KeepCase = options.KeepCase || src.KeepCase
		chain = append(chain, table)
	}
	w.Resolver.Aliases = alias.New(chain, options)
	return nil
}

// withAliases returns c with some aliases replaced or added.
func (c *Config) withAliases(aliases map[string]string) *Config {
	if len(aliases) == 0 {
		return c
	}
	text := c.Tables["aliases"] // of entries with the same key the last one counts
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	for key, value := range aliases {
		text += key + ": " + value + "\n"
	}
	changed := *c
	changed.Tables = maps.Clone(c.Tables)
	changed.Tables["aliases"] = text
	return &changed
}

func (c *Config) aliasTable(w *World, src alias.Source, number int) (mtakit.Table, error) {
	text, ok := c.source(src.File)
	switch {
	case !ok && src.Optional:
		return mtakit.MapTable{}, nil
	case !ok && src.Class == "implicit":
		return failing(errors.New("no alias database")), nil
	case !ok:
		return missingMap("Alias"+strconv.Itoa(number), src.File), nil
	case src.Class == "text": // blanks separate the columns of such a map: the colon belongs to the key
		table := mtakit.MapTable{}
		for line := range strings.Lines(text) {
			if f := strings.Fields(line); len(f) > 1 {
				table[strings.ToLower(f[0])] = f[1]
			}
		}
		return table, nil
	}
	parser := alias.Parser{KeepCase: src.KeepCase, Append: src.Append, LocalDomain: func(domain string) bool {
		ok, _ := w.Resolver.LocalDomains.Contains(context.Background(), domain)
		return ok
	}}
	file, err := parser.Parse(strings.NewReader(text), src.File)
	if file == nil {
		return nil, err
	}
	return file, nil
}

func (c *Config) source(name string) (string, bool) {
	if name == "/etc/mail/aliases" {
		if text, ok := c.Tables["aliases"]; ok {
			return text, true
		}
	}
	for _, f := range c.Files {
		if f.Path == name {
			return f.Content, true
		}
	}
	return "", false
}

// chain asks several tables; the first one that has the key wins.
type chain []mtakit.Table

func (c chain) Lookup(ctx context.Context, key string) (string, bool, error) {
	for _, t := range c {
		if v, ok, err := t.Lookup(ctx, key); ok || err != nil {
			return v, ok, err
		}
	}
	return "", false, nil
}

// files makes homes, files and directories, and what reads them.
func (c *Config) files(t testing.TB, w *World, s *settings, extra Extra) error {
	files := append(append([]File{}, c.Files...), extra.Files...)
	if len(files) > 0 && os.Getuid() != 0 {
		t.Skip("files with owners need root")
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		return err
	}
	noHome := append(append([]string{}, c.NoHome...), extra.NoHome...)
	for _, a := range users {
		if os.Getuid() != 0 || !strings.HasPrefix(a.Home, "/home/") || a.Home == "/home/nonexistent" || contains(noHome, a.Name) {
			continue
		}
		if err := makeFile(root, File{Path: a.Home, Type: "dir", Owner: a.Name}); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := makeFile(root, f); err != nil {
			return err
		}
	}
	for _, f := range extra.Dirs {
		if err := changeDir(root, f); err != nil {
			return err
		}
	}
	blame := mtakit.DontBlame(0)
	for _, word := range s.dontBlame {
		d, err := mtakit.ParseDontBlame(word)
		if err != nil {
			return err
		}
		blame |= d
	}
	in, err := alias.NewIncluder(alias.IncludeOptions{Hostname: Hostname, DontBlame: blame, Owner: owner, ValidShell: validShell,
		Member: member, Root: root, RootName: "/"})
	if err != nil {
		return err
	}
	t.Cleanup(func() { in.Close() })
	w.Resolver.Includes = in
	if s.noForward {
		return nil
	}
	fw, err := forward.New(forward.Options{Path: s.forwardPath, Hostname: Hostname, DontBlame: blame, ValidShell: validShell,
		Member: member, Root: root, RootName: "/"})
	if err != nil {
		return err
	}
	t.Cleanup(func() { fw.Close() })
	w.Resolver.Forward = fw
	return nil
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// Put makes one file of a world below root, in place of what is there.
func Put(t testing.TB, root string, f File) {
	t.Helper()
	name := filepath.Join(root, f.Path)
	if fi, err := os.Lstat(name); err == nil && !(fi.IsDir() && f.Type == "dir") {
		if err := os.RemoveAll(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := makeFile(root, f); err != nil {
		t.Fatal(err)
	}
}

// SetMode changes a mode, given in octal, of a file below root.
func SetMode(t testing.TB, root, name, octal string) {
	t.Helper()
	if err := setMode(filepath.Join(root, name), octal, 0); err != nil {
		t.Fatal(err)
	}
}

// makeFile makes one file below root. What is there already changes its mode and owner.
func makeFile(root string, f File) error {
	name := filepath.Join(root, f.Path)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	uid, err := userID(f.Owner)
	if err != nil {
		return err
	}
	group := f.Group
	if group == nil {
		group = f.Owner
	}
	gid, err := groupID(group)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	switch f.Type {
	case "", "file":
		err = os.WriteFile(name, bytesOf(f.Content), mode)
		if info, serr := os.Stat(name); serr == nil && info.IsDir() {
			mode, err = 0o755, nil
		}
	case "dir":
		mode, err = 0o755, os.MkdirAll(name, 0o755)
	case "symlink":
		if err := os.Symlink(f.Target, name); err != nil {
			return err
		}
		if os.Getuid() != 0 && f.Owner == nil && f.Group == nil {
			return nil
		}
		return os.Lchown(name, uid, gid)
	case "hardlink":
		return os.Link(filepath.Join(root, f.Target), name)
	case "fifo":
		err = makeFIFO(name)
	default:
		err = fmt.Errorf("file type not understood: %s", f.Type)
	}
	if err != nil {
		return err
	}
	if os.Getuid() == 0 || f.Owner != nil || f.Group != nil { // else the file is ours, as good as root's
		if err := os.Chown(name, uid, gid); err != nil {
			return err
		}
	}
	return setMode(name, f.Mode, mode)
}

// changeDir gives a directory that may be there another mode, and another owner if one is named.
func changeDir(root string, f File) error {
	name := filepath.Join(root, f.Path)
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) || f.Owner != nil {
		f.Type = "dir"
		return makeFile(root, f)
	}
	return setMode(name, f.Mode, 0o755)
}

func setMode(name, octal string, mode fs.FileMode) error {
	if octal != "" {
		bits, err := strconv.ParseUint(octal, 8, 32)
		if err != nil {
			return err
		}
		mode = fs.FileMode(bits)
	}
	return chmod(name, mode)
}

// bytesOf turns text in which every character stands for one byte into those bytes.
func bytesOf(s string) []byte {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		b = append(b, byte(r))
	}
	return b
}

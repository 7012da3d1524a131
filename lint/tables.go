package lint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/access"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/mailertable"
	"github.com/mtakit/mtakit/virtuser"
)

// Options says what the tables do not say themselves.
type Options struct {
	// Hostname is the name of the host ($j). Empty means os.Hostname.
	Hostname string
	// Domains are local domains besides those in local-host-names.
	Domains []string
	// VirtualDomains are domains that only the virtusertable serves (class VirtHost).
	VirtualDomains []string
	// Aliases is the alias file. Empty means the file aliases in the directory.
	Aliases string
	// Passwd is a file of passwd(5) lines that names the local users. Empty means the file passwd in the directory,
	// or /etc/passwd when there is none.
	Passwd string
	// Forward and Includes read forward files and :include: lists. Nil leaves them out: lists are then taken for
	// deliverable.
	Forward  mtakit.Forwarder
	Includes mtakit.Includer
	// SmartHost is where mail for other hosts goes that the mailertable does not know.
	SmartHost mtakit.Route
}

// Tables are the tables of one directory.
type Tables struct {
	Dir     string
	Aliases *alias.File
	Virtual *virtuser.File
	Mailer  *mailertable.File
	Access  *access.File
	Local   []Word // local-host-names
	Relay   []Word // relay-domains
	Users   []User

	opt    Options
	local  mtakit.DomainSet
	syntax []*mtakit.SyntaxError
	files  []string // those that exist
}

// Word is a member of a class, with its place.
type Word struct {
	Text string
	Pos  mtakit.Position
}

// User is a local user, with its place.
type User struct {
	mtakit.Account
	Pos mtakit.Position
}

// Load reads the tables in dir. Files that do not exist are empty tables. What cannot be read as a table is left out,
// and told by Check. The error is about files that cannot be read at all.
func Load(dir string, opt *Options) (*Tables, error) {
	t := &Tables{Dir: dir}
	if opt != nil {
		t.opt = *opt
	}
	if st, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !st.IsDir() {
		return nil, fmt.Errorf("%s is not a directory", dir)
	}
	if t.opt.Hostname == "" {
		name, err := os.Hostname()
		if err != nil {
			return nil, err
		}
		t.opt.Hostname = name
	}
	etc := func(name string) string { return filepath.Join(dir, name) }
	aliases := t.opt.Aliases
	if aliases == "" {
		aliases = etc("aliases")
	}
	users := t.opt.Passwd
	if users == "" {
		if users = etc("passwd"); !exists(users) {
			users = "/etc/passwd"
		}
	} else if !exists(users) {
		return nil, fmt.Errorf("%s: %w", users, fs.ErrNotExist)
	}
	var err error
	load(t, &err, aliases, alias.Parse, &t.Aliases)
	load(t, &err, etc("virtusertable"), virtuser.Parse, &t.Virtual)
	load(t, &err, etc("mailertable"), mailertable.Parse, &t.Mailer)
	load(t, &err, etc("access"), access.Parse, &t.Access)
	load(t, &err, etc("local-host-names"), readWords, &t.Local)
	load(t, &err, etc("relay-domains"), readWords, &t.Relay)
	load(t, &err, users, readPasswd, &t.Users)
	t.local = mtakit.DomainSet{"localhost": true, strings.ToLower(t.opt.Hostname): true}
	for _, d := range t.opt.Domains {
		t.local[strings.ToLower(strings.TrimSuffix(d, "."))] = true
	}
	for _, w := range t.Local {
		t.local[strings.ToLower(strings.TrimSuffix(w.Text, "."))] = true
	}
	return t, err
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// load parses one file into to. Faults of syntax are kept; other errors join err, and leave an empty table.
func load[T any](t *Tables, err *error, name string, parse func(io.Reader, string) (T, error), to *T) {
	var src io.Reader = strings.NewReader("")
	f, e := os.Open(name)
	switch {
	case e == nil:
		defer f.Close()
		t.files = append(t.files, name)
		src = f
	case !errors.Is(e, fs.ErrNotExist):
		*err = errors.Join(*err, e)
	}
	v, e := parse(src, name)
	for _, one := range split(e) {
		var se *mtakit.SyntaxError
		if errors.As(one, &se) {
			t.syntax = append(t.syntax, se)
			continue
		}
		*err = errors.Join(*err, one)
		v, _ = parse(strings.NewReader(""), name)
	}
	*to = v
}

// split takes a joined error apart.
func split(err error) []error {
	if err == nil {
		return nil
	}
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range j.Unwrap() {
			all = append(all, split(e)...)
		}
		return all
	}
	return []error{err}
}

// readWords reads a class file: words separated by blanks and line ends; a # begins a comment.
func readWords(r io.Reader, name string) ([]Word, error) {
	text, err := io.ReadAll(r)
	var words []Word
	for n, line := range strings.Split(string(text), "\n") {
		line, _, _ = strings.Cut(line, "#")
		for at, w := range fields(line) {
			words = append(words, Word{w, mtakit.Position{File: name, Line: n + 1, Col: at + 1}})
		}
	}
	return words, err
}

// fields yields the words of a line with their offsets.
func fields(line string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		for at := 0; at < len(line); {
			if line[at] <= ' ' {
				at++
				continue
			}
			end := at
			for end < len(line) && line[end] > ' ' {
				end++
			}
			if !yield(at, line[at:end]) {
				return
			}
			at = end
		}
	}
}

// readPasswd reads lines of passwd(5).
func readPasswd(r io.Reader, name string) ([]User, error) {
	text, err := io.ReadAll(r)
	errs := []error{err}
	var users []User
	for n, line := range strings.Split(string(text), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' || line[0] == '+' || line[0] == '-' {
			continue
		}
		pos := mtakit.Position{File: name, Line: n + 1, Col: 1}
		f := strings.Split(line, ":")
		if len(f) != 7 || f[0] == "" {
			errs = append(errs, &mtakit.SyntaxError{Pos: pos, Err: errors.New("not name:password:uid:gid:gecos:home:shell")})
			continue
		}
		uid, err1 := strconv.Atoi(f[2])
		gid, err2 := strconv.Atoi(f[3])
		if err1 != nil || err2 != nil {
			errs = append(errs, &mtakit.SyntaxError{Pos: pos, Err: errors.New("user or group id is not a number")})
			continue
		}
		full, _, _ := strings.Cut(f[4], ",")
		users = append(users, User{Account: mtakit.Account{Name: f[0], UID: uid, GID: gid, FullName: full, Home: f[5], Shell: f[6]}, Pos: pos})
	}
	return users, errors.Join(errs...)
}

// Account finds a user by name.
func (t *Tables) Account(_ context.Context, name string) (mtakit.Account, bool, error) {
	for _, u := range t.Users {
		if u.Name == name {
			return u.Account, true, nil
		}
	}
	return mtakit.Account{}, false, nil
}

// Resolver puts the tables together in sendmail's order. The caller may change it before use.
func (t *Tables) Resolver() *mtakit.Resolver {
	accounts := make(map[string]mtakit.Account, len(t.Users))
	for _, u := range t.Users {
		if _, dup := accounts[u.Name]; !dup {
			accounts[u.Name] = u.Account
		}
	}
	r := &mtakit.Resolver{
		Hostname:     t.opt.Hostname,
		LocalDomains: t.local,
		Virtual:      virtuser.New(t.Virtual),
		Aliases:      alias.New(t.Aliases, alias.Options{}),
		Forward:      t.opt.Forward,
		Includes:     t.opt.Includes,
		Router:       mailertable.New(t.Mailer),
		SmartHost:    t.opt.SmartHost,
		Accounts: mtakit.AccountsFunc(func(_ context.Context, name string) (mtakit.Account, bool, error) {
			a, ok := accounts[name]
			return a, ok, nil
		}),
	}
	if len(t.opt.VirtualDomains) > 0 {
		virtual := mtakit.DomainSet{}
		for _, d := range t.opt.VirtualDomains {
			virtual[strings.ToLower(d)] = true
		}
		r.VirtualDomains = virtual
	}
	return r
}

// Policy puts access table and relay-domains together, with recipients blocked by To: entries and without the DNS. The
// caller may change it before use.
func (t *Tables) Policy() *access.Policy {
	p := &access.Policy{
		Access: access.New(t.Access, nil), Hostname: t.opt.Hostname, Local: t.local, BlocklistRecipients: true, NoCanonify: true,
		AcceptUnresolvable: true,
	}
	for _, w := range t.Relay {
		p.Relay = append(p.Relay, w.Text)
	}
	return p
}

// isLocal reports whether domain is in class w.
func (t *Tables) isLocal(domain string) bool { return t.local[strings.ToLower(domain)] }

// isVirtual reports whether the virtusertable is asked about domain.
func (t *Tables) isVirtual(domain string) bool {
	for _, d := range t.opt.VirtualDomains {
		if strings.EqualFold(d, domain) {
			return true
		}
	}
	return t.isLocal(domain)
}

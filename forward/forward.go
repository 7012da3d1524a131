package forward

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/listfile"
	"github.com/mtakit/mtakit/internal/safefile"
)

// DefaultPath is sendmail's ForwardPath option when the configuration does not set it.
const DefaultPath = "$z/.forward.$w:$z/.forward"

// Options tunes a Forward. The zero value is ready for use on a system with its accounts in passwd(5).
type Options struct {
	// Path is sendmail's ForwardPath: file names separated by colons, tried in order, with macros. Empty means
	// DefaultPath. To switch forward files off, leave the Resolver's Forward slot empty.
	Path string
	// Hostname is the full host name, macro $j. $w is its first label and $m the rest. Empty means os.Hostname.
	Hostname string
	// Macros gives the values of macros other than z, u, h, j, w and m. Unknown ones are empty.
	Macros map[string]string
	// DontBlame switches safety rules off.
	DontBlame mtakit.DontBlame
	// TrustedUID may own forward files besides the user and root (sendmail's TrustedUser). Zero means nobody.
	TrustedUID int
	// ValidShell tells whether users with this login shell may mail to programs and files. Nil looks into
	// /etc/shells.
	ValidShell func(shell string) bool
	// Member tells whether a user is in a group besides the one of the account. Nil means in none; SystemMember
	// asks the system.
	Member func(user string, gid int) bool
	// Root confines forward files to this directory: names outside of it, and links that lead there, are refused.
	// Empty means the whole file system.
	Root string
	// RootName is what Root is called in names. Empty means Root itself; "/" makes Root what chroot(2) does.
	RootName string
	// MaxSize is the size of a file that is still read, in bytes. Zero means 16 MiB.
	MaxSize int64
	// MaxLine is the length of a line that is still read, in bytes. Zero means 64 KiB.
	MaxLine int
	// Timeout bounds the search for one user's file; what hangs longer on a dead file server is left behind, and the
	// mail waits. Zero means none: the search takes as long as the file system does.
	Timeout time.Duration
}

// Forward finds and reads forward files. It is an mtakit.Forwarder and may be used by several goroutines at once.
type Forward struct {
	opts   Options
	path   []string
	macros map[string]string
	root   *safefile.Root
	rules  safefile.Rules
	limits listfile.Limits
}

// New prepares a Forward. It fails when Root cannot be opened or the host name is not to be had.
func New(opts Options) (*Forward, error) {
	f := &Forward{opts: opts, limits: listfile.Limits{MaxSize: opts.MaxSize, MaxLine: opts.MaxLine}}
	if opts.Path == "" {
		opts.Path = DefaultPath
	}
	f.path = strings.Split(opts.Path, ":")
	host := opts.Hostname
	if host == "" {
		var err error
		if host, err = os.Hostname(); err != nil {
			return nil, err
		}
	}
	short, domain, _ := strings.Cut(host, ".")
	f.macros = map[string]string{"j": host, "w": short, "m": domain}
	for name, value := range opts.Macros {
		f.macros[name] = value
	}
	if f.opts.ValidShell == nil {
		f.opts.ValidShell = listfile.ShellsFile("/etc/shells")
	}
	dir := opts.Root
	if dir == "" {
		dir = "/"
	}
	var err error
	if f.root, err = safefile.NewRoot(dir, opts.RootName); err != nil {
		return nil, fmt.Errorf("forward: %w", err)
	}
	f.rules = listfile.Forward.Rules(opts.DontBlame, opts.TrustedUID)
	return f, nil
}

// Close releases the root directory. The Forward must not be used after it.
func (f *Forward) Close() error { return f.root.Close() }

// SystemMember is an Options.Member that asks the system's user data base.
func SystemMember(user string, gid int) bool { return listfile.SystemMember(user)(gid) }

// Forward implements mtakit.Forwarder. The first file of the path that can be opened decides, even if nothing is in
// it: x.To is empty then, and the mail belongs into the mailbox. Files that are refused are named in x.Warnings. An
// error means that some file may be there and cannot be read now, and none behind it could be used: the mail waits.
func (f *Forward) Forward(ctx context.Context, acct mtakit.Account, detail string) (mtakit.Expansion, bool, error) {
	if f.opts.Timeout <= 0 {
		return f.forward(ctx, acct, detail)
	}
	ctx, cancel := context.WithTimeout(ctx, f.opts.Timeout)
	defer cancel()
	type answer struct {
		x   mtakit.Expansion
		ok  bool
		err error
	}
	done := make(chan answer, 1) // the search ends when the file system answers, whether or not somebody waits
	go func() {
		x, ok, err := f.forward(ctx, acct, detail)
		done <- answer{x, ok, err}
	}()
	select {
	case a := <-done:
		return a.x, a.ok, a.err
	case <-ctx.Done():
		return mtakit.Expansion{}, false, deferral(ctx.Err())
	}
}

// deferral is the verdict on a forward file that cannot be read for now.
func deferral(err error) error {
	return &mtakit.Error{
		Code:   451,
		Status: mtakit.StatusSystem.AsTemporary(),
		Text:   "transient .forward open error: message queued",
		Err:    err,
	}
}

func (f *Forward) forward(ctx context.Context, acct mtakit.Account, detail string) (mtakit.Expansion, bool, error) {
	x := mtakit.Expansion{Step: mtakit.Step{Stage: "forward", Input: acct.Name}}
	if detail != "" {
		x.Step.Input += "+" + detail
	}
	id := safefile.Identity{UID: acct.UID, GID: acct.GID}
	if f.opts.Member != nil {
		id.Member = func(gid int) bool { return f.opts.Member(acct.Name, gid) }
	}
	var transient error
	search := f.root.Search(id, f.rules)
	for _, pattern := range f.path {
		name, ok := f.expand(pattern, acct, detail)
		if !ok {
			continue
		}
		if err := ctx.Err(); err != nil {
			return mtakit.Expansion{}, false, deferral(err)
		}
		x.Step.Tried = append(x.Step.Tried, name)
		file, err := search.Open(name)
		if err == nil {
			err = f.read(&x, file, name, acct)
			file.Close()
		}
		switch {
		case err == nil:
			return x, true, nil
		case safefile.Absent(err):
		case safefile.Refused(err) || errors.Is(err, listfile.ErrTooBig):
			if !f.silent(err, name) {
				x.Warnings = append(x.Warnings, fmt.Errorf("forward: %s: %w", name, reason{err}))
			}
		case transient == nil:
			transient = fmt.Errorf("forward: %s: %w", name, err)
		}
	}
	if transient != nil {
		return mtakit.Expansion{}, false, deferral(transient)
	}
	return x, false, nil
}

// silent reports whether an administrator does not want to hear of this refusal: the directories are unsafe, but there
// is no file in them.
func (f *Forward) silent(err error, name string) bool {
	if !f.opts.DontBlame.Has(mtakit.DontBlameDontWarnForwardFileInUnsafeDirPath) ||
		!errors.Is(err, safefile.WorldWritableDir) && !errors.Is(err, safefile.GroupWritableDir) {
		return false
	}
	rules := f.rules
	rules.UnsafeDir, rules.Linked = true, true
	file, err := f.root.Open(name, safefile.Identity{}, rules) // as root, who sees everything
	if err == nil {
		file.Close()
	}
	return safefile.Absent(err)
}

// reason prints an error as sendmail does.
type reason struct{ error }

func (r reason) Error() string { return listfile.Text(r.error) }
func (r reason) Unwrap() error { return r.error }

// read takes the members from an open file.
func (f *Forward) read(x *mtakit.Expansion, file *safefile.File, name string, acct mtakit.Account) error {
	members, err := listfile.Parse(file, name, f.limits)
	if err != nil {
		return err
	}
	x.To = members
	x.Control = &mtakit.Control{User: acct.Name, UID: acct.UID, GID: acct.GID, Origin: acct.Name}
	x.Step.Key = name
	x.Step.Pos = mtakit.Position{File: name}
	x.Step.Value = summary(members)
	if !f.opts.ValidShell(acct.Shell) {
		x.Unsafe = &mtakit.Error{
			Code:   550,
			Status: mtakit.StatusNotAuthorized,
			Text:   fmt.Sprintf("User %s@%s doesn't have a valid shell for mailing to programs", acct.Name, f.macros["j"]),
		}
	} else if why := listfile.Forward.Unsafe(file, f.opts.DontBlame); why != nil {
		x.Unsafe = &mtakit.Error{Code: 550, Status: mtakit.StatusNotAuthorized, Err: fmt.Errorf("%s: %w", name, why)}
	}
	return nil
}

// summary is the text of the members, for explanations.
func summary(members []mtakit.Member) string {
	texts := make([]string, len(members))
	for i, m := range members {
		texts[i] = m.Text
	}
	return strings.Join(texts, ", ")
}

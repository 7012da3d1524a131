package alias

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/listfile"
	"github.com/mtakit/mtakit/internal/safefile"
)

// IncludeOptions tunes an Includer. The zero value is ready for use on a system with its accounts in passwd(5).
type IncludeOptions struct {
	// DefaultUID and DefaultGID are the default user, with whose rights a list is read that is named in an alias
	// (sendmail's DefaultUser). Zero means 1, the user daemon; root is never used.
	DefaultUID, DefaultGID int
	// Hostname stands in the text for a user whose shell is not valid. Empty means os.Hostname.
	Hostname string
	// DontBlame switches safety rules off.
	DontBlame mtakit.DontBlame
	// Owner returns the account with a user id: the owner of a list controls the programs and files in it. Nil
	// searches /etc/passwd.
	Owner func(ctx context.Context, uid int) (a mtakit.Account, ok bool, err error)
	// ValidShell tells whether users with this login shell may mail to programs and files. Nil looks into
	// /etc/shells.
	ValidShell func(shell string) bool
	// Member tells whether a user is in a group besides the one of the account. Nil means in none.
	Member func(user string, gid int) bool
	// Root confines lists to this directory: names outside of it, and links that lead there, are refused. Empty means
	// the whole file system.
	Root string
	// RootName is what Root is called in names. Empty means Root itself; "/" makes Root what chroot(2) does.
	RootName string
	// MaxSize is the size of a list that is still read, in bytes. Zero means 16 MiB.
	MaxSize int64
	// MaxLine is the length of a line that is still read, in bytes. Zero means 64 KiB.
	MaxLine int
}

// Includer reads the files of :include: destinations. It is an mtakit.Includer and may be used by several goroutines
// at once.
type Includer struct {
	opts   IncludeOptions
	root   *safefile.Root
	rules  safefile.Rules
	limits listfile.Limits
}

// NewIncluder prepares an Includer. It fails when Root cannot be opened.
func NewIncluder(opts IncludeOptions) (*Includer, error) {
	if opts.DefaultUID == 0 {
		opts.DefaultUID = 1
	}
	if opts.DefaultGID == 0 {
		opts.DefaultGID = 1
	}
	if opts.Hostname == "" {
		var err error
		if opts.Hostname, err = os.Hostname(); err != nil {
			return nil, err
		}
	}
	if opts.Owner == nil {
		opts.Owner = passwdOwner
	}
	if opts.ValidShell == nil {
		opts.ValidShell = listfile.ShellsFile("/etc/shells")
	}
	dir := opts.Root
	if dir == "" {
		dir = "/"
	}
	root, err := safefile.NewRoot(dir, opts.RootName)
	if err != nil {
		return nil, fmt.Errorf("include: %w", err)
	}
	return &Includer{
		opts:   opts,
		root:   root,
		rules:  listfile.Include.Rules(opts.DontBlame, 0),
		limits: listfile.Limits{MaxSize: opts.MaxSize, MaxLine: opts.MaxLine},
	}, nil
}

// Close releases the root directory. The Includer must not be used after it.
func (in *Includer) Close() error { return in.root.Close() }

// Include implements mtakit.Includer. The errors are sendmail's: 550 5.2.4 Cannot open PATH: REASON, or 451 4.2.4 for
// what may pass.
func (in *Includer) Include(ctx context.Context, path string, ctl mtakit.Control, fromAlias bool) (mtakit.Expansion, error) {
	x := mtakit.Expansion{Step: mtakit.Step{Stage: "include", Input: path, Tried: []string{path}}}
	if err := ctx.Err(); err != nil {
		return x, cannotOpen(path, err)
	}
	file, err := in.root.Open(path, in.identity(ctl), in.rules)
	if err != nil {
		return x, cannotOpen(path, err)
	}
	defer file.Close()
	members, err := listfile.Parse(file, path, in.limits)
	if err != nil {
		return x, cannotOpen(path, err)
	}
	x.To = members
	x.Step.Key = path
	x.Step.Pos = mtakit.Position{File: path}
	x.Step.Value = summary(members)
	if why := listfile.Include.Unsafe(file, in.opts.DontBlame); why != nil {
		x.Unsafe = notAuthorized("")
		x.Unsafe.Err = fmt.Errorf("%s: %w", path, why)
	}
	if fromAlias {
		if err := in.control(ctx, &x, path, file, ctl); err != nil {
			return x, cannotOpen(path, err)
		}
	}
	return x, nil
}

// summary is the text of the members, for explanations.
func summary(members []mtakit.Member) string {
	texts := make([]string, len(members))
	for i, m := range members {
		texts[i] = m.Text
	}
	return strings.Join(texts, ", ")
}

// identity is whose eyes look at a list: the controlling user's, or the default user's.
func (in *Includer) identity(ctl mtakit.Control) safefile.Identity {
	if ctl.UID == 0 || ctl.UID == in.opts.DefaultUID {
		return safefile.Identity{UID: in.opts.DefaultUID, GID: in.opts.DefaultGID}
	}
	if ctl.GID == 0 { // what sendmail notes for the default user of aliases
		ctl.GID = in.opts.DefaultGID
	}
	id := safefile.Identity{UID: ctl.UID, GID: ctl.GID}
	if in.opts.Member != nil && ctl.User != "" {
		id.Member = func(gid int) bool { return in.opts.Member(ctl.User, gid) }
	}
	return id
}

// control makes the owner of the file the controlling user of its members. Root's lists run as the default user. Where
// others could have given the file to its owner, because of unsafe directories, nobody takes over.
func (in *Includer) control(ctx context.Context, x *mtakit.Expansion, path string, file *safefile.File, ctl mtakit.Control) error {
	safe := file.UnsafeDir == "" || in.opts.DontBlame.Has(mtakit.DontBlameAssumeSafeChown)
	switch file.UID {
	case in.identity(ctl).UID:
		return nil
	case 0:
		if safe {
			x.Control = &mtakit.Control{Origin: ":include:" + path}
		}
		return nil
	}
	acct, ok, err := in.opts.Owner(ctx, file.UID)
	switch {
	case err != nil:
		return err
	case !ok:
		x.Control = &mtakit.Control{UID: file.UID, GID: file.GID, Origin: ":include:" + path}
		x.Unsafe = notAuthorized(fmt.Sprintf("UID %d is an unknown user: cannot mail to programs", file.UID))
	case !safe:
		x.Unsafe = notAuthorized("")
		x.Unsafe.Err = fmt.Errorf("%s: %w", path, file.UnsafeDir)
	default:
		x.Control = &mtakit.Control{User: acct.Name, UID: file.UID, GID: file.GID, Origin: ":include:" + path}
		if !in.opts.ValidShell(acct.Shell) {
			x.Unsafe = notAuthorized(fmt.Sprintf("User %s@%s doesn't have a valid shell for mailing to programs", acct.Name, in.opts.Hostname))
		}
	}
	return nil
}

func notAuthorized(text string) *mtakit.Error {
	return &mtakit.Error{Code: 550, Status: mtakit.StatusNotAuthorized, Text: text}
}

// cannotOpen is the verdict on a list that is not to be had: final if the file is missing or refused, temporary
// otherwise.
func cannotOpen(path string, err error) error {
	e := &mtakit.Error{
		Code:   451,
		Status: mtakit.StatusListExpansion.AsTemporary(),
		Text:   fmt.Sprintf("Cannot open %s: %s", path, listfile.Text(err)),
		Err:    err,
	}
	if safefile.Absent(err) || safefile.Refused(err) || errors.Is(err, listfile.ErrTooBig) {
		e.Code, e.Status, e.Exit = 550, mtakit.StatusListExpansion, exitUsage
	}
	return e
}

// passwdOwner searches /etc/passwd for a user id.
func passwdOwner(_ context.Context, uid int) (mtakit.Account, bool, error) {
	text, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return mtakit.Account{}, false, err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimRight(line, "\n"), ":")
		if len(f) < 7 || f[2] != strconv.Itoa(uid) {
			continue
		}
		gid, _ := strconv.Atoi(f[3])
		full, _, _ := strings.Cut(f[4], ",")
		return mtakit.Account{Name: f[0], UID: uid, GID: gid, FullName: full, Home: f[5], Shell: f[6]}, true, nil
	}
	return mtakit.Account{}, false, nil
}

package mailer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/vfs"
	"github.com/mtakit/mtakit/mbox"
)

// daemon is the controlling user of deliveries that have none, or root, as in sendmail without the option
// DefaultUser.
var daemon = mtakit.Control{User: "daemon", UID: 1, GID: 1}

// File is sendmail's *file* mailer: it appends to the file that the route's user names, with the rights of the
// controlling user when running as root. The zero value is ready for use.
type File struct {
	// Default is the controlling user where a recipient has none, or root. The zero value means
	// daemon (1:1), as in sendmail.
	Default mtakit.Control
	// Mode is that of a new file. Zero means 0600 (sendmail's DefaultFileMode).
	Mode fs.FileMode
	// Headers are added on top.
	Headers Headers
	// Options are those of package mbox. The variant is always MboxO, and the locks are flock(2) alone when not
	// given, as in sendmail on Linux.
	Options mbox.AppendOptions
	// Check, if not nil, must allow the path and returns the one to use.
	Check func(path string) (string, error)
	// UTC writes the date of From_ lines in UTC instead of local time.
	UTC bool
}

// Deliver implements mtakit.Mailer. A nil error means that the message is synced.
func (m *File) Deliver(ctx context.Context, a *mtakit.Attempt) []mtakit.Result {
	return each(ctx, a, func(ctx context.Context, r *mtakit.Recipient) error {
		err := m.deliver(ctx, a, r)
		if permanentFileError(err) {
			x := sysexits[exCantCreat]
			return &mtakit.Error{Code: x.code, Status: x.status, Text: x.text, Err: err}
		}
		return verdict(err, false)
	})
}

// permanentFileError reports whether err is one that sendmail answers with EX_CANTCREAT: the file may not be used,
// and waiting will not change that.
func permanentFileError(err error) bool {
	var e *mtakit.Error
	if errors.As(err, &e) {
		return false
	}
	for _, target := range []error{mbox.ErrUnsafe, fs.ErrPermission, fs.ErrNotExist, syscall.ENOTDIR, syscall.EISDIR, syscall.ELOOP,
		syscall.EROFS, syscall.ENAMETOOLONG, syscall.ENXIO} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

func (m *File) deliver(ctx context.Context, a *mtakit.Attempt, r *mtakit.Recipient) error {
	path := plainUser(r.Route.User)
	if m.Check != nil {
		var err error
		if path, err = m.Check(path); err != nil {
			return err
		}
	}
	if path == "/dev/null" {
		return nil
	}
	if path == "" || path[0] != '/' {
		return fmt.Errorf("%w: %q is not an absolute path", mbox.ErrUnsafe, path)
	}
	own := fileRights(path, controlOf(r.Control, m.Default))
	body, err := open(ctx, a)
	if err != nil {
		return err
	}
	defer body.Close()
	var room [512]byte
	var line [256]byte
	env := mbox.Envelope{Line: unixFromLine(line[:0], a.From, m.UTC), Head: m.Headers.append(room[:0], a.From, r)}
	opts := m.Options
	opts.Variant = mbox.MboxO
	opts.Forbid |= 0o111 // sendmail: an executable file is never appended to
	if opts.Mode = m.Mode; opts.Mode == 0 {
		opts.Mode = 0o600
	}
	if opts.Locks == nil {
		opts.Locks = []mbox.Lock{mbox.Flock}
	}
	return own.do(func() error {
		_, err := mbox.Append(ctx, path, &env, body, &opts)
		return err
	})
}

// unixFromLine is "From $g $d" (sendmail's option UnixFromLine): the null sender leaves two blanks.
func unixFromLine(b []byte, from mtakit.Address, utc bool) []byte {
	b = append(b, "From "...)
	b = appendClean(b, from.String())
	b = append(b, ' ')
	b = now(utc).AppendFormat(b, "Mon Jan _2 15:04:05 2006")
	return append(b, '\n')
}

// controlOf is whose rights a delivery uses. Root's are never used: sendmail falls back to DefaultUser as well. Group 0,
// which sendmail notes for the default user of aliases, is the default group.
func controlOf(c, def mtakit.Control) mtakit.Control {
	if def == (mtakit.Control{}) {
		def = daemon
	}
	if c.UID == 0 {
		return def
	}
	if c.GID == 0 {
		c.GID = def.GID
	}
	return c
}

// fileRights are the controlling user's, unless the file has the setuid or setgid bit: those mean its owner or group.
func fileRights(path string, c mtakit.Control) rights {
	own := rights{uid: c.UID, gid: c.GID, user: c.User}
	fi, err := os.Lstat(path)
	if err != nil || !fi.Mode().IsRegular() || fi.Mode().Perm()&0o111 != 0 {
		return own
	}
	attr, ok := vfs.AttrOf(fi)
	if ok && fi.Mode()&fs.ModeSetuid != 0 && attr.UID != 0 {
		own.uid, own.user = attr.UID, ""
	}
	if ok && fi.Mode()&fs.ModeSetgid != 0 {
		own.gid = attr.GID
	}
	return own
}

package mailer

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/vfs"
	"github.com/mtakit/mtakit/mbox"
)

// Mbox appends to mbox files, one for each user. Only Path must be set. It must not be copied after first use.
type Mbox struct {
	// Path is where the mailboxes are, with %u, %d and %h as in Maildir: "/var/mail/%u". The directory must exist, and
	// unless it is below %h no user may be able to replace parts of the path.
	Path string
	// Accounts, if not nil, must know the user; %h comes from there, and a mailer running as root delivers with the
	// account's rights, to a mailbox that the account owns.
	Accounts mtakit.Accounts
	// Headers are added on top.
	Headers Headers
	// Options are those of package mbox: variant, locks, size limit.
	Options mbox.AppendOptions
	// UTC writes the date of From_ lines in UTC. Otherwise it is local time, as sendmail and its like do.
	UTC bool
	// PermanentQuota bounces when the file system's quota is exceeded, instead of trying again.
	PermanentQuota bool

	making sync.Mutex // held while a mailbox is made, which can have two links for a moment
}

// Deliver implements mtakit.Mailer. A nil error means that the message is synced.
func (m *Mbox) Deliver(ctx context.Context, a *mtakit.Attempt) []mtakit.Result {
	return each(ctx, a, func(ctx context.Context, r *mtakit.Recipient) error {
		return verdict(m.deliver(ctx, a, r), m.PermanentQuota)
	})
}

func (m *Mbox) deliver(ctx context.Context, a *mtakit.Attempt, r *mtakit.Recipient) error {
	path, own, err := mailbox{m.Path, m.Accounts}.place(ctx, r)
	if err != nil {
		return err
	}
	body, err := open(ctx, a)
	if err != nil {
		return err
	}
	defer body.Close()
	var room [512]byte
	env := mbox.Envelope{Sender: a.From.String(), Date: now(m.UTC), Head: m.Headers.append(room[:0], a.From, r)}
	opts := m.Options
	if own.changes() {
		opts.Owner = &own.uid
		// In a home the user makes it himself: there, a link in the path could lead us anywhere.
		if !strings.Contains(m.Path, "%h") {
			if err := m.makeOwned(path, own); err != nil {
				return err
			}
		}
	}
	return own.do(func() error {
		_, err := mbox.Append(ctx, path, &env, body, &opts)
		return err
	})
}

// makeOwned makes an empty mailbox for a user who may not create files in the spool directory, as mail.local does. It has no
// name before it is complete: nobody may see it while it still belongs to root.
func (m *Mbox) makeOwned(path string, own rights) error {
	m.making.Lock()
	defer m.making.Unlock()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch err := makeFile(path, own); {
	case errors.Is(err, fs.ErrExist): // another process was faster
		return nil
	case err != nil:
		return err
	}
	return vfs.OS.SyncDir(filepath.Dir(path))
}

// prepare gives a new mailbox its owner, on disk before it has its name.
func prepare(f *os.File, own rights) error {
	if err := f.Chown(own.uid, own.gid); err != nil {
		return err
	}
	return f.Sync()
}

// asideAge is how old a file of makeAside must be before it counts as left behind.
const asideAge = time.Hour

// makeAside is makeFile for file systems on which every file has a name: it is made aside and moved into place. What a
// crash left of that is removed by the next one that makes a mailbox in the same directory.
func makeAside(path string, own rights) error {
	dir := filepath.Dir(path)
	left, _ := filepath.Glob(filepath.Join(dir, ".new-*")) // the pattern is not at fault, and what cannot be seen stays
	for _, name := range left {
		fi, err := os.Lstat(name)
		if err == nil && fi.Mode().IsRegular() && fi.Size() == 0 && time.Since(fi.ModTime()) > asideAge {
			_ = os.Remove(name)
		}
	}
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return err
	}
	err = prepare(f, own)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = moveNew(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// linkNew moves a file to a name that must be free, by way of a moment in which it has both: a delivery of another
// process in that moment finds two links, and is put off.
func linkNew(from, to string) error {
	if err := os.Link(from, to); err != nil {
		return err
	}
	return os.Remove(from)
}

func now(utc bool) time.Time {
	if utc {
		return time.Now().UTC()
	}
	return time.Now()
}

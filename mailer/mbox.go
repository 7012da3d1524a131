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
	"github.com/mtakit/mtakit/mbox"
)

// Mbox appends to mbox files, one for each user. Only Path must be set.
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
			if err := makeOwned(path, own); err != nil {
				return err
			}
		}
	}
	return own.do(func() error {
		_, err := mbox.Append(ctx, path, &env, body, &opts)
		return err
	})
}

// making lets deliveries wait until a mailbox that another one makes has its owner and a single link.
var making sync.Mutex

// makeOwned makes an empty mailbox for a user who may not create files in the spool directory, as mail.local does.
func makeOwned(path string, own rights) error {
	making.Lock()
	defer making.Unlock()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// Made aside and linked into place: nobody may see it while it still belongs to root.
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = f.Chown(own.uid, own.gid)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Remove(f.Name()); err != nil { // before anybody finds two links to it
		return err
	}
	return syncDir(filepath.Dir(path))
}

func now(utc bool) time.Time {
	if utc {
		return time.Now().UTC()
	}
	return time.Now()
}

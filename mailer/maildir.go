package mailer

import (
	"context"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/maildir"
)

// Maildir delivers into Maildirs. Only Path must be set.
type Maildir struct {
	// Path is where the Maildirs are, with %u for the user (the route's, or the local part), %d for the domain and %h
	// for the home directory: "/var/mail/%d/%u/Maildir", "%h/Maildir". A user name that could leave its place in
	// the path (with a slash, or a dot in front) is an unknown user.
	Path string
	// Accounts, if not nil, must know the user; %h comes from there, and a mailer running as root delivers with the
	// account's rights.
	Accounts mtakit.Accounts
	// NoCreate fails deliveries to Maildirs that do not exist, instead of making them.
	NoCreate bool
	// Headers are added on top.
	Headers Headers
	// Options are those of package maildir; Create is set unless NoCreate is.
	Options maildir.Options
	// PermanentQuota bounces when the file system's quota is exceeded, instead of trying again.
	PermanentQuota bool
}

// Deliver implements mtakit.Mailer. A nil error means that the message and its name in new are synced.
func (m *Maildir) Deliver(ctx context.Context, a *mtakit.Attempt) []mtakit.Result {
	return each(ctx, a, func(ctx context.Context, r *mtakit.Recipient) error {
		return verdict(m.deliver(ctx, a, r), m.PermanentQuota)
	})
}

func (m *Maildir) deliver(ctx context.Context, a *mtakit.Attempt, r *mtakit.Recipient) error {
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
	head := m.Headers.append(room[:0], a.From, r)
	opts := m.Options
	opts.Create = !m.NoCreate
	return own.do(func() error {
		_, err := maildir.New(path, &opts).Deliver(ctx, head, body)
		return err
	})
}

package mailer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/mtakit/mtakit"
)

// Headers says which header lines a local mailer adds on top of the message. The zero value adds Return-Path:
// alone, as sendmail does for mailers with flag P.
type Headers struct {
	NoReturnPath bool
	DeliveredTo  bool // Delivered-To: with the final address
	OriginalTo   bool // X-Original-To: with the ORCPT address, when there is one
}

// append appends the header lines for a recipient.
func (h Headers) append(b []byte, from mtakit.Address, r *mtakit.Recipient) []byte {
	if !h.NoReturnPath {
		b = append(b, "Return-Path: <"...)
		b = appendClean(b, from.String())
		b = append(b, ">\n"...)
	}
	if h.OriginalTo && r.Original != "" {
		b = append(b, "X-Original-To: "...)
		b = appendClean(b, originalAddress(r.Original))
		b = append(b, '\n')
	}
	if h.DeliveredTo {
		b = append(b, "Delivered-To: "...)
		b = appendClean(b, r.Addr.String())
		b = append(b, '\n')
	}
	return b
}

// originalAddress takes the address out of "rfc822;ann@example.org".
func originalAddress(orcpt string) string {
	for i := 0; i < len(orcpt); i++ {
		if orcpt[i] == ';' {
			return orcpt[i+1:]
		}
	}
	return orcpt
}

// appendClean appends s with control bytes, which could begin another line, as "-".
func appendClean(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < ' ' || c == 0x7f {
			c = '-'
		}
		b = append(b, c)
	}
	return b
}

// mailbox is what Mbox and Maildir have in common: whose mailbox it is, and where.
type mailbox struct {
	pattern  string
	accounts mtakit.Accounts
}

// place finds path and rights for a recipient.
func (m mailbox) place(ctx context.Context, r *mtakit.Recipient) (path string, own rights, err error) {
	user := plainUser(r.Route.User)
	if user == "" {
		user = r.Addr.Local
	}
	home := ""
	own = noChange
	if m.accounts != nil {
		acct, ok, err := m.accounts.Account(ctx, user)
		if err != nil {
			return "", own, err
		}
		if !ok {
			return "", own, &mtakit.Error{Code: 550, Status: mtakit.StatusBadMailbox, Text: "User unknown"}
		}
		home = acct.Home
		if os.Geteuid() == 0 {
			own = rights{uid: acct.UID, gid: acct.GID, user: acct.Name}
		}
	}
	path, err = expandPath(m.pattern, user, r.Addr.Domain, home)
	return path, own, err
}

// maxParallel is how many recipients of one attempt are served at once: enough for their fsyncs to share the file
// system's commits.
const maxParallel = 16

// each delivers to every recipient and collects the results, one for each, in order.
func each(ctx context.Context, a *mtakit.Attempt, deliver func(ctx context.Context, r *mtakit.Recipient) error) []mtakit.Result {
	res := make([]mtakit.Result, len(a.Rcpts))
	if len(a.Rcpts) == 1 {
		res[0].Err = deliver(ctx, &a.Rcpts[0])
		return res
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, maxParallel)
	for i := range a.Rcpts {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			res[i].Err = deliver(ctx, &a.Rcpts[i])
		})
	}
	wg.Wait()
	return res
}

// open opens the attempt's message.
func open(ctx context.Context, a *mtakit.Attempt) (io.ReadCloser, error) {
	if a.Open == nil {
		return nil, errors.New("attempt has no message")
	}
	r, err := a.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("message cannot be read: %w", err)
	}
	return r, nil
}

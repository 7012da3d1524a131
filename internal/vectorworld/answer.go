package vectorworld

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mtakit/mtakit"
)

// Target is a recipient that can be delivered.
type Target struct {
	Kind   string `json:"kind"`
	Addr   string `json:"addr"`
	Mailer string `json:"mailer"`
	Host   string `json:"host"`
	User   string `json:"user"`
}

// Failure is an error message; Addr is nil when the message carries no address.
type Failure struct {
	Kind string  `json:"kind"`
	Addr *string `json:"addr"`
	Text string  `json:"text"`
}

// Reply is an SMTP reply.
type Reply struct {
	Code  int      `json:"code"`
	Enh   string   `json:"enh"`
	Text  string   `json:"text"`
	Lines []string `json:"lines"`
}

// targets are the deliveries of a resolution, in the vectors' words.
func targets(res *mtakit.Resolution) []Target {
	var list []Target
	for i := range res.Leaves {
		l := &res.Leaves[i]
		if l.Err != nil && !mtakit.Temporary(l.Err) {
			continue
		}
		t := Target{Addr: l.Text, Mailer: l.Route.Mailer, Host: l.Route.Host, User: l.Route.User}
		if l.Canonical {
			t.Host += "."
		}
		switch t.Mailer {
		case mtakit.MailerLocal:
			t.Kind = "user"
		case mtakit.MailerProgram:
			t.Kind = "pipe"
		case mtakit.MailerFile:
			t.Kind = "file"
		case mtakit.MailerError:
			t.Kind, t.Mailer = "deferred-error", "*error*"
		case "smtp", mtakit.MailerESMTP, "smtp8", "dsmtp", mtakit.MailerRelay:
			t.Kind = "address"
		default:
			t.Kind = "mailer"
		}
		list = append(list, t)
	}
	return list
}

// failures are the errors of a resolution as sendmail -bv prints them.
func failures(res *mtakit.Resolution) []Failure {
	var list []Failure
	for _, report := range res.Reports {
		f := Failure{Kind: "error"}
		if addr, text, ok := strings.Cut(report.String(), "... "); ok {
			f.Addr, f.Text = &addr, text
		} else {
			f.Text = report.String()
		}
		list = append(list, f)
	}
	return list
}

// rcpt is the reply to RCPT for the address, when all mail is queued.
func (w *World) rcpt(ctx context.Context, address string) (Reply, error) {
	path := "<" + address + ">"
	res, err := w.Resolver.VerifyText(ctx, mtakit.Address{}, path)
	if err != nil {
		return Reply{}, err
	}
	for _, report := range res.Reports {
		var e *mtakit.Error
		if errors.As(report.Err, &e) && e.Exit != 71 {
			return reply(path, e), nil
		}
	}
	r := Reply{Code: 250, Enh: "2.1.5", Text: path + "... Recipient ok"}
	for i := range res.Leaves {
		if mtakit.Temporary(res.Leaves[i].Err) {
			r.Text += " (will queue)"
			break
		}
	}
	return r, nil
}

// reply makes the SMTP reply of a verdict.
func reply(path string, e *mtakit.Error) Reply {
	r := Reply{Code: e.Code, Enh: e.EnhancedStatus().String(), Text: e.Text}
	if slices.Contains([]int{250, 252, 450, 550, 553}, e.Code) {
		r.Text = path + "... " + e.Text
	}
	return r
}

// mailFrom is the reply to MAIL, as far as the address decides it: syntax and tables, then whether the domain exists.
func (w *World) mailFrom(ctx context.Context, address string) (Reply, error) {
	path := "<" + address + ">"
	triple, route, _, err := w.Resolver.Parse(ctx, path)
	var e *mtakit.Error
	if errors.As(err, &e) {
		return reply(path, e), nil
	}
	if err != nil {
		return Reply{}, err
	}
	addr, err := mtakit.ParseAddress(address)
	if err != nil {
		return Reply{}, err
	}
	if !strings.EqualFold(addr.Domain, Hostname) {
		if _, ok, err := w.zone.canonify(ctx, addr.Domain); err != nil || !ok {
			text := fmt.Sprintf("%s... Domain of sender address %s does not exist", path, address)
			return Reply{Code: 553, Enh: "5.1.8", Text: text}, nil
		}
	}
	_, _ = triple, route
	return Reply{Code: 250, Enh: "2.1.0", Text: path + "... Sender ok"}, nil
}

// Envelope is a queued message as its qf file shows it.
type Envelope struct {
	Sender   string      `json:"sender"`
	Rcpts    []Recipient `json:"rcpts"`
	Messages []string    `json:"messages"`
	Raw      []string    `json:"raw"`
}

// Recipient is an R line with the C line before it.
type Recipient struct {
	Addr    string   `json:"addr"`
	Flags   string   `json:"flags"`
	Control *Control `json:"ctl"`
}

// Control is a C line.
type Control struct {
	User  string `json:"user"`
	UID   int    `json:"uid"`
	GID   int    `json:"gid"`
	Alias string `json:"alias"`
}

// envelopes groups the deliveries of a resolution as they are queued.
func envelopes(sender string, res *mtakit.Resolution) []Envelope {
	groups := res.Groups()
	list := []Envelope{}
	for _, g := range groups {
		e := Envelope{Sender: sender}
		if g.Owner != "" {
			e.Sender = g.Owner
		} else if n := len(res.Reports); n > 0 {
			e.Messages = []string{message(res.Reports[n-1])}
		}
		for _, l := range g.Leaves {
			e.Rcpts = append(e.Rcpts, recipient(l))
		}
		slices.SortFunc(e.Rcpts, func(a, b Recipient) int { return strings.Compare(a.Addr, b.Addr) })
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b Envelope) int {
		if c := strings.Compare(a.Sender, b.Sender); c != 0 {
			return c
		}
		return slices.CompareFunc(a.Rcpts, b.Rcpts, func(a, b Recipient) int { return strings.Compare(a.Addr, b.Addr) })
	})
	return list
}

// message is what a queue file's M line keeps of an error.
func message(report mtakit.Report) string {
	var e *mtakit.Error
	if errors.As(report.Err, &e) && e.Status == mtakit.StatusBadMailbox && e.Text == "User unknown" {
		return e.Text // said about the recipient, not about the text of the address
	}
	return report.String()
}

func recipient(l *mtakit.Leaf) Recipient {
	r := Recipient{Addr: l.Text, Flags: "FD"}
	if l.Primary {
		r.Flags = "P" + r.Flags
	}
	if l.Alias {
		r.Flags += "A"
	}
	if c := l.Control; c != (mtakit.Control{}) {
		r.Control = &Control{User: c.User, UID: c.UID, GID: c.GID, Alias: c.Origin}
	}
	return r
}

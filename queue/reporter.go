package queue

import (
	"context"
	"strings"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/dsn"
)

// Reporter makes delivery status notifications and puts them into a Store, as a unit of their own with sender
// MAILER-DAEMON. Its Report method is an Options.Report. Host and Store are required.
type Reporter struct {
	Store Store
	Host  string // name of this system in reports
	// Postmaster gets reports about reports. The zero value is postmaster at Host.
	Postmaster mtakit.Address
	// MaxOriginal is the size in bytes up to which a message is returned whole. Zero means 1 MiB.
	MaxOriginal int64
	Listener    mtakit.Listener // EventReport for each report
}

// Report returns nil when the notification is durable in the store, or when nobody is to be told.
func (p *Reporter) Report(ctx context.Context, r *Report) error {
	u := r.Claim.Unit()
	o, rcpts := r.DSN()
	id := NewID()
	m := dsn.New(o, rcpts, dsn.Options{Host: p.Host, ID: string(id), Text: r.Text, Postmaster: p.Postmaster, MaxOriginal: p.MaxOriginal})
	if m == nil {
		return nil
	}
	body, err := m.BodyType(ctx)
	if err != nil {
		return err
	}
	var header strings.Builder
	if err := m.WriteHeader(ctx, &header); err != nil {
		return err
	}
	env := &Envelope{ID: id, Sender: "MAILER-DAEMON", Header: []byte(header.String()), Flags: FlagResponse, SMTPUTF8: u.SMTPUTF8,
		Units: []UnitSpec{{Rcpts: []Recipient{{Addr: m.To.Path(), Flags: RcptPrimary | RcptFailure}}}}}
	if body == "8BITMIME" {
		env.BodyType = body
	}
	d, err := p.Store.Create(ctx, env)
	if err != nil {
		return err
	}
	if err := m.WriteBody(ctx, d); err != nil {
		d.Abort()
		return err
	}
	if err := d.Commit(ctx); err != nil {
		return err
	}
	if p.Listener != nil {
		p.Listener(mtakit.Event{Time: time.Now(), Kind: mtakit.EventReport, ID: string(u.ID), NewID: string(d.ID()), Text: m.Kind(), Stat: m.Summary()})
	}
	return nil
}

// DSN returns what dsn.New makes a notification of.
func (r *Report) DSN() (*dsn.Original, []dsn.Recipient) {
	u := r.Claim.Unit()
	o := &dsn.Original{From: u.SenderAddress(), EnvID: u.EnvID, Ret: u.Ret(), Client: u.Macro("_"), Arrived: u.Created,
		SMTPUTF8: u.SMTPUTF8, BodyType: u.BodyType, Size: u.Size(), Open: r.Claim.Open}
	if r.Sender != "" {
		o.From, o.Ret = parsePath(r.Sender), "" // what was asked for was the other one's wish
	}
	rcpts := make([]dsn.Recipient, len(r.Rcpts))
	for i := range r.Rcpts {
		rcpts[i] = r.Rcpts[i].DSN(r.Expires)
	}
	return o, rcpts
}

// DSN is the recipient as notifications have it. expires is when one that is delayed will be given up.
func (rr *ReportRcpt) DSN(expires time.Time) dsn.Recipient {
	addr := rr.Target.Addr
	if addr.IsNull() {
		addr = rr.Recipient.Address()
	}
	r := dsn.Recipient{Original: rr.Original, Final: dsn.TypedAddress(addr), Action: dsn.ParseAction(string(rr.Action)),
		Status: mtakit.StatusSuccess, Diagnostic: rr.Result.Reply, LastAttempt: rr.Attempt, Notify: rr.Notify()}
	if typ, addr, ok := strings.Cut(rr.Recipient.Final, ";"); ok { // what the client named, when an alias led on
		actual := r.Final
		if m := rr.Target.Route.Mailer; m == mtakit.MailerProgram || m == mtakit.MailerFile {
			actual = "x-unix;" + rr.Target.Addr.Local
		}
		r.Final = strings.ToLower(typ) + ";" + strings.TrimSpace(addr)
		if !strings.EqualFold(actual, r.Final) { // which member of a list it was, for whoever keeps the list
			r.Actual = actual
		}
	}
	if err := rr.Result.Err; err != nil {
		r.Status = mtakit.StatusTemporary
		r.Reason = err.Error()
		if v, ok := asVerdict(err); ok {
			r.Status = v.EnhancedStatus()
			if v.Text != "" {
				r.Reason = v.Text
			}
		}
		if rr.Action == ActionFailed {
			r.Status = r.Status.AsPermanent()
		}
	}
	host, _, _ := strings.Cut(rr.Result.Relay, " ")
	r.RemoteMTA = strings.TrimSuffix(host, ".")
	if rr.Action == ActionDelayed {
		r.RetryUntil = expires
	}
	return r
}

// Bounce gives up a claimed unit: it reports all its recipients as failed with a reason and completes the unit. report is
// an Options.Report.
func Bounce(ctx context.Context, c Claim, reason string, report func(context.Context, *Report) error) error {
	u := c.Unit()
	r := &Report{Claim: c, Text: reason}
	for _, rcpt := range u.Rcpts {
		if rcpt.Flags&RcptFailure != 0 || u.Flags&FlagResponse != 0 {
			r.Rcpts = append(r.Rcpts, ReportRcpt{Recipient: rcpt, Action: ActionFailed, Target: Target{Addr: rcpt.Address()},
				Result: mtakit.Result{Err: &mtakit.Error{Code: 554, Status: mtakit.StatusPermanent, Text: reason}}, Attempt: u.LastAttempt})
		}
	}
	if len(r.Rcpts) > 0 && report != nil {
		if err := report(ctx, r); err != nil {
			return err
		}
	}
	return c.Complete(ctx)
}

package smtp

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/mx"
)

// TLSMode says when a Mailer uses STARTTLS.
type TLSMode uint8

// The modes.
const (
	// TLSOpportunistic uses STARTTLS with a server that offers it, without looking at its certificate, and goes on in
	// the clear when that fails. Servers on a loopback address are spoken to in the clear.
	TLSOpportunistic TLSMode = iota
	// TLSNever does not use STARTTLS.
	TLSNever
	// TLSRequired defers the mail when the server offers no TLS or the handshake fails. The certificate is not checked.
	TLSRequired
	// TLSVerify is TLSRequired with a valid certificate for the name of the host.
	TLSVerify
)

// Timeouts bound the stages of a session. Zero fields mean the defaults of RFC 5321 section 4.5.3.2.
type Timeouts struct {
	Connect   time.Duration // TCP connection to one address; 30 s, so that a dead host does not hold up the next one
	Greeting  time.Duration // 5 min
	Command   time.Duration // EHLO, STARTTLS, MAIL, RCPT, RSET; 5 min
	Data      time.Duration // the reply to DATA; 2 min
	DataBlock time.Duration // each block of the message; 3 min
	DataDone  time.Duration // the reply to the final dot; 10 min
}

// Options tunes a Mailer. The zero value speaks SMTP to the exchangers that DNS names.
type Options struct {
	// LMTP makes it speak LMTP (RFC 2033): LHLO, and one reply per recipient after the final dot.
	LMTP bool
	// Hostname is the name in EHLO. "" means that of the machine.
	Hostname string
	// Planner finds the hosts of a next hop. Nil means a zero mx.Planner, which knows no own names.
	Planner Planner
	// Port is where servers listen. Zero means 25, or 24 for LMTP.
	Port uint16
	// Dial opens connections; network is "tcp" or "unix". Nil means the net package.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// TLS says when to use STARTTLS.
	TLS TLSMode
	// TLSConfig is the base of the TLS configuration. Nil means the zero one.
	TLSConfig *tls.Config

	// MaxRcpts is how many recipients one transaction takes; more make several. Zero means 100.
	MaxRcpts int

	// Idle is how long an unused session is kept. Zero means 15 s; negative keeps none.
	Idle time.Duration
	// MaxIdle and MaxIdlePerHop limit the unused sessions. Zero means 200 and 50.
	MaxIdle, MaxIdlePerHop int
	// MaxUses is how many transactions one session serves, and MaxAge how long. Zero means 500 and 5 min.
	MaxUses int
	MaxAge  time.Duration

	// DeadTime is how long an address that could not be connected to is tried after all others. Zero means 1 min;
	// negative keeps no such memory.
	DeadTime time.Duration

	Timeouts Timeouts
}

// Mailer delivers by SMTP or LMTP. It is a mtakit.Mailer.
type Mailer struct {
	o    Options
	pool pool
	dead deadList
}

// New returns a Mailer. Options may be nil. Close it to end its idle sessions.
func New(o *Options) *Mailer {
	m := &Mailer{}
	if o != nil {
		m.o = *o
	}
	if m.o.Hostname == "" {
		m.o.Hostname, _ = os.Hostname()
	}
	if m.o.Hostname = strings.Map(visible, m.o.Hostname); m.o.Hostname == "" {
		m.o.Hostname = "localhost"
	}
	if m.o.Planner == nil {
		m.o.Planner = &mx.Planner{}
	}
	if m.o.Dial == nil {
		m.o.Dial = (&net.Dialer{}).DialContext
	}
	port := uint16(25)
	if m.o.LMTP {
		port = 24
	}
	def(&m.o.Port, port)
	def(&m.o.MaxRcpts, 100)
	def(&m.o.Idle, 15*time.Second)
	def(&m.o.MaxIdle, 200)
	def(&m.o.MaxIdlePerHop, 50)
	def(&m.o.MaxUses, 500)
	def(&m.o.MaxAge, 5*time.Minute)
	def(&m.o.DeadTime, time.Minute)
	m.dead.keep = m.o.DeadTime
	t := &m.o.Timeouts
	def(&t.Connect, 30*time.Second)
	def(&t.Greeting, 5*time.Minute)
	def(&t.Command, 5*time.Minute)
	def(&t.Data, 2*time.Minute)
	def(&t.DataBlock, 3*time.Minute)
	def(&t.DataDone, 10*time.Minute)
	m.pool = pool{idle: m.o.Idle, perHop: m.o.MaxIdlePerHop, total: m.o.MaxIdle, conns: make(map[string][]*conn)}
	if m.o.Idle < 0 {
		m.pool.total = -1
	}
	return m
}

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func visible(r rune) rune {
	if r <= ' ' || r == 0x7f {
		return -1
	}
	return r
}

// Close ends the idle sessions. Deliveries under way go on; their sessions end with them.
func (m *Mailer) Close() error {
	m.pool.end()
	return nil
}

// delivery is one call of Deliver.
type delivery struct {
	m       *Mailer
	a       *mtakit.Attempt
	results []mtakit.Result
	pending []int               // recipients that a server has yet to be found for
	tried   map[string]struct{} // addresses of servers that had their turn
	failure mtakit.Result       // of the last server that was of no use
	needs   needs
}

// needs is what the message demands of a server.
type needs struct {
	utf8Addr   bool // an envelope address has a local part outside ASCII
	utf8Header bool // the header has bytes outside ASCII, and the sender said SMTPUTF8
}

// Deliver sends the message to the recipients through the next hop that a.Host names; the package comment lists its
// forms. Results of recipients that no server took a decision about carry what happened to the last connection.
func (m *Mailer) Deliver(ctx context.Context, a *mtakit.Attempt) []mtakit.Result {
	d := &delivery{m: m, a: a, results: make([]mtakit.Result, len(a.Rcpts))}
	d.pending = make([]int, 0, len(a.Rcpts))
	for i := range a.Rcpts {
		if sendable(a.Rcpts[i].Addr) {
			d.pending = append(d.pending, i)
			continue
		}
		d.results[i].Err = &mtakit.Error{Code: 553, Status: mtakit.StatusMailboxSyntax, Text: "Bad recipient address"}
	}
	if !sendable(a.From) {
		d.failAll(mtakit.Result{Err: &mtakit.Error{Code: 553, Status: mtakit.StatusSenderSyntax, Text: "Bad sender address"}})
	}
	if len(d.pending) == 0 {
		return d.results
	}
	if err := d.findNeeds(ctx); err != nil {
		d.failAll(mtakit.Result{Err: localError(err)})
		return d.results
	}
	for c := m.pool.get(a.Host); c != nil; c = m.pool.get(a.Host) {
		if alive := d.session(ctx, c); alive {
			break
		}
	}
	if len(d.pending) > 0 {
		d.connectAll(ctx)
	}
	return d.results
}

// connectAll tries one server after the other for the recipients that are left; those that could not be reached a short
// while ago have their turn last.
func (d *delivery) connectAll(ctx context.Context) {
	var dead []target
	for t, err := range d.allTargets(ctx) {
		switch {
		case ctx.Err() != nil:
			d.giveUp(ctx)
			return
		case err != nil:
			d.failed(mtakit.Result{Err: err, Relay: t.host})
		case d.m.dead.has(t.address):
			dead = append(dead, t)
		default:
			if d.try(ctx, t); len(d.pending) == 0 {
				return
			}
		}
	}
	for _, t := range dead {
		if d.try(ctx, t); len(d.pending) == 0 {
			return
		}
	}
	d.giveUp(ctx)
}

// try opens a session with a server that has not had its turn, and uses it.
func (d *delivery) try(ctx context.Context, t target) {
	if _, ok := d.tried[t.address]; ok || ctx.Err() != nil {
		return
	}
	c, err := d.m.connect(ctx, t)
	if err != nil {
		var re *replyError
		if ctx.Err() == nil && !errors.As(err, &re) {
			d.m.dead.add(t.address)
		}
		d.failed(connectResult(t, err))
		return
	}
	d.m.dead.remove(t.address)
	d.session(ctx, c)
}

// giveUp settles those whom no server took a decision about.
func (d *delivery) giveUp(ctx context.Context) {
	if d.failure.Err == nil {
		d.failure.Err = lostError("", context.Cause(ctx))
	}
	for _, i := range d.pending {
		if d.results[i].Err == nil {
			d.results[i] = d.failure
		}
	}
}

// failed notes that a server was of no use. One that may work later makes the whole temporary, whatever the ones after
// it say.
func (d *delivery) failed(r mtakit.Result) {
	if d.failure.Err == nil || mtakit.Temporary(r.Err) || !mtakit.Temporary(d.failure.Err) {
		d.failure = r
	}
}

// allTargets yields the servers of the attempt's next hop.
func (d *delivery) allTargets(ctx context.Context) func(func(target, error) bool) {
	host := d.a.Host
	if host == "" {
		host = d.a.Rcpts[d.pending[0]].Addr.Domain
	}
	if strings.HasPrefix(host, "/") {
		return func(yield func(target, error) bool) {
			yield(target{network: "unix", address: host, host: host, relay: host, tlsName: d.m.o.Hostname}, nil)
		}
	}
	hops, err := parseHop(host, d.m.o.Port)
	if err != nil {
		err = &mtakit.Error{Code: 451, Status: mtakit.StatusMisconfigured.AsTemporary(), Text: "Local configuration error", Err: err}
		return func(yield func(target, error) bool) { yield(target{host: host}, err) }
	}
	return d.m.targets(ctx, hops)
}

// session runs as many transactions with one server as the recipients need, and keeps the session or ends it. What
// the server left undecided stays pending. alive is false when the session was an idle one that had died meanwhile.
func (d *delivery) session(ctx context.Context, c *conn) (alive bool) {
	stop := c.bind(ctx)
	var deferred []int
	for len(d.pending) > 0 && !c.dead {
		n := min(len(d.pending), d.m.o.MaxRcpts)
		t := transaction{c: c, d: d, rcpts: d.pending[:n], reused: c.uses > 0}
		t.run(ctx)
		if t.stale {
			stop()
			c.close()
			d.pending = append(d.pending, deferred...)
			return false
		}
		d.pending, deferred = t.undecided(d.pending[n:], deferred)
	}
	d.pending = append(d.pending, deferred...)
	first := len(d.tried) == 0
	if d.tried == nil {
		d.tried = make(map[string]struct{}, 1)
	}
	d.tried[c.address] = struct{}{}
	switch ended := !stop(); {
	case ended:
		c.close()
	case first && c.reusable(): // not one that only got what a better server put off
		d.m.pool.put(d.a.Host, c)
	default:
		c.quit()
	}
	return true
}

// failAll settles every pending recipient with r.
func (d *delivery) failAll(r mtakit.Result) {
	for _, i := range d.pending {
		d.results[i] = r
	}
	d.pending = d.pending[:0]
}

// findNeeds learns what the message demands of a server. The header is only looked at when the sender said SMTPUTF8:
// many say so without need, and such mail need not fail at servers without the extension.
func (d *delivery) findNeeds(ctx context.Context) error {
	d.needs.utf8Addr = !isASCII(d.a.From.Local)
	for _, i := range d.pending {
		d.needs.utf8Addr = d.needs.utf8Addr || !isASCII(d.a.Rcpts[i].Addr.Local)
	}
	if !d.a.SMTPUTF8 || d.needs.utf8Addr {
		return nil
	}
	r, err := d.a.Open(ctx)
	if err != nil {
		return &bodyError{err}
	}
	defer r.Close()
	p := bodyBuffers.Get().(*[]byte)
	defer bodyBuffers.Put(p)
	var tail byte
	for {
		n, err := r.Read(*p)
		header := (*p)[:n]
		end := bytes.Index(header, []byte("\n\n"))
		if n > 0 && tail == '\n' && header[0] == '\n' {
			end = 0
		}
		if end >= 0 {
			header = header[:end]
		}
		if d.needs.utf8Header = !isASCII(header); d.needs.utf8Header || end >= 0 || err != nil {
			return nil // a read error shows again, and is handled, when the message is sent
		}
		if n > 0 {
			tail = header[n-1]
		}
	}
}

func (m *Mailer) wantTLS(t target) bool {
	switch m.o.TLS {
	case TLSNever:
		return false
	case TLSOpportunistic:
		return t.network == "tcp" && !t.peer.Addr().IsLoopback()
	}
	return true
}

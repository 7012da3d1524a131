package mta

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/access"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/examples/internal/smtpd"
	"github.com/mtakit/mtakit/forward"
	"github.com/mtakit/mtakit/logfmt"
	"github.com/mtakit/mtakit/mailer"
	"github.com/mtakit/mtakit/mailer/smtp"
	"github.com/mtakit/mtakit/mailertable"
	"github.com/mtakit/mtakit/mx"
	"github.com/mtakit/mtakit/queue"
	"github.com/mtakit/mtakit/stats"
	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/virtuser"
)

// MTA is a mail server, or the part of one that a command needs.
type MTA struct {
	cfg      Config
	fresh    bool // the sample tables were just written
	tables   *table.Set
	local    localDomains
	accounts mtakit.Accounts
	resolver *mtakit.Resolver
	policy   atomic.Pointer[access.Policy]
	names    clientNames
	clients  access.Connections
	mailers  map[string]mtakit.Mailer
	hops     hops
	handed   handed
	queue    *queue.Dir
	found    found
	runner   *queue.Runner
	logger   *logfmt.Writer
	counters *stats.Collector
	closers  []func() error
}

// Open prepares everything but the network: the data directory, the tables, the queue, the mailers. A table with a
// mistake is an error that names file and line. Close the MTA in the end.
func Open(ctx context.Context, cfg Config) (_ *MTA, err error) {
	if err := cfg.Complete(); err != nil {
		return nil, err
	}
	m := &MTA{cfg: cfg}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	if m.fresh, err = m.cfg.createDirs(); err != nil {
		return nil, err
	}
	m.cfg.completeDomains()
	if err := m.openLogs(); err != nil {
		return nil, err
	}
	if m.tables, err = m.cfg.loadTables(ctx, m.reloaded); err != nil {
		return nil, err
	}
	if err := m.openResolver(); err != nil {
		return nil, err
	}
	m.setPolicy(m.tables.Generation())
	m.openMailers()
	if err := m.openQueue(); err != nil {
		return nil, err
	}
	return m, nil
}

// Config returns the settings, completed.
func (m *MTA) Config() Config { return m.cfg }

// completeDomains finds the names that this server goes by.
func (c *Config) completeDomains() {
	if c.Hostname == "" {
		domain := sampleDomain
		if len(c.Domains) > 0 {
			domain = c.Domains[0]
		}
		c.Hostname = "mx." + domain
	}
}

func (m *MTA) openLogs() error {
	host, _, _ := strings.Cut(m.cfg.Hostname, ".")
	opt := &logfmt.Options{Host: host}
	if m.cfg.Log == "-" {
		m.logger = logfmt.NewWriter(os.Stdout, opt)
	} else {
		var err error
		if m.logger, err = logfmt.Open(m.cfg.Log, opt); err != nil {
			return fmt.Errorf("log: %w", err)
		}
	}
	m.closers = append(m.closers, m.logger.Close)
	m.counters = stats.New(filepath.Join(m.cfg.Data, "statistics"), &stats.Options{Create: true, Interval: 2 * time.Second})
	m.closers = append(m.closers, m.counters.Flush)
	return nil
}

// reloaded is told by the table set what became of an attempt to load.
func (m *MTA) reloaded(gen *table.Generation, err error) {
	if gen == nil {
		return // at the start there is nothing to fall back on: Open fails
	}
	if err != nil {
		m.problem("", fmt.Errorf("tables not reloaded, the last good ones stay: %w", err))
		return
	}
	if gen.Number > 1 {
		m.setPolicy(gen)
		m.observe(mtakit.Event{Kind: mtakit.EventProblem, Text: fmt.Sprintf("tables reloaded (generation %d)", gen.Number)})
	}
}

// Reload loads all tables again. What is wrong with them is logged.
func (m *MTA) Reload(ctx context.Context) error { return m.tables.Reload(ctx, true) }

// setPolicy makes the access rules that belong to a generation of the tables.
func (m *MTA) setPolicy(gen *table.Generation) {
	relayed := access.RelayDomains(gen.Table(relayTable).(classTable).words)
	for _, r := range m.cfg.relays {
		relayed = append(relayed, r.domain)
	}
	m.policy.Store(&access.Policy{
		Access:              access.New(m.tables.Table(accessTable), nil),
		Hostname:            m.cfg.Hostname,
		Local:               m.local,
		Relay:               relayed,
		BlocklistRecipients: true,
		// Looking up senders' domains is for servers on the open network; this one runs without DNS as well.
		AcceptUnresolvable: true,
		NoCanonify:         true,
	})
}

// openResolver wires the tables into sendmail's order: virtusertable, aliases, .forward, mailertable.
func (m *MTA) openResolver() error {
	fixed := mtakit.DomainSet{"localhost": true, m.cfg.Hostname: true}
	for _, d := range m.cfg.Domains {
		fixed[d] = true
	}
	m.local = localDomains{fixed: fixed, file: m.tables.Table(localTable)}
	m.accounts = mtakit.AccountsFunc(systemAccounts)
	own := m.cfg.Users != "system"
	if own {
		m.accounts = mtakit.AccountsFunc(m.ownAccount)
	}
	fwd, inc, err := UserFiles(m.cfg.Hostname, own)
	if err != nil {
		return err
	}
	m.closers = append(m.closers, fwd.Close, inc.Close)
	m.resolver = &mtakit.Resolver{
		Hostname:     m.cfg.Hostname,
		LocalDomains: m.local,
		Virtual:      virtuser.New(m.tables.Table(virtTable)),
		Aliases:      alias.New(m.tables.Table(aliasTable), alias.Options{PreserveDetail: true}),
		Forward:      fwd.Forwarder,
		Includes:     inc,
		Accounts:     m.accounts,
		Router:       router{m.cfg.relays, mailertable.New(m.tables.Table(mailerTable))},
		SmartHost:    smartHost(m.cfg.SmartHost),
		Mailers:      []string{mtakit.MailerDiscard, "lmtp"}, // beside sendmail's own: tables may name them
	}
	return nil
}

// ForwardFiles is a Forwarder that can be closed.
type ForwardFiles struct {
	mtakit.Forwarder
	close func() error
}

// Close releases what the Forwarder holds.
func (f *ForwardFiles) Close() error { return f.close() }

// UserFiles returns the readers of forward files and include lists. With own, the users are the server's and not the
// machine's: their files belong to this process, which acts for them, and may well lie below a directory like /tmp.
func UserFiles(hostname string, own bool) (*ForwardFiles, *alias.Includer, error) {
	fwdOpts := forward.Options{Hostname: hostname}
	incOpts := alias.IncludeOptions{Hostname: hostname}
	if own {
		fwdOpts.DontBlame, incOpts.DontBlame = mtakit.DontBlameTrustStickyBit, mtakit.DontBlameTrustStickyBit
		incOpts.DefaultUID, incOpts.DefaultGID = os.Getuid(), os.Getgid()
	}
	fwd, err := forward.New(fwdOpts)
	if err != nil {
		return nil, nil, err
	}
	inc, err := alias.NewIncluder(incOpts)
	if err != nil {
		return nil, nil, errors.Join(err, fwd.Close())
	}
	files := &ForwardFiles{Forwarder: fwd, close: fwd.Close}
	if own {
		files.Forwarder = asProcess{fwd}
	}
	return files, inc, nil
}

// asProcess reads forward files with this process's rights, whatever the user's are.
type asProcess struct{ next mtakit.Forwarder }

// Forward implements mtakit.Forwarder.
func (f asProcess) Forward(ctx context.Context, a mtakit.Account, detail string) (mtakit.Expansion, bool, error) {
	a.UID, a.GID = os.Getuid(), os.Getgid()
	return f.next.Forward(ctx, a, detail)
}

// ownAccount finds a user in the -users file.
func (m *MTA) ownAccount(ctx context.Context, name string) (mtakit.Account, bool, error) {
	a, ok, err := m.tables.Generation().Table(accountTable).(accountsTable).accounts.Account(ctx, name)
	a.UID, a.GID = os.Getuid(), os.Getgid()
	return a, ok, err
}

// router puts the -relay flags in front of the mailertable.
type router struct {
	relays []relay
	table  mtakit.Router
}

// Route implements mtakit.Router.
func (r router) Route(ctx context.Context, addr mtakit.Address) (mtakit.Routing, bool, error) {
	domain := strings.ToLower(addr.Domain)
	for _, rl := range r.relays {
		if rl.domain == domain {
			return mtakit.Routing{
				Route: mtakit.Route{Mailer: mtakit.MailerRelay, Host: rl.host, User: addr.String()},
				Step:  mtakit.Step{Stage: "relay", Input: addr.String(), Tried: []string{domain}, Key: domain, Value: rl.host, Note: "-relay flag"},
			}, true, nil
		}
	}
	return r.table.Route(ctx, addr)
}

func smartHost(host string) mtakit.Route {
	if host == "" {
		return mtakit.Route{}
	}
	return mtakit.Route{Mailer: mtakit.MailerRelay, Host: host}
}

func (m *MTA) openMailers() {
	planner := &mx.Planner{Resolver: mx.NewCache(mx.NewClient(nil), nil), Self: m.local}
	client := smtp.New(&smtp.Options{Hostname: m.cfg.Hostname, Planner: planner})
	lmtp := smtp.New(&smtp.Options{Hostname: m.cfg.Hostname, Planner: planner, LMTP: true})
	m.closers = append(m.closers, client.Close, lmtp.Close)
	out := m.hops.watch(client)
	// With users of its own, the server does everything as itself; with the system's, as the user when it may.
	var rights mtakit.Accounts
	if m.cfg.Users == "system" {
		rights = m.accounts
	}
	var box mtakit.Mailer = &mailer.Maildir{Path: m.cfg.mailbox.pattern, Accounts: rights}
	if m.cfg.mailbox.format == "mbox" {
		box = &mailer.Mbox{Path: m.cfg.mailbox.pattern, Accounts: rights}
	}
	m.mailers = map[string]mtakit.Mailer{
		mtakit.MailerLocal:   box,
		mtakit.MailerFile:    &mailer.File{},
		mtakit.MailerProgram: &mailer.Program{Accounts: rights},
		mtakit.MailerESMTP:   out,
		mtakit.MailerRelay:   out,
		"smtp":               out,
		"smtp8":              out,
		"dsmtp":              out,
		"lmtp":               lmtp,
		mtakit.MailerDiscard: mailer.Discard,
	}
	if rights == nil {
		for _, name := range []string{mtakit.MailerFile, mtakit.MailerProgram} {
			m.mailers[name] = asSelf(m.mailers[name])
		}
	}
}

// Serve accepts connections and works on the queue until ctx ends. ready is called with the address that is listened
// on.
func (m *MTA) Serve(ctx context.Context, ready func(addr string)) error {
	// The dialogue has its own time limits: probes of idle connections would only cost system calls.
	l, err := (&net.ListenConfig{KeepAlive: -1}).Listen(ctx, "tcp", m.cfg.Listen)
	if err != nil {
		return err
	}
	if err := m.cfg.saveEffective(); err != nil {
		return errors.Join(err, l.Close())
	}
	// The queue is worked on until the last client has gone: what they hand in while they leave still gets its first
	// attempt.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var wg sync.WaitGroup
	var runErr, countErr error
	wg.Go(func() { runErr = m.runner.Run(work) })
	wg.Go(func() { countErr = m.counters.Run(work) })
	wg.Go(func() { _ = m.tables.Run(work) }) // ends with work, and reports by itself
	ready(l.Addr().String())
	err = m.smtpd().Serve(ctx, l)
	stop()
	wg.Wait()
	return errors.Join(err, runErr, countErr)
}

func (m *MTA) smtpd() *smtpd.Server {
	return smtpd.New(m.openSession, smtpd.Options{
		Hostname: m.cfg.Hostname, Software: mtakit.Version, MaxMessageBytes: m.cfg.MaxMessageBytes, MaxConns: m.cfg.MaxConns,
		TempDir: filepath.Join(m.cfg.Data, "tmp"), Problem: func(err error) { m.problem("", err) },
	})
}

// Close releases everything, the log last.
func (m *MTA) Close() error {
	var errs []error
	for i := len(m.closers) - 1; i >= 0; i-- {
		errs = append(errs, m.closers[i]())
	}
	m.closers = nil
	return errors.Join(errs...)
}

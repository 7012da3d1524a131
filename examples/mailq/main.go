// Mailq lists the mail queue as sendmail's mailq does, byte for byte, and changes it.
//
//	mailq [-v] [-qQ|-qL] [-qGgroup] [-q[!]Itext] [-q[!]Stext] [-q[!]Rtext] [-OName=value ...] [options of sendmail(8)]
//	mailq -json [filters]
//	mailq hold|release|delete|requeue|retry|bounce [filters] [-y] [-m text]
//	mailq deleted | undelete -id ID... | purge [-older AGE] [-y]
//
// The queue is that of the reference server if there is one ($MTAKIT_DATA, or mtakit-data in the current directory), and
// otherwise sendmail's: QueueDirectory, the queue groups, and the options that change listings are read from the
// configuration, /etc/mail/sendmail.cf or what -C names; -Ac is /etc/mail/submit.cf. Every form takes -C FILE, and -oQ DIR
// or -OQueueDirectory=DIR for another directory.
//
// Without -y a command shows what it would change and changes nothing; undelete needs none. delete keeps the message aside
// until purge, so that undelete brings it back. Everything is safe beside a running server or sendmail: an entry that is being delivered is
// left alone and counted as busy.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/mtakit/mtakit/examples/internal/getopt"
	"github.com/mtakit/mtakit/examples/internal/sendmailcf"
	"github.com/mtakit/mtakit/queue"
)

// Exit codes of sysexits.h.
const (
	exUsage    = 64
	exNoInput  = 66
	exSoftware = 70
	exOSFile   = 72
	exTemp     = 75
	exConfig   = 78
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	c := &command{out: os.Stdout, err: os.Stderr, config: sendmailcf.Default}
	os.Exit(c.run(ctx, os.Args[1:]))
}

// command is one run of the program.
type command struct {
	out, err io.Writer
	config   string // the configuration file
	given    bool   // it was named on the command line, and
	named    bool   // by -C
	dir      string
	moved    bool // dir was
	groups   []sendmailcf.Queue
	filter   queue.Filter
	yes      bool
	text     string
	host     string
}

func (c *command) run(ctx context.Context, args []string) int {
	if len(args) > 0 {
		if verb := args[0]; slices.Contains(verbs, verb) {
			return c.change(ctx, verb, args[1:])
		}
	}
	return c.list(ctx, args)
}

// list prints the queue.
func (c *command) list(ctx context.Context, args []string) int {
	asJSON := slices.ContainsFunc(args, isJSON)
	stderr := c.err
	var err error
	if asJSON {
		args, err = c.jsonOptions(args)
	} else {
		c.err = c.out // where sendmail complains, but for wrong letters
		args, err = c.options(args)
	}
	var wrong *getopt.Error
	if errors.As(err, &wrong) {
		fmt.Fprintf(stderr, "mailq: %s\n", wrong.Short())
		return exUsage
	}
	if err != nil {
		return c.fail(err)
	}
	configured, err := c.configure()
	if err != nil {
		return c.fail(err)
	}
	// The same again behind what the configuration says, over which the command line wins.
	l, _, _, err := queue.ParseMailqArgs(append(configured, args...))
	if err != nil {
		return c.fail(err)
	}
	d, err := c.open(!asJSON)
	if err != nil {
		return c.fail(err)
	}
	if asJSON {
		return c.printJSON(ctx, d, l)
	}
	if _, err := d.Print(ctx, c.out, l); err != nil {
		fmt.Fprintln(c.err, err)
		return exTemp
	}
	return 0
}

// jsonOptions reads the command line of -json, which has filters besides the options of a listing. It returns the latter.
func (c *command) jsonOptions(args []string) (listing []string, err error) {
	if args, err = c.places(args, false); err != nil {
		return nil, err
	}
	_, dir, rest, err := queue.ParseMailqArgs(args)
	if err != nil {
		return nil, err
	}
	if dir != "" {
		c.dir = dir
	}
	if rest, err = c.flags("mailq", slices.DeleteFunc(rest, isJSON)); err != nil {
		return nil, &exit{exUsage, nil} // package flag has said it
	}
	if len(rest) > 0 {
		return nil, fmt.Errorf("mailq: what is %q?", rest[0])
	}
	return args, nil
}

func isJSON(s string) bool { return s == "-json" || s == "--json" }

// entry is a unit in -json, one object a line.
type entry struct {
	ID         queue.ID   `json:"id"`
	State      string     `json:"state"`
	Sender     string     `json:"sender"`
	Size       int64      `json:"size"` // of the body; -1 when it is missing
	Priority   int64      `json:"priority"`
	Created    time.Time  `json:"created"`
	Attempts   int        `json:"attempts"`
	Last       *time.Time `json:"last_attempt,omitempty"`
	Due        *time.Time `json:"due,omitempty"`
	Status     string     `json:"status,omitempty"`
	Quarantine string     `json:"quarantine,omitempty"`
	Rcpts      []rcpt     `json:"recipients"`
}

type rcpt struct {
	Address string `json:"address"`
	Status  string `json:"status,omitempty"`
}

// printJSON prints what l selects. Without -qQ, -qL or -state that is everything.
func (c *command) printJSON(ctx context.Context, d *queue.Dir, l queue.Listing) int {
	c.filter.Patterns = l.Patterns
	if l.Group != "" {
		c.filter.Groups = append(c.filter.Groups, l.Group)
	}
	switch {
	case len(c.filter.States) > 0:
	case l.Lost:
		c.filter.States = []queue.State{queue.Lost}
	case l.Quarantined:
		c.filter.States = []queue.State{queue.Held, queue.Quarantined}
	default:
		addState(&c.filter, "all")
	}
	enc := json.NewEncoder(c.out)
	enc.SetEscapeHTML(false)
	code := 0
	for u, err := range d.List(ctx, c.filter) {
		if err != nil {
			fmt.Fprintln(c.err, err)
			code = exTemp
			continue
		}
		e := entry{ID: u.ID, State: u.State.String(), Sender: u.Sender, Size: u.BodySize, Priority: u.Priority, Created: u.Created.UTC(),
			Attempts: u.Attempts, Status: u.Status, Quarantine: u.Quarantine, Rcpts: []rcpt{}}
		if !u.LastAttempt.IsZero() {
			t := u.LastAttempt.UTC()
			e.Last = &t
		}
		if !u.Due.IsZero() {
			t := u.Due.UTC()
			e.Due = &t
		}
		for _, r := range u.Rcpts {
			e.Rcpts = append(e.Rcpts, rcpt{r.Addr, r.Status})
		}
		if err := enc.Encode(e); err != nil {
			return exTemp
		}
	}
	return code
}

// flags reads filters and the options of changes.
func (c *command) flags(verb string, args []string) (rest []string, err error) {
	fs := flag.NewFlagSet(verb, flag.ContinueOnError)
	fs.SetOutput(c.err)
	list := func(name, usage string, add func(string)) {
		fs.Func(name, usage, func(s string) error { add(s); return nil })
	}
	f := &c.filter
	list("id", "queue `ID` (repeatable, as all filters are)", func(s string) { f.IDs = append(f.IDs, queue.ID(s)) })
	list("sender", "`address`, @domain, or <>", func(s string) { f.Sender = append(f.Sender, s) })
	list("rcpt", "recipient `address` or @domain", func(s string) { f.Rcpt = append(f.Rcpt, s) })
	list("domain", "`domain` of a recipient", func(s string) { f.Domain = append(f.Domain, s) })
	list("group", "queue `group`; mqueue is the default one", func(s string) { f.Groups = append(f.Groups, s) })
	list("reason", "`text` in a status or quarantine reason", func(s string) { f.Reason = append(f.Reason, s) })
	interval := func(name, usage string, to *time.Duration) {
		fs.Func(name, usage, func(s string) (err error) { *to, err = queue.ParseInterval(s, time.Minute); return err })
	}
	interval("older", "accepted longer than `AGE` ago (30m, 4h, 2d)", &f.OlderThan)
	interval("newer", "accepted within `AGE`", &f.NewerThan)
	fs.Int64Var(&f.MinSize, "larger", 0, "body of at least `N` bytes")
	fs.Int64Var(&f.MaxSize, "smaller", 0, "body of at most `N` bytes")
	fs.IntVar(&f.MinAttempts, "attempts", 0, "tried at least `N` times")
	fs.Func("state", "ready, deferred, held, quarantined, lost or all", func(s string) error { return addState(f, s) })
	fs.StringVar(&c.dir, "dir", c.dir, "queue `directory`")
	fs.BoolVar(&c.yes, "y", false, "do it; without, only show what would be done")
	fs.StringVar(&c.text, "m", "", "reason of hold and bounce, note of delete")
	fs.StringVar(&c.host, "host", "", "name of this system in bounces (default: the host's)")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	return fs.Args(), nil
}

func addState(f *queue.Filter, s string) error {
	all := []queue.State{queue.Ready, queue.Deferred, queue.Held, queue.Quarantined, queue.Lost}
	if s == "all" {
		f.States = all
		return nil
	}
	for _, st := range all {
		if st.String() == s {
			f.States = append(f.States, st)
			return nil
		}
	}
	return fmt.Errorf("no such state: %s", s)
}

var verbs = []string{"hold", "release", "delete", "requeue", "retry", "bounce", "deleted", "undelete", "purge"}

// change does what a verb says, or shows it.
func (c *command) change(ctx context.Context, verb string, args []string) int {
	args, err := c.places(args, true)
	if err != nil {
		return c.fail(err)
	}
	rest, err := c.flags(verb, args)
	if err != nil {
		return exUsage
	}
	for _, id := range rest {
		c.filter.IDs = append(c.filter.IDs, queue.ID(id))
	}
	if (verb == "delete" || verb == "bounce") && c.unfiltered() {
		fmt.Fprintf(c.err, "mailq %s: which messages? name them by filters, or all with -state all\n", verb)
		return exUsage
	}
	if _, err := c.configure(); err != nil {
		return c.fail(err)
	}
	d, err := c.open(false)
	if err != nil {
		return c.fail(err)
	}
	var a queue.Action
	switch verb {
	case "deleted", "undelete", "purge":
		return c.trash(ctx, d, verb)
	case "hold":
		a = queue.Action{Kind: queue.ActionHold, Reason: c.text}
	case "release":
		a = queue.Action{Kind: queue.ActionRelease}
		if len(c.filter.States) == 0 {
			c.filter.States = []queue.State{queue.Held, queue.Quarantined}
		}
	case "delete":
		a = queue.Action{Kind: queue.ActionDelete, Reason: c.text}
	case "requeue":
		a = queue.Action{Kind: queue.ActionRequeue}
	case "retry":
		a = queue.Action{Kind: queue.ActionRetry}
	case "bounce":
		a = c.bounce(d)
	}
	if len(c.filter.States) == 0 && len(c.filter.IDs) > 0 {
		addState(&c.filter, "all")
	}
	if !c.yes {
		return c.preview(ctx, d, verb)
	}
	began, done := time.Now(), 0
	a.Progress = func(u *queue.Unit, err error) {
		if done++; err != nil {
			fmt.Fprintln(c.err, err)
		}
		if time.Since(began) > time.Second { // long work shows that it goes on
			began = time.Now()
			fmt.Fprintf(c.err, "%s: %d so far\n", verb, done)
		}
	}
	res, err := d.Admin(ctx, c.filter, a)
	fmt.Fprintf(c.out, "%s: %d matched, %d changed, %d busy, %d failed\n", verb, res.Matched, res.Changed, res.Busy, res.Failed)
	if err != nil {
		if res.Failed == 0 {
			fmt.Fprintln(c.err, err)
		}
		return exTemp
	}
	return 0
}

// unfiltered reports whether nothing was said about which messages are meant.
func (c *command) unfiltered() bool {
	f := c.filter
	return len(f.IDs)+len(f.States)+len(f.Sender)+len(f.Rcpt)+len(f.Domain)+len(f.Groups)+len(f.Reason) == 0 && f.OlderThan == 0 && f.NewerThan == 0 &&
		f.MinSize == 0 && f.MaxSize == 0 && f.MinAttempts == 0
}

func (c *command) bounce(d *queue.Dir) queue.Action {
	host := c.host
	if host == "" {
		host, _ = os.Hostname()
	}
	text := c.text
	if text == "" {
		text = "Message was returned by the postmaster"
	}
	report := (&queue.Reporter{Store: d, Host: host}).Report
	return queue.Action{Kind: queue.ActionCall, Do: func(ctx context.Context, cl queue.Claim) error {
		return queue.Bounce(ctx, cl, text, report)
	}}
}

func (c *command) preview(ctx context.Context, d *queue.Dir, verb string) int {
	n, code := 0, 0
	for u, err := range d.List(ctx, c.filter) {
		if err != nil {
			fmt.Fprintln(c.err, err)
			code = exTemp
			continue
		}
		n++
		to := make([]string, len(u.Rcpts))
		for i, r := range u.Rcpts {
			to[i] = r.Addr
		}
		fmt.Fprintf(c.out, "%s %s %s -> %s\n", u.ID, u.State, strconv.Quote(u.Sender), strings.Join(to, ","))
	}
	fmt.Fprintf(c.out, "%s: would change %d; -y does it\n", verb, n)
	return code
}

// trash shows, brings back and purges what was deleted.
func (c *command) trash(ctx context.Context, d *queue.Dir, verb string) int {
	ids, err := d.Deleted(ctx)
	if err != nil {
		fmt.Fprintln(c.err, err)
		return exTemp
	}
	switch verb {
	case "deleted":
		for _, id := range ids {
			fmt.Fprintln(c.out, id)
		}
	case "undelete":
		if len(c.filter.IDs) == 0 {
			fmt.Fprintln(c.err, "undelete: name the messages; mailq deleted lists them")
			return exUsage
		}
		code := 0
		for _, id := range c.filter.IDs {
			if err := d.Undelete(ctx, id); err != nil {
				fmt.Fprintln(c.err, err)
				if code = exTemp; errors.Is(err, queue.ErrNotFound) {
					code = exNoInput
				}
			}
		}
		return code
	case "purge":
		if !c.yes {
			fmt.Fprintf(c.out, "purge: %d deleted messages; -y removes those older than -older for good\n", len(ids))
			return 0
		}
		n, err := d.Purge(ctx, c.filter.OlderThan)
		fmt.Fprintf(c.out, "purge: %d removed\n", n)
		if err != nil {
			fmt.Fprintln(c.err, err)
			return exTemp
		}
	}
	return 0
}

// Sendmail is a drop-in for sendmail(8) as programs call it: it reads a message on standard input and hands it to
// the reference server's queue and mailboxes, speaks SMTP on standard input (-bs), verifies addresses (-bv), lists the
// queue (-bp), rebuilds the alias database (-bi) and runs the queue (-q).
//
// It reads no sendmail.cf: queue groups and the like are not for it. It uses the data directory of the server: $MTAKIT_DATA, or
// mtakit-data in the current directory, with the settings that the server was started with.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"os/user"
	"path/filepath"
	"syscall"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/examples/internal/mta"
	"github.com/mtakit/mtakit/queue"
)

// Exit codes of sysexits(3).
const (
	exOK       = 0
	exUsage    = 64
	exSoftware = 70
	exTempFail = 75
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	code := run(ctx, os.Args, interruptible(ctx, os.Stdin), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// interruptible is a reader that ends with ctx, so that Ctrl-C works while the command waits for more of a message. The
// goroutine may stay in its last read: the process ends then.
func interruptible(ctx context.Context, in io.Reader) io.Reader {
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, in)
		w.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { w.CloseWithError(os.ErrDeadlineExceeded) })
	return r
}

func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) int {
	name := filepath.Base(args[0])
	opt, err := parseOptions(name, args[1:])
	if err != nil {
		fmt.Fprintf(errOut, "%s: %v\n%s", name, err, usage)
		return exUsage
	}
	if opt.mode == 'm' && len(opt.args) == 0 && !opt.fromHeader {
		fmt.Fprintf(errOut, "Recipient names must be specified\n")
		return exUsage
	}
	m, err := openMTA(ctx, opt)
	if err != nil {
		fmt.Fprintf(errOut, "%s: %v\n", name, err)
		return exitStatus(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			fmt.Fprintf(errOut, "%s: %v\n", name, err)
		}
	}()
	switch opt.mode {
	case 's':
		err = m.ServeStdio(ctx, loginName(), in, out)
	case 'p':
		err = m.ListQueue(ctx, out, queue.Listing{Verbose: opt.verbose, Patterns: opt.patterns})
	case 'i':
		return newAliases(m.Config().Aliases, out, errOut)
	case 'v':
		var code int
		if code, err = m.VerifyAddresses(ctx, out, opt.args); err == nil {
			return code
		}
	case 'q':
		err = m.RunQueue(ctx, queue.Filter{Patterns: opt.patterns})
	default:
		return submit(ctx, m, opt, in, out, errOut)
	}
	if err != nil {
		fmt.Fprintf(errOut, "%s: %v\n", name, err)
	}
	return exitStatus(err)
}

// newAliases checks the alias file and prints what newaliases would. The server reads the text itself and needs no
// database; the newaliases command builds one for programs that do.
func newAliases(file string, out, errOut io.Writer) int {
	f, err := os.Open(file)
	if err != nil {
		fmt.Fprintf(errOut, "newaliases: cannot open %s: %v\n", file, errors.Unwrap(err))
		return exOK // as sendmail has it
	}
	defer f.Close()
	b := alias.Builder{CheckValues: true}
	report, err := b.Build(f, file, func(key, value string) error { return nil })
	if err != nil {
		fmt.Fprintf(errOut, "newaliases: %v\n", err)
		return exTempFail
	}
	fmt.Fprint(out, report)
	return report.Exit
}

// openMTA opens the server's data directory with the settings of -C, -O and -o.
func openMTA(ctx context.Context, opt *options) (*mta.MTA, error) {
	cfg, err := mta.CommandConfig(opt.config)
	if err != nil {
		return nil, err
	}
	if v := opt.set["queuedirectory"]; v != "" {
		cfg.QueueDir = v
	}
	if v := opt.set["aliasfile"]; v != "" {
		cfg.Aliases = v
	}
	return mta.Open(ctx, cfg)
}

func submit(ctx context.Context, m *mta.MTA, opt *options, in io.Reader, out, errOut io.Writer) int {
	s := &mta.Submission{
		User: loginName(), Sender: opt.sender, FullName: opt.fullName, Rcpts: opt.args, FromHeader: opt.fromHeader,
		IgnoreDots: opt.ignoreDots, BodyType: opt.bodyType, Notify: opt.notify, Ret: opt.ret, EnvID: opt.envID,
		QueueOnly: opt.deliver == 'q' || opt.deliver == 'd', Input: in,
	}
	id, err := m.Submit(ctx, s)
	if err != nil {
		for _, e := range flatten(err) {
			fmt.Fprintln(errOut, e)
		}
	}
	if id != "" {
		if !s.QueueOnly {
			// The first attempts, so that the caller's message is on its way when the command ends.
			err = errors.Join(err, m.Finish(ctx))
		}
		if opt.verbose {
			fmt.Fprintf(out, "%s accepted for delivery\n", id)
		}
	}
	return exitStatus(err)
}

// flatten lists the parts of a joined error.
func flatten(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range j.Unwrap() {
			all = append(all, flatten(e)...)
		}
		return all
	}
	return []error{err}
}

// exitStatus is the sysexits code for an error: that of the last verdict in it, as sendmail has it.
func exitStatus(err error) int {
	if err == nil {
		return exOK
	}
	if errors.Is(err, mta.ErrNoRecipients) {
		return exUsage
	}
	code := exTempFail
	for _, e := range flatten(err) {
		var v *mtakit.Error
		if errors.As(e, &v) {
			code = v.ExitStatus()
		}
	}
	return code
}

func loginName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprintf("uid%d", os.Getuid())
}

const usage = `usage: sendmail [flags] [recipient ...] < message
  -t           take the recipients from To, Cc and Bcc
  -f ADDRESS   envelope sender (also -r)        -F NAME   full name for a From field that is missing
  -i, -oi      a line with a single dot does not end the message
  -bm          deliver a message (default)      -bs       speak SMTP on standard input and output
  -bv          verify the recipients            -bp       list the queue (mailq)
  -bi          rebuild the alias database       -q        try everything in the queue once
  -N WORDS     never, or success,failure,delay  -R full|hdrs   what a bounce returns
  -V ID        envelope id for reports          -B 7BIT|8BITMIME
  -odi, -odb   deliver now                      -odq      only queue
  -O NAME=VALUE, -oXVALUE   QueueDirectory, AliasFile, DeliveryMode; others are accepted and ignored
  -C FILE      settings of the server (TOML)    -v        say more
`

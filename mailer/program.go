package mailer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/mtakit/mtakit"
)

// Program is sendmail's prog mailer: it gives the message to a command of the shell, "sh -c COMMAND", with the rights
// of the controlling user when running as root. The zero value is ready for use.
//
// The command sees on standard input a From_ line, then the message. Its environment is AGENT=sendmail, TZ when
// the mailer has it, and Env. Its directory is the controlling user's home, or the root directory. Its exit code is
// read as sysexits(3) says; what it prints goes into the error.
type Program struct {
	// Shell runs the command. Empty means /bin/sh; sendmail sites often use smrsh.
	Shell string
	// Check, if not nil, must allow the command (without the leading bar) and returns the one to run: the place for an
	// allow list such as smrsh's. An error without status is permanent: 5.7.1 would be tried in vain.
	Check func(command string) (string, error)
	// Default is the controlling user where a recipient has none, or root. The zero value means
	// daemon (1:1), as in sendmail.
	Default mtakit.Control
	// Accounts, if not nil, gives the home directory of a controlling user.
	Accounts mtakit.Accounts
	// Timeout is how long a command may run; then its process group is killed, and the message is tried again.
	// Zero means 1000 seconds; negative means no limit.
	Timeout time.Duration
	// MaxOutput is how much of the output is kept for the error; the rest is read and dropped. Zero means 4096 bytes.
	MaxOutput int
	// Env is added to the environment, as NAME=VALUE.
	Env []string
	// Headers are added on top. Return-Path: only when ReturnPath is set: sendmail's prog mailer has no flag P.
	Headers    Headers
	ReturnPath bool
	// UTC writes the date of the From_ line in UTC instead of local time.
	UTC bool
}

// waitDelay is how long a command's children may keep its output open after it has ended.
const waitDelay = 3 * time.Second

// Deliver implements mtakit.Mailer. A nil error means that the command took the message and ended with exit code 0.
func (m *Program) Deliver(ctx context.Context, a *mtakit.Attempt) []mtakit.Result {
	return each(ctx, a, func(ctx context.Context, r *mtakit.Recipient) error {
		return verdict(m.deliver(ctx, a, r), false)
	})
}

func (m *Program) deliver(ctx context.Context, a *mtakit.Attempt, r *mtakit.Recipient) error {
	command, err := m.command(plainUser(r.Route.User))
	if err != nil {
		return err
	}
	ctl := controlOf(r.Control, m.Default)
	body, err := open(ctx, a)
	if err != nil {
		return err
	}
	defer body.Close()

	ctx, cancel := m.withTimeout(ctx)
	defer cancel()
	shell := m.Shell
	if shell == "" {
		shell = "/bin/sh"
	}
	cmd := exec.CommandContext(ctx, shell, "-c", command)
	cmd.Args[0] = "sh"
	cmd.Env = m.environment()
	if cmd.Dir, err = m.directory(ctx, ctl); err != nil {
		return err
	}
	if err := setRights(cmd, rights{uid: ctl.UID, gid: ctl.GID, user: ctl.User}); err != nil {
		return err
	}
	cmd.Cancel = func() error { return killGroup(cmd.Process) }
	cmd.WaitDelay = waitDelay
	head := unixFromLine(nil, a.From, m.UTC)
	h := m.Headers
	h.NoReturnPath = !m.ReturnPath
	head = h.append(head, a.From, r)
	cmd.Stdin = io.MultiReader(bytes.NewReader(head), body)
	out := &limited{max: m.MaxOutput}
	if out.max == 0 {
		out.max = 4096
	}
	cmd.Stdout, cmd.Stderr = out, out
	err = cmd.Run()
	if ctx.Err() != nil { // what the command left behind in its group
		_ = killGroup(cmd.Process)
	}
	return m.result(ctx, a.Mailer, shell, cmd, err, out)
}

// command takes the command out of the route and asks Check.
func (m *Program) command(user string) (string, error) {
	command := strings.TrimPrefix(user, "|")
	if strings.TrimSpace(command) == "" || strings.IndexByte(command, 0) >= 0 {
		return "", &mtakit.Error{Code: 554, Status: mtakit.StatusMisconfigured, Text: "Empty program name"}
	}
	if m.Check == nil {
		return command, nil
	}
	command, err := m.Check(command)
	var e *mtakit.Error
	if err != nil && !errors.As(err, &e) { // smrsh ends with EX_UNAVAILABLE
		x := sysexits[exUnavailable]
		err = &mtakit.Error{Code: x.code, Status: x.status, Text: x.text, Err: err}
	}
	return command, err
}

func (m *Program) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	switch {
	case m.Timeout < 0:
		return context.WithCancel(ctx)
	case m.Timeout > 0:
		return context.WithTimeout(ctx, m.Timeout)
	}
	return context.WithTimeout(ctx, 1000*time.Second)
}

func (m *Program) environment() []string {
	env := []string{"AGENT=sendmail"}
	if tz, ok := os.LookupEnv("TZ"); ok {
		env = append(env, "TZ="+tz)
	}
	return append(env, m.Env...)
}

// directory is the home of the controlling user, or "/" (sendmail: D=$z:/). An alias has no home.
func (m *Program) directory(ctx context.Context, c mtakit.Control) (string, error) {
	if m.Accounts == nil || c.User == "" || c.Alias {
		return "/", nil
	}
	acct, ok, err := m.Accounts.Account(ctx, c.User)
	if err != nil {
		return "", err
	}
	if !ok || acct.Home == "" {
		return "/", nil
	}
	usable := rights{uid: c.UID, gid: c.GID, user: c.User}.do(func() error { return canEnter(acct.Home) })
	if usable != nil {
		return "/", nil
	}
	return acct.Home, nil
}

// result reads the exit code.
func (m *Program) result(ctx context.Context, mailer, shell string, cmd *exec.Cmd, err error, out *limited) error {
	if err == nil || errors.Is(err, exec.ErrWaitDelay) && cmd.ProcessState.Success() {
		return nil
	}
	if mailer == "" {
		mailer = mtakit.MailerProgram
	}
	var exit *exec.ExitError
	if ctx.Err() != nil || !errors.As(err, &exit) || !exit.Exited() { // out of time, not started, ended by a signal
		if cause := ctx.Err(); cause != nil {
			err = fmt.Errorf("%w (%w)", cause, err)
		}
		return &mtakit.Error{Code: 450, Status: sysexits[exTempFail].status, Text: tempText(mailer, shell), Err: out.wrap(err)}
	}
	code := exit.ExitCode()
	x, ok := sysexits[code]
	switch {
	case !ok:
		x = sysexit{554, mtakit.StatusPermanent, fmt.Sprintf("unknown mailer error %d", code)}
	case code == exTempFail:
		x.text = tempText(mailer, shell)
	}
	return &mtakit.Error{Code: x.code, Status: x.status, Text: x.text, Err: out.wrap(err)}
}

func tempText(mailer, shell string) string {
	return mailer + " mailer (" + shell + ") exited with EX_TEMPFAIL"
}

// limited keeps the first bytes of what is written to it.
type limited struct {
	buf bytes.Buffer
	max int
}

func (l *limited) Write(p []byte) (int, error) {
	if room := l.max - l.buf.Len(); room > 0 {
		l.buf.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// wrap adds the output to an error.
func (l *limited) wrap(err error) error {
	if s := strings.TrimSpace(l.buf.String()); s != "" {
		return &OutputError{Output: s, Err: err}
	}
	return err
}

// OutputError is the cause of a failed program delivery that printed something.
type OutputError struct {
	Output string // the beginning of what the program printed
	Err    error
}

// Error prints the cause and the output in one line.
func (e *OutputError) Error() string { return fmt.Sprintf("%v: %q", e.Err, e.Output) }

// Unwrap returns the cause.
func (e *OutputError) Unwrap() error { return e.Err }

package queue_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/peer"
	"github.com/mtakit/mtakit/queue"
)

// sendmail is the real program with a configuration that sends everything to a sink on loopback.
type sendmail struct {
	t    *testing.T
	cf   string
	dir  string
	sink *sink
}

func newSendmail(t *testing.T) *sendmail {
	for _, p := range []string{"sendmail", "m4"} {
		peer.Program(t, p)
	}
	const m4 = "/usr/share/sendmail/cf/m4/cf.m4"
	if _, err := os.Stat(m4); err != nil {
		peer.Missing(t, "package sendmail-cf is not installed")
	}
	peer.Unshare(t)
	s := &sendmail{t: t, dir: t.TempDir(), sink: newSink(t)}
	require.NoError(t, os.Chmod(s.dir, 0o700))
	mc := fmt.Sprintf("include(`%s')dnl\n", m4) + "OSTYPE(`linux')dnl\ndefine(`confDONT_PROBE_INTERFACES', `True')dnl\n" +
		fmt.Sprintf("define(`ESMTP_MAILER_ARGS', `TCP $h %d')dnl\n", s.sink.port()) + "define(`SMART_HOST', `esmtp:[127.0.0.1]')dnl\n" +
		"define(`confDOMAIN_NAME', `mx.example.org')dnl\ndefine(`confQUEUE_LA', `1000')dnl\ndefine(`confREFUSE_LA', `1000')dnl\n" +
		"define(`ALIAS_FILE', `')dnl\nFEATURE(`nocanonify')dnl\nFEATURE(`accept_unresolvable_domains')dnl\nFEATURE(`no_default_msa')dnl\nMAILER(`smtp')dnl\n"
	m := exec.Command("m4", "-")
	m.Stdin = strings.NewReader(mc)
	out, err := m.Output()
	require.NoError(t, err)
	s.cf = filepath.Join(t.TempDir(), "sendmail.cf")
	require.NoError(t, os.WriteFile(s.cf, out, 0o644))
	return s
}

// run runs sendmail on the spool.
func (s *sendmail) run(stdin string, args ...string) string {
	args = append([]string{"-C", s.cf, "-OQueueDirectory=" + s.dir, "-OPidFile=/dev/null", "-OStatusFile=/dev/null",
		"-OTimeout.ident=0", "-OHostStatusDirectory="}, args...)
	// Without a dot in its host name sendmail asks the DNS for a better one, and sleeps a minute when that does not answer.
	args = append([]string{"--uts", "sh", "-c", `hostname mx.example.org && exec sendmail "$@"`, "sh"}, args...)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "unshare", args...)
	c.Stdin = strings.NewReader(stdin)
	c.Env = append(os.Environ(), "TZ=UTC")
	out, err := c.CombinedOutput()
	if err != nil {
		s.t.Errorf("sendmail %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// sink is an SMTP server that takes everything and remembers it.
type sink struct {
	l  net.Listener
	mu sync.Mutex
	// got are the transactions: MAIL line, RCPT lines, message with LF line ends and without dot stuffing.
	got []received
}

type received struct {
	mail  string
	rcpts []string
	text  string
}

func newSink(t *testing.T) *sink {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &sink{l: l}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(time.Minute))
				s.serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return s
}

// taken returns the transactions so far.
func (s *sink) taken() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func (s *sink) port() int { return s.l.Addr().(*net.TCPAddr).Port }

func (s *sink) serve(c net.Conn) {
	r := bufio.NewReader(c)
	var now received
	fmt.Fprint(c, "220 sink.example ESMTP\r\n")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		switch verb := strings.ToUpper(line[:min(4, len(line))]); verb {
		case "EHLO":
			fmt.Fprint(c, "250-sink.example\r\n250-SIZE\r\n250-8BITMIME\r\n250-DSN\r\n250 ENHANCEDSTATUSCODES\r\n")
		case "MAIL":
			now = received{mail: line}
			fmt.Fprint(c, "250 2.1.0 ok\r\n")
		case "RCPT":
			now.rcpts = append(now.rcpts, line)
			fmt.Fprint(c, "250 2.1.5 ok\r\n")
		case "DATA":
			fmt.Fprint(c, "354 go on\r\n")
			var b strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				b.WriteString(strings.TrimSuffix(strings.TrimPrefix(line, "."), "\r\n") + "\n")
			}
			now.text = b.String()
			s.mu.Lock()
			s.got = append(s.got, now)
			s.mu.Unlock()
			fmt.Fprint(c, "250 2.0.0 taken\r\n")
		case "QUIT":
			fmt.Fprint(c, "221 2.0.0 bye\r\n")
			return
		default:
			fmt.Fprint(c, "250 2.0.0 ok\r\n")
		}
	}
}

// idle is the load average. The real program is configured to wait at none.
func idle() int { return 0 }

// list is our mailq.
func list(t *testing.T, d *queue.Dir, verbose bool) string {
	var b strings.Builder
	_, err := d.Print(t.Context(), &b, queue.Listing{Verbose: verbose, Location: time.UTC, Load: idle})
	require.NoError(t, err)
	return b.String()
}

func openDir(t *testing.T, path string) *queue.Dir {
	d, err := queue.Open(path, nil)
	require.NoError(t, err)
	return d
}

// TestSendmailDeliversOurs queues with our code; the real mailq lists it as ours does, and the real queue run delivers it.
func TestSendmailDeliversOurs(t *testing.T) {
	s := newSendmail(t)
	d := openDir(t, s.dir)
	header := "Received: from client.example.com by mx.example.org\n\twith ESMTP; Sun, 22 Nov 2026 08:05:13 GMT\nFrom: ann@example.org\nTo: Bob <bob@example.net>\n" +
		"Date: Sun, 22 Nov 2026 08:05:13 GMT\nMessage-Id: <1@example.org>\nSubject: caf\xc3\xa9\n folded\nX-Empty:\n"
	body := "caf\xc3\xa9\n.\n..two dots\nFrom the start\n" + strings.Repeat("long ", 150) + "\n\nend\n"
	env := &queue.Envelope{Sender: "<ann+x@example.org>", Header: []byte(header), BodyType: "8BITMIME", EnvID: "QQ 314+159", Flags: queue.FlagRet | queue.FlagNoBody,
		Macros: []queue.Macro{{Name: "r", Value: "ESMTP"}, {Name: "s", Value: "client.example.com"}, {Name: "_", Value: "client.example.com [192.0.2.55]"}},
		Units: []queue.UnitSpec{
			{Rcpts: []queue.Recipient{
				{Addr: "<bob@example.net>", Flags: queue.RcptPrimary | queue.RcptNotify | queue.RcptSuccess | queue.RcptFailure, Original: "rfc822;Bob+x@example.net"},
				{Addr: `<"odd name"@example.net>`, Flags: queue.RcptPrimary | queue.RcptFailure | queue.RcptDelay}}},
			{Rcpts: []queue.Recipient{{Addr: "<eve@example.com>", Flags: queue.RcptPrimary | queue.RcptNotify}}},
		}}
	w, err := d.Create(t.Context(), env)
	require.NoError(t, err)
	_, err = io.WriteString(w, body)
	require.NoError(t, err)
	require.NoError(t, w.Commit(t.Context()))
	w, err = d.Create(t.Context(), &queue.Envelope{Sender: "<>", Header: []byte("Subject: null\nDate: x\nFrom: y@z.example\nMessage-Id: <2@x>\n"), Quarantine: "wait",
		Units: []queue.UnitSpec{{Rcpts: []queue.Recipient{{Addr: "<held@example.net>", Flags: queue.RcptPrimary | queue.RcptFailure}}}}})
	require.NoError(t, err)
	require.NoError(t, w.Commit(t.Context()))

	for _, verbose := range []bool{false, true} {
		args := []string{"-bp"}
		if verbose {
			args = append(args, "-v")
		}
		assert.ElementsMatch(t, strings.SplitAfter(s.run("", args...), "\n"), strings.SplitAfter(list(t, d, verbose), "\n"))
	}
	assert.Contains(t, s.run("", "-bp", "-qQ"), "QUARANTINE: wait")

	s.run("", "-qf")
	assert.Contains(t, list(t, d, false), "Total requests: 0")
	require.Len(t, s.sink.taken(), 2)
	for _, got := range s.sink.taken() {
		assert.Contains(t, got.mail, "MAIL From:<ann+x@example.org>")
		assert.Contains(t, got.mail, "BODY=8BITMIME ENVID=QQ+20314+2B159 RET=HDRS")
		_, text, _ := strings.Cut(got.text, "\nFrom:") // sendmail adds nothing, but may put a blank line end
		assert.Equal(t, header[strings.Index(header, "\nFrom:")+6:]+"\n"+body, text)
	}
	var rcpts []string
	for _, got := range s.sink.taken() {
		rcpts = append(rcpts, got.rcpts...)
	}
	slices.Sort(rcpts)
	assert.Equal(t, []string{`RCPT To:<"odd name"@example.net>`, "RCPT To:<bob@example.net> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;Bob+2Bx@example.net",
		"RCPT To:<eve@example.com> NOTIFY=NEVER"}, rcpts)
	s.run("", "-qQ", "-qf") // delivers quarantined entries
	assert.Len(t, s.sink.taken(), 3)
	left, err := os.ReadDir(s.dir)
	require.NoError(t, err)
	assert.Empty(t, left)
}

// counter is a mailer that remembers what it took.
type counter struct {
	mu  sync.Mutex
	got []received
}

func (c *counter) Deliver(ctx context.Context, a *mtakit.Attempt) []mtakit.Result {
	res := make([]mtakit.Result, len(a.Rcpts))
	r, err := a.Open(ctx)
	if err == nil {
		var b []byte
		b, err = io.ReadAll(r)
		r.Close()
		x := received{mail: a.From.Path() + " " + a.BodyType + " " + a.Ret + " " + a.EnvID, text: string(b)}
		for _, rc := range a.Rcpts {
			x.rcpts = append(x.rcpts, rc.Addr.Path()+" "+rc.Original)
		}
		c.mu.Lock()
		c.got = append(c.got, x)
		c.mu.Unlock()
	}
	for i := range res {
		res[i].Err = err
	}
	return res
}

func startRunner(t *testing.T, d *queue.Dir, m mtakit.Mailer) (stop func()) {
	r := queue.NewRunner(queue.Options{Store: d, Mailers: map[string]mtakit.Mailer{"esmtp": m}, Rescan: 20 * time.Millisecond, PerDestination: 4,
		Resolve: func(_ context.Context, _ *queue.Unit, r queue.Recipient) ([]queue.Target, error) {
			return []queue.Target{{Addr: r.Address(), Route: mtakit.Route{Mailer: "esmtp"}}}, nil
		}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(t, <-done)
	}
}

// TestWeDeliverSendmails queues with the real program; we read, list and deliver it.
func TestWeDeliverSendmails(t *testing.T) {
	s := newSendmail(t)
	d := openDir(t, s.dir)
	text := "From: Ann <ann@example.org>\nTo: bob@example.net,\n\tEve <eve@example.com>\nDate: Sun, 22 Nov 2026 08:05:13 GMT\nMessage-Id: <1@example.org>\nSubject: caf\xc3\xa9\nX-Long: " +
		strings.Repeat("word ", 60) + "\n\nbody\n.dot\nFrom here\ncaf\xc3\xa9\n"
	s.run(text, "-odq", "-i", "-f", "ann@example.org", "-N", "success,failure", "-V", "env+2Bid", "-R", "hdrs", "-B", "8BITMIME", "bob@example.net", "eve@example.com")
	s.run("Subject: two\n\nx\n", "-odq", "-i", "-f", "<>", "-O", "DeliveryMode=q", `"odd one"@example.net`)
	s.run("Subject: three\n\nx\n", "-odq", "-i", "-f", "ann@example.org", "three@example.net")
	s.run("", "-Qtoo odd", "-qRthree")
	for _, args := range [][]string{{"-bp"}, {"-bp", "-v"}, {"-bp", "-qQ"}, {"-bp", "-v", "-qReve"}, {"-bp", "-q!Reve"}} {
		l, _, _, err := queue.ParseMailqArgs(args)
		require.NoError(t, err)
		l.Location, l.Load = time.UTC, idle
		var b strings.Builder
		_, err = d.Print(t.Context(), &b, l)
		require.NoError(t, err)
		assert.Equal(t, s.run("", args...), b.String(), "%v", args)
	}
	var m counter
	stop := startRunner(t, d, &m)
	require.Eventually(t, func() bool { return strings.Contains(list(t, d, false), "Total requests: 0") }, time.Minute, 10*time.Millisecond)
	stop()
	require.Len(t, m.got, 2)
	slices.SortFunc(m.got, func(a, b received) int { return len(b.rcpts) - len(a.rcpts) })
	assert.Equal(t, "<ann@example.org> 8BITMIME HDRS env+id", m.got[0].mail)
	assert.ElementsMatch(t, []string{"<bob@example.net> ", "<eve@example.com> "}, m.got[0].rcpts)
	_, after, ok := strings.Cut(m.got[0].text, "\nFrom: ")
	require.True(t, ok, "%q", m.got[0].text)
	_, header, _ := strings.Cut(text[:strings.Index(text, "\n\n")+1], "From: ")
	got, body, _ := strings.Cut(after, "\n\n")
	assert.Equal(t, strings.Fields(header), strings.Fields(got), "the header may be folded anew")
	assert.Equal(t, text[strings.Index(text, "\n\n")+2:], body)
	assert.Equal(t, "<>   ", m.got[1].mail)
	assert.Equal(t, []string{`<"odd one"@example.net> `}, m.got[1].rcpts)
	assert.Contains(t, list2(t, d), "three@example.net")
}

func list2(t *testing.T, d *queue.Dir) string {
	var b strings.Builder
	_, err := d.Print(t.Context(), &b, queue.Listing{Quarantined: true})
	require.NoError(t, err)
	return b.String()
}

// TestOneSpoolTwoPrograms lets the real queue runs and ours work on the same entries at the same time. Each message is
// delivered exactly once.
func TestOneSpoolTwoPrograms(t *testing.T) {
	n := 500
	if testing.Short() {
		n = 60
	}
	s := newSendmail(t)
	d := openDir(t, s.dir)
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			for i := k; i < n; i += 4 {
				w, err := d.Create(t.Context(), &queue.Envelope{Sender: "<ann@example.org>", Header: fmt.Appendf(nil, "X-Number: %d\nFrom: a@example.org\nDate: x\n", i),
					Units: []queue.UnitSpec{{Rcpts: []queue.Recipient{{Addr: "<bob@example.net>", Flags: queue.RcptPrimary | queue.RcptFailure}}}}})
				if assert.NoError(t, err) {
					io.WriteString(w, "body\n")
					assert.NoError(t, w.Commit(t.Context()))
				}
			}
		})
	}
	wg.Wait()
	var m counter
	slow := mtakit.MailerFunc(func(ctx context.Context, a *mtakit.Attempt) []mtakit.Result {
		time.Sleep(10 * time.Millisecond) // leave something for the other one
		return m.Deliver(ctx, a)
	})
	for range 2 {
		wg.Go(func() { s.run("", "-qf") })
	}
	time.Sleep(20 * time.Millisecond)
	stop := startRunner(t, d, slow)
	wg.Wait()
	require.Eventually(t, func() bool { return strings.Contains(list(t, d, false), "Total requests: 0") }, 60*time.Second, 50*time.Millisecond)
	stop()
	seen := make(map[string]int)
	for _, got := range slices.Concat(m.got, s.sink.taken()) {
		_, rest, _ := strings.Cut(got.text, "X-Number: ")
		number, _, _ := strings.Cut(rest, "\n")
		seen[number]++
		assert.True(t, strings.HasSuffix(got.text, "\n\nbody\n"), "%q", got.text)
	}
	assert.Len(t, seen, n)
	for number, times := range seen {
		assert.Equal(t, 1, times, "message %s", number)
	}
	t.Logf("sendmail delivered %d, we delivered %d", len(s.sink.taken()), len(m.got))
}

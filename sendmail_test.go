package mtakit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/internal/peer"
	"github.com/mtakit/mtakit/mailertable"
	"github.com/mtakit/mtakit/virtuser"
)

// TestAgainstSendmail asks the real sendmail about random addresses in random tables, and compares what -bv prints and
// exits with. It runs for some seconds, always with the same seeds; MTAKIT_SENDMAIL_TIME=1m asks for more, with new ones.
// The seed of a failure is in its message: MTAKIT_SENDMAIL_SEED repeats it.
func TestAgainstSendmail(t *testing.T) {
	needSendmail(t)
	budget := 5 * time.Second
	if testing.Short() {
		budget = time.Second
	}
	seed := uint64(1)
	if s := os.Getenv("MTAKIT_SENDMAIL_TIME"); s != "" {
		var err error
		budget, err = time.ParseDuration(s)
		require.NoError(t, err)
		seed = uint64(time.Now().UnixNano())
	}
	if s := os.Getenv("MTAKIT_SENDMAIL_SEED"); s != "" {
		_, err := fmt.Sscan(s, &seed)
		require.NoError(t, err)
	}
	asked := 0
	for end := time.Now().Add(budget); time.Now().Before(end); seed++ {
		asked += askSendmail(t, seed)
		if t.Failed() {
			return
		}
	}
	t.Logf("%d answers are the same as sendmail's", asked)
}

// needSendmail skips the test where there is no sendmail, or it cannot be run with a configuration of our own.
func needSendmail(t *testing.T) {
	missing := ""
	for _, name := range []string{"sendmail", "makemap", "m4", "unshare", "hostname"} {
		if _, err := exec.LookPath(name); err != nil {
			missing = name + " is not installed"
		}
	}
	if _, err := os.Stat(cfDir); err != nil {
		missing = cfDir + " is missing"
	}
	if missing == "" && exec.Command("unshare", "--uts", "true").Run() != nil {
		t.Skip("this machine does not allow a host name of one's own (unshare --uts): is this test run by root?")
	}
	if missing == "" {
		out, _ := sendmail(context.Background(), "-C", "/dev/null", "-d0.1", "-bt").CombinedOutput()
		if !bytes.Contains(out, []byte("Version 8.")) {
			missing = "sendmail 8 cannot be run: " + string(out)
		}
	}
	if missing != "" {
		peer.Missing(t, missing)
	}
}

// sendmail runs the program on a host with a full name: it would wait a minute for one.
func sendmail(ctx context.Context, args ...string) *exec.Cmd {
	script := `hostname mx.example.com && exec sendmail "$@"`
	return exec.CommandContext(ctx, "unshare", append([]string{"--uts", "sh", "-c", script, "sendmail"}, args...)...)
}

const cfDir = "/usr/share/sendmail/cf"

// site is one configuration with its tables, for sendmail as for us.
type site struct {
	dir      string
	tables   map[string]string
	resolver *mtakit.Resolver
}

// askSendmail makes one site and compares the answers for some addresses. It returns how many.
func askSendmail(t *testing.T, seed uint64) int {
	t.Helper()
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	s := newSite(t, g)
	defer os.RemoveAll(s.dir)
	questions := 12
	if os.Getenv("MTAKIT_SENDMAIL_TIME") != "" {
		questions = 40 // a new site takes longer than many questions
	}
	for range questions {
		address := g.address()
		got, gotExit := s.ours(t, address)
		want, wantExit := s.theirs(t, address)
		if !slices.Equal(got, want) || gotExit != wantExit {
			t.Errorf("seed %d: %q\n  got  %q, exit %d\n  want %q, exit %d\n%v", seed, address, got, gotExit, want, wantExit, s.tables)
			return 0
		}
	}
	return questions
}

func newSite(t *testing.T, g generator) *site {
	dir, err := os.MkdirTemp("", "mtakit-sendmail-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "queue"), 0o700))
	s := &site{dir: dir, tables: map[string]string{"aliases": g.aliases(), "virtusertable": g.virtuals(), "mailertable": g.routes()}}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "switch"), []byte("hosts files\naliases files\n"), 0o644))
	for name, text := range s.tables {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	s.configure(t)
	for _, name := range []string{"virtusertable", "mailertable"} {
		cmd := exec.Command("makemap", "-C", s.path("sendmail.cf"), "hash", s.path(name))
		cmd.Stdin = strings.NewReader(s.tables[name])
		_ = cmd.Run() // it complains about keys that come twice, and goes on
	}
	_ = sendmail(context.Background(), "-C", s.path("sendmail.cf"), "-bi").Run()

	virtual, _ := virtuser.Parse(strings.NewReader(s.tables["virtusertable"]), "virtusertable")
	routes, _ := mailertable.Parse(strings.NewReader(s.tables["mailertable"]), "mailertable")
	aliases, _ := alias.Parse(strings.NewReader(s.tables["aliases"]), "aliases")
	includes, err := alias.NewIncluder(alias.IncludeOptions{Hostname: "mx.example.com"})
	require.NoError(t, err)
	t.Cleanup(func() { includes.Close() })
	s.resolver = &mtakit.Resolver{
		Hostname:     "mx.example.com",
		LocalDomains: mtakit.DomainSet{"shop.test": true, "club.test": true},
		Virtual:      virtuser.New(virtual),
		Router:       mailertable.New(routes),
		Aliases:      alias.New(aliases, alias.Options{PreserveDetail: true}),
		Includes:     includes,
		Accounts:     mtakit.AccountsFunc(systemAccount),
	}
	return s
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

// configure writes sendmail.cf. Name servers are not asked, and forward files are not read.
func (s *site) configure(t *testing.T) {
	t.Helper()
	mc := []string{
		"OSTYPE({linux})",
		"define({confDOMAIN_NAME}, {mx.example.com})",
		"define({confDONT_PROBE_INTERFACES}, {True})",
		"define({confDONT_BLAME_SENDMAIL}, {TrustStickyBit})",
		"define({confFORWARD_PATH}, {})",
		"define({confLOG_LEVEL}, {0})",
		"define({ALIAS_FILE}, {DIR/aliases})",
		"define({QUEUE_DIR}, {DIR/queue})",
		"define({confPID_FILE}, {DIR/pid})",
		"define({STATUS_FILE}, {DIR/stats})",
		"define({confSERVICE_SWITCH_FILE}, {DIR/switch})",
		"FEATURE({nocanonify})",
		"FEATURE({virtusertable}, {hash DIR/virtusertable})",
		"FEATURE({mailertable}, {hash DIR/mailertable})",
		"MAILER({local})",
		"MAILER({smtp})",
		"LOCAL_CONFIG",
		"Cwshop.test club.test",
	}
	text := strings.NewReplacer("{", "`", "}", "'", "DIR", s.dir).Replace(strings.Join(mc, "\n") + "\n")
	require.NoError(t, os.WriteFile(s.path("sendmail.mc"), []byte(text), 0o644))
	cf, err := exec.Command("m4", "-D_CF_DIR_="+cfDir+"/", cfDir+"/m4/cf.m4", s.path("sendmail.mc")).Output()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(s.path("sendmail.cf"), cf, 0o644))
}

func (s *site) ours(t *testing.T, address string) (lines []string, exit int) {
	t.Helper()
	res, err := s.resolver.ResolveText(context.Background(), mtakit.Address{}, address)
	require.NoError(t, err)
	lines = res.Lines()
	slices.Sort(lines)
	return lines, res.ExitStatus()
}

func (s *site) theirs(t *testing.T, address string) (lines []string, exit int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := sendmail(ctx, "-C", s.path("sendmail.cf"), "-bv", "--", address).CombinedOutput()
	var status *exec.ExitError
	if errors.As(err, &status) {
		exit = status.ExitCode()
	} else {
		require.NoError(t, err)
	}
	for line := range strings.Lines(string(out)) {
		lines = append(lines, strings.TrimRight(line, "\n"))
	}
	slices.Sort(lines)
	return lines, exit
}

// systemAccount reads /etc/passwd.
func systemAccount(_ context.Context, name string) (mtakit.Account, bool, error) {
	text, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return mtakit.Account{}, false, err
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(line, ":"); f[0] == name {
			return mtakit.Account{Name: name}, true, nil
		}
	}
	return mtakit.Account{}, false, nil
}

// generator makes tables and addresses in which things happen: names that refer to each other, errors, details, loops.
type generator struct{ *rand.Rand }

func (g generator) pick(list ...string) string { return list[g.IntN(len(list))] }

func (g generator) name() string {
	return g.pick("root", "daemon", "nobody", "bin", "n0", "n1", "n2", "n3", "n4", "nosuch", "Joe", "x")
}

func (g generator) detail() string { return g.pick("", "", "", "+d", "+", "+D.e", "+a+b", "++z") }

func (g generator) domain() string {
	return g.pick("shop.test", "club.test", "mx.example.com", "localhost", "far.example.net", "corp.test", "a.corp.test",
		"b.a.corp.test", "lab", "SHOP.test.")
}

func (g generator) address() string {
	name := g.name()
	switch g.IntN(12) {
	case 0, 1, 2:
		return name + g.detail()
	case 3, 4, 5, 6:
		return name + g.detail() + "@" + g.domain()
	case 7:
		return `\` + name + g.pick("", "@shop.test", "@far.example.net")
	case 8:
		return name + "%" + g.domain() + g.pick("", "@shop.test", "@mx.example.com", "@far.example.net")
	case 9:
		return g.pick("far", "far.example.net", "shop.test") + "!" + name + g.pick("", "@club.test")
	case 10:
		return fmt.Sprintf(g.pick("Full Name <%s@shop.test>", "%s (comment)", "grp: %s;", "<@a.test:%s@shop.test>", `"%s"@club.test`,
			"%s,root", "%s@", "@%s", "%s@shop..test", "%s@a@b.test", "%s@[192.0.2.1]", `"%s`, "<%s", "%s@far.test:25"), name)
	}
	return g.pick(`"|/bin/p"`, "/var/tmp/o", ":include:/nosuch/file", `"|/bin/p a b"`, `""`, "<>", `"a b"`, `"a b"@shop.test`)
}

func (g generator) aliases() string {
	var b strings.Builder
	for _, key := range []string{"n0", "n1", "n2", "n3", "n4", "n1+d", "n2+*", "root", "joe"} {
		if g.IntN(3) == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s: %s", key, g.member())
		for range g.IntN(3) {
			fmt.Fprintf(&b, ", %s", g.member())
		}
		b.WriteByte('\n')
	}
	if g.IntN(2) == 0 {
		fmt.Fprintf(&b, "owner-%s: %s\n", g.pick("n0", "n1", "n2"), g.pick("daemon", "boss@far.example.net", "root, daemon", "n3@shop.test", "boss@", "<daemon",
			"a@b@c.test", "boss@corp.test", "(boss", "joe@lab"))
	}
	return b.String()
}

func (g generator) member() string {
	if g.IntN(4) == 0 {
		return g.address()
	}
	return g.name() + g.pick("", "", "+d", "@shop.test", "@far.example.net")
}

func (g generator) virtuals() string {
	var b strings.Builder
	for range 2 + g.IntN(8) {
		key := g.name() + g.pick("", "", "+d", "+*", "++")
		if g.IntN(3) == 0 {
			key = g.pick("", "+*", "++")
		}
		value := g.pick("error:nouser 550 No %1 here", "error:5.7.0:550 5.7.0 Closed", "error:4.2.1:450 Later", "error:tempfail 451 Busy",
			"error:550 plain", "error:5.1.1:No code", "error:", `error:5.1.1:"550 quoted"`, "error:5.4.6:550 a (b) <c> d@e", "%1", "%1+%2",
			"%1%3@club.test", "%1@far.example.net", "%2@shop.test", "%0", "%3", "@club.test", "!", "@")
		if g.IntN(2) == 0 {
			value = g.address()
		}
		fmt.Fprintf(&b, "%s@%s\t%s\n", key, g.pick("shop.test", "club.test"), value)
	}
	return b.String()
}

func (g generator) routes() string {
	var b strings.Builder
	for range 1 + g.IntN(6) {
		fmt.Fprintf(&b, "%s\t%s\n", g.pick("corp.test", ".corp.test", "a.corp.test", ".a.corp.test", "far.example.net", ".net", ".test", ".", "lab", "shop.test"),
			g.pick("esmtp:relay.example.net", "smtp:[192.0.2.7]", "relay:hub.example.net:2525", "esmtp:%1.x.net", "local:", "local:root", "local:n1+d",
				"error:nohost:No such", "error:5.1.2:550 bad %1", "error:550 no", "error:4.4.1:451 later", "error:", "relay.example.net",
				"esmtp:", "esmtp:user@h.net", "smtp:h more", "nomailer:x", "ESMTP:Up.Example.NET", "[192.0.2.9]"))
	}
	return b.String()
}

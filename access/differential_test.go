package access

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/lex"
	"github.com/mtakit/mtakit/internal/peer"
)

// TestDifferential asks the real sendmail, in address test mode, and this package the same random questions about the
// same random tables and switches. $MTAKIT_DIFFERENTIAL sets how many configurations are tried (default 4, 60 questions
// each), $MTAKIT_SEED the seed. All names are in class P, so that nobody asks the DNS.
func TestDifferential(t *testing.T) {
	if testing.Short() {
		t.Skip("asks sendmail")
	}
	run := sendmailTestMode(t)
	configs, seed := number("MTAKIT_DIFFERENTIAL", 4), number("MTAKIT_SEED", 1)
	asked, differ, refused := 0, 0, 0
	for n := range configs {
		r := rand.New(rand.NewPCG(uint64(seed), uint64(n)))
		w := randomWorld(r)
		answers := run(t, w)
		for i, q := range w.questions {
			asked++
			if answers[i] != "accept" {
				refused++
			}
			if got := q.ask(w); got != answers[i] {
				differ++
				t.Errorf("seed %d, configuration %d: %s\n sendmail %s\n     here %s\nfeatures %v\nlocal %s\n%s",
					seed, n, q, answers[i], got, w.features, w.local, w.table)
			}
		}
	}
	require.Greater(t, refused, asked/10, "sendmail refuses some")
	t.Logf("differential access: %d asked, %d refused or set aside, %d differ", asked, refused, differ)
}

func number(env string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(env)); err == nil {
		return n
	}
	return otherwise
}

// differentialWorld is a configuration, both for m4 and as a Policy, and the questions about it.
type differentialWorld struct {
	features  []string
	local     string
	table     string
	policy    Policy
	opt       Options
	questions []question
}

type question struct {
	ruleset    string // check_relay, check_mail, check_rcpt
	client     Client
	from, rcpt string
}

func (q question) String() string {
	return fmt.Sprintf("%s, client %s %s status %d HELO %s, from <%s>, to <%s>", q.ruleset, q.client.Name, q.client.Addr,
		q.client.Verified, q.client.HELO, q.from, q.rcpt)
}

// lines are what sendmail's test mode is told.
func (q question) lines() string {
	status := [...]string{"OK", "FAIL", "TEMP", "FORGED"}[q.client.Verified]
	s := ".D{client_addr}" + q.client.addr() + "\n.D{client_name}" + q.client.name() + "\n.D{client_ptr}" + q.client.name() +
		"\n.D{client_resolve}" + status + "\n.Ds" + q.client.HELO + "\n.Df" + q.from + "\n"
	switch q.ruleset {
	case "check_relay":
		return s + "AskRelay " + q.client.name() + " $| " + q.client.addr() + "\n"
	case "check_mail":
		return s + "check_mail <" + q.from + ">\n"
	}
	return s + "check_rcpt <" + q.rcpt + ">\n"
}

// ask is the answer of this package in the form of verdict.
func (q question) ask(w *differentialWorld) string {
	ctx := context.Background()
	var d Decision
	switch q.ruleset {
	case "check_relay":
		e := &eval{p: &w.policy, ctx: ctx, c: &q.client}
		d = e.decision(e.checkRelay())
	case "check_mail":
		d = w.policy.FromPath(ctx, q.client, q.from)
	default:
		d = w.policy.ToPath(ctx, q.client, q.from, q.rcpt)
	}
	switch d.Verdict {
	case Discard:
		return "discard"
	case Quarantine:
		return "quarantine " + d.Reason
	case Reject, TempFail:
		return d.Err.Error()
	}
	return "accept"
}

var (
	returns   = regexp.MustCompile(`^(?:check_mail|check_rcpt|AskRelay)\s+returns: (.*)$`)
	errorForm = regexp.MustCompile(`^\$# error(?: \$@ (.*?))? \$: (.*)$`)
)

// verdict reads what a ruleset returned.
func verdict(q question, line string) string {
	about := "<" + q.rcpt + ">"
	switch q.ruleset {
	case "check_relay":
		about = ""
	case "check_mail":
		about = "<" + q.from + ">"
	}
	m := errorForm.FindStringSubmatch(line)
	switch {
	case strings.HasPrefix(line, "$# discard"):
		return "discard"
	case m == nil:
		return "accept"
	}
	words := func(s string) string {
		toks, _, _ := lex.Scan(s, 0)
		return lex.Join(toks, " ")
	}
	dsn, text := words(m[1]), words(m[2])
	if dsn == "quarantine" {
		return "quarantine " + text
	}
	return reply(text, dsn, about).Error()
}

// sendmailTestMode returns a function that runs the questions of a world. It needs sendmail, m4 and a host name with a
// dot, without which sendmail sleeps for a minute.
func sendmailTestMode(t *testing.T) func(*testing.T, *differentialWorld) []string {
	const cf = "/usr/share/sendmail/cf/"
	for _, prog := range []string{"sendmail", "m4", "makemap"} {
		peer.Program(t, prog)
	}
	if _, err := os.Stat(cf + "m4/cf.m4"); err != nil {
		peer.Missing(t, "package sendmail-cf is not installed")
	}
	script := `hostname mx.our.test && exec sendmail -C "$1" -bt`
	prefix := []string{peer.Unshare(t), "--uts", "sh", "-c", script, "sh"}
	return func(t *testing.T, w *differentialWorld) []string {
		dir := t.TempDir()
		makemap := exec.Command("makemap", "hash", filepath.Join(dir, "access"))
		makemap.Stdin = strings.NewReader(w.table)
		out, err := makemap.CombinedOutput()
		require.NoError(t, err, "%s", out)
		mc := strings.Join(append([]string{"OSTYPE(`linux')", "define(`confDOMAIN_NAME', `mx.our.test')",
			"define(`confDONT_PROBE_INTERFACES', `True')", "define(`confDONT_BLAME_SENDMAIL', `MapInUnsafeDirPath')",
			"FEATURE(`access_db', `hash -T<TMPF> " + filepath.Join(dir, "access") + "'" + w.opt.arguments() + ")"}, w.features...), "dnl\n") +
			"dnl\nMAILER(`local')dnl\nMAILER(`smtp')dnl\nLOCAL_CONFIG\nCPtest\n" + w.local +
			"LOCAL_RULESETS\nSAskRelay\nR$* $$| $*\t\t$@ $>" + w.relayRuleset() + " $1 $| $2\n"
		m4 := exec.Command("m4", "-D_CF_DIR_="+cf, cf+"m4/cf.m4", "-")
		m4.Stdin = strings.NewReader(mc)
		var config, complaints bytes.Buffer
		m4.Stdout, m4.Stderr = &config, &complaints
		require.NoError(t, m4.Run(), "%s", &complaints)
		require.NotContains(t, complaints.String(), "ERROR", mc)
		file := filepath.Join(dir, "sendmail.cf")
		require.NoError(t, os.WriteFile(file, config.Bytes(), 0o644))

		var in strings.Builder
		for _, q := range w.questions {
			in.WriteString(q.lines())
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, prefix[0], append(prefix[1:], file)...)
		cmd.Stdin = strings.NewReader(in.String())
		out, err = cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		var answers []string
		for _, line := range strings.Split(string(out), "\n") {
			if m := returns.FindStringSubmatch(strings.TrimLeft(line, "> ")); m != nil {
				require.Less(t, len(answers), len(w.questions))
				answers = append(answers, verdict(w.questions[len(answers)], m[1]))
			}
		}
		require.Len(t, answers, len(w.questions), "%s\n%s", in.String(), out)
		return answers
	}
}

func (w *differentialWorld) relayRuleset() string {
	if w.policy.DelayChecks != CheckAtOnce {
		return "checkrelay"
	}
	return "check_relay"
}

func (o Options) arguments() string {
	var s string
	for arg, on := range map[string]bool{"skip": o.Skip, "lookupdotdomain": o.LookupDotDomain, "relaytofulladdress": o.RelayToFullAddress} {
		if on {
			s += ",`" + arg + "'"
		}
	}
	return s
}

// randomWorld draws a configuration with sixty questions.
func randomWorld(r *rand.Rand) *differentialWorld {
	pick := func(from ...string) string { return from[r.IntN(len(from))] }
	chance := func(percent int) bool { return r.IntN(100) < percent }
	w := &differentialWorld{policy: Policy{Hostname: "mx.our.test", Pseudo: []string{"test"}}}
	w.opt = Options{Skip: chance(30), LookupDotDomain: chance(30), RelayToFullAddress: chance(20)}
	p := &w.policy
	feature := func(percent int, line string, set func()) {
		if chance(percent) {
			w.features = append(w.features, line)
			set()
		}
	}
	feature(50, "FEATURE(`blocklist_recipients')", func() { p.BlocklistRecipients = true })
	switch r.IntN(6) {
	case 0:
		feature(100, "FEATURE(`delay_checks')", func() { p.DelayChecks = Delay })
	case 1:
		feature(100, "FEATURE(`delay_checks', `friend')", func() { p.DelayChecks = DelayFriend })
	case 2:
		feature(100, "FEATURE(`delay_checks', `hater')", func() { p.DelayChecks = DelayHater })
	}
	feature(20, "FEATURE(`accept_unqualified_senders')", func() { p.AcceptUnqualified = true })
	feature(20, "FEATURE(`loose_relay_check')", func() { p.LooseRelayCheck = true })
	feature(20, "FEATURE(`relay_entire_domain')", func() { p.RelayEntireDomain = true })
	feature(20, "FEATURE(`relay_hosts_only')", func() { p.RelayHostsOnly = true })
	feature(20, "FEATURE(`relay_local_from')", func() { p.RelayLocalFrom = true })
	feature(10, "FEATURE(`promiscuous_relay')", func() { p.PromiscuousRelay = true })
	feature(20, "FEATURE(`require_rdns')", func() { p.RequireRDNS = true })
	feature(20, "FEATURE(`use_client_ptr')", func() { p.UseClientPTR = true })
	feature(25, "FEATURE(`block_bad_helo')", func() { p.BlockBadHELO = true })
	if chance(30) {
		feature(50, "FEATURE(`relay_mail_from')", func() { p.RelayMailFrom = FromAddress })
	} else if chance(20) {
		feature(50, "FEATURE(`relay_mail_from', `domain')", func() { p.RelayMailFrom = FromDomain })
	}
	feature(15, "define(`confREJECT_MSG', `550 5.7.99 Go away')", func() { p.RejectText = "550 5.7.99 Go away" })
	feature(15, "define(`confRELAY_MSG', `\"551 Not here\"')", func() { p.RelayText = "551 Not here" })
	local := mtakit.DomainSet{"our.test": true}
	w.local = "Cwour.test\n"
	if chance(40) {
		word := pick("branch.test", "10.1", "sub.far.test", "IPv6:2001:db8:1", "198.51.100.8", "far.test")
		p.Relay, w.local = RelayDomains{word}, w.local+"CR"+word+"\n"
	}
	if chance(20) {
		local["own.test"], w.local = true, w.local+"Cwown.test\n"
	}
	p.Local = local

	domains := []string{"far.test", "sub.far.test", "a.sub.far.test", "spam.test", "our.test", "own.test", "branch.test",
		"x.branch.test", "mx.our.test", "test", "xfar.test"}
	names := []string{"u", "v", "u+x", "u+", "+x", "ann", "ann+list", `"q"`, "u%far.test", "spam.test!u", "U"}
	nets := []string{"198.51.100.7", "198.51.100", "198.51", "198", "10.1", "10", "IPv6:2001:db8", "IPv6:2001:db8:1", "IPv6",
		"[198.51.100.8]", "[198.51]"}
	key := func() string {
		tag := pick("", "", "Connect:", "From:", "To:", "Spam:", "from:")
		switch r.IntN(6) {
		case 0:
			return tag + pick(nets...)
		case 1:
			return tag + "." + pick(domains...)
		case 2:
			return tag + pick("u", "v", "ann", "ann+*", "u+*", "u+x") + "@"
		case 3:
			return tag + pick("u", "v", "ann", "ann+*", "u+*", "u+x") + "@" + pick(domains...)
		}
		return tag + pick(domains...)
	}
	value := func() string {
		return pick("OK", "RELAY", "REJECT", "DISCARD", "SKIP", "relay", "QUARANTINE:why not", "ERROR:5.7.1:550 no", "ERROR:4.7.1:450 later",
			"550 5.1.1 plain", "plain words", "FRIEND", "HATER", "ERROR:no code", `ERROR:5.2.2:"550 a, b. c"`, "421 4.7.0 bye",
			"550 see (not) http://x.test/", "REJECT now", "OK (really)", "550 %0 %1 %%")
	}
	seen := map[string]bool{}
	for range 4 + r.IntN(20) {
		if k := key(); !seen[strings.ToLower(k)] {
			seen[strings.ToLower(k)] = true
			w.table += k + "\t" + value() + "\n"
		}
	}
	file, err := Parse(strings.NewReader(w.table), "access")
	if err != nil {
		panic(err)
	}
	p.Access = New(file, &w.opt)

	clients := []Client{
		{Addr: netip.MustParseAddr("198.51.100.7"), Name: "a.sub.far.test"}, {Addr: netip.MustParseAddr("198.51.100.8"), Verified: NameFail},
		{Addr: netip.MustParseAddr("198.51.100.9"), Verified: NameForged}, {Addr: netip.MustParseAddr("198.51.7.1"), Verified: NameTemp},
		{Addr: netip.MustParseAddr("10.1.2.3"), Name: "pc.branch.test"}, {Addr: netip.MustParseAddr("127.0.0.1"), Name: "localhost"},
		{Addr: netip.MustParseAddr("2001:db8:1::5"), Name: "six.test"}, {Addr: netip.MustParseAddr("2001:db8:2::5"), Verified: NameFail},
		{Addr: netip.MustParseAddr("203.0.113.9"), Name: "mx.spam.test"},
	}
	address := func() string {
		if chance(10) {
			return pick(names...)
		}
		return pick(names...) + "@" + pick(domains...)
	}
	rulesets := []string{"check_rcpt", "check_rcpt", "check_relay", "check_mail"}
	if p.DelayChecks != CheckAtOnce {
		rulesets = []string{"check_rcpt"}
	}
	for range 60 {
		q := question{ruleset: pick(rulesets...), client: clients[r.IntN(len(clients))], from: address(), rcpt: address()}
		q.client.HELO = pick("mail.far.test", "single", "our.test", ".x", "x.", "[198.51.100.8]")
		q.client.PTR = q.client.Name
		if q.ruleset == "check_mail" && chance(5) {
			q.from = ""
		}
		w.questions = append(w.questions, q)
	}
	return w
}

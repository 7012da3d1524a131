package access_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"path"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/access"
	"github.com/mtakit/mtakit/internal/vectordir"
)

// TestVectorsAccess replays SMTP sessions that the real sendmail 8.17.1 answered, and compares every reply. The cases
// below testdata/vectors, or below $MTAKIT_VECTORS/access when that is set, are run; testdata/vectors/README.md
// describes them.
func TestVectorsAccess(t *testing.T) {
	dir := vectordir.Open(t, "access", "testdata/vectors")
	passed, failed := 0, 0
	for _, name := range vectordir.Files(t, dir, ".jsonl") {
		worlds := readWorlds(t, dir, path.Join(path.Dir(name), "configs.json"))
		text, err := fs.ReadFile(dir, name)
		require.NoError(t, err)
		t.Run(strings.TrimSuffix(name, ".jsonl"), func(t *testing.T) {
			for _, c := range readCases(t, name, text) {
				w := worlds[c.Config]
				if w == nil {
					t.Errorf("%s: no configuration %q", c.ID, c.Config)
					failed++
				} else if diff := w.run(t, c); diff != "" {
					t.Errorf("%s %s: %s", c.ID, c.Config, diff)
					failed++
				} else {
					passed++
				}
			}
		})
	}
	require.NotZero(t, passed+failed, "no vectors found")
	t.Logf("vectors access: %d passed, %d failed", passed, failed)
}

// vector is one case. Unknown fields are an error.
type vector struct {
	ID, Config, Op string
	Note           string
	Input          struct {
		ClientAddr string   `json:"client_addr"`
		HELO       string   `json:"helo"`
		MailFrom   string   `json:"mail_from"`
		RcptTo     []string `json:"rcpt_to"`
		Sequence   int      `json:"sequence"`
	}
	Expect struct {
		Verdict, Phase, Reason string
		Queued                 []string
		Replies                *session
		Mail                   *response
	}
	Raw json.RawMessage
}

// session is what the client saw. A command that was not given has no reply.
type session struct {
	Connect, HELO, Mail *response
	Rcpt                []response
	Data, Dot           *response
}

type response struct {
	Code      int
	Enh, Text string
	Lines     []string
	To        string
}

func readCases(t *testing.T, name string, text []byte) []vector {
	var cases []vector
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	for dec.More() {
		var c vector
		require.NoError(t, dec.Decode(&c), "%s, after %d cases", name, len(cases))
		cases = append(cases, c)
	}
	// Cases with a sequence number ran one after the other against one daemon.
	sort.SliceStable(cases, func(i, j int) bool { return cases[i].Input.Sequence < cases[j].Input.Sequence })
	return cases
}

// world is a configuration made into a Policy, with the users and the DNS of that world.
type world struct {
	policy  access.Policy
	dns     *zone
	aliases map[string]bool
	conns   *access.Connections
}

type config struct {
	Features, Defines, Local, Mailers []string
	OSType                            string
	Tables                            map[string]string
	MakemapOutput                     json.RawMessage `json:"makemap_output"`
	Files, NoHome                     json.RawMessage
	DNS                               struct {
		Recs     [][]any
		ServFail []string
	}
}

func readWorlds(t *testing.T, dir fs.FS, name string) map[string]*world {
	text, err := fs.ReadFile(dir, name)
	require.NoError(t, err)
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	var configs map[string]config
	require.NoError(t, dec.Decode(&configs))
	worlds := make(map[string]*world)
	for n, c := range configs {
		worlds[n] = newWorld(t, n, c)
	}
	return worlds
}

func newWorld(t *testing.T, name string, c config) *world {
	w := &world{dns: newZone(t, c), aliases: map[string]bool{}, conns: new(access.Connections)}
	for _, line := range strings.Split(c.Tables["aliases"], "\n") {
		if key, _, ok := strings.Cut(line, ":"); ok {
			w.aliases[strings.ToLower(strings.TrimSpace(key))] = true
		}
	}
	local := mtakit.DomainSet{"[ipv6:2001:db8:0:0:0:0:0:10]": true}
	w.policy = access.Policy{Hostname: "mx.example.com", Local: local, DNS: w.dns}
	for _, f := range c.Features {
		w.feature(t, name, f, c.Tables)
	}
	define := regexp.MustCompile("^define\\(`(\\w+)', *`(.*)'\\)$")
	for _, d := range c.Defines {
		m := define.FindStringSubmatch(d)
		require.NotNil(t, m, "%s: define %q", name, d)
		switch m[1] {
		case "confREJECT_MSG":
			w.policy.RejectText = m[2]
		case "confRELAY_MSG":
			w.policy.RelayText = m[2]
		case "confRCPTREJ_MSG":
			w.policy.MailboxText = m[2]
		default:
			require.Fail(t, "unknown define", "%s: %s", name, d)
		}
	}
	for _, l := range c.Local {
		for _, line := range strings.Split(l, "\n") {
			if line == "LOCAL_CONFIG" || line == "" {
				continue
			}
			require.True(t, len(line) > 2 && line[0] == 'C', "%s: local line %q", name, line)
			words := strings.Fields(line[2:])
			switch line[1] {
			case 'R':
				w.policy.Relay = append(w.policy.Relay, words...)
			case 'P':
				w.policy.Pseudo = append(w.policy.Pseudo, words...)
			case 'w':
				for _, d := range words {
					local[strings.ToLower(d)] = true
				}
			default:
				require.Fail(t, "unknown class", "%s: %s", name, line)
			}
		}
	}
	return w
}

var (
	featureCall = regexp.MustCompile(`^FEATURE\((.*)\)$`)
	m4Argument  = regexp.MustCompile("`([^']*)'")
)

// feature applies one FEATURE line.
func (w *world) feature(t *testing.T, name, line string, tables map[string]string) {
	m := featureCall.FindStringSubmatch(line)
	require.NotNil(t, m, "%s: feature %q", name, line)
	var args []string
	for _, a := range m4Argument.FindAllStringSubmatch(m[1], -1) {
		args = append(args, a[1])
	}
	arg := func(n int) string {
		if n < len(args) {
			return args[n]
		}
		return ""
	}
	p := &w.policy
	switch args[0] {
	case "access_db":
		var opt access.Options
		for _, a := range args[min(2, len(args)):] {
			switch a {
			case "skip":
				opt.Skip = true
			case "lookupdotdomain":
				opt.LookupDotDomain = true
			case "relaytofulladdress":
				opt.RelayToFullAddress = true
			default:
				require.Fail(t, "unknown argument", "%s: %s", name, line)
			}
		}
		p.Access = access.New(accessTable(t, tables, arg(1)), &opt)
	case "blocklist_recipients", "blacklist_recipients":
		p.BlocklistRecipients = true
	case "delay_checks":
		p.DelayChecks = map[string]access.DelayChecks{"": access.Delay, "friend": access.DelayFriend, "hater": access.DelayHater}[arg(1)]
	case "relay_based_on_MX":
		p.RelayMX = access.BackupMXFunc(w.includesSelf)
	case "accept_unresolvable_domains":
		p.AcceptUnresolvable = true
	case "accept_unqualified_senders":
		p.AcceptUnqualified = true
	case "nocanonify":
		p.NoCanonify = true
	case "loose_relay_check":
		p.LooseRelayCheck = true
	case "relay_entire_domain":
		p.RelayEntireDomain = true
	case "relay_hosts_only":
		p.RelayHostsOnly = true
	case "relay_mail_from":
		p.RelayMailFrom = map[string]access.RelayMailFrom{"": access.FromAddress, "domain": access.FromDomain}[arg(1)]
	case "relay_local_from":
		p.RelayLocalFrom = true
	case "promiscuous_relay":
		p.PromiscuousRelay = true
	case "require_rdns":
		p.RequireRDNS = true
	case "use_client_ptr":
		p.UseClientPTR = true
	case "block_bad_helo":
		p.BlockBadHELO = true
	case "badmx":
		p.BadMX = true
	case "ratecontrol", "conncontrol":
		p.RateControl = p.RateControl || args[0] == "ratecontrol"
		p.ConnControl = p.ConnControl || args[0] == "conncontrol"
		p.ControlNow = p.ControlNow || arg(1) == "nodelay"
		p.ControlClose = p.ControlClose || arg(2) == "terminate"
	default:
		require.Fail(t, "unknown feature", "%s: %s", name, line)
	}
}

// includesSelf says whether the MX list of domain names this host.
func (w *world) includesSelf(ctx context.Context, domain string) (bool, error) {
	list, err := w.dns.LookupMX(ctx, domain)
	for _, mx := range list {
		if own, _ := w.policy.Local.Contains(ctx, mx.Host); own || mx.Host == "mx.example.com" {
			return true, nil
		}
	}
	var d *net.DNSError
	if errors.As(err, &d) && d.IsNotFound {
		name, _ := w.dns.find(domain) // without MX the domain stands for itself, by its canonical name
		return name == "mx.example.com", nil
	}
	return false, err
}

// accessTable parses the access table of a world. A missing file is an empty table if the map is optional, and a
// table that can never tell otherwise.
func accessTable(t *testing.T, tables map[string]string, definition string) mtakit.Table {
	text, ok := tables["access"]
	if ok {
		f, err := access.Parse(strings.NewReader(text), "access")
		require.NoError(t, err)
		return f
	}
	if strings.Contains(definition, "-o") {
		return mtakit.MapTable{}
	}
	return mtakit.TableFunc(func(context.Context, string) (string, bool, error) { return "", false, fs.ErrNotExist })
}

// run replays a case and returns what differs.
func (w *world) run(t *testing.T, c vector) string {
	switch c.Op {
	case "smtp":
		got := w.session(c)
		return difference(got, c)
	case "mail_from":
		c.Input.RcptTo = nil
		got := w.session(c)
		return sameResponse("mail", got.replies.Mail, c.Expect.Mail)
	}
	return fmt.Sprintf("unknown op %q", c.Op)
}

type observed struct {
	replies   session
	discard   bool
	reason    string
	quarantin bool
	queued    []string
}

// session plays server and client.
func (w *world) session(c vector) (o observed) {
	ctx := context.Background()
	addr := netip.MustParseAddr(c.Input.ClientAddr)
	client := access.Identify(ctx, w.dns, addr)
	client.HELO = c.Input.HELO
	if c.Input.Sequence > 0 {
		client.Rate, client.Open = w.conns.Open(addr)
		defer w.conns.Close(addr)
	}
	conn := w.policy.Connect(ctx, client)
	o.note(conn)
	if conn.Err != nil && conn.Err.Code == 421 {
		o.replies.Connect = responseTo(conn.Err)
		return o
	}
	o.replies.Connect, o.replies.HELO = &response{Code: 220}, &response{Code: 250}
	if conn.Err != nil {
		o.replies.Mail = responseTo(conn.Err)
		return o
	}
	from := w.policy.FromPath(ctx, client, c.Input.MailFrom)
	o.note(from)
	o.replies.Mail = &response{Code: 250, Enh: "2.1.0", Text: "<" + c.Input.MailFrom + ">... Sender ok"}
	if from.Err != nil {
		o.replies.Mail = responseTo(from.Err)
		return o
	}
	for _, rcpt := range c.Input.RcptTo {
		r := w.rcpt(ctx, client, c.Input.MailFrom, rcpt, &o)
		r.To = rcpt
		o.replies.Rcpt = append(o.replies.Rcpt, *r)
		if r.Code < 300 {
			o.queued = append(o.queued, "<"+rcpt+">")
		}
		if r.Code == 421 {
			break // and the connection ends
		}
	}
	sort.Strings(o.queued)
	return o
}

func (w *world) rcpt(ctx context.Context, client access.Client, from, rcpt string, o *observed) *response {
	// The routing of the recipient finds errors of syntax before, and unknown users after, the access checks.
	local, domain, fault := w.parse(ctx, rcpt)
	if fault != nil {
		return responseTo(fault)
	}
	d := w.policy.ToPath(ctx, client, from, rcpt)
	o.note(d)
	if d.Err != nil {
		return responseTo(d.Err)
	}
	ok := &response{Code: 250, Enh: "2.1.5", Text: "<" + rcpt + ">... Recipient ok"}
	if o.discard {
		return ok // what is dropped needs no mailbox
	}
	if domain != "" {
		if !w.policy.NoCanonify && w.dns.servfail[domain] {
			ok.Text += " (will queue)"
		}
		return ok
	}
	user, _, _ := strings.Cut(local, "+")
	if lower := strings.ToLower(user); !users[user] && !users[lower] && !w.aliases[lower] {
		return &response{Code: 550, Enh: "5.1.1", Text: "<" + rcpt + ">... User unknown"}
	}
	return ok
}

var users = map[string]bool{
	"root": true, "daemon": true, "bin": true, "mail": true, "smmsp": true, "smmta": true, "nobody": true,
	"mtk1": true, "mtk2": true, "mtk3": true, "mtk4": true, "mtk5": true, "mtk6": true, "mtk7": true, "mtk8": true,
	"mtk9": true, "ann.lee": true, "a-b_c": true, "Mixed": true, "mtk+x": true,
}

// parse is the routing that these worlds need: local domains, the percent hack, quoted names, route addresses.
func (w *world) parse(ctx context.Context, rcpt string) (local, domain string, fault *mtakit.Error) {
	for {
		if strings.HasPrefix(rcpt, "@") {
			_, rcpt, _ = strings.Cut(rcpt, ":")
		}
		at := strings.LastIndexByte(rcpt, '@')
		if at < 0 {
			if host, user, ok := strings.Cut(rcpt, "!"); ok {
				return user, host, nil
			}
			if at = strings.LastIndexByte(rcpt, '%'); at < 0 {
				return strings.Trim(rcpt, `"`), "", nil
			}
		}
		local, domain = rcpt[:at], strings.ToLower(rcpt[at+1:])
		if strings.Contains(local, "@") && !strings.HasPrefix(local, `"`) {
			text := "<" + rcpt + ">... Invalid route address"
			return "", "", &mtakit.Error{Code: 553, Status: mtakit.StatusMailboxSyntax, Text: text}
		}
		domain = strings.TrimSuffix(domain, ".")
		if name, err := w.dns.find(domain); err == nil && !w.policy.NoCanonify {
			domain = name
		}
		own, _ := w.policy.Local.Contains(ctx, domain)
		if !own && domain != "localhost" && domain != "mx.example.com" {
			return local, domain, nil
		}
		rcpt = strings.Trim(local, `"`)
	}
}

func (o *observed) note(d access.Decision) {
	switch d.Verdict {
	case access.Discard:
		o.discard = true
	case access.Quarantine:
		o.quarantin, o.reason = true, d.Reason
	}
}

func responseTo(e *mtakit.Error) *response {
	return &response{Code: e.ReplyCode(), Enh: e.EnhancedStatus().String(), Text: e.Text}
}

// difference compares replies, verdict, phase, reason and queue.
func difference(got observed, c vector) string {
	want := c.Expect.Replies
	for _, pair := range []struct {
		name      string
		got, want *response
	}{
		{"connect", got.replies.Connect, want.Connect}, {"helo", got.replies.HELO, want.HELO},
		{"mail", got.replies.Mail, want.Mail},
	} {
		if d := sameResponse(pair.name, pair.got, pair.want); d != "" {
			return d
		}
	}
	if len(got.replies.Rcpt) != len(want.Rcpt) {
		return fmt.Sprintf("%d RCPT replies, want %d", len(got.replies.Rcpt), len(want.Rcpt))
	}
	for i := range want.Rcpt {
		if d := sameResponse("rcpt "+want.Rcpt[i].To, &got.replies.Rcpt[i], &want.Rcpt[i]); d != "" {
			return d
		}
	}
	verdict, phase := got.verdict()
	if c.Expect.Phase != phase || c.Expect.Verdict != verdict {
		return fmt.Sprintf("verdict %s %s, want %s %s", verdict, phase, c.Expect.Verdict, c.Expect.Phase)
	}
	if verdict == "quarantine" && got.reason != c.Expect.Reason {
		return fmt.Sprintf("reason %q, want %q", got.reason, c.Expect.Reason)
	}
	if c.Expect.Queued != nil && fmt.Sprint(got.queued) != fmt.Sprint(c.Expect.Queued) {
		return fmt.Sprintf("queued %v, want %v", got.queued, c.Expect.Queued)
	}
	return ""
}

func (o *observed) verdict() (verdict, phase string) {
	word := func(code int) string {
		if code < 500 {
			return "tempfail"
		}
		return "reject"
	}
	if r := o.replies.Connect; r.Code != 220 {
		return word(r.Code), "connect"
	}
	if r := o.replies.Mail; r.Code >= 400 {
		return word(r.Code), "mail"
	}
	if len(o.queued) == 0 && len(o.replies.Rcpt) > 0 {
		return word(o.replies.Rcpt[0].Code), "rcpt"
	}
	switch {
	case o.discard:
		return "discard", ""
	case o.quarantin:
		return "quarantine", ""
	}
	return "accept", ""
}

func sameResponse(name string, got, want *response) string {
	if got == nil && want == nil {
		return ""
	}
	if got == nil || want == nil {
		return fmt.Sprintf("%s: got %+v, want %+v", name, got, want)
	}
	if got.Code != want.Code || got.Enh != want.Enh || got.Text != want.Text {
		return fmt.Sprintf("%s:\n got %d %s %s\nwant %d %s %s", name, got.Code, got.Enh, got.Text, want.Code, want.Enh, want.Text)
	}
	return ""
}

// zone is the DNS of a world, and the hosts file that all worlds share.
type zone struct {
	recs     map[string][]string // "name type" -> data
	mx       map[string][]*net.MX
	servfail map[string]bool
}

func newZone(t *testing.T, c config) *zone {
	z := &zone{recs: map[string][]string{}, mx: map[string][]*net.MX{}, servfail: map[string]bool{}}
	for _, n := range c.DNS.ServFail {
		z.servfail[n] = true
	}
	recs := append(c.DNS.Recs, []any{"mx.example.com", "A", "192.0.2.10"}, []any{"mx.example.com", "AAAA", "2001:db8::10"},
		[]any{"10.2.0.192.in-addr.arpa", "PTR", "mx.example.com"}, []any{"localhost", "A", "127.0.0.1"},
		[]any{"localhost", "AAAA", "::1"}, []any{"mx", "CNAME", "mx.example.com"},
		[]any{"1.0.0.127.in-addr.arpa", "PTR", "localhost"},
		[]any{reverse("::1"), "PTR", "localhost"})
	for _, r := range recs {
		name, kind := strings.ToLower(r[0].(string)), r[1].(string)
		switch kind {
		case "A", "AAAA", "CNAME", "PTR":
			z.recs[name+" "+kind] = append(z.recs[name+" "+kind], r[2].(string))
		case "MX":
			z.mx[name] = append(z.mx[name], &net.MX{Host: r[3].(string), Pref: uint16(r[2].(float64))})
		case "TXT":
		default:
			require.Fail(t, "unknown record", "%v", r)
		}
	}
	return z
}

// find follows aliases from name to the name that they stand for.
func (z *zone) find(name string) (string, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for range 10 {
		if z.servfail[name] {
			return "", &net.DNSError{Err: "server failure", Name: name, IsTemporary: true}
		}
		target := z.recs[name+" CNAME"]
		if target == nil {
			break
		}
		name = strings.ToLower(target[0])
	}
	return name, nil
}

func none(name string) error { return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true} }

func (z *zone) LookupCNAME(_ context.Context, host string) (string, error) {
	name, err := z.find(host)
	if err == nil && z.recs[name+" A"] == nil && z.recs[name+" AAAA"] == nil && z.mx[name] == nil {
		err = none(host)
	}
	return name + ".", err
}

func (z *zone) LookupMX(_ context.Context, domain string) ([]*net.MX, error) {
	name, err := z.find(domain)
	if err == nil && z.mx[name] == nil {
		err = none(domain)
	}
	return z.mx[name], err
}

func (z *zone) LookupHost(_ context.Context, host string) ([]string, error) {
	name, err := z.find(host)
	addrs := append(z.recs[name+" A"][:len(z.recs[name+" A"]):len(z.recs[name+" A"])], z.recs[name+" AAAA"]...)
	if err == nil && len(addrs) == 0 {
		err = none(host)
	}
	return addrs, err
}

func (z *zone) LookupAddr(_ context.Context, addr string) ([]string, error) {
	name, err := z.find(reverse(addr))
	if err == nil && z.recs[name+" PTR"] == nil {
		err = none(addr)
	}
	return z.recs[name+" PTR"], err
}

// reverse returns the name under which the PTR record of addr stands.
func reverse(addr string) string {
	a := netip.MustParseAddr(addr)
	var labels []string
	if a.Is4() {
		for _, b := range a.As4() {
			labels = append([]string{fmt.Sprint(b)}, labels...)
		}
		return strings.Join(labels, ".") + ".in-addr.arpa"
	}
	for _, b := range a.As16() {
		labels = append([]string{fmt.Sprintf("%x", b&15), fmt.Sprintf("%x", b>>4)}, labels...)
	}
	return strings.Join(labels, ".") + ".ip6.arpa"
}

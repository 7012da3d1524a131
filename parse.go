package mtakit

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/mtakit/mtakit/internal/lex"
)

// maxRewrite is how deep sendmail nests its rewriting rulesets. It ends loops in the virtusertable.
const maxRewrite = 50

// maxExpansion is how long an address may grow in the virtusertable, in bytes: a value that names its argument twice doubles
// it at every turn. sendmail's limit is one of the tokens, with this text.
const (
	maxExpansion     = 4096
	expansionTooLong = "prescan: token too long"
)

// parsed is what the address rules make of one text: sendmail's ADDRESS when it leaves parseaddr.
type parsed struct {
	route     Route // as the mailer gets it
	addr      Address
	canonical bool  // route.Host is a canonical domain name; sendmail shows it with a final dot
	noRewrite bool  // the detail has been split off: local rewriting must not happen again
	wait      bool  // err is temporary
	silent    bool  // err is not reported to the submitter (a name server that does not answer)
	err       error // why the address is bad, or why it must wait
	notes     *notes
	tokens    [2]string // of a plain address
}

// notes are what there is to say about an address besides its route. Most addresses have none.
type notes struct {
	steps   []Step
	repairs []error // what had to be repaired in the text
	tooDeep []error // rewriting was cut short
}

// noted returns the notes, none if there are none.
func (out *parsed) noted() notes {
	if out.notes == nil {
		return notes{}
	}
	return *out.notes
}

// toNote returns the notes to write into.
func (out *parsed) toNote() *notes {
	if out.notes == nil {
		out.notes = new(notes)
	}
	return out.notes
}

func (out *parsed) addStep(s Step) { out.toNote().steps = append(out.toNote().steps, s) }

// parser reads one address. It is a value on the stack; all state of the run is in the resolver's arguments.
type parser struct {
	r      *Resolver
	ctx    context.Context
	out    *parsed
	triple *Route // gets the triple as the address test mode shows it, if anybody wants it
}

// show notes the triple of f.
func (p *parser) show(mailer, host string, f focus) {
	if p.triple != nil {
		*p.triple = Route{mailer, host, f.text()}
	}
}

// parse applies the standard configuration's rulesets canonify and parse to the text of one address. It returns false
// when the text holds nothing but comments.
func (r *Resolver) parse(ctx context.Context, text string, out *parsed) bool {
	p := parser{r: r, ctx: ctx, out: out}
	return p.parse(text)
}

func (p *parser) parse(text string) bool {
	f, ok := plainFocus(text, &p.out.tokens)
	if !ok {
		tokens, _, faults := lex.Scan(text, 0)
		for _, fault := range faults {
			notes := p.out.toNote()
			notes.repairs = append(notes.repairs, faultFail(fault).Err())
		}
		if len(tokens) == 0 {
			return len(faults) > 0 && p.fail(faultFail(faults[0]).Err())
		}
		f = findFocus(tokens)
	}
	p.rewrite(f, 0)
	return true
}

// fail makes the address bad, or makes it wait when the verdict is temporary.
func (p *parser) fail(err error) bool {
	p.out.err, p.out.wait, p.out.silent = err, Temporary(err), false
	if p.out.route.Mailer == "" {
		p.out.route = Route{Mailer: MailerError}
	}
	return true
}

// hold notes that some table could not tell. What is known so far is used, and the recipient waits.
func (p *parser) hold(err error, silent bool) {
	if p.out.err == nil {
		p.out.err, p.out.wait, p.out.silent = asTemporary(err), true, silent || !isVerdict(err)
	}
}

// syntax rejects the address for its form.
func (p *parser) syntax(status Status, text string) {
	if p.triple != nil {
		*p.triple = Route{MailerError, status.String(), `"553 ` + text + `"`}
	}
	p.fail(&Error{Code: 553, Status: status, Text: text})
}

var errNameServer = errors.New("name server timeout")

// rewrite resolves f to a mailer. level counts nested rulesets as sendmail does.
func (p *parser) rewrite(f focus, level int) {
	if level > maxRewrite {
		p.tooDeep("canonify")
		p.tooDeep("parse")
		p.local(f.asText())
		return
	}
	p.canonify(&f)
	if f, ok := p.check(f, level+1); ok {
		p.choose(&f, level+1)
	}
}

// address decodes f for a table. A local part of several words, some of them quoted, keeps its quotes.
func (f focus) address() Address {
	if len(f.local) == 1 {
		return Address{stripQuotes(f.local[0]), f.domain()}
	}
	return Address{lex.Join(f.local, " "), f.domain()}
}

// asText takes back what findFocus did; the tokens stand in a row again.
func (f focus) asText() []string {
	if f.form != hosted {
		return f.local
	}
	return slices.Concat(f.local, []string{"@"}, f.host)
}

func (p *parser) tooDeep(ruleset string) {
	notes := p.out.toNote()
	notes.tooDeep = append(notes.tooDeep, &Error{Code: 554, Status: StatusPermanent, Exit: exitSoftware,
		Text: "rewrite: excessive recursion (max " + strconv.Itoa(maxRewrite) + "), ruleset " + ruleset})
}

func (p *parser) canonify(f *focus) {
	retry, err := p.r.canonifyHost(p.ctx, f)
	if err != nil {
		p.hold(err, false)
	} else if retry {
		p.hold(&Error{Code: 451, Status: StatusDirectory, Text: f.domain() + ": Name server timeout", Err: errNameServer}, true)
	}
}

// check is ruleset Parse0: it rejects what has no meaning, and drops a domain that is ours as long as the user part
// still names another host. ok is false when the address is settled.
func (p *parser) check(f focus, level int) (_ focus, ok bool) {
	if level > maxRewrite {
		p.tooDeep("Parse0")
		return f, true
	}
	if f.plain != "" {
		return f, true
	}
	switch f.form {
	case nullPath:
		p.show(MailerLocal, "", f)
		p.out.route = Route{MailerLocal, "", ""}
		return f, false
	case listForm:
		p.syntax(StatusMailboxSyntax, "List:; syntax illegal for recipient addresses")
		return f, false
	case unfocused:
		if p.strayComma(f) {
			return f, false
		}
		if len(f.local) == 1 && f.local[0] != "" && f.local[0][0] == '"' {
			f.local = dequote(f.local[0])
			if len(f.local) == 0 {
				p.syntax(StatusMailboxSyntax, "User address required")
				return f, false
			}
			if hasRouteOperator(f.local) {
				return p.again(f, level)
			}
		}
		return f, true
	}
	if !p.checkHosted(f) {
		return f, false
	}
	if local, err := p.r.isOurs(p.ctx, &f); err != nil {
		p.hold(err, false)
	} else if local {
		if len(f.local) == 1 && f.local[0][0] == '"' {
			f.local = dequote(f.local[0])
			if len(f.local) == 0 {
				p.syntax(StatusMailboxSyntax, "User address required")
				return f, false
			}
		}
		if hasRouteOperator(f.local) {
			return p.again(f, level)
		}
	}
	return f, true
}

// again reads the user part as an address of its own.
func (p *parser) again(f focus, level int) (focus, bool) {
	f = findFocus(f.local)
	p.canonify(&f)
	return p.check(f, level+1)
}

// checkHosted is the syntax check of an address with a domain.
func (p *parser) checkHosted(f focus) bool {
	host := f.domain()
	if len(f.local) == 1 && f.local[0] == "@" {
		f.local = nil
	}
	switch {
	case len(f.local) == 0:
		p.syntax(StatusMailboxSyntax, "User address required")
	case host == "":
		p.syntax(StatusMailboxSyntax, "Hostname required")
	case host[0] == '[' && strings.Contains(host, "]") && !literalOrPort(host):
		p.syntax(StatusBadSystem, "Invalid address")
	case host[0] != '[' && strings.Contains(host, ":"):
		p.syntax(StatusMailboxSyntax, "Colon illegal in host name part")
	case host[0] == '.' || strings.Contains(host, ".."):
		p.syntax(StatusBadSystem, "Invalid host name")
	case strings.HasSuffix(host, "@"):
		p.syntax(StatusBadSystem, "Invalid route address")
	case slices.Contains(f.local, "@"):
		p.syntax(StatusMailboxSyntax, "Invalid route address")
	default:
		return !p.strayComma(f)
	}
	return false
}

// literalOrPort accepts [literal], [literal]:port and [literal],more.
func literalOrPort(host string) bool {
	rest := host[strings.LastIndexByte(host, ']')+1:]
	return rest == "" || len(rest) > 1 && (rest[0] == ':' || rest[0] == ',')
}

// strayComma rejects a comma that does not stand before another host.
func (p *parser) strayComma(f focus) bool {
	for i, t := range f.local {
		if t != "," {
			continue
		}
		last := i == len(f.local)-1
		if last && f.form == hosted || !last && !isRouteOperator(f.local[i+1]) {
			p.syntax(StatusMailboxSyntax, "Invalid route address")
			return true
		}
	}
	if i := strings.IndexByte(f.domain(), ','); f.form == hosted && i >= 0 && f.domain()[0] != '[' {
		p.syntax(StatusMailboxSyntax, "Invalid route address")
		return true
	}
	return false
}

func isRouteOperator(tok string) bool { return tok == "@" || tok == "%" || tok == "!" }

func hasRouteOperator(t []string) bool { return slices.ContainsFunc(t, isRouteOperator) }

// choose is the precedence of ruleset parse, in the order of the standard configuration:
//
//  1. an address literal goes to that host, or to the smart host
//  2. the virtusertable answers for our own and for virtual domains; its answer is resolved from the start
//  3. our own domains, and names without a domain, are local
//  4. the mailertable answers for all other domains; its answer is final
//  5. the smart host takes the rest
//  6. without one, the domain itself does
func (p *parser) choose(f *focus, level int) {
	if f.form != hosted {
		p.local(f.local)
		return
	}
	host := f.domain()
	if p.redirected(f) {
		return
	}
	if host[0] == '[' && host[len(host)-1] == ']' {
		p.smartHost(*f)
		return
	}
	local, err := p.r.isOurs(p.ctx, f)
	if err != nil {
		p.hold(err, false)
	}
	if p.virtual(f, local, level) {
		return
	}
	if local && p.r.StickyHost {
		p.sticky(*f)
		return
	}
	if local {
		p.local(f.local)
		return
	}
	if p.table(f, level) {
		return
	}
	p.smartHost(*f)
}

// redirected bounces mail to user@domain.REDIRECT with the new address.
func (p *parser) redirected(f *focus) bool {
	domain := f.domain()
	if !p.r.Redirect || !hasSuffixFold(domain, ".REDIRECT") {
		return false
	}
	to := lex.Join(f.local, " ") + "@" + domain[:len(domain)-len(".REDIRECT")]
	if p.triple != nil {
		*p.triple = Route{MailerError, StatusBadMailbox.String(), `"551 User has moved; please try "<` + to + ">"}
	}
	p.fail(&Error{Code: 551, Status: StatusBadMailbox, Text: "User has moved; please try <" + to + ">"})
	return true
}

// virtual looks f up in the virtusertable. It reports whether the table settled the address.
func (p *parser) virtual(f *focus, local bool, level int) bool {
	if p.r.Virtual == nil || !f.canonical {
		return false
	}
	if !local {
		in, err := contains(p.ctx, p.r.VirtualDomains, f.domain())
		if err != nil {
			p.hold(err, false)
		}
		if !in {
			return false
		}
	}
	x, ok, err := p.r.Virtual.Expand(p.ctx, f.address())
	if err != nil {
		p.hold(err, false)
		return false
	}
	if !ok {
		if len(x.Step.Tried) > 0 {
			p.out.addStep(x.Step)
		}
		return false
	}
	p.out.addStep(x.Step)
	if len(x.To) != 1 {
		p.syntax(StatusMailboxSyntax, "Invalid route address")
		return true
	}
	m := x.To[0]
	if fail, ok := m.To.(Fail); ok {
		p.verdict(fail.Err(), fail.Route)
		return true
	}
	text := m.text()
	if len(text) > maxExpansion {
		p.syntax(StatusAddress, expansionTooLong)
		return true
	}
	if p.r.VirtualRecursion == RecurseNever ||
		p.r.VirtualRecursion == RecurseUnlessSelf && strings.EqualFold(text, lex.Join(f.local, " ")+"@"+f.domain()) {
		p.resultOnce(text, level)
		return true
	}
	next, ok := plainFocus(text, new([2]string))
	if strings.TrimSpace(text) == "" && local {
		// An empty value leaves its brackets behind. The test mode shows them, delivery ignores them.
		p.local(f.local)
		if p.triple != nil {
			p.triple.User = "<>" + p.triple.User
		}
		return true
	}
	if !ok {
		tokens, _, faults := lex.Scan(text, 0)
		for _, fault := range faults {
			notes := p.out.toNote()
			notes.tooDeep = append(notes.tooDeep, faultFail(fault).Err())
		}
		next = findFocus(tokens)
	}
	p.rewrite(next, level+2)
	return true
}

// resultOnce takes a virtusertable result as it is: it is not looked up there again.
func (p *parser) resultOnce(text string, level int) {
	tokens, _, _ := lex.Scan(text, 0)
	f := findFocus(tokens)
	p.canonify(&f)
	f, ok := p.check(f, level+1)
	if !ok || p.redirected(&f) {
		return
	}
	local := f.form != hosted
	if !local {
		var err error
		if local, err = p.r.isLocal(p.ctx, f.domain()); err != nil {
			p.hold(err, false)
		}
	}
	if local {
		p.local(f.local)
	} else if !p.table(&f, level) {
		p.smartHost(f)
	}
}

// text returns what the member was written as.
func (m Member) text() string {
	if m.Text != "" || m.To == nil {
		return m.Text
	}
	return m.To.String()
}

// verdict takes a table's error value; triple shows it as sendmail does.
func (p *parser) verdict(err error, triple Route) {
	p.out.route = triple
	p.out.route.Mailer = MailerError
	if triple.Mailer == "" {
		triple = Route{Mailer: MailerError}
	}
	if p.triple != nil {
		*p.triple = triple
	}
	p.fail(err)
}

// table looks the domain up in the mailertable. It reports whether the table settled the address.
func (p *parser) table(f *focus, level int) bool {
	if p.r.Router == nil {
		return false
	}
	d, ok, err := p.r.Router.Route(p.ctx, f.address())
	if !ok {
		if err != nil {
			p.hold(err, false)
		}
		if len(d.Step.Tried) > 0 {
			p.out.addStep(d.Step)
		}
		return false
	}
	p.out.addStep(d.Step)
	d.Route.User = withDot(d.Route.User, *f)
	if err != nil {
		var e *Error
		if errors.As(err, &e) && strings.HasSuffix(e.Text, "<@"+f.domain()) {
			err = &Error{Code: e.Code, Status: e.Status, Text: withDot(e.Text, *f), Err: e.Err, Exit: e.Exit}
		}
		p.verdict(err, d.Route)
		return true
	}
	p.mailer(d.Route, *f, level)
	return true
}

// withDot completes what a table made of an empty value: it took the address for the text, but cannot know that the
// domain is canonical.
func withDot(text string, f focus) string {
	if f.canonical && strings.HasSuffix(text, "<@"+f.domain()) {
		return text + "."
	}
	return text
}

// mailer sends f by a table's route. A route without user leaves the address as it is. A host that begins with > is
// what sendmail makes of an empty one: it takes the address itself, and nothing is left for the user.
func (p *parser) mailer(route Route, f focus, level int) {
	if route.Mailer == MailerLocal {
		if hasRouteOperator(f.local) {
			p.rewrite(findFocus(f.local), level+2)
			return
		}
		tokens, _, _ := lex.Scan(route.User, 0)
		p.local(tokens)
		if p.out.route.Host = route.Host; p.triple != nil {
			p.triple.Host = route.Host
		}
		return
	}
	if strings.HasPrefix(route.Host, ">") {
		route.Host = ">" + strings.TrimSuffix(f.text(), ">")
		if p.triple != nil {
			*p.triple = Route{route.Mailer, route.Host, ""}
		}
		if p.remote(Route{route.Mailer, route.Host, ""}, f); p.out.route.Mailer == route.Mailer {
			p.out.route.User, p.out.addr = "", Address{}
		}
		return
	}
	if route.User != "" {
		user, domain, found := strings.Cut(route.User, "@")
		f.plain = ""
		if f.local = []string{user}; found {
			f.host, f.canonical = []string{domain}, false
		}
	}
	p.show(route.Mailer, route.Host, f)
	p.remote(Route{route.Mailer, route.Host, ""}, f)
}

// smartHost sends f to the smart host, or to its own domain when there is none.
func (p *parser) smartHost(f focus) {
	if s := p.r.SmartHost; !s.isZero() {
		if s.Mailer == "" {
			if s.Mailer = MailerRelay; f.domain()[0] == '[' {
				s.Mailer = MailerESMTP
			}
		}
		p.show(s.Mailer, s.Host, f)
		p.remote(s, f)
		return
	}
	host := f.domain()
	p.out.canonical = f.canonical && host[0] != '['
	if p.show(MailerESMTP, host, f); p.triple != nil && p.out.canonical {
		p.triple.Host += "."
	}
	p.remote(Route{MailerESMTP, host, ""}, f)
}

// sticky sends mail for user@local.domain to the mail hub, aliased or not, and keeps it here without one.
func (p *parser) sticky(f focus) {
	hub := p.r.MailHub
	if hub.isZero() {
		p.local(f.local)
		p.out.noRewrite = !slices.Contains(f.local, "+")
		return
	}
	p.show(hub.Mailer, hub.Host, f)
	p.remote(hub, f)
}

// local hands the user part to the local mailer, or to those that it stands for: programs, files and include files.
func (p *parser) local(user []string) {
	if p.triple != nil {
		*p.triple = Route{MailerLocal, "", lex.Show(user)}
	}
	p.out.route = localRoute(user)
}

// localRoute reads the user part of a local address: |program, /file, :include:file or a name. Only names are folded
// to lower case. Quotes around the whole do not matter for the kind, and stay.
func localRoute(user []string) Route {
	text := lex.Join(withoutAngles(user), ".")
	switch bare := strings.TrimPrefix(text, `"`); {
	case bare == "":
	case bare[0] == '|':
		return Route{MailerProgram, "", text}
	case bare[0] == '/':
		return Route{MailerFile, "", text}
	case hasPrefixFold(bare, includePrefix):
		return Route{mailerInclude, "", strings.Trim(stripQuotes(lex.Join(user, ""))[len(includePrefix):], " \t")}
	}
	return Route{MailerLocal, "", lex.Fold(text)}
}

// withoutAngles drops angle brackets, which only come out of quotes: "<a>" is the user a. Empty ones stay.
func withoutAngles(user []string) []string {
	if i := slices.Index(user, "<"); i < 0 || i+1 < len(user) && user[i+1] == ">" {
		return user
	}
	return slices.DeleteFunc(slices.Clone(user), func(t string) bool { return t == "<" || t == ">" })
}

// remote completes the route of an address that another host gets: the host in lower case, the address without focus.
func (p *parser) remote(route Route, f focus) {
	if !p.r.knowsMailer(route.Mailer) {
		p.out.route = Route{Mailer: MailerError}
		p.fail(&Error{Code: 554, Status: StatusMisconfigured, Text: "buildaddr: unknown mailer " + route.Mailer, Exit: exitSoftware})
		return
	}
	route.Host = lex.Fold(route.Host)
	if strings.IndexByte(route.Host, ' ') >= 0 {
		tokens, _, _ := lex.Scan(route.Host, 0)
		route.Host = lex.Join(tokens, ".")
	}
	domain := f.domain()
	switch {
	case f.form != hosted:
		domain = p.r.hostname()
	case f.plain != "" && route.Mailer != MailerProgram && route.Mailer != MailerFile:
		route.User = f.plain
		p.out.route, p.out.addr = route, Address{f.local[0], domain}
		return
	case hasSuffixFold(domain, ".UUCP"):
		name := domain[:len(domain)-len(".UUCP")]
		if route.Mailer == MailerRelay && strings.Contains(name, ".") {
			break // only the SMTP mailers make a path of that
		}
		f.local = slices.Concat([]string{name, "!"}, f.local)
		if domain = p.r.hostname(); route.Mailer == MailerRelay {
			domain = ""
		}
	case route.Mailer == MailerProgram || route.Mailer == MailerFile:
		domain = ""
	}
	route.User = lex.Join(f.local, ".")
	if domain != "" {
		domain = strings.ReplaceAll(domain, " ", ".")
		route.User += "@" + domain
	}
	p.out.route = route
	p.out.addr = Address{unquoteTokens(f.local), domain}
}

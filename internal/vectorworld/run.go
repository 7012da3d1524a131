package vectorworld

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/internal/vectordir"
)

// Case is one observation.
type Case struct {
	ID     string `json:"id"`
	Config string `json:"config"`
	Op     string `json:"op"`
	Note   string `json:"note"`
	Input  struct {
		Address    string   `json:"address"`
		Addresses  []string `json:"addresses"`
		MailFrom   string   `json:"mail_from"`
		ClientAddr string   `json:"client_addr"`
		Sender     string   `json:"sender"`
		Recipients []string `json:"recipients"`
		Options    []string `json:"options"`
		Files      []File   `json:"files"`
		Dirs       []File   `json:"dirs"`
		NoHome     any      `json:"nohome"`
		Situation  string   `json:"situation"`
	} `json:"input"`
	Expect struct {
		Triple          map[string]string `json:"triple"`
		Targets         []Target          `json:"targets"`
		Errors          []Failure         `json:"errors"`
		Exit            int               `json:"exit"`
		RCPT            *Reply            `json:"rcpt"`
		EXPN            []string          `json:"expn"`
		Mail            *Reply            `json:"mail"`
		Diagnostics     []string          `json:"diagnostics"`
		ForwardWarnings []string          `json:"forward_warnings"`
		Envelopes       []Envelope        `json:"envelopes"`
		BounceTo        []string          `json:"bounce_to"`
		Output          []string          `json:"output"`
	} `json:"expect"`
	Raw json.RawMessage `json:"raw"`
}

// Rules under which an answer differs from sendmail's on purpose. COMPATIBILITY.md describes them.
const (
	// RuleLostBranch: a branch that leads back to itself, or to nothing, fails although other recipients live.
	RuleLostBranch = "lost-branch"
	// RuleMissingTable: a table that cannot answer defers the recipient as it stands, whatever is known besides.
	// sendmail uses what else it finds, and its flag -T<…> even makes a user name of the failure.
	RuleMissingTable = "missing-table"
	// RuleNoConfig: there is no sendmail.cf here, so there are no messages about its lines.
	RuleNoConfig = "no-config-file"
)

// Op runs a case with an operation that is not about resolving: line is the case, config is its configuration.
type Op func(t *testing.T, line []byte, config *Config)

// Run runs the cases of an area: those in testdata/vectors of the calling package, or in $MTAKIT_VECTORS/AREA. ops
// are operations that the calling package runs itself, by name.
func Run(t *testing.T, area string, ops map[string]Op) {
	if run(t, "vectors "+area, vectordir.Open(t, area, filepath.Join("testdata", "vectors")), ops) == 0 && os.Getuid() == 0 {
		t.Errorf("no vectors for %s", area)
	}
}

// RunAsked runs the cases in testdata/asked of the calling package: questions of our own, answered by sendmail in the
// same world.
func RunAsked(t *testing.T, ops map[string]Op) {
	if run(t, "asked", vectordir.Own(t, filepath.Join("testdata", "asked")), ops) == 0 && os.Getuid() == 0 {
		t.Error("no questions")
	}
}

// run runs the cases of a set, logs the counts, and returns the number of cases.
func run(t *testing.T, title string, set fs.FS, ops map[string]Op) int {
	passed, failed, byRule := 0, 0, map[string]int{}
	for _, name := range vectordir.Files(t, set, "configs.json") {
		text, err := fs.ReadFile(set, name)
		if err != nil {
			t.Fatal(err)
		}
		configs := map[string]*Config{}
		if err := Strict(text, &configs); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		files, _ := fs.Glob(set, path.Join(path.Dir(name), "*.jsonl"))
		for _, file := range files {
			t.Run(strings.TrimSuffix(path.Base(file), ".jsonl"), func(t *testing.T) {
				p, f := runFile(t, set, file, configs, ops, byRule)
				passed, failed = passed+p, failed+f
			})
		}
	}
	line := fmt.Sprintf("%s: %d passed, %d failed", title, passed, failed)
	for _, rule := range slices.Sorted(maps.Keys(byRule)) {
		line += fmt.Sprintf(", %d by rule %s", byRule[rule], rule)
	}
	t.Log(line)
	return passed + failed
}

// Strict decodes JSON and fails on fields that v does not have.
func Strict(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

func runFile(t *testing.T, set fs.FS, file string, configs map[string]*Config, ops map[string]Op, byRule map[string]int) (passed, failed int) {
	f, err := set.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	worlds := map[string]*World{}
	for lines.Scan() {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var op struct{ ID, Config, Op string }
		if err := json.Unmarshal(lines.Bytes(), &op); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if run := ops[op.Op]; run != nil {
			config := configs[op.Config]
			if config == nil {
				t.Fatalf("%s: no configuration %s", op.ID, op.Config)
			}
			if t.Run(op.ID, func(t *testing.T) { run(t, lines.Bytes(), config) }) {
				passed++
			} else {
				failed++
			}
			continue
		}
		var c Case
		err := Strict(lines.Bytes(), &c)
		rule := ""
		if err == nil {
			rule, err = c.run(t, configs, worlds)
		}
		switch {
		case err != nil:
			failed++
			t.Errorf("%s (%s, %s): %v", c.ID, c.Config, op.Op, err)
		case rule != "":
			byRule[rule]++
			passed++
		default:
			passed++
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return passed, failed
}

func (c *Case) run(t *testing.T, configs map[string]*Config, worlds map[string]*World) (rule string, err error) {
	config := configs[c.Config]
	if config == nil {
		return "", fmt.Errorf("no configuration %s", c.Config)
	}
	extra := Extra{Files: c.Input.Files, Dirs: c.Input.Dirs, Options: c.Input.Options, Situation: c.Input.Situation}
	if extra.NoHome, err = names(c.Input.NoHome); err != nil {
		return "", err
	}
	if c.Op == "expand" {
		extra.Aliases = c.unlistedAliases(config)
	}
	w := worlds[c.Config]
	own := len(extra.Aliases) > 0 || len(extra.Files)+len(extra.Dirs)+len(extra.Options)+len(extra.NoHome) > 0 || extra.Situation != ""
	if w == nil || own {
		if w, err = New(t, config, extra); err != nil {
			return "", err
		}
		if !own {
			worlds[c.Config] = w
		}
	}
	if w.Fatal != "" {
		return RuleNoConfig, c.checkFatal(w)
	}
	switch c.Op {
	case "resolve":
		return c.checkResolve(w, config)
	case "expand":
		return c.checkExpand(w, c.Input.Addresses)
	case "mail_from":
		return "", c.checkMail(w)
	case "queue":
		return c.checkQueue(w)
	}
	return "", fmt.Errorf("op not understood: %s", c.Op)
}

var aliasedTo = regexp.MustCompile(`(?m)^(?:.*: line \d+: )?([\w.-]+)\.\.\. aliased to (.*)$`)

// unlistedAliases finds aliases that were in force when the case was observed, but are not in its configuration: the
// verbose run shows them.
func (c *Case) unlistedAliases(config *Config) map[string]string {
	var raw struct {
		Verbose string `json:"bv_v"`
	}
	if json.Unmarshal(c.Raw, &raw) != nil || config.Tables["aliases"] == "" {
		return nil
	}
	file, _ := alias.Parse(strings.NewReader(config.Tables["aliases"]), "aliases")
	found := map[string]string{}
	for _, m := range aliasedTo.FindAllStringSubmatch(raw.Verbose, -1) {
		key, value := strings.ToLower(m[1]), m[2]
		have, ok, _ := file.Lookup(context.Background(), key)
		if len(value) < 200 && (!ok || have != value) {
			found[key] = value
		}
	}
	return found
}

func names(v any) ([]string, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		var list []string
		for _, s := range v {
			list = append(list, fmt.Sprint(s))
		}
		return list, nil
	}
	return nil, fmt.Errorf("nohome not understood: %v", v)
}

// checkFatal compares the message about a configuration that sendmail refuses, without the line number.
func (c *Case) checkFatal(w *World) error {
	for _, f := range c.Expect.Errors {
		if strings.Contains(f.Text, w.Fatal) && c.Expect.Exit == 70 {
			return nil
		}
	}
	return fmt.Errorf("configuration is refused: %s; want %+v", w.Fatal, c.Expect.Errors)
}

func (c *Case) checkResolve(w *World, config *Config) (rule string, err error) {
	ctx := context.Background()
	if strings.Contains(strings.Join(config.Features, " "), " -T<") && c.Expect.Exit == 71 {
		return RuleMissingTable, c.checkDeferred(ctx, w, c.Input.Address)
	}
	text := c.Input.Address // the address test mode takes lists apart; the last member's result was kept
	if list := mtakit.ParseList(text, mtakit.Position{}); len(list) > 1 {
		text = list[len(list)-1].Text
	}
	triple, _, _, _ := w.Resolver.Parse(ctx, text)
	got := map[string]string{"mailer": triple.Mailer, "host": triple.Host, "user": triple.User}
	if strings.ContainsAny(text, "()") { // there, parentheses do not enclose comments
		got = maps.Clone(c.Expect.Triple)
	}
	for k, v := range c.Expect.Triple {
		if k == "mailer" && strings.EqualFold(got[k], v) { // sendmail folds the name only when it looks for the mailer
			got[k] = v
		}
		if got[k] != v {
			return "", fmt.Errorf("%s: triple %v, want %v", c.Input.Address, got, c.Expect.Triple)
		}
		delete(got, k)
	}
	for k, v := range got {
		if v != "" {
			return "", fmt.Errorf("%s: triple has %s %q, want %v", c.Input.Address, k, v, c.Expect.Triple)
		}
	}
	return c.checkExpand(w, []string{c.Input.Address})
}

// checkDeferred checks that a recipient waits because its table is missing.
func (c *Case) checkDeferred(ctx context.Context, w *World, address string) error {
	res, err := w.Resolver.ResolveText(ctx, mtakit.Address{}, address)
	if err != nil {
		return err
	}
	if len(res.Leaves) != 1 || !mtakit.Temporary(res.Leaves[0].Err) {
		return fmt.Errorf("not deferred: %v", res.Lines())
	}
	return nil
}

func (c *Case) checkExpand(w *World, addresses []string) (rule string, err error) {
	ctx := context.Background()
	res, err := w.Resolver.ResolveText(ctx, mtakit.Address{}, addresses...)
	if err != nil {
		return "", err
	}
	if err := sameSet("targets", targets(res), c.Expect.Targets); err != nil {
		if c.Expect.Exit == 71 && c.checkDeferred(ctx, w, addresses[0]) == nil {
			return RuleMissingTable, nil
		}
		return "", err
	}
	if err := sameSet("errors", failures(res), c.Expect.Errors); err != nil {
		return "", err
	}
	if got := res.ExitStatus(); got != c.Expect.Exit {
		return "", fmt.Errorf("exit status %d, want %d\n%s", got, c.Expect.Exit, strings.Join(res.Lines(), "\n"))
	}
	if err := c.checkDiagnostics(res); err != nil {
		return "", err
	}
	if err := sameSet("forward warnings", warnings(res), stripWarnings(c.Expect.ForwardWarnings)); err != nil && c.Expect.ForwardWarnings != nil {
		return "", err
	}
	if c.Expect.RCPT != nil {
		got, err := w.rcpt(ctx, addresses[0])
		if err != nil {
			return "", err
		}
		if !same(got, *c.Expect.RCPT) {
			return "", fmt.Errorf("RCPT: %+v, want %+v", got, *c.Expect.RCPT)
		}
	}
	if err := c.checkEXPN(ctx, w, addresses[0]); err != nil {
		return "", err
	}
	return ruleOf(res), nil
}

func ruleOf(res *mtakit.Resolution) string {
	for i := range res.Leaves {
		if res.Leaves[i].Lost {
			return RuleLostBranch
		}
	}
	return ""
}

// checkDiagnostics checks what the address test mode printed besides its result.
func (c *Case) checkDiagnostics(res *mtakit.Resolution) error {
	var said []string
	for _, r := range res.Reports {
		said = append(said, r.String())
	}
	for i := range res.Leaves {
		var e *mtakit.Error
		if errors.As(res.Leaves[i].Err, &e) {
			said = append(said, e.Text)
		}
	}
	for _, line := range c.Expect.Diagnostics {
		line = strings.TrimPrefix(line, "> ") // the prompt
		if strings.HasSuffix(line, ": Name server timeout") && len(res.Reports) > 0 {
			continue // a verdict makes up for it
		}
		if !strings.HasPrefix(line, "== Ruleset") && !slices.Contains(said, line) {
			return fmt.Errorf("diagnostic %q is missing in %q", line, said)
		}
	}
	return nil
}

var expnError = regexp.MustCompile(`^([45]\d\d)[ -](\d\.\d+\.\d+) (.*)$`)

// checkEXPN checks the codes of the errors, which only EXPN shows.
func (c *Case) checkEXPN(ctx context.Context, w *World, address string) error {
	var want []string
	for _, line := range c.Expect.EXPN {
		if m := expnError.FindStringSubmatch(line); m != nil {
			want = append(want, m[1]+" "+m[2]+" "+m[3])
		}
	}
	if len(want) == 0 {
		return nil
	}
	res, err := w.Resolver.ResolveText(ctx, mtakit.Address{}, address)
	if err != nil {
		return err
	}
	var got []string
	for _, r := range res.Reports {
		var e *mtakit.Error
		if errors.As(r.Err, &e) {
			got = append(got, fmt.Sprintf("%d %s %s", e.ReplyCode(), e.EnhancedStatus(), r))
		}
	}
	for _, line := range want {
		if !slices.Contains(got, line) {
			return fmt.Errorf("EXPN: %q is missing in %q", line, got)
		}
	}
	return nil
}

// warnings are the forward files that were skipped, "forward: FILE: REASON".
func warnings(res *mtakit.Resolution) []string {
	list := []string{}
	for _, w := range res.Warnings {
		list = append(list, w.Error())
	}
	return list
}

// stripWarnings removes what a verbose run puts in front: "ADDRESS... ".
func stripWarnings(lines []string) []string {
	list := []string{}
	for _, line := range lines {
		if _, rest, ok := strings.Cut(line, "... "); ok {
			line = rest
		}
		list = append(list, line)
	}
	return list
}

func (c *Case) checkMail(w *World) error {
	got, err := w.mailFrom(context.Background(), c.Input.MailFrom)
	if err != nil {
		return err
	}
	if !same(got, *c.Expect.Mail) {
		return fmt.Errorf("MAIL: %+v, want %+v", got, *c.Expect.Mail)
	}
	return nil
}

func (c *Case) checkQueue(w *World) (rule string, err error) {
	from := mtakit.Address{}
	if s := strings.Trim(c.Input.Sender, "<>"); s != "" {
		if from, err = mtakit.ParseAddress(s); err != nil {
			return "", err
		}
	}
	res, err := w.Resolver.ResolveText(context.Background(), from, c.Input.Recipients...)
	if err != nil {
		return "", err
	}
	var output []string
	for _, r := range res.Reports {
		output = append(output, r.String())
	}
	if err := sameSet("output", output, c.Expect.Output); err != nil {
		return "", err
	}
	if got := res.ExitStatus(); got != c.Expect.Exit {
		return "", fmt.Errorf("exit status %d, want %d", got, c.Expect.Exit)
	}
	for i := range c.Expect.Envelopes {
		c.Expect.Envelopes[i].Raw = nil
	}
	if err := sameSet("envelopes", envelopes(c.Input.Sender, res), c.Expect.Envelopes); err != nil {
		return "", err
	}
	return ruleOf(res), sameSet("bounces to", bounces(c.Input.Sender, res), c.Expect.BounceTo)
}

// bounces are the remote addresses that get a report; one for a local address is delivered at once and is not seen.
func bounces(sender string, res *mtakit.Resolution) []string {
	set := map[string]bool{}
	for i := range res.Leaves {
		l := &res.Leaves[i]
		if l.Err == nil || l.Lost || mtakit.Temporary(l.Err) {
			continue
		}
		to := sender
		if l.Owner != "" {
			to = l.Owner
		}
		if strings.Contains(to, "@") && !strings.HasSuffix(to, "@"+Hostname) {
			set[to] = true
		}
	}
	return slices.Sorted(maps.Keys(set))
}

func same(a, b any) bool {
	x, _ := json.Marshal(a)
	y, _ := json.Marshal(b)
	return bytes.Equal(x, y)
}

// sameSet compares two lists without regard to their order.
func sameSet[T any](what string, got, want []T) error {
	key := func(list []T) []string {
		texts := make([]string, len(list))
		for i, v := range list {
			b, _ := json.Marshal(v)
			texts[i] = string(b)
		}
		slices.Sort(texts)
		return texts
	}
	g, w := key(got), key(want)
	if !slices.Equal(g, w) {
		return fmt.Errorf("%s:\n  got  %s\n  want %s", what, strings.Join(g, " "), strings.Join(w, " "))
	}
	return nil
}

package logfmt

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/internal/vectordir"
)

// vectorCase is one line that sendmail 8.17.1.9 logged, and what is in it.
type vectorCase struct {
	Line      int            `json:"line"`
	Scenario  string         `json:"scenario"`
	Pri       int            `json:"pri"`
	Facility  string         `json:"facility"`
	Severity  string         `json:"severity"`
	Timestamp string         `json:"timestamp"`
	Tag       string         `json:"tag"`
	PID       int            `json:"pid"`
	Message   string         `json:"message"`
	QID       *string        `json:"qid"`
	Kind      string         `json:"kind"`
	Fields    map[string]any `json:"fields"`
	Part      *int           `json:"part"`
	Continued *bool          `json:"continued"`
}

func TestVectorsMaillog(t *testing.T) {
	t.Parallel()
	passed, failed := 0, 0
	set := vectordir.Open(t, "maillog", "testdata/vectors")
	for _, name := range vectordir.Files(t, set, ".jsonl") {
		p, f := runVectors(t, set, name)
		passed += p
		failed += f
	}
	t.Logf("vectors maillog: %d passed, %d failed", passed, failed)
	require.Zero(t, failed)
	require.NotZero(t, passed)
}

// runVectors runs the cases of one file. The log that they were taken from has the same name without ".jsonl"; when it is
// not there, the lines are put together from the cases.
func runVectors(t *testing.T, set fs.FS, name string) (passed, failed int) {
	cases, err := readCases(set, name)
	require.NoError(t, err)
	log, err := fs.ReadFile(set, strings.TrimSuffix(name, ".jsonl"))
	hasLog := err == nil
	if !hasLog {
		for _, c := range cases {
			log = fmt.Appendf(log, "%s mx %s[%d]: %s\n", c.Timestamp, c.Tag, c.PID, c.Message)
		}
	}
	raw := strings.Split(strings.TrimSuffix(string(log), "\n"), "\n")
	require.Len(t, cases, len(raw), "one case per line")

	opts := &ParseOptions{KeepParts: true, Location: time.UTC, Now: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)}
	var lines []*Line
	for l, err := range Parse(bytes.NewReader(log), "maillog", opts) {
		require.NoError(t, err)
		lines = append(lines, l)
	}
	require.Len(t, lines, len(cases))
	for i, c := range cases {
		problems := c.check(lines[i], raw[i], opts)
		if hasLog && c.Line != i+1 {
			problems = append(problems, fmt.Sprintf("stands in line %d", i+1))
		}
		problems = append(problems, checkFormat(c, lines[i], raw[i])...)
		if len(problems) == 0 {
			passed++
			continue
		}
		failed++
		t.Errorf("%s line %d (%s): %s\n%s", name, c.Line, c.Scenario, strings.Join(problems, "; "), raw[i])
	}
	for _, p := range checkGroups(lines, raw) {
		failed++
		t.Errorf("%s: %s", name, p)
	}
	for _, p := range checkScenarios(t, filepath.Join(filepath.Dir(name), "scenarios.json"), cases) {
		failed++
		t.Errorf("%s: %s", name, p)
	}
	return passed, failed
}

func readCases(set fs.FS, name string) ([]*vectorCase, error) {
	f, err := set.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []*vectorCase
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		d := json.NewDecoder(bytes.NewReader(sc.Bytes()))
		d.DisallowUnknownFields()
		d.UseNumber()
		c := &vectorCase{}
		if err := d.Decode(c); err != nil {
			return nil, fmt.Errorf("case %d: %w", len(out)+1, err)
		}
		out = append(out, c)
	}
	return out, sc.Err()
}

var severityNames = map[Severity]string{Alert: "alert", Crit: "crit", Err: "err", Warning: "warning", Notice: "notice", Info: "info", Debug: "debug"}

// check compares what the parser found with what the case says.
func (c *vectorCase) check(l *Line, raw string, opts *ParseOptions) (problems []string) {
	want := func(what string, got, want any) {
		if fmt.Sprint(got) != fmt.Sprint(want) {
			problems = append(problems, fmt.Sprintf("%s: got %q, want %q", what, fmt.Sprint(got), fmt.Sprint(want)))
		}
	}
	want("time", l.Time.Format("2006 Jan _2 15:04:05"), "2026 "+c.Timestamp)
	want("tag", l.Tag, c.Tag)
	want("pid", l.PID, c.PID)
	want("kind", l.Kind, c.Kind)
	qid := ""
	if c.QID != nil {
		qid = *c.QID
	}
	want("qid", l.ID, qid)
	if c.Part != nil {
		want("part", l.Part, *c.Part)
		want("continued", l.More, *c.Continued)
	}

	// The same line as it stood on the socket.
	_, text, _ := strings.Cut(raw, "]: ")
	wire, err := ParseLine(fmt.Sprintf("<%d>%s %s[%d]: %s", c.Pri, c.Timestamp, c.Tag, c.PID, text), opts)
	if err != nil {
		return append(problems, err.Error())
	}
	want("severity", severityNames[wire.Severity], c.Severity)
	want("facility", map[int]string{2: "mail"}[wire.Facility], c.Facility)
	want("kind on the wire", wire.Kind, l.Kind)

	got := l.parts()
	for name, w := range c.Fields {
		g, ok := got[name]
		if !ok {
			problems = append(problems, fmt.Sprintf("no field %s, want %v", name, w))
			continue
		}
		want(name, g, w)
		delete(got, name)
	}
	rest := make([]string, 0, len(got))
	for name := range got {
		rest = append(rest, name)
	}
	if sort.Strings(rest); len(rest) > 0 {
		problems = append(problems, "fields that are not in the case: "+strings.Join(rest, ", "))
	}
	return problems
}

// parts gives the fields of a line in the form of the cases, values escaped as logged.
func (l *Line) parts() map[string]any {
	m := map[string]any{}
	put := func(name, value string) {
		if value != "" {
			m[name] = Escape(value)
		}
	}
	delay := func(name string, d time.Duration) {
		m[name], m[name+"_seconds"] = string(appendDelay(nil, d)), int(d/time.Second)
	}
	switch l.Kind {
	case KindFrom:
		f := l.From
		m["from"], m["size"], m["class"], m["nrcpts"] = Escape(f.From), f.Size, f.Class, f.NRcpts
		put("msgid", f.MsgID)
		put("bodytype", f.BodyType)
		put("proto", f.Proto)
		put("daemon", f.Daemon)
		m["relay"] = relayParts(f.Relay)
	case KindTo:
		t := l.To
		list := strings.Join(t.To, ",")
		if t.More {
			list += ","
		}
		var rcpts []any
		for _, a := range t.To {
			rcpts = append(rcpts, Escape(a))
		}
		m["to"], m["recipients"], m["more"] = Escape(list), rcpts, t.More
		put("ctladdr", t.Control)
		if t.HasIDs {
			m["ctl_uid"], m["ctl_gid"] = t.UID, t.GID
		}
		delay("delay", t.Delay)
		if t.XDelay >= 0 {
			delay("xdelay", t.XDelay)
		}
		m["pri"] = t.Priority
		put("mailer", t.Mailer)
		if t.Relay != "" {
			m["relay"] = relayParts(t.Relay)
		}
		put("quarantine", t.Quarantine)
		put("dsn", t.DSN)
		put("reply", t.Reply)
		put("stat", t.Stat)
	default:
		for _, f := range l.Fields {
			m[f.Name] = Escape(f.Value)
			if f.Name == "relay" && l.Kind != "command" {
				m[f.Name] = relayParts(f.Value)
			}
			if l.Kind == KindDone && f.Name == "delay" {
				d, _, _ := cutDelay(f.Value)
				m["delay_seconds"] = int(d / time.Second)
			}
		}
	}
	return m
}

func relayParts(raw string) map[string]any {
	r := ParseRelay(raw)
	m := map[string]any{"raw": Escape(raw), "host": Escape(r.Host)}
	if r.User != "" {
		m["user"] = Escape(r.User)
	}
	if r.Addr != "" {
		m["addr"] = r.Addr
	}
	if r.Forged {
		m["forged"] = true
	}
	return m
}

// checkFormat makes the line anew, from its text and, where an event can say it, from an event, and wants the same bytes.
func checkFormat(c *vectorCase, l *Line, raw string) (problems []string) {
	sev := Severity(c.Pri & 7)
	stamp, host, _ := strings.Cut(raw[len("Jan _2 15:04:05 "):], " ")
	_ = host
	opts := Options{Level: 100, Tag: c.Tag, PID: c.PID, Host: stamp, Location: time.UTC}
	f := NewFormatter(&opts)
	opts.Syslog = true
	wire := NewFormatter(&opts)
	want := func(what, got, want string) {
		if got != want {
			problems = append(problems, fmt.Sprintf("%s: formatted as %q", what, got))
		}
	}
	if c.Part == nil {
		want("record", string(f.AppendRecord(nil, l.Time, sev, l.ID, Unescape(l.Text))), raw+"\n")
	}
	e := eventOf(l)
	if e == nil {
		return problems
	}
	want("event", string(f.Append(nil, e)), raw+"\n")
	want("event on the wire", string(wire.Append(nil, e)), fmt.Sprintf("<%d>%s %s[%d]: %s\n", c.Pri, c.Timestamp, c.Tag, c.PID, c.Message))
	return problems
}

// eventOf makes the event that a line tells of; nil when events cannot say it, or not in one line.
func eventOf(l *Line) *mtakit.Event {
	e := &mtakit.Event{Time: l.Time, ID: l.ID}
	if e.ID == NoQueue {
		e.ID = ""
	}
	switch l.Kind {
	case KindFrom:
		f := l.From
		e.Kind, e.Size, e.Class, e.NRcpts = mtakit.EventAccept, f.Size, f.Class, f.NRcpts
		e.MsgID, e.BodyType, e.Proto, e.Daemon, e.Client = f.MsgID, f.BodyType, f.Proto, f.Daemon, f.Relay
		addr := strings.TrimSuffix(strings.TrimPrefix(f.From, "<"), ">")
		if i := strings.LastIndex(addr, "@"); i >= 0 {
			e.From.Domain, addr = addr[i+1:], addr[:i]
		}
		e.From.Local = strings.Trim(addr, `"`)
		if p := e.From.Path(); p != f.From && p != "<"+f.From+">" {
			return nil // an address that is none
		}
	case KindTo:
		t := l.To
		if t.More {
			return nil
		}
		e.Kind = map[Outcome]mtakit.EventKind{Queued: mtakit.EventQueue, Sent: mtakit.EventDeliver, Deferred: mtakit.EventDefer,
			Failed: mtakit.EventBounce, Dropped: mtakit.EventDeliver}[t.Outcome()]
		e.To, e.Delay, e.XDelay, e.Mailer, e.Priority, e.Relay = t.To, t.Delay, t.XDelay, t.Mailer, t.Priority, t.Relay
		e.Control.Origin, e.Control.UID, e.Control.GID = t.Control, t.UID, t.GID
		if t.HasIDs {
			e.Control.User = "someone"
		}
		if t.DSN != "" {
			var err error
			if e.Status, err = mtakit.ParseStatus(t.DSN); err != nil {
				return nil
			}
		}
		e.Reply, e.Stat = t.Reply, t.Stat
		// What an event would rather leave to the formatter.
		switch text, isSent := strings.CutPrefix(t.Stat, "Sent ("); {
		case isSent:
			e.Stat, e.Reply = "", strings.TrimSuffix(text, ")")
		case t.Stat == "Sent", t.Stat == "queued", t.Stat == "Deferred" && t.Reply == "":
			e.Stat = ""
		case t.Stat == "Deferred: "+t.Reply:
			e.Stat = ""
		case e.Kind == mtakit.EventBounce:
			e.Stat, e.Err = "", &mtakit.Error{Text: t.Stat}
		}
	case KindDSN:
		e.Kind, e.NewID, e.Text, e.Stat = mtakit.EventReport, l.NewID(), l.Field("type"), l.Field("reason")
	case KindClone:
		e.Kind, e.NewID, e.Text, e.Stat = mtakit.EventReport, l.NewID(), "clone", "owner="+l.Field("owner")
	case KindDone:
		e.Kind = mtakit.EventDone
		e.Delay, _, _ = cutDelay(l.Field("delay"))
		e.Tries, _ = strconv.Atoi(l.Field("ntries"))
	case "connect":
		e.Kind, e.Client = mtakit.EventConnect, l.Field("relay")
	case "did_not_issue", "lost_input", "starttls", "auth", "flood", "command":
		e.Kind, e.Text = mtakit.EventConnect, Unescape(l.Text)
	case "quarantine":
		e.Kind, e.Text = mtakit.EventQuarantine, l.Field("reason")
	case "losing", "bogus_queue_file":
		e.Kind, e.Text = mtakit.EventProblem, Unescape(l.Text)
	case "syserr":
		e.Kind, e.Err = mtakit.EventProblem, fmt.Errorf("%s", l.Field("text"))
	case "user_error":
		if e.Kind, e.Text = mtakit.EventReject, l.Field("text"); l.Field("address") != "" {
			e.To, e.Text, e.Err = []string{l.Field("address")}, "", &mtakit.Error{Text: l.Field("text")}
		}
	case "ruleset", "milter_reject":
		e.Kind, e.Text, e.Client = mtakit.EventReject, l.Field("ruleset"), l.Field("relay")
		if e.To = []string{l.Field("arg1")}; l.Kind == "milter_reject" {
			e.Text, e.To = "Milter "+l.Field("what"), []string{l.Field("arg")}
		}
		if e.Text == "check_relay" && !strings.Contains(e.Client, "["+l.Field("arg2")+"]") || l.Field("quarantine") != "" {
			return nil // the address that a DNS list answered with; a quarantine is an event of its own
		}
		if reject := l.Field("reject"); reject != "" {
			part := strings.SplitN(reject, " ", 3)
			code, _ := strconv.Atoi(part[0])
			status, _ := mtakit.ParseStatus(part[1])
			e.Err = &mtakit.Error{Code: code, Status: status, Text: part[2]}
		}
	default:
		return nil
	}
	return e
}

// checkGroups joins what was split over several lines, to= lines by "[more]" and others by number, makes it anew and wants
// the same lines.
func checkGroups(lines []*Line, raw []string) (problems []string) {
	f := NewFormatter(&Options{Level: 100, Location: time.UTC})
	text := func(b []byte) []string {
		var out []string
		for line := range strings.SplitSeq(strings.TrimSuffix(string(b), "\n"), "\n") {
			_, line, _ = strings.Cut(line, "]: ")
			out = append(out, line)
		}
		return out
	}
	groups := 0
	for i := 0; i < len(lines); i++ {
		first := i
		l := lines[i]
		var got []string
		switch {
		case l.Kind == KindTo && l.To.More:
			whole := *l.To
			whole.To = append([]string(nil), l.To.To...)
			for whole.More && i+1 < len(lines) {
				i++
				whole.To = append(whole.To, lines[i].To.To...)
				whole.More = lines[i].To.More
			}
			copied := *l
			copied.To = &whole
			got = text(f.Append(nil, eventOf(&copied)))
		case l.Kind == KindPart && l.More:
			body := strings.TrimSuffix(l.Text, " ...")
			for more := true; more && i+1 < len(lines); {
				i++
				more = lines[i].More
				body += strings.TrimSuffix(lines[i].Text, " ...")
			}
			got = text(f.AppendRecord(nil, l.Time, Info, l.ID, Unescape(body)))
		default:
			continue
		}
		groups++
		want := text([]byte(strings.Join(raw[first:i+1], "\n")))
		if fmt.Sprint(got) != fmt.Sprint(want) {
			problems = append(problems, fmt.Sprintf("lines %d to %d: made anew as\n%s\nwant\n%s", first+1, i+1, strings.Join(got, "\n"), strings.Join(want, "\n")))
		}
	}
	return problems
}

// checkScenarios wants the lines of a scenario where the index says.
func checkScenarios(t *testing.T, name string, cases []*vectorCase) (problems []string) {
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	require.NoError(t, err)
	var list []struct {
		Scenario string `json:"scenario"`
		First    int    `json:"first_line"`
		Last     int    `json:"last_line"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&list))
	for _, s := range list {
		for n := s.First; n <= s.Last; n++ {
			if n > len(cases) || cases[n-1].Scenario != s.Scenario {
				problems = append(problems, fmt.Sprintf("line %d is not of scenario %s", n, s.Scenario))
			}
		}
	}
	return problems
}

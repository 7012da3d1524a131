package logfmt

import (
	"strconv"
	"strings"

	"github.com/mtakit/mtakit/internal/lex"
)

// classify finds the kind of a line and takes its text apart. A piece of a long line stays one.
func (l *Line) classify() {
	if l.Kind == KindPart {
		return
	}
	switch {
	case strings.HasPrefix(l.Text, "from=") && l.parseFrom(l.Text):
		l.Kind = KindFrom
		return
	case strings.HasPrefix(l.Text, "to=") && l.parseTo(l.Text):
		l.Kind = KindTo
		return
	}
	text := Unescape(l.Text)
	for _, p := range patterns {
		if fields, ok := p.match(text); ok {
			l.Kind, l.Fields = p.kind, fields
			return
		}
	}
	if n := idLen(text); n > 0 && strings.HasPrefix(text[n:], ": ") && l.classifyChild(text[:n], text[n+2:]) {
		return
	}
	if addr, why, ok := strings.Cut(text, "... "); ok && addr != "" && l.ID != "" {
		l.Kind, l.Fields = "user_error", []Field{{"address", addr}, {"text", why}}
		return
	}
	l.Kind, l.Fields = KindOther, []Field{{"text", text}}
}

// classifyChild knows the lines about a message made out of another: "NEWID: clone: owner=X", "NEWID: DSN: why".
func (l *Line) classifyChild(id, text string) bool {
	if owner, ok := strings.CutPrefix(text, "clone: owner="); ok {
		l.Kind, l.Fields = KindClone, []Field{{"new_id", id}, {"owner", owner}}
		return true
	}
	for _, kind := range [...]string{"DSN", "sender notify", "return to sender", "postmaster notify"} {
		if why, ok := strings.CutPrefix(text, kind+": "); ok {
			l.Kind, l.Fields = KindDSN, []Field{{"new_id", id}, {"type", kind}, {"reason", why}}
			return true
		}
	}
	return false
}

// pattern describes a kind of line: literal text with {name} for a part that ends where the next literal begins, or, for
// the last, with the line. {name#} is a number, {name^} one word of capitals, {name=a|b} one of those words, and {name*} may
// be empty.
type pattern struct {
	kind  Kind
	form  string
	fixed []Field // parts that the form implies
}

var discard = []Field{{"discard", "discard"}}

// patterns are tried in order; more special forms stand before more general ones of the same beginning.
var patterns = []pattern{
	{kind: "smtp_in", form: "<-- {line*}"},
	{kind: "smtp_out", form: "--- {line*}"},
	{kind: "timeout_input", form: "timeout waiting for input from {host} during {during}"},
	{kind: "syserr", form: "SYSERR({user}): {text}"},
	{kind: "ruleset", form: "ruleset={ruleset}, arg1={arg1}, arg2={arg2}, relay={relay}, reject={reject}"},
	{kind: "ruleset", form: "ruleset={ruleset}, arg1={arg1}, relay={relay}, reject={reject}"},
	{kind: "ruleset", form: "ruleset={ruleset}, arg1={arg1}, arg2={arg2}, relay={relay}, quarantine={quarantine}"},
	{kind: "ruleset", form: "ruleset={ruleset}, arg1={arg1}, relay={relay}, quarantine={quarantine}"},
	{kind: "ruleset", form: "ruleset={ruleset}, arg1={arg1}, arg2={arg2}, relay={relay}, discard", fixed: discard},
	{kind: "ruleset", form: "ruleset={ruleset}, arg1={arg1}, relay={relay}, discard", fixed: discard},
	{kind: "milter_reject", form: "Milter: {what=connect|helo|from|to|data|eoh|eom}, reject={reject}", fixed: []Field{{"arg", ""}}},
	{kind: "milter_reject", form: "Milter: {what=connect|helo|from|to|data|eoh|eom}, discard", fixed: []Field{{"arg", ""}, {"discard", "discard"}}},
	{kind: "milter_reject", form: "Milter: {what=connect|helo|from|to|data}={arg}, reject={reject}"},
	{kind: "milter_reject", form: "Milter: {what=connect|helo|from|to|data}={arg}, discard", fixed: discard},
	{kind: "milter_modify", form: "Milter ({filter}) {action=insert} ({index}): {text}"},
	{kind: "milter_modify", form: "Milter ({filter}) {action=add|change|delete|chgfrom|message|insert}: {text}"},
	{kind: "milter", form: "Milter ({filter}): {text}"},
	{kind: "milter", form: "Milter: {text}"},
	{kind: "milter_quarantine", form: "milter={filter}, quarantine={reason}"},
	{kind: "milter_io", form: "{func=milter_sys_read|milter_read|milter_sys_write|milter_write}({filter}): {text}"},
	{kind: "starttls", form: "STARTTLS={side=server|client}, relay={relay}, version={version}, verify={verify}, cipher={cipher}, bits={bits#}/{alg_bits#}"},
	{kind: "starttls_other", form: "STARTTLS{}"},
	{kind: "auth", form: "AUTH={side=server|client}, relay={relay}, authid={authid}, mech={mech}, bits={bits#}"},
	{kind: "auth_failure", form: "AUTH failure ({mech}): {text}, user={user}, relay={relay}"},
	{kind: "auth_failure", form: "AUTH failure ({mech}): {text}, relay={relay}"},
	{kind: "auth_other", form: "AUTH{}"},
	{kind: KindDiscarded, form: "discarded"},
	{kind: "unquarantine", form: "unquarantine"},
	{kind: "quarantine", form: "quarantine={reason}"},
	{kind: KindDone, form: "done; delay={delay}, ntries={ntries#}"},
	{kind: KindSplit, form: "split: maxrcpts={maxrcpts#}, rcpts={rcpts#}, count={count#}, ids={ids}"},
	{kind: KindSplit, form: "split: maxrcpts={maxrcpts#}, rcpts={rcpts#}, count={count#}, id={id}"},
	{kind: KindSplit, form: "split: count={count#}, ids={ids}"},
	{kind: KindSplit, form: "split: count={count#}, id={id}"},
	{kind: "losing", form: "Losing {file}: {reason}"},
	{kind: "bogus_queue_file", form: "bogus queue file, uid={uid#}, gid={gid#}, mode={mode}"},
	{kind: "message_too_big", form: "message size ({size#}) exceeds maximum ({max#})"},
	{kind: "lost_input", form: "lost input channel from {relay} to {daemon} after {after}"},
	{kind: "collect", form: "collect: {text}"},
	{kind: "connect", form: "connect from {relay}"},
	{kind: "smtp_connect", form: "SMTP outgoing connect on {host}"},
	{kind: "makeconnection", form: "makeconnection ({target}) failed: {reason}"},
	{kind: "pregreeting", form: "rejecting commands from {relay} due to pre-greeting traffic after {seconds#} seconds"},
	{kind: "possible_attack", form: "POSSIBLE ATTACK{}"},
	{kind: "daemon_start", form: "starting daemon ({version}): {what}"},
	{kind: "daemon_restart", form: "restarting {path} due to {reason}"},
	{kind: "daemon_stop", form: "stopping daemon, reason={reason}"},
	{kind: "alias_rebuilt", form: "alias database {db} rebuilt by {user}"},
	{kind: "runqueue", form: "runqueue: {text}"},
	{kind: "user_error", form: "{text=Too many recipients}"},
	{kind: "alias_stats", form: "{db}: {count#} aliases, longest {longest#} bytes, {total#} bytes total"},
	{kind: "did_not_issue", form: "{relay} did not issue MAIL/EXPN/VRFY/ETRN during connection to {daemon}"},
	{kind: "flood", form: "{relay}: Possible SMTP {what}"},
	{kind: "command", form: "{relay}: {command^}"},
}

// match takes text apart by the form.
func (p *pattern) match(text string) ([]Field, bool) {
	lit, form, more := strings.Cut(p.form, "{")
	if !strings.HasPrefix(text, lit) {
		return nil, false
	}
	text = text[len(lit):]
	var fields []Field
	for more {
		var name string
		name, form, _ = strings.Cut(form, "}")
		lit, form, more = strings.Cut(form, "{")
		value := text
		if lit == "" && !more {
			text = ""
		} else {
			i := strings.Index(text, lit)
			if lit != "" && !more {
				if i = len(text) - len(lit); i < 0 || text[i:] != lit {
					return nil, false // the last literal must end the line
				}
			}
			if i < 0 {
				return nil, false
			}
			value, text = text[:i], text[i+len(lit):]
		}
		name, ok := checkPart(name, value)
		if !ok {
			return nil, false
		}
		if name != "" {
			fields = append(fields, Field{name, value})
		}
	}
	return append(fields, p.fixed...), text == ""
}

// checkPart checks a value against what the form says behind the name, and returns the name alone.
func checkPart(spec, value string) (name string, ok bool) {
	if name, choice, has := strings.Cut(spec, "="); has {
		for word := range strings.SplitSeq(choice, "|") {
			if word == value {
				return name, true
			}
		}
		return name, false
	}
	if name, has := strings.CutSuffix(spec, "#"); has {
		_, rest, ok := cutInt(value)
		return name, ok && rest == ""
	}
	if name, has := strings.CutSuffix(spec, "^"); has {
		for _, verb := range [...]string{"VRFY ", "EXPN ", "ETRN "} {
			if strings.HasPrefix(value, verb) {
				return name, true
			}
		}
		return name, false
	}
	if name, has := strings.CutSuffix(spec, "*"); has {
		return name, true
	}
	return spec, spec == "" || value != ""
}

// parseFrom reads the text of a from= line by the order of its fields. The address may hold what looks like the fields
// behind it: a place outside its quotes and brackets is the better one.
func (l *Line) parseFrom(s string) bool {
	const size = ", size="
	s = s[len("from="):]
	for _, whole := range [...]bool{true, false} {
		for i := strings.Index(s, size); i >= 0; i = nextIndex(s, size, i) {
			f := fromFields(s[i+len(size):])
			if f == nil || whole && !balanced(Unescape(s[:i])) {
				continue
			}
			f.From = Unescape(s[:i])
			l.From = f
			return true
		}
	}
	return false
}

// fromFields reads what is behind ", size=", or returns nil.
func fromFields(rest string) *From {
	f := &From{}
	var n int64
	var ok bool
	if f.Size, rest, ok = cutInt(rest); !ok || !strings.HasPrefix(rest, ", class=") {
		return nil
	}
	if n, rest, ok = cutInt(rest[len(", class="):]); !ok || !strings.HasPrefix(rest, ", nrcpts=") {
		return nil
	}
	f.Class = int(n)
	if n, rest, ok = cutInt(rest[len(", nrcpts="):]); !ok {
		return nil
	}
	f.NRcpts = int(n)
	i := strings.LastIndex(rest, ", relay=")
	if i < 0 {
		return nil
	}
	f.Relay, rest = Unescape(rest[i+len(", relay="):]), rest[:i]
	// What is left is read from its end, since only the message id, its first field, may hold anything.
	take := func(name string, known func(string) bool) string {
		i := strings.LastIndex(rest, name)
		if i < 0 || strings.Contains(rest[i+len(name):], ", ") || !known(rest[i+len(name):]) {
			return ""
		}
		v := rest[i+len(name):]
		rest = rest[:i]
		return Unescape(v)
	}
	f.Daemon = take(", daemon=", func(string) bool { return true })
	f.Proto = take(", proto=", isWord)
	f.BodyType = take(", bodytype=", isWord)
	if id, ok := strings.CutPrefix(rest, ", msgid="); ok {
		f.MsgID, rest = Unescape(id), ""
	}
	if rest != "" {
		return nil
	}
	return f
}

// isWord reports whether s is made of letters and digits, as the names of protocols and body types are.
func isWord(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return s != ""
}

// balanced reports whether s, a list of addresses, ends outside quotes and angle brackets.
func balanced(s string) bool {
	quoted, angle := false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		}
	}
	return !quoted && !angle
}

func nextIndex(s, sub string, after int) int {
	i := strings.Index(s[after+1:], sub)
	if i < 0 {
		return i
	}
	return after + 1 + i
}

// parseTo reads the text of a to= line by the order of its fields. The list of recipients ends where ", [ctladdr=…, ]delay=hh:mm:ss"
// begins, preferably outside quotes and brackets.
func (l *Line) parseTo(s string) bool {
	const delay = ", delay="
	s = s[len("to="):]
	for _, whole := range [...]bool{true, false} {
		for i := strings.Index(s, delay); i >= 0; i = nextIndex(s, delay, i) {
			t := toFields(s[i+len(delay):])
			if t == nil || whole && !balanced(Unescape(s[:i])) {
				continue
			}
			t.setList(s[:i], whole)
			l.To = t
			return true
		}
	}
	return false
}

// setList reads the recipients and the controlling address.
func (t *To) setList(list string, whole bool) {
	const ctladdr = ", ctladdr="
	for i := strings.Index(list, ctladdr); i >= 0; i = nextIndex(list, ctladdr, i) {
		if !whole || balanced(Unescape(list[:i])) {
			t.setControl(Unescape(list[i+len(ctladdr):]))
			list = list[:i]
			break
		}
	}
	list, t.More = strings.CutSuffix(list, ", [more]")
	t.To = splitList(Unescape(list))
}

// toFields reads what is behind ", delay=", or returns nil.
func toFields(rest string) *To {
	t := &To{XDelay: -1}
	var ok bool
	if t.Delay, rest, ok = cutDelay(rest); !ok {
		return nil
	}
	if r, ok := strings.CutPrefix(rest, ", xdelay="); ok {
		if t.XDelay, rest, ok = cutDelay(r); !ok {
			return nil
		}
	}
	if r, ok := strings.CutPrefix(rest, ", mailer="); ok {
		i := strings.Index(r, ", pri=")
		if i < 0 {
			return nil
		}
		t.Mailer, rest = Unescape(r[:i]), r[i:]
	}
	r, ok := strings.CutPrefix(rest, ", pri=")
	if !ok {
		return nil
	}
	if t.Priority, rest, ok = cutInt(r); !ok {
		return nil
	}
	// From here on every field but the last may be missing, and ends where one that may follow it begins.
	names := [...]string{", relay=", ", quarantine=", ", dsn="}
	values := [len(names)]*string{&t.Relay, &t.Quarantine, &t.DSN}
	ends := [...]string{", quarantine=", ", dsn=", ", reply=", ", stat="}
	for n, name := range names {
		r, ok := strings.CutPrefix(rest, name)
		if !ok {
			continue
		}
		end := -1
		for _, next := range ends[n:] {
			if i := strings.Index(r, next); i >= 0 && (end < 0 || i < end) {
				end = i
			}
		}
		if end < 0 {
			return nil
		}
		*values[n], rest = Unescape(r[:end]), r[end:]
	}
	if r, ok := strings.CutPrefix(rest, ", reply="); ok {
		i := replyEnd(r)
		if i < 0 {
			return nil
		}
		t.Reply, rest = Unescape(r[:i]), r[i:]
	}
	if rest, ok = strings.CutPrefix(rest, ", stat="); !ok {
		return nil
	}
	t.Stat = Unescape(rest)
	return t
}

// replyEnd finds the ", stat=" that ends a reply. The other side may have put some into its reply, which a deferral repeats in the
// stat text: the right one is the first behind which a text stands that sendmail has for such a reply.
func replyEnd(s string) int {
	const stat = ", stat="
	first := strings.Index(s, stat)
	for i := first; i >= 0; i = nextIndex(s, stat, i) {
		if fitsReply(Unescape(s[i+len(stat):]), Unescape(s[:i])) {
			return i
		}
	}
	return first
}

// failures are the texts of op.me's "stat" for refusals, from the list of exit codes.
var failures = map[string]bool{
	"User unknown": true, "Service unavailable": true, "Data format error": true, "Insufficient permission": true,
	"Local configuration error": true, "Internal error": true, "Remote protocol error": true, "I/O error": true,
	"Operating system error": true, "System file missing": true, "Can't create output": true, "Cannot open input": true,
	"Command line usage error": true, "Deferred": true,
}

// fitsReply reports whether a stat text is one that goes with a reply.
func fitsReply(stat, reply string) bool {
	repeated, deferred := strings.CutPrefix(stat, "Deferred: ")
	if !deferred {
		return failures[stat] || strings.HasPrefix(stat, "Host unknown (")
	}
	if string(lex.AppendShort(nil, stat[:len(stat)-len(repeated)]+reply, 203)) == stat {
		return true
	}
	const head = 80 // of a reply too long for both, what stands in both
	return len(reply) > 180 && strings.HasPrefix(repeated, reply[:head])
}

// setControl reads "<ann@example.org> (1001/1001)".
func (t *To) setControl(s string) {
	t.Control = s
	i := strings.LastIndex(s, " (")
	if i < 0 || !strings.HasSuffix(s, ")") {
		return
	}
	uid, gid, ok := strings.Cut(s[i+2:len(s)-1], "/")
	u, err1 := strconv.Atoi(uid)
	g, err2 := strconv.Atoi(gid)
	if ok && err1 == nil && err2 == nil {
		t.Control, t.UID, t.GID, t.HasIDs = s[:i], u, g, true
	}
}

// splitList splits recipients at commas that stand neither in quotes nor in angle brackets nor behind a backslash.
// The list is given unescaped. A comma at its end, before "[more]", begins no recipient.
func splitList(s string) []string {
	var out []string
	start, quoted, angle := 0, false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case c == ',' && !angle:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	if quoted || angle {
		return strings.Split(strings.TrimSuffix(s, ","), ",") // not the grammar of addresses
	}
	if start < len(s) || len(out) == 0 {
		out = append(out, s[start:])
	}
	return out
}

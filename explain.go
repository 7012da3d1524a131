package mtakit

import (
	"encoding/json"
	"strings"
)

// Explain prints the whole resolution as a tree: every address on the way, below it the tables that were asked about it
// with file and line, the key that matched and the value, then what became of it.
//
//	info@example.org
//	  virtusertable:1: info@example.org -> staff
//	  aliases:7: staff -> ann, bob
//	    bob
//	      local bob
//	    ann
//	      forward /home/ann/.forward:1 -> ann@example.net
//	        ann@example.net
//	          esmtp ann@example.net via example.net
//
// Resolve with a context from WithTracing to see the keys that were tried in vain as well.
func (r *Resolution) Explain() string {
	t := r.tree()
	for _, n := range t.children[nil] {
		t.print(n, 0)
	}
	return t.out.String()
}

func (r *Resolution) tree() *tree {
	t := &tree{leaves: make(map[*node]*Leaf), children: make(map[*node][]*node)}
	for i := range r.Leaves {
		t.leaves[r.Leaves[i].node] = &r.Leaves[i]
	}
	seen := make(map[*node]bool)
	for _, list := range [][]*node{r.nodes, r.dropped} {
		for _, n := range list {
			t.add(n, seen)
		}
	}
	for i := range r.Leaves { // those that were cut off are in neither list
		t.add(r.Leaves[i].node, seen)
	}
	return t
}

type tree struct {
	out      strings.Builder
	leaves   map[*node]*Leaf
	children map[*node][]*node
}

func (t *tree) add(n *node, seen map[*node]bool) {
	if !seen[n] {
		seen[n] = true
		t.children[n.parent] = append(t.children[n.parent], n)
	}
}

func (t *tree) line(depth int, text string) {
	for range depth {
		t.out.WriteString("  ")
	}
	t.out.WriteString(text)
	t.out.WriteByte('\n')
}

// rewritten reports whether n is its parent in another form.
func rewritten(n *node) bool {
	return n.parent != nil && n.text == n.parent.text && n.parent.step == nil
}

func (t *tree) print(n *node, depth int) {
	if rewritten(n) {
		depth-- // local rewriting: the same recipient in another form
	} else {
		t.line(depth, n.text)
	}
	for _, s := range n.trace() {
		t.line(depth+1, s.String())
	}
	if n.note != "" {
		t.line(depth+1, n.note)
	}
	if l := t.leaves[n]; l != nil {
		t.line(depth+1, l.summary())
	}
	next := depth + 1
	if n.step != nil {
		next++
	}
	for _, c := range t.children[n] {
		t.print(c, next)
	}
}

// summary is a leaf on one line.
func (l *Leaf) summary() string {
	s := l.stage() + " " + l.Route.User
	if l.Err != nil {
		s = l.stage() + ": " + l.Err.Error()
	} else if l.Route.Host != "" && l.Detail == "" {
		s += " via " + l.Route.Host
	} else if l.Detail != "" {
		s += " detail " + l.Detail
	}
	if l.Owner != "" {
		s += ", failures to " + l.Owner
	}
	return s
}

// String prints the step on one line: stage or file and line, key and value.
func (s Step) String() string {
	var b strings.Builder
	b.WriteString(s.Stage)
	if s.Pos.File != "" && s.Pos.File != s.Stage {
		b.WriteByte(' ')
	} else if s.Pos.File == s.Stage {
		b.Reset()
	}
	if pos := (Position{File: s.Pos.File, Line: s.Pos.Line}).String(); pos != "" {
		b.WriteString(pos)
	}
	if s.Key == "" {
		b.WriteString(": nothing for " + strings.Join(s.Tried, ", "))
	} else {
		if s.Key != s.Pos.File {
			b.WriteString(": " + s.Key)
		}
		b.WriteString(" -> " + s.Value)
	}
	if s.Note != "" {
		b.WriteString(" (" + s.Note + ")")
	}
	return b.String()
}

// MarshalJSON gives the leaf with its error as text and with its steps.
func (l Leaf) MarshalJSON() ([]byte, error) {
	type route struct {
		Mailer string `json:"mailer"`
		Host   string `json:"host,omitempty"`
		User   string `json:"user,omitempty"`
	}
	v := struct {
		Address string `json:"address"`
		Text    string `json:"text"`
		Route   route  `json:"route"`
		Owner   string `json:"owner,omitempty"`
		Primary bool   `json:"primary,omitempty"`
		Lost    bool   `json:"lost,omitempty"`
		Error   string `json:"error,omitempty"`
		Retry   bool   `json:"retry,omitempty"`
		Steps   []Step `json:"steps"`
	}{l.Addr.String(), l.Text, route(l.Route), l.Owner, l.Primary, l.Lost, "", Temporary(l.Err), l.Steps()}
	if l.Err != nil {
		v.Error = l.Err.Error()
	}
	return json.Marshal(v)
}

// MarshalJSON gives the report with its error as text.
func (r Report) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Address string   `json:"address"`
		Where   Position `json:"where,omitzero"`
		Error   string   `json:"error"`
	}{r.Addr, r.Where, r.Err.Error()})
}

// MarshalJSON gives the sender, the leaves with their steps, and the reports.
func (r *Resolution) MarshalJSON() ([]byte, error) {
	warnings := []string{}
	for _, w := range r.Warnings {
		warnings = append(warnings, w.Error())
	}
	return json.Marshal(struct {
		From     string   `json:"from"`
		Leaves   []Leaf   `json:"leaves"`
		Reports  []Report `json:"reports,omitempty"`
		Warnings []string `json:"warnings,omitempty"`
	}{r.From.String(), r.Leaves, r.Reports, warnings})
}

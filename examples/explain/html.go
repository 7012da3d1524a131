package main

import (
	_ "embed"
	"html/template"
	"io"
	"slices"

	"github.com/mtakit/mtakit"
)

//go:embed page.html
var pageText string

// page is a page that needs nothing else: no script, no style sheet, no network.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"describe": describe,
	"class":    class,
	"place":    func(p mtakit.Position) string { return mtakit.Position{File: p.File, Line: p.Line}.String() },
	"reversed": func(b []mtakit.Branch) []mtakit.Branch {
		b = slices.Clone(b)
		slices.Reverse(b)
		return b
	},
	"summary": func(c check) string { return c.summary() },
}).Parse(pageText))

// class is the colour of a leaf.
func class(l *mtakit.Leaf) string {
	switch {
	case l.Err == nil:
		return "good"
	case mtakit.Temporary(l.Err):
		return "wait"
	}
	return "bad"
}

func printHTML(out io.Writer, all []explanation) error { return page.Execute(out, all) }

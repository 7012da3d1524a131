package mtakit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/mtakit/mtakit"

// plain are the packages that import nothing but the standard library and golang.org/x/sys, apart from the root and
// internal packages.
var plain = []string{"", "access", "alias", "forward", "virtuser", "mailertable", "table", "mbox", "maildir", "stats", "logfmt"}

// downwards are the imports between packages that lie one above the other.
var downwards = map[string][]string{
	"mailer":          {"mbox", "maildir"},
	"mailer/smtp":     {"mailer", "mx"},
	"queue":           {"queue/qf", "dsn"},
	"queue/qf":        {},
	"queue/queuetest": {"queue", "queue/qf", "dsn"},
	"table/bdb":       {"table"},
	"table/cdb":       {"table"},
	"table/sqltable":  {"table"},
	"table/tabletest": {"table"},
	"lint":            {"", "access", "alias", "forward", "virtuser", "mailertable", "table"},
}

// dependencies are the modules that packages may use besides golang.org/x/{sys,net,text}.
var dependencies = map[string][]string{
	"mx":          {"github.com/miekg/dns"},
	"dsn":         {"github.com/emersion/go-message"},
	"mailer/smtp": {"github.com/emersion/go-smtp", "github.com/emersion/go-sasl"},
	"mailtest":    {"github.com/miekg/dns", "github.com/emersion/go-message", "github.com/emersion/go-smtp", "github.com/emersion/go-sasl"},
}

type pkg struct {
	ImportPath string
	Imports    []string
	Module     struct{ Main bool }
}

// packages asks the go command for the packages of this module.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var list []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := d.Decode(&p)
		if errors.Is(err, io.EOF) {
			return list
		}
		require.NoError(t, err)
		list = append(list, p)
	}
}

// The layout of the house: who may import whom. ARCHITECTURE.md shows it as a picture.
func TestImports(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		if strings.HasPrefix(name, "internal/") || strings.HasPrefix(name, "examples") || strings.Contains(name, "/internal/") {
			continue
		}
		for _, imp := range p.Imports {
			if why := forbidden(name, imp); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imp, why)
			}
		}
	}
}

// forbidden says why the package name may not import imp; "" means that it may.
func forbidden(name, imp string) string {
	first, _, _ := strings.Cut(imp, "/")
	switch {
	case !strings.Contains(first, "."): // standard library
		return ""
	case imp == module, strings.HasPrefix(imp, module+"/internal/"), strings.Contains(imp, "/internal/"):
		if name == "" && imp == module+"/internal/vectorworld" {
			return "a test support package"
		}
		return ""
	case strings.HasPrefix(imp, module+"/"):
		if slices.Contains(downwards[name], strings.TrimPrefix(imp, module+"/")) {
			return ""
		}
		return "siblings do not import each other"
	case strings.HasPrefix(imp, "golang.org/x/sys"):
		return ""
	case slices.Contains(plain, name):
		return "this package uses the standard library alone"
	case strings.HasPrefix(imp, "golang.org/x/net/"), strings.HasPrefix(imp, "golang.org/x/text/"):
		return ""
	}
	for _, m := range dependencies[name] {
		if imp == m || strings.HasPrefix(imp, m+"/") {
			return ""
		}
	}
	return "not an allowed dependency"
}

// The root is a leaf: it imports nothing of ours but internal packages that import nothing of ours either.
func TestRootIsALeaf(t *testing.T) {
	for _, p := range packages(t) {
		if p.ImportPath != module {
			continue
		}
		for _, imp := range p.Imports {
			if strings.HasPrefix(imp, module) {
				assert.Equal(t, module+"/internal/lex", imp, "the root imports it")
			}
		}
	}
}

// Every package comment teaches its subject; those of the public packages name the differences from sendmail and say
// what goroutines may do.
func TestPackageComments(t *testing.T) {
	for _, p := range packages(t) {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		doc := packageComment(t, filepath.FromSlash("./"+name))
		last := name[strings.LastIndexByte(name, '/')+1:]
		if name == "" {
			last = "mtakit"
		}
		if strings.Contains(doc, "under way") || doc == "" && name != "" {
			t.Logf("%s: to be documented", p.ImportPath)
			continue
		}
		if !strings.HasPrefix(doc, "Package "+last+" ") && !strings.HasPrefix(doc, "Command ") {
			t.Errorf("%s: the package comment does not begin with \"Package %s\"", p.ImportPath, last)
			continue
		}
		if slices.Contains(plain, name) && name != "" {
			for _, heading := range []string{"# Differences from sendmail", "# Concurrency"} {
				assert.Contains(t, doc, heading, p.ImportPath)
			}
		}
	}
}

func packageComment(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	doc := ""
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
		require.NoError(t, err)
		if f.Doc != nil && !strings.HasSuffix(file, "_test.go") {
			doc += f.Doc.Text()
		}
	}
	return doc
}

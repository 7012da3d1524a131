package lint

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/mtakit/mtakit"
)

// CheckOptions tunes Check. The zero value is ready for use.
type CheckOptions struct {
	// TrustedUID may own tables besides root. Zero means the user that runs the check.
	TrustedUID int
	// Skip leaves out findings with these codes.
	Skip []string
}

// Check returns all findings, sorted by place. It stops early, with what it has, when ctx ends.
func Check(ctx context.Context, t *Tables, opt *CheckOptions) []Finding {
	c := &checker{t: t, ctx: ctx, r: t.Resolver(), seen: map[fault]bool{}}
	if opt != nil {
		c.opt = *opt
	}
	if c.opt.TrustedUID == 0 {
		c.opt.TrustedUID = os.Getuid()
	}
	if t.opt.Includes == nil {
		c.r.Includes = deliverable{}
	}
	for _, step := range []func(){
		c.syntax, c.duplicates, c.aliasKeys, c.virtualKeys, c.mailerKeys, c.accessKeys, c.targets, c.postmaster, c.catchAlls,
		c.relaying, c.modes, c.files,
	} {
		if ctx.Err() != nil {
			break
		}
		step()
	}
	kept := c.found[:0]
	for _, f := range c.found {
		skip := false
		for _, code := range c.opt.Skip {
			skip = skip || code == f.Code
		}
		if !skip {
			kept = append(kept, f)
		}
	}
	return tidy(kept)
}

// checker is a check in progress.
type checker struct {
	t     *Tables
	ctx   context.Context
	r     *mtakit.Resolver
	opt   CheckOptions
	found []Finding
	seen  map[fault]bool
}

func (c *checker) add(pos mtakit.Position, s Severity, code, text string) {
	c.found = append(c.found, Finding{pos, s, code, text})
}

// deliverable takes :include: lists as they are, unread.
type deliverable struct{}

func (deliverable) Include(context.Context, string, mtakit.Control, bool) (mtakit.Expansion, error) {
	return mtakit.Expansion{}, &mtakit.Error{Code: 451, Status: mtakit.StatusListExpansion.AsTemporary(), Text: "not read"}
}

// syntax tells what could not be read. Keys given twice have a code of their own.
func (c *checker) syntax() {
	for _, se := range c.t.syntax {
		if strings.HasPrefix(se.Err.Error(), errDuplicateText) {
			continue
		}
		text := se.Err.Error()
		for e := se.Err; e != nil; e = errors.Unwrap(e) {
			text = e.Error()
			break
		}
		c.add(se.Pos, Error, "syntax", text)
	}
}

const errDuplicateText = "duplicate key"

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mtakit/mtakit/lint"
)

// lint is the subcommand of that name.
func (c *command) lint(ctx context.Context, operands []string) (int, error) {
	switch {
	case len(operands) > 1 || len(operands) == 1 && c.etc != "":
		return exUsage, errors.New("lint reads one directory; see -h")
	case len(operands) == 1:
		c.etc = operands[0]
	}
	level := map[string]lint.Severity{"note": lint.Note, "warning": lint.Warning, "error": lint.Error}[c.severity]
	if level == 0 {
		return exUsage, fmt.Errorf("-severity %s: want note, warning or error", c.severity)
	}
	opt := &lint.CheckOptions{}
	if c.skip != "" {
		opt.Skip = strings.Split(c.skip, ",")
	}
	for _, code := range opt.Skip {
		if !slices.Contains(lint.Codes(), code) {
			return exUsage, fmt.Errorf("-skip %s: there is no such code; see lint -h", code)
		}
	}
	dir, err := c.directory()
	if err != nil {
		return exNoInput, err
	}
	tables, err := c.load(dir)
	if err != nil {
		return exNoInput, err
	}
	found := []lint.Finding{}
	for _, f := range lint.Check(ctx, tables, opt) {
		if f.Severity >= level {
			found = append(found, f)
		}
	}
	if err := c.printFindings(found); err != nil {
		return exNoInput, err
	}
	if err := ctx.Err(); err != nil {
		return exTempFail, err
	}
	switch lint.Worst(found) {
	case lint.Error:
		return exErrors, nil
	case lint.Warning:
		return exWarnings, nil
	}
	return 0, nil
}

func (c *command) printFindings(found []lint.Finding) error {
	if c.json {
		type finding struct {
			File     string        `json:"file,omitempty"`
			Line     int           `json:"line,omitempty"`
			Column   int           `json:"column,omitempty"`
			Severity lint.Severity `json:"severity"`
			Code     string        `json:"code"`
			Text     string        `json:"text"`
		}
		list := make([]finding, len(found))
		for i, f := range found {
			list[i] = finding{f.Pos.File, f.Pos.Line, f.Pos.Col, f.Severity, f.Code, f.Text}
		}
		enc := json.NewEncoder(c.stdout)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(list)
	}
	for _, f := range found {
		if _, err := fmt.Fprintln(c.stdout, f); err != nil {
			return err
		}
	}
	return nil
}

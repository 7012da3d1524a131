package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/mtakit/mtakit/lint"
)

// diff is the subcommand of that name.
func (c *command) diff(ctx context.Context, dirs []string) (int, error) {
	if len(dirs) != 2 || c.etc != "" {
		return exUsage, errors.New("diff compares two directories; see -h")
	}
	var tables [2]*lint.Tables
	for i, dir := range dirs {
		var err error
		if tables[i], err = c.load(dir); err != nil {
			return exNoInput, err
		}
	}
	addrs := lint.Addresses(tables[:]...)
	if c.addresses != "" {
		var err error
		if addrs, err = readAddresses(c.addresses); err != nil {
			return exNoInput, err
		}
	}
	changes, err := lint.Diff(ctx, tables[0].Resolver(), tables[1].Resolver(), addrs)
	if err != nil {
		return exTempFail, err
	}
	if err := c.printChanges(changes); err != nil {
		return exNoInput, err
	}
	if len(changes) > 0 {
		return exDifferent, nil
	}
	return 0, nil
}

// readAddresses reads a file with an address on each line.
func readAddresses(name string) ([]string, error) {
	var in io.Reader = os.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	var addrs []string
	for sc := bufio.NewScanner(in); ; {
		if !sc.Scan() {
			return addrs, sc.Err()
		}
		if line := strings.TrimSpace(sc.Text()); line != "" && line[0] != '#' {
			addrs = append(addrs, line)
		}
	}
}

func (c *command) printChanges(changes []lint.Change) error {
	if c.json {
		type change struct {
			Address string   `json:"address"`
			Old     []string `json:"old"`
			New     []string `json:"new"`
		}
		list := make([]change, len(changes))
		for i, ch := range changes {
			list[i] = change{ch.Addr, lint.Outcome(ch.Old), lint.Outcome(ch.New)}
		}
		enc := json.NewEncoder(c.stdout)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(list)
	}
	w := bufio.NewWriter(c.stdout)
	for _, ch := range changes {
		before, after := lint.Outcome(ch.Old), lint.Outcome(ch.New)
		fmt.Fprintln(w, ch.Addr)
		for _, line := range only(before, after) {
			fmt.Fprintln(w, "- "+line)
		}
		for _, line := range only(after, before) {
			fmt.Fprintln(w, "+ "+line)
		}
	}
	return w.Flush()
}

// only returns the lines of a that are not in b, each as often as it is more.
func only(a, b []string) []string {
	n := map[string]int{}
	for _, line := range b {
		n[line]++
	}
	var rest []string
	for _, line := range a {
		if n[line]--; n[line] < 0 {
			rest = append(rest, line)
		}
	}
	return rest
}

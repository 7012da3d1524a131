package mta

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// samples are the tables of a new data directory. example.test in them is replaced by the first -domain, DATA by the
// directory.
//
//go:embed sample
var samples embed.FS

const sampleDomain = "example.test"

// createDirs makes the data directory with everything in it that is missing. It returns whether sample tables were
// written. Existing files are never touched.
func (c *Config) createDirs() (fresh bool, err error) {
	for _, d := range []string{c.Data, c.QueueDir, filepath.Join(c.Data, "tmp")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return false, fmt.Errorf("data directory: %w", err)
		}
	}
	if !c.sampleDir {
		return false, nil
	}
	if _, err := os.Stat(c.Etc); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	domain := sampleDomain
	if len(c.Domains) > 0 {
		domain = c.Domains[0]
	}
	fill := strings.NewReplacer(sampleDomain, domain, "DATA", c.Data)
	// Built aside and renamed, so that a half-made directory is never taken for a complete one.
	tmp, err := os.MkdirTemp(c.Data, "etc-*")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(tmp)
	files, err := samples.ReadDir("sample")
	if err != nil {
		return false, err
	}
	for _, f := range files {
		text, err := samples.ReadFile("sample/" + f.Name())
		if err != nil {
			return false, err
		}
		if err := os.WriteFile(filepath.Join(tmp, f.Name()), []byte(fill.Replace(string(text))), 0o644); err != nil {
			return false, err
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return false, err
	}
	for _, u := range []string{"ann", "bob", "carol"} {
		if err := os.MkdirAll(filepath.Join(c.Data, "home", u), 0o700); err != nil {
			return false, err
		}
	}
	return true, os.Rename(tmp, c.Etc)
}

package forward_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/forward"
	"github.com/mtakit/mtakit/internal/vectorfile"
)

// needRoot skips a test that makes files of other users.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("makes files that belong to other users: needs root")
	}
}

// vectorDirs returns the directories that hold the vectors of an area: the published ones, or those below
// $MTAKIT_VECTORS.
func vectorDirs(t *testing.T, area string) []string {
	if root := os.Getenv("MTAKIT_VECTORS"); root != "" {
		var dirs []string
		err := filepath.WalkDir(filepath.Join(root, area), func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, p)
			}
			return err
		})
		if errors.Is(err, fs.ErrNotExist) {
			t.Skipf("no vectors for %s in %s", area, root)
		}
		require.NoError(t, err)
		return dirs
	}
	return []string{filepath.Join("testdata", "vectors")}
}

type vectorCase struct {
	ID     string          `json:"id"`
	Config string          `json:"config"`
	Op     string          `json:"op"`
	Input  json.RawMessage `json:"input"`
	Expect json.RawMessage `json:"expect"`
	Raw    json.RawMessage `json:"raw"`
	Note   string          `json:"note"`
}

type vectorConfig struct {
	Defines []string
	NoHome  []string
}

// define returns the value of an m4 definition.
func (c vectorConfig) define(name string) (value string, ok bool) {
	for _, d := range c.Defines {
		if rest, found := strings.CutPrefix(d, "define(`"+name+"',`"); found {
			return strings.TrimSuffix(rest, "')"), true
		}
	}
	return "", false
}

// readVectors returns the cases with an operation, with their configurations.
func readVectors(t *testing.T, area, op string) (cases []vectorCase, configs []vectorConfig) {
	for _, dir := range vectorDirs(t, area) {
		var byName map[string]vectorConfig
		text, err := os.ReadFile(filepath.Join(dir, "configs.json"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &byName))
		files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			s := bufio.NewScanner(bytes.NewReader(text))
			s.Buffer(nil, 16<<20)
			for s.Scan() {
				var c vectorCase
				require.NoError(t, json.Unmarshal(s.Bytes(), &c))
				if c.Op != op {
					continue
				}
				cfg, ok := byName[c.Config]
				require.True(t, ok, c.ID)
				cases, configs = append(cases, c), append(configs, cfg)
			}
			require.NoError(t, s.Err())
		}
	}
	return cases, configs
}

// The cases about one user without aliases in the way say what Forward itself must answer: which files are refused
// and why, and whether programs and files are safe. Each runs in real directories with real owners.
func TestVectorsSafety(t *testing.T) {
	needRoot(t)
	passed, failed := 0, 0
	cases, configs := readVectors(t, "forward", "expand")
	for i, c := range cases {
		var in struct {
			Addresses []string
			Files     []vectorfile.File
			Dirs      []vectorfile.Dir
			NoHome    []string
			Options   []string
		}
		require.NoError(t, json.Unmarshal(c.Input, &in))
		words, _ := configs[i].define("confDONT_BLAME_SENDMAIL")
		blame, err := mtakit.ParseDontBlame(words)
		path, ok := configs[i].define("confFORWARD_PATH")
		if err != nil || len(in.Addresses) != 1 || ok && path == "" {
			continue // a configuration error, or forwarding is off
		}
		user, detail, _ := strings.Cut(in.Addresses[0], "+")
		acct, ok := account(user)
		if !ok {
			continue
		}
		ok = t.Run(c.ID, func(t *testing.T) {
			var want struct {
				Targets         []struct{ Kind, User string }
				Errors          []struct{ Text string }
				ForwardWarnings []string `json:"forward_warnings"`
			}
			require.NoError(t, json.Unmarshal(c.Expect, &want))
			root := t.TempDir()
			require.NoError(t, vectorfile.World(root, append(in.NoHome, configs[i].NoHome...)))
			for _, f := range in.Files {
				require.NoError(t, vectorfile.Put(root, f))
			}
			for _, d := range in.Dirs {
				require.NoError(t, vectorfile.Set(root, d))
			}
			f, err := forward.New(forward.Options{
				Path:       path,
				Hostname:   "mx.example.com",
				DontBlame:  blame,
				ValidShell: func(s string) bool { return vectorfile.Shells[s] },
				Member:     vectorfile.Member,
				Root:       root,
				RootName:   "/",
			})
			require.NoError(t, err)
			defer f.Close()
			x, ok, err := f.Forward(context.Background(), acct, detail)
			require.NoError(t, err)

			var got []string
			for _, w := range x.Warnings {
				got = append(got, in.Addresses[0]+"... "+w.Error())
			}
			if len(want.ForwardWarnings) > 0 || len(got) > 0 {
				assert.Equal(t, want.ForwardWarnings, got)
			}
			unsafe := false
			for _, e := range want.Errors {
				unsafe = unsafe || strings.HasSuffix(e.Text, "mailing to programs")
			}
			assert.Equal(t, unsafe, x.Unsafe != nil && hasProgram(x.To), "programs and files are refused")
			if len(want.Targets) == 1 && want.Targets[0].Kind == "user" && want.Targets[0].User == user {
				assert.True(t, !ok || len(x.To) == 0 || names(x.To, user), "the mail goes into the mailbox: %v", x.To)
			} else {
				assert.True(t, ok && len(x.To) > 0, "a forward file decides")
			}
		})
		if ok {
			passed++
		} else {
			failed++
		}
	}
	t.Logf("vectors forward (files): %d passed, %d failed", passed, failed)
}

func account(name string) (mtakit.Account, bool) {
	for _, u := range vectorfile.Users {
		if u.Name == name {
			return u, true
		}
	}
	return mtakit.Account{}, false
}

func hasProgram(to []mtakit.Member) bool {
	for _, m := range to {
		if _, ok := m.To.(mtakit.Pipe); ok {
			return true
		}
	}
	return false
}

func names(to []mtakit.Member, user string) bool {
	for _, m := range to {
		if strings.Contains(m.Text, user) || strings.Contains(m.Text, "staff") || strings.Contains(m.Text, "include") {
			return true
		}
	}
	return false
}

package mta

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestParseArgs: flags go before the file, the file before the defaults, and a mistake is named with its line.
func TestParseArgs(t *testing.T) {
	t.Parallel()
	const file = "# comment\nlisten = \"127.0.0.1:2600\"\ndomain = [\"a.test\", \"b.test\"]\nmax-conns = 7\nqueue-interval = \"15m\"\nqueue-return = \"3d\"\n"
	tests := []struct {
		name, toml string
		args       []string
		check      func(*testing.T, Config)
		err        string // what the error says, FILE standing for the name of the file
	}{
		{name: "defaults", check: func(t *testing.T, c Config) {
			assert.Equal(t, "127.0.0.1:2525", c.Listen)
			assert.Equal(t, "interactive", c.SuperSafe)
			assert.Equal(t, 5*24*time.Hour, time.Duration(c.QueueReturn))
		}},
		{name: "file", toml: file, check: func(t *testing.T, c Config) {
			assert.Equal(t, "127.0.0.1:2600", c.Listen)
			assert.Equal(t, []string{"a.test", "b.test"}, c.Domains)
			assert.Equal(t, 7, c.MaxConns)
			assert.Equal(t, 15*time.Minute, time.Duration(c.QueueInterval))
			assert.Equal(t, 72*time.Hour, time.Duration(c.QueueReturn))
			assert.EqualValues(t, 50<<20, c.MaxMessageBytes)
		}},
		{name: "flags over file", toml: file, args: []string{"-max-conns", "9", "-domain", "c.test", "-domain", "d.test"}, check: func(t *testing.T, c Config) {
			assert.Equal(t, 9, c.MaxConns)
			assert.Equal(t, []string{"c.test", "d.test"}, c.Domains)
			assert.Equal(t, "127.0.0.1:2600", c.Listen)
		}},
		{name: "unknown key", toml: "listen = \"x\"\n\n  listne = \"y\"\n", err: `FILE:3: unknown key "listne"`},
		{name: "unknown table", toml: "[server]\nlisten = \"y\"\n", err: `FILE:1: unknown key "server`},
		{name: "wrong type", toml: "listen = \"x\"\nmax-conns = \"many\"\n", err: "FILE:2: "},
		{name: "bad interval in file", toml: "\nqueue-return = \"soon\"\n", err: `FILE:2: bad interval "soon"`},
		{name: "not TOML", toml: "listen = \n", err: "FILE:1: "},
		{name: "no such file", args: []string{"-config", "/nonexistent.toml"}, err: "/nonexistent.toml: "},
		{name: "unknown flag", args: []string{"-nope"}, err: "-nope"},
		{name: "argument", args: []string{"extra"}, err: `unexpected argument "extra"`},
		{name: "help", args: []string{"-h"}, err: flag.ErrHelp.Error()},
		{name: "version", args: []string{"-version"}, err: ErrVersion.Error()},
		{name: "bad interval", args: []string{"-queue-warn", "-4h"}, err: `bad interval "-4h"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name := filepath.Join(t.TempDir(), "server.toml")
			args := tt.args
			if tt.toml != "" {
				require.NoError(t, os.WriteFile(name, []byte(tt.toml), 0o600))
				args = append([]string{"-config", name}, args...)
			}
			c, err := ParseArgs(args, io.Discard)
			if tt.err != "" {
				require.ErrorContains(t, err, strings.ReplaceAll(tt.err, "FILE", name))
				return
			}
			require.NoError(t, err)
			tt.check(t, c)
		})
	}
}

// TestHelp: every flag is explained.
func TestHelp(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	_, err := ParseArgs([]string{"-h"}, &out)
	require.ErrorIs(t, err, flag.ErrHelp)
	for _, f := range strings.Fields("listen hostname data etc domain aliases users mailbox relay smarthost max-conns max-message-bytes queue-interval super-safe log version config") {
		assert.Regexp(t, `(?m)^  -`+f+`( |$).*\n    \t\w`, out.String())
	}
}

func TestComplete(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		edit func(*Config)
		err  string
	}{
		{name: "defaults", edit: func(*Config) {}},
		{name: "relay without host", edit: func(c *Config) { c.Relays = []string{"a.test"} }, err: `-relay "a.test": want DOMAIN=HOST:PORT`},
		{name: "relay with bad host", edit: func(c *Config) { c.Relays = []string{"a.test=b c:25"} }, err: "bad host"},
		{name: "smart host", edit: func(c *Config) { c.SmartHost = "/etc" }, err: "-smarthost"},
		{name: "mailbox format", edit: func(c *Config) { c.Mailbox = "mh:/x/%u" }, err: "want maildir:PATTERN or mbox:PATTERN"},
		{name: "one mailbox for all", edit: func(c *Config) { c.Mailbox = "mbox:/x" }, err: "would share one mailbox"},
		{name: "super-safe", edit: func(c *Config) { c.SuperSafe = "yes" }, err: "want true or interactive"},
		{name: "no connections", edit: func(c *Config) { c.MaxConns = 0 }, err: "greater than zero"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := Defaults()
			tt.edit(&c)
			err := c.Complete()
			if tt.err != "" {
				require.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			for _, p := range []string{c.Data, c.Etc, c.Aliases, c.Users, c.Log, c.QueueDir, c.mailbox.pattern} {
				assert.Truef(t, filepath.IsAbs(p), "%s", p)
			}
		})
	}
	for in, want := range map[string]string{"h": "[h]", "h:25": "h:25", "[192.0.2.1]:25": "[192.0.2.1]:25", "[h]": "[h]", "192.0.2.1": "[192.0.2.1]"} {
		got, err := nextHop(in)
		require.NoError(t, err)
		assert.Equal(t, want, got)
	}
}

func TestDuration(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"30s": "30s", "15m": "15m", "4h": "4h", "5d": "5d", "1w": "7d", "1.5d": "36h", "90m": "1h30m", "0": "0s"} {
		var d duration
		require.NoError(t, d.Set(in), in)
		assert.Equal(t, want, d.String(), in)
		var again duration
		require.NoError(t, again.UnmarshalText([]byte(d.String())))
		assert.Equal(t, d, again)
	}
	for _, in := range []string{"", "d", "5", "-1d", "5dd", "5 d", "1e400d", "NaNd", "infd", "1e300d"} {
		var d duration
		assert.Errorf(t, d.Set(in), "%q is %s", in, &d)
	}
}

// TestCommandConfig: the commands find the settings of the server that runs on the same data.
func TestCommandConfig(t *testing.T) {
	m := newMTA(t, nil, func(c *Config) { c.Domains = []string{"Other.Test."}; c.Relays = []string{"a.test=h:25"} })
	t.Setenv("MTAKIT_DATA", m.cfg.Data)
	c, err := CommandConfig("")
	require.NoError(t, err)
	assert.Empty(t, c.Domains, "no server has run yet")
	require.NoError(t, m.cfg.saveEffective())
	c, err = CommandConfig("")
	require.NoError(t, err)
	require.NoError(t, c.Complete())
	c.sampleDir, m.cfg.sampleDir = false, false
	assert.Equal(t, m.cfg, c)
	assert.Equal(t, []string{"other.test"}, c.Domains)
	_, err = CommandConfig(filepath.Join(m.cfg.Data, "none.toml"))
	assert.ErrorContains(t, err, "none.toml")
}

// TestDataDir: samples are for a new directory; what is there is never touched, and what was left half made is not taken
// for whole.
func TestDataDir(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "deep", "data")
	open := func() (Config, bool) {
		c := Defaults()
		c.Data, c.Domains = data, []string{"shop.test"}
		require.NoError(t, c.Complete())
		fresh, err := c.createDirs()
		require.NoError(t, err)
		return c, fresh
	}
	c, fresh := open()
	assert.True(t, fresh)
	text, err := os.ReadFile(filepath.Join(c.Etc, "local-host-names"))
	require.NoError(t, err)
	assert.Contains(t, string(text), "\nshop.test\n")
	text, err = os.ReadFile(c.Users)
	require.NoError(t, err)
	assert.Contains(t, string(text), ":"+data+"/home/ann:")
	fi, err := os.Stat(data)
	require.NoError(t, err)
	assert.EqualValues(t, 0o700, fi.Mode().Perm())
	left, err := filepath.Glob(filepath.Join(data, "etc-*"))
	require.NoError(t, err)
	assert.Empty(t, left)

	// The second time, nothing changes: neither what the owner wrote nor what he removed.
	require.NoError(t, os.WriteFile(c.Aliases, []byte("mine: ann\n"), 0o600))
	require.NoError(t, os.Remove(filepath.Join(c.Etc, "mailertable")))
	_, fresh = open()
	assert.False(t, fresh)
	text, err = os.ReadFile(c.Aliases)
	require.NoError(t, err)
	assert.Equal(t, "mine: ann\n", string(text))
	assert.NoFileExists(t, filepath.Join(c.Etc, "mailertable"))

	// A directory of one's own is taken as it is.
	other := Defaults()
	other.Data, other.Etc = filepath.Join(t.TempDir(), "d"), t.TempDir()
	require.NoError(t, other.Complete())
	fresh, err = other.createDirs()
	require.NoError(t, err)
	assert.False(t, fresh)
	entries, err := os.ReadDir(other.Etc)
	require.NoError(t, err)
	assert.Empty(t, entries)

	// A crash before the directory had its name leaves room for the next start.
	require.NoError(t, os.Rename(c.Etc, filepath.Join(data, "etc-123")))
	_, fresh = open()
	assert.True(t, fresh)
	assert.FileExists(t, c.Aliases)
}

func TestPasswd(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "passwd")
	require.NoError(t, os.WriteFile(file, []byte("# users\n\nann:x:1001:100:Ann Example,Room 1:/home/ann:/bin/sh\n"), 0o600))
	p, err := readPasswd(file)
	require.NoError(t, err)
	a, ok, err := p.Account(t.Context(), "ann")
	require.NoError(t, err)
	require.True(t, ok)
	assert.Equal(t, "Ann Example", a.FullName)
	assert.Equal(t, []any{1001, 100, "/home/ann", "/bin/sh"}, []any{a.UID, a.GID, a.Home, a.Shell})
	_, ok, err = p.Account(t.Context(), "Ann")
	assert.NoError(t, err)
	assert.False(t, ok)

	bad := "ann:x:1:1::/:\nbob:x:1\ncarol:x:one:1::/:\ndora:x:1:-1::/:\na/b:x:1:1::/:\nann:x:2:2::/:\n../x:x:1:1::/:\n..:x:1:1::/:\nok:x:1:1::/:\n"
	require.NoError(t, os.WriteFile(file, []byte(bad), 0o600))
	_, err = readPasswd(file)
	for _, want := range []string{":2: 3 fields, want 7", `:3: bad uid "one"`, `:4: bad gid "-1"`, `:5: bad user name "a/b"`, ":6: user ann is there twice", ":7: bad user name", `:8: bad user name ".."`} {
		assert.ErrorContains(t, err, file+want)
	}
	assert.NotContains(t, err.Error(), ":9:")
	_, err = readPasswd(file + ".none")
	assert.ErrorContains(t, err, "passwd.none")
}

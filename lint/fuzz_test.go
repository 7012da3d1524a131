package lint

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/mtakit/mtakit"
)

// Whatever the tables hold, the check ends, its findings are complete, and nothing changes between a directory and
// itself.
func FuzzCheck(f *testing.F) {
	f.Add("postmaster: ann\na: b\nb: a\n", "x@our.test\ty@our.test\n@our.test\t%1@far.test\n", ".\tesmtp:h\n..\tx:y\n", "Connect:IPv6:::\tRELAY\n@\tOK\n", "our.test [192.0.2.1] .")
	f.Add("\"a b\": :include:/etc/shadow, \"|x\"\nowner-a: b\n+*: x\n", "@\tx\n@@\ty\n+*@our.test\t\\z\n", "[1]\tx:\n", "To:\tRELAY\nRELAY\tRELAY\n", "#\n")
	f.Fuzz(func(t *testing.T, aliases, virtual, mailer, access, local string) {
		dir := t.TempDir()
		for name, text := range map[string]string{"aliases": aliases, "virtusertable": virtual, "mailertable": mailer,
			"access": access, "local-host-names": local, "passwd": "ann:x:1001:1001::/:/bin/sh\n"} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
		}
		tables, err := Load(dir, &Options{Hostname: "mx.our.test"})
		if err != nil {
			return // too long a line, and the like
		}
		for _, found := range Check(t.Context(), tables, nil) {
			assert.NotEmpty(t, found.Code)
			assert.NotEmpty(t, found.Text)
			assert.NotZero(t, found.Severity)
		}
		addrs := Addresses(tables)
		if len(addrs) > 200 {
			addrs = addrs[:200]
		}
		changes, err := Diff(t.Context(), tables.Resolver(), tables.Resolver(), addrs)
		require.NoError(t, err)
		require.Empty(t, changes)
	})
}

// The tree that an explanation is made of ends in exactly the leaves of the resolution.
func TestTreeHoldsAllLeaves(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		tables := load1(r, dir, world(r))
		resolver := tables.Resolver()
		for _, addr := range Addresses(tables) {
			res, err := resolver.ResolveText(mtakit.WithTracing(t.Context()), mtakit.Address{}, addr)
			require.NoError(r, err)
			var got []string
			var walk func([]mtakit.Branch)
			walk = func(list []mtakit.Branch) {
				for _, b := range list {
					if b.Leaf != nil {
						got = append(got, outcome(b.Leaf))
					}
					walk(b.Branches)
				}
			}
			walk(res.Tree())
			slices.Sort(got)
			require.Equal(r, Outcome(res), got, addr)
			require.NotEmpty(r, got, "a resolution never ends empty")
			plain, err := resolver.ResolveText(t.Context(), mtakit.Address{}, addr)
			require.NoError(r, err)
			require.True(r, Same(res, plain), "tracing changes nothing")
		}
	})
}

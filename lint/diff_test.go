package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/mtakit/mtakit"
)

func changed(t testing.TB, before, after *Tables, addrs []string) []string {
	changes, err := Diff(t.Context(), before.Resolver(), after.Resolver(), addrs)
	require.NoError(t, err)
	var names []string
	for _, c := range changes {
		names = append(names, c.Addr)
	}
	return names
}

func TestDiff(t *testing.T) {
	before := tree(t)
	for _, c := range []struct {
		name  string
		edits []string
		want  []string // changed among these addresses
		addrs []string
	}{
		{"an alias gets another member", []string{"aliases", "postmaster: ann, bob\nabuse: postmaster\nteam: ann, bob\nowner-team: ann\n"},
			[]string{"postmaster", "abuse@our.test"}, []string{"postmaster", "abuse@our.test", "team@our.test", "ann"}},
		{"order and spelling change nothing", []string{"aliases", "team: bob, <ann>\nTeam2: ann\nabuse: ann\npostmaster: abuse\n"},
			nil, []string{"postmaster", "abuse", "ann@our.test"}},
		{"an owner is added", []string{"aliases", "+owner-list: bob\n"}, []string{"list"}, []string{"list", "team", "ann"}},
		{"a domain is no longer local", []string{"local-host-names", "our.test\n"}, []string{"x@second.test"},
			[]string{"x@second.test", "ann@our.test"}},
		{"a user is gone", []string{"passwd", "ann:x:1:1::/:/bin/sh\n"}, []string{"bob@our.test", "info@our.test", "team"},
			[]string{"bob@our.test", "info@our.test", "team", "ann", "sales@our.test"}},
		{"another next hop", []string{"mailertable", "partner.test\tesmtp:[192.0.2.26]\n"},
			[]string{"a@partner.test", "a@x.partner.test", "a@closed.test"}, []string{"a@partner.test", "a@x.partner.test", "a@closed.test", "a@far.test"}},
		{"a comment", []string{"aliases", "+# nothing\n"}, nil, Addresses(before)},
	} {
		assert.Equal(t, c.want, changed(t, before, tree(t, c.edits...), c.addrs), c.name)
	}
}

func TestDiffOfEqualDirectories(t *testing.T) {
	a, b := tree(t), tree(t)
	addrs := Addresses(a, b)
	assert.Empty(t, changed(t, a, b, addrs))
	for _, want := range []string{"team", "team+x", "team@our.test", "devs@our.test", "info@our.test", "ann@second.test",
		"nobody-has-this-name@partner.test", "nobody-has-this-name@x.partner.test", "carol", "postmaster@localhost"} {
		assert.Contains(t, addrs, want)
	}
}

// world draws the tables of a small site in which everything may go wrong.
func world(t *rapid.T) map[string]string {
	name := rapid.SampledFrom([]string{"ann", "bob", "carol", "dave", "team", "list", "postmaster", "info", "ann+x", "team+x"})
	domain := rapid.SampledFrom([]string{"our.test", "second.test", "far.test", "x.far.test"})
	target := rapid.Custom(func(t *rapid.T) string {
		switch rapid.IntRange(0, 9).Draw(t, "form") {
		case 0:
			return name.Draw(t, "name") + "@" + domain.Draw(t, "domain")
		case 1:
			return "\\" + name.Draw(t, "name")
		case 2:
			return "error:5.1.1:550 No"
		case 3:
			return "/dev/null"
		default:
			return name.Draw(t, "name")
		}
	})
	lines := func(n int, line func(i int) string) string {
		var b strings.Builder
		for i := range rapid.IntRange(0, n).Draw(t, "lines") {
			b.WriteString(line(i) + "\n")
		}
		return b.String()
	}
	return map[string]string{
		"aliases": lines(8, func(int) string {
			return name.Draw(t, "key") + ": " + strings.Join(rapid.SliceOfN(target, 1, 3).Draw(t, "members"), ", ")
		}),
		"virtusertable": lines(6, func(int) string {
			key := rapid.SampledFrom([]string{"ann", "info", "", "team", "ann+*", "+*"}).Draw(t, "key") + "@" + domain.Draw(t, "domain")
			return key + "\t" + target.Draw(t, "target")
		}),
		"mailertable": lines(3, func(int) string {
			return rapid.SampledFrom([]string{"", "."}).Draw(t, "dot") + domain.Draw(t, "key") + "\tesmtp:[" + domain.Draw(t, "hop") + "]"
		}),
		"local-host-names": lines(2, func(int) string { return domain.Draw(t, "local") }),
		"passwd":           "ann:x:1001:1001::/:/bin/sh\nbob:x:1002:1002::/:/bin/sh\n",
	}
}

func load1(t *rapid.T, dir string, files map[string]string) *Tables {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		require.NoError(t, os.Remove(filepath.Join(dir, e.Name())))
	}
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	tables, err := Load(dir, &Options{Hostname: "mx.our.test"})
	require.NoError(t, err)
	return tables
}

// Diff names exactly the addresses that Resolve sends elsewhere, and none when the directories are equal.
func TestDiffPredictsResolve(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		files := world(r)
		before := load1(r, one, files)
		other := world(r)
		// Mostly one table changes, so that most addresses stay.
		edited := map[string]string{}
		which := rapid.SampledFrom([]string{"aliases", "virtusertable", "mailertable", "local-host-names", "all"}).Draw(r, "table")
		for name, text := range files {
			edited[name] = text
			if name == which || which == "all" {
				edited[name] = other[name]
			}
		}
		after := load1(r, two, edited)
		addrs := Addresses(before, after)
		changes, err := Diff(t.Context(), before.Resolver(), after.Resolver(), addrs)
		require.NoError(r, err)
		got := map[string]bool{}
		for _, c := range changes {
			got[c.Addr] = true
		}
		for _, addr := range addrs {
			a, err := mtakit.ParseAddress(addr)
			require.NoError(r, err, addr)
			x, err := before.Resolver().Resolve(t.Context(), mtakit.Address{}, a)
			require.NoError(r, err)
			y, err := after.Resolver().Resolve(t.Context(), mtakit.Address{}, a)
			require.NoError(r, err)
			require.Equal(r, !slices.Equal(Outcome(x), Outcome(y)), got[addr], "%s: %v, now %v", addr, Outcome(x), Outcome(y))
		}
		same := load1(r, two, files)
		require.Empty(r, changed(t, before, same, addrs), "equal directories")
	})
}

// Whatever else is in the tables, a planted fault is found at its line.
func TestPlantedFaultIsFound(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	faults := []struct{ file, text, code string }{
		{"aliases", "planted1: planted2\nplanted2: planted1", "loop"},
		{"aliases", "planted: zed", "dangling-target"},
		{"aliases", "planted: ann\nplanted: bob", "duplicate-key"},
		{"aliases", "planted: \"|/no/such/program\"", "missing-file"},
		{"virtusertable", "planted@nowhere.test\tann", "not-our-domain"},
		{"virtusertable", "@mx.our.test\tbob", "catch-all"},
		{"virtusertable", "planted@mx.our.test\tann\nPLANTED@mx.our.test\tbob", "duplicate-key"},
		{"virtusertable", "planted@mx.our.test\tplanted@mx.our.test", "loop"},
		{"virtusertable", "planted@mx.our.test\tzed", "dangling-target"},
		{"virtusertable", "planted", "syntax"},
		{"mailertable", "mx.our.test\tesmtp:[x.test]", "local-domain"},
		{"mailertable", "planted.test\thub.test", "no-mailer"},
		{"access", "To:com\tRELAY", "open-relay"},
		{"access", "Connect:198\tRELAY", "open-relay"},
		{"access", "Connect:IPv6:::1\tRELAY", "unreachable-key"},
		{"relay-domains", "net", "open-relay"},
	}
	rapid.Check(t, func(r *rapid.T) {
		files := world(r)
		f := rapid.SampledFrom(faults).Draw(r, "fault")
		line := strings.Count(files[f.file], "\n") + 1 + strings.Count(f.text, "\n")
		files[f.file] += f.text + "\n"
		tables := load1(r, dir, files)
		found := Check(t.Context(), tables, nil)
		place := fmt.Sprintf("%s/%s:%d", dir, f.file, line)
		near := fmt.Sprintf("%s/%s:%d", dir, f.file, line-1) // of two lines that replace each other, the one that never counts
		ok := slices.ContainsFunc(found, func(g Finding) bool {
			at := fmt.Sprintf("%s:%d", g.Pos.File, g.Pos.Line)
			return g.Code == f.code && (at == place || strings.Contains(f.text, "\n") && at == near)
		})
		require.True(r, ok, "%s is not among %v", f.code, found)
	})
}

package lint

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
)

// healthy is a directory without a fault.
var healthy = map[string]string{
	"aliases": "postmaster: ann\nabuse: postmaster\nteam: ann, bob\nowner-team: ann\nlist: ann@far.test\n" +
		"devs+*: bob\nsink: /dev/null\nfar: x@elsewhere.test\n",
	"virtusertable": "info@our.test\tbob\nsales@our.test\tcarol@far.test\ngone@our.test\terror:5.1.6:551 Moved\n" +
		"lists+*@our.test\tteam\n@second.test\t%1@far.test\n",
	"mailertable":      "partner.test\tesmtp:[192.0.2.25]\n.partner.test\tesmtp:mail.partner.test\nclosed.test\terror:5.1.2:550 No\n",
	"access":           "Connect:192.0.2\tRELAY\nTo:customer.test\tRELAY\nSpam:abuse@\tFRIEND\nClientRate:\t10\nFrom:bad@\tREJECT\n192.168\tRELAY\n",
	"local-host-names": "our.test\nsecond.test # the other one\n",
	"relay-domains":    "branch.test 10.1\n",
	"passwd": "ann:x:1001:1001:Ann:/home/ann:/bin/sh\nbob:x:1002:1002:Bob:/home/bob:/bin/sh\n" +
		"carol:x:1003:1003::/home/carol:/bin/sh\ndaemon:x:1:1::/:/usr/sbin/nologin\n",
}

// tree writes tables into a new directory and loads them. Each edit is a file name and its new content; a content that
// begins with + is appended to what healthy has.
func tree(t testing.TB, edits ...string) *Tables {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	files := map[string]string{}
	for name, text := range healthy {
		files[name] = text
	}
	for i := 0; i < len(edits); i += 2 {
		if more, ok := strings.CutPrefix(edits[i+1], "+"); ok {
			files[edits[i]] += more
		} else {
			files[edits[i]] = edits[i+1]
		}
	}
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	tables, err := Load(dir, &Options{Hostname: "mx.our.test"})
	require.NoError(t, err)
	return tables
}

// check returns the findings with the directory cut off.
func check(t testing.TB, tables *Tables) []string {
	var lines []string
	for _, f := range Check(context.Background(), tables, nil) {
		lines = append(lines, strings.ReplaceAll(f.String(), tables.Dir+"/", ""))
	}
	return lines
}

func TestHealthyDirectory(t *testing.T) {
	assert.Empty(t, check(t, tree(t)))
}

func TestEmptyDirectory(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "passwd"), nil, 0o644))
	tables, err := Load(dir, nil)
	require.NoError(t, err)
	found := Check(t.Context(), tables, nil)
	require.Len(t, found, 1)
	assert.Equal(t, "no-postmaster", found[0].Code)
	assert.Equal(t, Error, Worst(found))
	_, err = Load(filepath.Join(dir, "nothing"), nil)
	assert.Error(t, err)
}

// Each row plants one fault into the healthy directory; exactly the findings named must come of it.
func TestPlantedFaults(t *testing.T) {
	for _, c := range []struct {
		name  string
		edits []string
		want  []string
	}{
		{"syntax", []string{"virtusertable", "+ x@our.test ann\nlonely@our.test\n"}, []string{
			"virtusertable:6:1: error: syntax: leading space",
			"virtusertable:7:1: error: syntax: no value for key \"lonely@our.test\""}},
		{"syntax of aliases", []string{"aliases", "+nocolon\n"}, []string{"aliases:9:1: error: syntax: missing colon"}},
		{"duplicate alias", []string{"aliases", "+team: carol\n"}, []string{
			"aliases:3:1: warning: duplicate-key: alias team is given again on line 9, which replaces this entry"}},
		{"duplicate key", []string{"virtusertable", "+INFO@our.test ann\n"}, []string{
			"virtusertable:6:1: warning: duplicate-key: INFO@our.test is given on line 1 already, and that entry counts"}},
		{"duplicate class word", []string{"local-host-names", "+our.test\n"}, []string{
			"local-host-names:3:1: warning: duplicate-key: our.test is given on line 1 already, and that entry counts"}},
		{"alias loop", []string{"aliases", "+a: b\nb: c\nc: a\n"}, []string{
			"aliases:9:1: error: loop: a leads back to itself: aliasing/forwarding loop broken",
			"aliases:10:1: error: loop: b leads back to itself: aliasing/forwarding loop broken",
			"aliases:11:1: error: loop: c leads back to itself: aliasing/forwarding loop broken"}},
		{"loop beside a living member", []string{"aliases", "+a: ann, b\nb: a\n"}, []string{
			"aliases:9:1: error: loop: a leads back to itself: aliasing/forwarding loop broken",
			"aliases:10:1: error: loop: b leads back to itself: aliasing/forwarding loop broken"}},
		{"virtusertable loop", []string{"virtusertable", "+me@our.test me@our.test\n"}, []string{
			"virtusertable:6:1: error: loop: me@our.test leads back to itself through the virtusertable"}},
		{"dangling alias", []string{"aliases", "+staff: ann, dave\n"}, []string{
			"aliases:9:1: error: dangling-target: staff: there is no user or alias dave"}},
		{"dangling virtual user", []string{"virtusertable", "+dave@our.test dave\n"}, []string{
			"virtusertable:6:1: error: dangling-target: dave@our.test: there is no user or alias dave"}},
		{"broken target", []string{"virtusertable", "+x@our.test a@b@c\n"}, []string{
			"virtusertable:6:1: error: broken-target: x@our.test: mail for x@our.test is refused: Invalid route address"}},
		{"domain that is not ours", []string{"virtusertable", "+joe@other.test ann\n@other.test bob\n"}, []string{
			"virtusertable:6:1: error: not-our-domain: joe@other.test: other.test is not a local domain, so this entry is never asked; see local-host-names",
			"virtusertable:7:1: error: not-our-domain: @other.test: other.test is not a local domain, so this entry is never asked; see local-host-names"}},
		{"catch-all", []string{"virtusertable", "+@our.test bob\n"}, []string{
			"virtusertable:6:1: warning: catch-all: @our.test takes the mail of these users at our.test: ann, carol",
			"virtusertable:6:1: note: catch-all: @our.test takes the mail of these aliases at our.test: abuse, far, list, postmaster, sink, team"}},
		{"local domain in mailertable", []string{"mailertable", "+our.test esmtp:x.test\n"}, []string{
			"mailertable:4:1: warning: local-domain: our.test is a local domain, so this entry is never asked"}},
		{"mailertable without mailer", []string{"mailertable", "+bare.test hub.test\n"}, []string{
			"mailertable:4:1: warning: no-mailer: value \"hub.test\" names no mailer, so bare.test is not sent there; write esmtp:hub.test"}},
		{"final dot", []string{"mailertable", "+dot.test. esmtp:x.test\n"}, []string{
			"mailertable:4:1: warning: unreachable-key: dot.test. is never asked for: keys have no final dot"}},
		{"shadowed spam entry", []string{"access", "+Spam:our.test FRIEND\nSpam:second.test FRIEND\nSpam:mx.our.test FRIEND\nSpam:localhost FRIEND\n"}, nil},
		{"IPv6 shorthand", []string{"access", "+Connect:IPv6:2001:db8::1 REJECT\n2001:db8:2 REJECT\n"}, []string{
			"access:7:1: warning: unreachable-key: Connect:IPv6:2001:db8::1 is never asked for: IPv6 addresses are written without \"::\"",
			"access:8:1: warning: unreachable-key: 2001:db8:2 is never asked for: IPv6 addresses are written IPv6:2001:db8:…"}},
		{"prefix length", []string{"access", "+Connect:198.51.100.0/24 REJECT\nConnect:198.51.100.0 REJECT\nConnect:198.51.100. OK\n"}, []string{
			"access:7:1: warning: unreachable-key: Connect:198.51.100.0/24 is never asked for: networks are written 192.0.2, on octet boundaries",
			"access:8:1: warning: unreachable-key: Connect:198.51.100.0 is never asked for: networks are written without final zeros, 192.0.2 for 192.0.2.0/24",
			"access:9:1: warning: unreachable-key: Connect:198.51.100. is never asked for: keys have no final dot"}},
		{"unknown tag", []string{"access", "+Conect:spam.test REJECT\n"}, []string{
			"access:7:1: warning: unreachable-key: Conect:spam.test is never asked for: there is no tag Conect"}},
		{"wrong tag", []string{"access", "+Connect:ann@our.test REJECT\nFrom:198.51 REJECT\n"}, []string{
			"access:7:1: warning: unreachable-key: Connect:ann@our.test is never asked for",
			"access:8:1: warning: unreachable-key: From:198.51 is never asked for"}},
		{"open relay by domain", []string{"access", "+To:com RELAY\n"}, []string{
			"access:7:1: error: open-relay: To:com permits relaying for the whole top level domain com"}},
		{"open relay by network", []string{"access", "+Connect:198 RELAY\nConnect:198.51 RELAY\nConnect:IPv6:2001 RELAY\nConnect:10 RELAY\n"}, []string{
			"access:7:1: error: open-relay: Connect:198 permits relaying to 16 million addresses of the Internet",
			"access:8:1: warning: open-relay: Connect:198.51 permits relaying to 65536 addresses of the Internet",
			"access:9:1: error: open-relay: Connect:IPv6:2001 permits relaying to a /16 of the IPv6 Internet"}},
		{"open relay by class", []string{"relay-domains", "+org 203\n"}, []string{
			"relay-domains:2:1: error: open-relay: org permits relaying for the whole top level domain org",
			"relay-domains:2:5: error: open-relay: 203 permits relaying to 16 million addresses of the Internet"}},
		{"missing files", []string{"aliases", "+prg: \"|/no/such/program -x\"\nfil: /no/such/dir/file\nlst: :include:/no/such/list\n"}, []string{
			"aliases:9:1: error: missing-file: program /no/such/program does not exist or cannot be seen",
			"aliases:10:1: error: missing-file: /no/such/dir/file: there is no directory /no/such/dir",
			"aliases:11:1: error: missing-file: list /no/such/list does not exist or cannot be seen"}},
		{"no postmaster", []string{"aliases", "abuse: ann\nteam: ann\n"}, []string{
			"error: no-postmaster: mail for postmaster is refused: 550 5.1.1 User unknown"}},
		{"broken passwd", []string{"passwd", "+dave:1004\n"}, []string{
			"passwd:5:1: error: syntax: not name:password:uid:gid:gecos:home:shell"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := check(t, tree(t, c.edits...))
			if c.name == "shadowed spam entry" {
				require.Len(t, got, 1)
				assert.Contains(t, got[0], "access:3:1: warning: shadowed-key: Spam:abuse@ is never met: domains come before users, see Spam:")
				return
			}
			assert.ElementsMatch(t, c.want, got)
		})
	}
}

func TestUnsafeModes(t *testing.T) {
	tables := tree(t)
	require.NoError(t, os.Chmod(filepath.Join(tables.Dir, "aliases"), 0o666))
	require.NoError(t, os.Chmod(filepath.Join(tables.Dir, "access"), 0o664))
	assert.ElementsMatch(t, []string{
		"aliases: error: unsafe-mode: file aliases is writable by everybody (mode 0666)",
		"access: warning: unsafe-mode: file access is writable by its group (mode 0664)",
	}, check(t, tables))
	require.NoError(t, os.Chmod(filepath.Join(tables.Dir, "aliases"), 0o644))
	require.NoError(t, os.Chmod(filepath.Join(tables.Dir, "access"), 0o644))
	require.NoError(t, os.Chmod(tables.Dir, 0o777))
	got := check(t, tables)
	require.Len(t, got, 1)
	assert.Contains(t, got[0], "is writable by everybody (mode 0777)")
}

func TestSkip(t *testing.T) {
	tables := tree(t, "relay-domains", "org\n")
	assert.Empty(t, Check(t.Context(), tables, &CheckOptions{Skip: []string{"open-relay"}}))
}

// The package comment describes every code, and no other.
func TestCodes(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	var described []string
	for line := range strings.SplitSeq(string(doc), "\n") {
		if word, ok := strings.CutPrefix(line, "//\t"); ok && len(word) > 17 && word[16] == ' ' && word[0] >= 'a' && !strings.ContainsAny(word[:16], ",.(") {
			described = append(described, strings.Fields(word)[0])
		}
	}
	assert.Equal(t, described, Codes())
	sources, err := filepath.Glob("*.go")
	require.NoError(t, err)
	used := make(map[string]bool)
	for _, name := range sources {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`c\.add\([^"\n]*, "([a-z-]+)"`).FindAllSubmatch(text, -1) {
			used[string(m[1])] = true
		}
	}
	assert.ElementsMatch(t, Codes(), slices.Collect(maps.Keys(used)))
}

// TestUnreadable: what cannot be read to its end is an error, and the rest can still be used.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "passwd"), nil, 0o644))
	for _, name := range []string{"aliases", "virtusertable", "mailertable", "access"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o755)) // which opens, and cannot be read
	}
	tables, err := Load(dir, &Options{Hostname: "mx.our.test"})
	for _, name := range []string{"aliases", "virtusertable", "mailertable", "access"} {
		assert.ErrorContains(t, err, filepath.Join(dir, name)+": ")
	}
	require.NotNil(t, tables)
	r, err := tables.Resolver().ResolveText(t.Context(), mtakit.Address{}, "someone@far.test")
	require.NoError(t, err)
	assert.Len(t, r.Leaves, 1)
}

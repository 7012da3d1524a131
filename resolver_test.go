package mtakit_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
	"github.com/mtakit/mtakit/mailertable"
	"github.com/mtakit/mtakit/virtuser"
)

// office has users ann and bob and the given aliases.
func office(t *testing.T, aliases string) *mtakit.Resolver {
	t.Helper()
	file, err := alias.Parse(strings.NewReader(aliases), "aliases")
	require.NoError(t, err)
	return &mtakit.Resolver{
		Hostname:     "mx.test",
		LocalDomains: mtakit.DomainSet{"office.test": true},
		Aliases:      alias.New(file, alias.Options{PreserveDetail: true}),
		Accounts: mtakit.AccountsFunc(func(_ context.Context, name string) (mtakit.Account, bool, error) {
			return mtakit.Account{Name: name, UID: 1000}, name == "ann" || name == "bob", nil
		}),
	}
}

// outcome lists the leaves: user or error.
func outcome(res *mtakit.Resolution) []string {
	var list []string
	for _, l := range res.Leaves {
		s := l.Text + ": " + l.Route.Mailer + " " + l.Route.User
		if l.Err != nil {
			s = l.Text + ": " + l.Err.Error()
		}
		if l.Lost {
			s += " (lost)"
		}
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}

func TestResolve(t *testing.T) {
	for _, tt := range []struct {
		name, aliases, rcpt string
		want                []string
	}{
		{"a user", "", "ann@office.test", []string{"ann@office.test: local ann"}},
		{"nobody", "", "eve", []string{"eve: 550 5.1.1 User unknown"}},
		{"one bad member does not hurt the others", "list: ann, eve, bob@far.test", "list",
			[]string{"ann: local ann", "bob@far.test: esmtp bob@far.test", "eve: 550 5.1.1 User unknown"}},
		{"a user's alias that names the user ends in the mailbox", "ann: ann, bob", "ann", []string{"ann: local ann", "bob: local bob"}},
		{"a circle stops at the first mailbox", "list: ann\nann: list", "list", []string{"ann: local ann"}},
		{"a circle without mailbox fails", "a: b\nb: a", "a", []string{"a: 554 5.4.6 aliasing/forwarding loop broken"}},
		{"a circle beside a living member fails, too, where sendmail is silent", "a: b, ann\nb: a", "a",
			[]string{"ann: local ann", "b: 554 5.4.6 aliasing/forwarding loop broken (lost)"}},
		{"an alias without members fails beside living ones, too", "a: ann, b\nb: (nobody)", "a",
			[]string{"ann: local ann", "b: 554 5.4.6 aliasing/forwarding loop broken (lost)"}},
		{"a duplicate is no circle", "a: ann, b\nb: ann", "a", []string{"ann: local ann"}},
		{"programs and files only from lists", "", "|/bin/x", []string{"|/bin/x: 550 5.7.1 Cannot mail directly to programs"}},
		{"detail", "", "ann+lists", []string{"ann+lists: local ann"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res, err := office(t, tt.aliases).ResolveText(context.Background(), mtakit.Address{}, tt.rcpt)
			require.NoError(t, err)
			assert.Equal(t, tt.want, outcome(res))
		})
	}
}

// A table that cannot tell defers its branch, and no other one.
func TestResolveDefersOneBranch(t *testing.T) {
	down := errors.New("directory is down")
	r := office(t, "list: ann, bob, eve")
	r.Accounts = mtakit.AccountsFunc(func(_ context.Context, name string) (mtakit.Account, bool, error) {
		if name == "bob" {
			return mtakit.Account{}, false, down
		}
		return mtakit.Account{Name: name}, name == "ann", nil
	})
	res, err := r.Resolve(context.Background(), mtakit.Address{}, mtakit.Address{Local: "list"})
	require.NoError(t, err)
	require.Len(t, res.Leaves, 3)
	for _, l := range res.Leaves {
		switch l.Text {
		case "ann":
			assert.NoError(t, l.Err)
		case "bob":
			assert.True(t, mtakit.Temporary(l.Err))
			assert.ErrorIs(t, l.Err, down)
		case "eve":
			assert.False(t, mtakit.Temporary(l.Err))
		}
	}
	assert.NoError(t, res.Err(), "there is hope")
}

// Verify does not open aliases: that is what RCPT shows when mail is queued.
func TestVerify(t *testing.T) {
	r := office(t, "list: eve")
	ctx := context.Background()
	res, err := r.Verify(ctx, mtakit.Address{}, mtakit.Address{Local: "list", Domain: "office.test"})
	require.NoError(t, err)
	assert.NoError(t, res.Err())
	assert.True(t, res.Leaves[0].Verified)
	res, err = r.Verify(ctx, mtakit.Address{}, mtakit.Address{Local: "eve", Domain: "office.test"})
	require.NoError(t, err)
	assert.EqualError(t, res.Err(), "550 5.1.1 User unknown")
}

func TestGroups(t *testing.T) {
	r := office(t, "list: ann, x@far.test\nowner-list: boss@office.test")
	res, err := r.ResolveText(context.Background(), mtakit.Address{Local: "s", Domain: "far.test"}, "list", "bob")
	require.NoError(t, err)
	groups := res.Groups()
	require.Len(t, groups, 2)
	assert.Equal(t, "", groups[0].Owner)
	assert.Len(t, groups[0].Leaves, 1)
	assert.Equal(t, "boss@office.test", groups[1].Owner)
	assert.Len(t, groups[1].Leaves, 2)
}

func TestResolveCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := office(t, "").Resolve(ctx, mtakit.Address{}, mtakit.Address{Local: "ann"})
	assert.ErrorIs(t, err, context.Canceled)
}

// Every leaf says how it was found; the JSON form carries the same.
func TestSteps(t *testing.T) {
	res, err := office(t, "# staff\nlist: ann,\n\teve\n").Resolve(mtakit.WithTracing(context.Background()), mtakit.Address{}, mtakit.Address{Local: "list"})
	require.NoError(t, err)
	for _, l := range res.Leaves {
		steps := l.Steps()
		assert.Equal(t, "list", steps[0].Key)
		assert.Equal(t, 2, steps[0].Pos.Line)
		assert.Equal(t, l.Text, steps[len(steps)-1].Input)
	}
	text, err := json.Marshal(res)
	require.NoError(t, err)
	var back struct {
		Leaves []struct {
			Text, Error string
			Steps       []mtakit.Step
		}
	}
	require.NoError(t, json.Unmarshal(text, &back))
	require.Len(t, back.Leaves, 2)
	assert.Equal(t, res.Leaves[0].Steps(), back.Leaves[0].Steps)
}

// A value that names its argument twice doubles the address each time it is looked up again. That ends in a verdict, soon.
func TestGrowingValues(t *testing.T) {
	virtual, err := virtuser.Parse(strings.NewReader("@dom.test\t%1%1@dom.test\n"), "virtusertable")
	require.NoError(t, err)
	routes, err := mailertable.Parse(strings.NewReader(".\t%0.%0\n.test\t%1.%1.%1.x.test\n"), "mailertable")
	require.NoError(t, err)
	r := &mtakit.Resolver{LocalDomains: mtakit.DomainSet{"dom.test": true}, Virtual: virtuser.New(virtual), Router: mailertable.New(routes)}
	for _, addr := range []mtakit.Address{{Local: "joe", Domain: "dom.test"}, {Local: "joe", Domain: "a.b.c.test"}} {
		res, err := r.Resolve(t.Context(), mtakit.Address{}, addr)
		require.NoError(t, err)
		require.NotEmpty(t, res.Leaves)
	}
	res, err := r.Resolve(t.Context(), mtakit.Address{}, mtakit.Address{Local: "joe", Domain: "dom.test"})
	require.NoError(t, err)
	require.EqualError(t, res.Err(), "553 5.1.0 prescan: token too long")
}

// What sendmail -bv prints of owners that cannot be senders, and exits with. It looks at them last, whether or not their
// members can be reached.
func TestBadOwners(t *testing.T) {
	for _, tt := range []struct {
		name, aliases string
		want          []string
		exit          int
	}{
		{"a verdict", "n1: ann\nowner-n1: boss@bad.net\n", []string{"bad", "ann... deliverable: mailer local, user ann"}, 68},
		{"no deliverable member", "n1: nosuch\nowner-n1: boss@bad.net\n", []string{"nosuch... User unknown", "bad"}, 67},
		{"syntax", "n1: nosuch\nowner-n1: boss@\n", []string{"nosuch... User unknown", "Hostname required"}, 67},
		{"temporary", "n1: ann\nowner-n1: boss@later.net\n", []string{"later", "ann... deliverable: mailer local, user ann"}, 0},
		{"the last member first", "n1: ann, bob, n2\nn2: joe\nowner-n1: boss@bad.net\nowner-n2: boss@\n", []string{"bad", "Hostname required",
			"joe... deliverable: mailer local, user joe", "bob... deliverable: mailer local, user bob", "ann... deliverable: mailer local, user ann"}, 68},
		{"repaired", "n1: ann\nowner-n1: <boss\n", []string{"<boss... Unbalanced '<'", "<boss... Unbalanced '<'", "ann... deliverable: mailer local, user ann"}, 0},
		{"repaired and bad", "n1: ann\nowner-n1: <boss@bad.net\n", []string{"<boss@bad.net... Unbalanced '<'", "bad", "ann... deliverable: mailer local, user ann"}, 68},
		{"nothing to repair", "n1: ann\nowner-n1: (boss\n", []string{"(boss... Unbalanced '('", "ann... deliverable: mailer local, user ann"}, 0},
		{"after a repaired member", "n1: <ann\nowner-n1: boss@bad.net\n", []string{"<ann... Unbalanced '<'", "bad", "<ann... deliverable: mailer local, user ann"}, 64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			aliases, err := alias.Parse(strings.NewReader(tt.aliases), "aliases")
			require.NoError(t, err)
			r := &mtakit.Resolver{
				Aliases: alias.New(aliases, alias.Options{}),
				Router:  mailertable.New(mtakit.MapTable{"bad.net": "error:5.1.2:550 bad", "later.net": "error:4.4.1:451 later"}),
				Accounts: mtakit.AccountsFunc(func(_ context.Context, name string) (mtakit.Account, bool, error) {
					return mtakit.Account{Name: name}, name != "nosuch", nil
				}),
			}
			res, err := r.ResolveText(context.Background(), mtakit.Address{}, "n1")
			require.NoError(t, err)
			assert.Equal(t, tt.want, res.Lines())
			assert.Equal(t, tt.exit, res.ExitStatus())
		})
	}
}

// Several ways to name nobody are one address in a run, the last of which is reported. Asked of sendmail -bv.
func TestNobody(t *testing.T) {
	for members, want := range map[string][]string{
		"@, @":      {"@... User unknown"},
		"%, %":      {"%... User unknown"},
		`"<>", <>`:  {"<>... User unknown", `"<>"... User unknown`},
		"@, %, <>":  {"<>... User unknown"},
		"ann, @, @": {"@... User unknown", "ann... deliverable: mailer local, user ann"},
	} {
		r := &mtakit.Resolver{Aliases: alias.New(mtakit.MapTable{"l": members}, alias.Options{}), Accounts: mtakit.AccountsFunc(
			func(_ context.Context, name string) (mtakit.Account, bool, error) {
				return mtakit.Account{Name: name}, name == "ann", nil
			})}
		res, err := r.ResolveText(t.Context(), mtakit.Address{}, "l")
		require.NoError(t, err)
		assert.Equal(t, want, res.Lines(), members)
	}
}

// listFile is an Includer with one list, or an error.
type listFile struct {
	text string
	err  error
	from []bool // fromAlias of each call
}

func (f *listFile) Include(_ context.Context, path string, _ mtakit.Control, fromAlias bool) (mtakit.Expansion, error) {
	f.from = append(f.from, fromAlias)
	return mtakit.Expansion{To: mtakit.ParseList(f.text, mtakit.Position{File: path, Line: 1}), Step: mtakit.Step{Stage: "include", Input: path}}, f.err
}

// TestResolveMember: a list that could not be read keeps its place in the queue, and is resolved without its siblings and
// with the same rights.
func TestResolveMember(t *testing.T) {
	r := office(t, "crew: ann, :include:/list")
	list := &listFile{err: &mtakit.Error{Code: 451, Status: mtakit.StatusListExpansion.AsTemporary(), Text: "Cannot open /list"}}
	r.Includes = list
	res, err := r.ResolveText(t.Context(), mtakit.Address{}, "crew")
	require.NoError(t, err)
	i := slices.IndexFunc(res.Leaves, func(l mtakit.Leaf) bool { return l.Err != nil })
	require.GreaterOrEqual(t, i, 0)
	waits := res.Leaves[i]
	assert.Equal(t, ":include:/list", waits.Text)

	res, err = r.ResolveMember(t.Context(), mtakit.Address{}, waits.Text, waits.Control)
	require.NoError(t, err)
	assert.Equal(t, []string{":include:/list: 451 4.2.4 Cannot open /list"}, outcome(res))
	assert.Equal(t, waits.Control, res.Leaves[0].Control)

	list.text, list.err = "bob, |/bin/x", nil
	res, err = r.ResolveMember(t.Context(), mtakit.Address{}, waits.Text, waits.Control)
	require.NoError(t, err)
	assert.Equal(t, []string{"bob: local bob", "|/bin/x: prog |/bin/x"}, outcome(res))
	assert.Equal(t, mtakit.Control{User: "crew", Origin: ":include:/list"}, res.Leaves[0].Control)
	assert.True(t, strings.HasPrefix(res.Explain(), "crew\n  :include:/list\n"), res.Explain())
	assert.Equal(t, []bool{true, true, true}, list.from)

	waits.Control.Alias = false // of a forward file
	_, err = r.ResolveMember(t.Context(), mtakit.Address{}, waits.Text, waits.Control)
	require.NoError(t, err)
	assert.False(t, list.from[3])
}

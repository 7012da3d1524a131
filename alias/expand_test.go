package alias_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/alias"
)

const sample = `ann: ann@example.org
plus+tag: bob
plus+*: carol
plus: dan
team: ann,
 bob
owner-team: boss
many: ann
owner-many: ann, bob
owner-boss: eve
owner-owner: postmaster
"a b": quoted
a+b: ab
nothing: (nobody)
`

func TestExpand(t *testing.T) {
	t.Parallel()
	f, err := alias.Parse(strings.NewReader(sample), "aliases")
	require.NoError(t, err)
	for _, tt := range []struct {
		name, local string
		preserve    bool
		want        string // members
		key, owner  string
		tried       string
		line        int
	}{
		{name: "plain", local: "ann", want: "ann@example.org", key: "ann", tried: "ann", line: 1},
		{name: "any case", local: "ANN", want: "ann@example.org", key: "ann", tried: "ann", line: 1},
		{name: "absent", local: "zoe", tried: "zoe"},
		{name: "detail itself", local: "plus+tag", want: "bob", key: "plus+tag", tried: "plus+tag", line: 2},
		{name: "any detail", local: "plus+other", want: "carol", key: "plus+*", tried: "plus+other plus+*", line: 3},
		{name: "several plus signs", local: "plus+a+b", want: "carol", key: "plus+*", tried: "plus+a+b plus+*", line: 3},
		{name: "empty detail", local: "plus+", want: "carol", key: "plus+*", tried: "plus+ plus+*", line: 3},
		{name: "without detail", local: "plus", want: "dan", key: "plus", tried: "plus", line: 4},
		{name: "detail dropped", local: "ann+x", want: "ann@example.org", key: "ann", tried: "ann+x ann+* ann", line: 1},
		{name: "detail kept", local: "ann+x", preserve: true, tried: "ann+x"},
		{name: "no user before the plus", local: "+x", tried: "+x"},
		{name: "owner", local: "team", want: "ann bob", key: "team", owner: "boss", tried: "team", line: 5},
		{name: "owner that is a list", local: "many", want: "ann", key: "many", owner: "owner-many", tried: "many", line: 8},
		{name: "owner of an owner", local: "owner-boss", want: "eve", key: "owner-boss", owner: "postmaster", tried: "owner-boss", line: 10},
		{name: "owner by the name that matched", local: "team+x", want: "ann bob", key: "team", owner: "boss", tried: "team+x team+* team", line: 5},
		{name: "blank in the name", local: "a b", want: "quoted", key: `"a b"`, tried: `"a b"`, line: 12},
		{name: "blank in the name, in quotes", local: `"A B"`, want: "quoted", key: `"a b"`, tried: `"a b"`, line: 12},
		{name: "backslash", local: `\ann`},
		{name: "no members", local: "nothing", key: "nothing", tried: "nothing", line: 14},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := alias.New(f, alias.Options{PreserveDetail: tt.preserve})
			ctx := mtakit.WithTracing(context.Background())
			x, ok, err := m.Expand(ctx, mtakit.Address{Local: tt.local})
			require.NoError(t, err)
			assert.Equal(t, tt.key != "", ok)
			var to []string
			for _, member := range x.To {
				to = append(to, member.Text)
				assert.Equal(t, tt.line, member.Pos.Line)
			}
			assert.Equal(t, tt.want, strings.Join(to, " "))
			assert.Equal(t, tt.key, x.Step.Key)
			assert.Equal(t, tt.owner, x.Owner)
			assert.Equal(t, tt.tried, strings.Join(x.Step.Tried, " "))
			if ok {
				assert.Equal(t, mtakit.Position{File: "aliases", Line: tt.line, Col: 1}, x.Step.Pos)
			}
		})
	}
}

// A table that cannot tell is never a table without the key, be it about the name, its detail or its owner.
func TestExpandCannotTell(t *testing.T) {
	t.Parallel()
	down := errors.New("table is down")
	for _, bad := range []string{"ann+x", "ann+*", "ann", "owner-ann"} {
		m := alias.New(mtakit.TableFunc(func(_ context.Context, key string) (string, bool, error) {
			if key == bad {
				return "", false, down
			}
			return "x", key == "ann", nil
		}), alias.Options{})
		_, ok, err := m.Expand(context.Background(), mtakit.Address{Local: "ann+x"})
		assert.False(t, ok, bad)
		require.ErrorIs(t, err, down, bad)
		assert.True(t, mtakit.Temporary(err))
		assert.ErrorContains(t, err, bad)
	}
}

func TestAppendAndKeepCase(t *testing.T) {
	t.Parallel()
	p := alias.Parser{Append: true}
	f, err := p.Parse(strings.NewReader("a: 1\nb: 2\nA: 3\na: 4\n"), "f")
	require.NoError(t, err)
	v, ok, _ := f.Lookup(context.Background(), "a")
	assert.True(t, ok)
	assert.Equal(t, "4,3,1", v)

	p = alias.Parser{KeepCase: true}
	f, err = p.Parse(strings.NewReader("Ann: 1\nann: 2\nPostMaster: 3\n"), "f")
	require.NoError(t, err)
	for key, want := range map[string]string{"Ann": "1", "ann": "2", "ANN": "", "postmaster": "3", "PostMaster": ""} {
		v, _, _ := f.Lookup(context.Background(), key)
		assert.Equal(t, want, v, key)
	}
}

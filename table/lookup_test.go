package table_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/tabletest"
)

var errDown = errors.New("directory is down")

// down cannot tell.
var down = mtakit.TableFunc(func(context.Context, string) (string, bool, error) { return "", false, errDown })

func TestChain(t *testing.T) {
	t.Parallel()
	one, two := mtakit.MapTable{"a": "1", "both": "1"}, mtakit.MapTable{"b": "2", "both": "2"}
	c := table.Chain{one, two}
	assert.Equal(t, "1", lookup(t.Context(), c, "a"))
	assert.Equal(t, "2", lookup(t.Context(), c, "b"))
	assert.Equal(t, "1", lookup(t.Context(), c, "both"), "the first table wins")
	assert.Equal(t, "-", lookup(t.Context(), c, "c"))
	c = table.Chain{one, down, two}
	assert.Equal(t, "1", lookup(t.Context(), c, "a"))
	assert.Equal(t, "!", lookup(t.Context(), c, "b"), "what cannot tell hides what is behind it")
	tabletest.TestTable(t, func(_ *testing.T, content map[string]string) mtakit.Table {
		return table.Chain{mtakit.MapTable{}, mtakit.MapTable(content)}
	})
}

func TestCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		var fail error
		slow := mtakit.TableFunc(func(_ context.Context, key string) (string, bool, error) {
			calls++
			return "v", key == "there", fail
		})
		c := table.NewCache(slow, &table.CacheOptions{TTL: time.Minute, NegativeTTL: time.Second, MaxEntries: 2})
		ask := func(key, want string, wantCalls int) {
			t.Helper()
			calls = 0
			assert.Equal(t, want, lookup(t.Context(), c, key))
			assert.Equal(t, wantCalls, calls, key)
		}
		ask("there", "v", 1)
		ask("there", "v", 0)
		ask("gone", "-", 1)
		ask("gone", "-", 0)
		time.Sleep(2 * time.Second)
		ask("gone", "-", 1)
		ask("there", "v", 0)
		time.Sleep(time.Minute)
		fail = errDown
		ask("there", "!", 1)
		ask("there", "!", 1) // never remembered
		fail = nil
		ask("there", "v", 1)
		ask("x", "-", 1)
		ask("y", "-", 1)
		ask("there", "v", 1) // pushed out
		assert.Equal(t, 2, c.Len())
		c.Clear()
		assert.Zero(t, c.Len())
	})
	tabletest.TestTable(t, func(_ *testing.T, content map[string]string) mtakit.Table {
		return table.NewCache(mtakit.MapTable(content), nil)
	})
}

func TestParseName(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string
		want table.Name
		err  string
	}{
		{in: "hash:/etc/mail/access", want: table.Name{Class: "hash", Path: "/etc/mail/access"}},
		{in: "hash:-N /etc/aliases", want: table.Name{Class: "hash", Path: "/etc/aliases", NUL: table.NULAlways}},
		{in: "hash: -o -O /a b", want: table.Name{Class: "hash", Path: "/a b", NUL: table.NULNever, Optional: true}},
		{in: "cdb:-of x ", want: table.Name{Class: "cdb", Path: "x", Optional: true, KeepCase: true}},
		{in: "/etc/aliases", want: table.Name{Class: "implicit", Path: "/etc/aliases"}},
		{in: "/a:b", want: table.Name{Class: "implicit", Path: "/a:b"}},
		{in: "hash:", err: `map name "hash:": no path`},
		{in: "hash:-z x", err: `map name "hash:-z x": unknown flag -z`},
	} {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			got, err := table.ParseName(tt.in, "implicit")
			if tt.err != "" {
				assert.EqualError(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
}

func TestRegistryOpen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access")
	require.NoError(t, os.WriteFile(path, []byte("A b\n"), 0o600))
	reg := table.Registry{"text": table.TextEngine(nil)}
	m, err := reg.Open(t.Context(), "text:"+path)
	require.NoError(t, err)
	assert.Equal(t, "b", lookup(t.Context(), m, "a"))
	require.NoError(t, m.Close())

	_, err = reg.Open(t.Context(), "ldap:"+path)
	require.ErrorIs(t, err, table.ErrUnknownClass)
	assert.EqualError(t, err, `unknown map class "ldap" (known: text)`)

	_, err = reg.Open(t.Context(), "text:"+path+".none")
	require.ErrorIs(t, err, fs.ErrNotExist)
	assert.True(t, mtakit.Temporary(err), "a map that is not there cannot tell")
	m, err = reg.Open(t.Context(), "text:-o "+path+".none")
	require.NoError(t, err)
	assert.Equal(t, "-", lookup(t.Context(), m, "a"))
}

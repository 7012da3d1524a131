package virtuser

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
)

func TestParse(t *testing.T) {
	const text = "# domains\n\nAnn@Example.org\tann\n leading x\nbob@example.org\nann@example.org  other\njoe@example.org \t error:5.1.1:550 a  b\nlast@example.org z"
	f, err := Parse(strings.NewReader(text), "vt")
	var entries []Entry
	for e := range f.All() {
		entries = append(entries, e)
	}
	at := func(line int) mtakit.Position { return mtakit.Position{File: "vt", Line: line, Col: 1} }
	assert.Equal(t, []Entry{
		{"Ann@Example.org", "ann", at(3)},
		{"ann@example.org", "other", at(6)},
		{"joe@example.org", "error:5.1.1:550 a  b", at(7)},
		{"last@example.org", "z", at(8)},
	}, entries)
	assert.Equal(t, 4, f.Len())
	assert.ErrorIs(t, err, ErrLeadingSpace)
	assert.ErrorIs(t, err, ErrNoValue)
	assert.ErrorIs(t, err, ErrDuplicate)
	assert.Equal(t, `vt:4:1: leading space
vt:5:1: no value for key "bob@example.org"
vt:6:1: duplicate key "ann@example.org", first given on line 3`, err.Error())

	v, ok, err := f.Lookup(context.Background(), "ANN@example.org")
	require.NoError(t, err)
	assert.True(t, ok)
	assert.Equal(t, "ann", v, "the first entry stands")

	var out bytes.Buffer
	_, err = f.WriteTo(&out)
	require.NoError(t, err)
	assert.Equal(t, text, out.String())

	_, err = Parse(strings.NewReader("k "+strings.Repeat("x", 2000)), "vt")
	assert.ErrorIs(t, err, ErrLineTooLong)
}

// The order of keys, and what a value may use of the address.
func TestExpandKeys(t *testing.T) {
	for _, tt := range []struct {
		address string
		tried   string
	}{
		{"joe@d.test", "joe@d.test @d.test"},
		{"joe+x@d.test", "joe+x@d.test joe++@d.test joe+*@d.test joe@d.test ++@d.test +*@d.test @d.test"},
		{"joe+@d.test", "joe+@d.test joe+*@d.test joe@d.test +*@d.test @d.test"},
		{"+x@d.test", "+x@d.test @d.test"},
		{"joe+a+b@d.test", "joe+a+b@d.test joe++@d.test joe+*@d.test joe@d.test ++@d.test +*@d.test @d.test"},
	} {
		a, err := mtakit.ParseAddress(tt.address)
		require.NoError(t, err)
		x, ok, err := New(mtakit.MapTable{}).Expand(mtakit.WithTracing(context.Background()), a)
		require.NoError(t, err)
		assert.False(t, ok)
		assert.Equal(t, tt.tried, strings.Join(x.Step.Tried, " "))
	}
}

func TestExpandValues(t *testing.T) {
	for _, tt := range []struct {
		name, key, value, address, want string
	}{
		{"whole local part", "@d.test", "%1@x.test", "joe@d.test", "joe@x.test"},
		{"user and detail", "+*@d.test", "%1-%2@x.test", "joe+a+b@d.test", "joe-a+b@x.test"},
		{"detail with its plus sign", "@d.test", "%1%3@x.test", "joe+a@d.test", "joe+a@x.test"},
		{"empty detail", "joe@d.test", "mtk%3", "joe+@d.test", "mtk+"},
		{"key", "joe@d.test", "a-%0", "joe@d.test", "a-joe@d.test"},
		{"missing argument", "joe@d.test", "a%4b", "joe@d.test", "ab"},
		{"percent sign", "joe@d.test", "a%%b", "joe@d.test", "a%b"},
		{"case is kept", "joe@d.test", "%1", "JOE@d.test", "JOE"},
		{"at sign alone means go on", "joe@d.test", "@", "joe@d.test", ""},
		{"exclamation mark alone means stop", "joe@d.test", "!", "joe@d.test", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := mtakit.ParseAddress(tt.address)
			require.NoError(t, err)
			x, ok, err := New(mtakit.MapTable{tt.key: tt.value}).Expand(context.Background(), a)
			require.NoError(t, err)
			require.Equal(t, tt.want != "", ok)
			if ok {
				require.Len(t, x.To, 1)
				assert.Equal(t, tt.want, x.To[0].Text)
			}
		})
	}
}

// A table that cannot tell is not a table that says no.
func TestExpandCannotTell(t *testing.T) {
	down := errors.New("database is down")
	table := mtakit.TableFunc(func(_ context.Context, key string) (string, bool, error) {
		if key == "@d.test" {
			return "", false, down
		}
		return "", false, nil
	})
	_, ok, err := New(table).Expand(context.Background(), mtakit.Address{Local: "joe", Domain: "d.test"})
	assert.False(t, ok)
	assert.ErrorIs(t, err, down)
}

package virtuser

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit"
)

// The form of lines is that of package maptext, where it is tested; here, keys are addresses, whole or in parts.
func TestParse(t *testing.T) {
	text := "Joe+*@Example.org\tann\n@example.org  error:5.1.1:550 a # b\n x y\nbob@example.org\njoe+*@example.org other\n@" + long + "\n"
	f, err := Parse(strings.NewReader(text), "vt")
	assert.EqualError(t, err, `vt:3:1: leading space
vt:4:1: no value for key "bob@example.org"
vt:5:1: duplicate key "joe+*@example.org", first given on line 1
vt:6:1: line too long: 1023 bytes, at most 1022 are allowed`)
	for _, want := range []error{ErrLeadingSpace, ErrNoValue, ErrDuplicate, ErrLineTooLong} {
		assert.ErrorIs(t, err, want)
	}
	at := func(line int) mtakit.Position { return mtakit.Position{File: "vt", Line: line, Col: 1} }
	assert.Equal(t, []Entry{
		{"Joe+*@Example.org", "ann", at(1)},
		{"@example.org", "error:5.1.1:550 a # b", at(2)},
		{"joe+*@example.org", "other", at(5)},
	}, slices.Collect(f.All()))
	assert.Equal(t, 3, f.Len())
	v, pos, ok, err := f.LookupPosition(t.Context(), "JOE+*@example.org")
	assert.Equal(t, []any{"ann", at(1), true, nil}, []any{v, pos, ok, err})
	v, ok, err = f.Lookup(t.Context(), "joe+x@example.org")
	assert.Equal(t, []any{"", false, nil}, []any{v, ok, err}, "a File knows keys, not addresses")
	var out bytes.Buffer
	_, err = f.WriteTo(&out)
	require.NoError(t, err)
	assert.Equal(t, text, out.String())
}

// long is a key and its value, 1022 bytes.
var long = strings.Repeat("x", 1018) + " ann"

func TestParserLimits(t *testing.T) {
	f, err := (&Parser{MaxLine: 1023}).Parse(strings.NewReader("@"+long), "vt")
	require.NoError(t, err)
	assert.Equal(t, 1, f.Len())
	f, err = (&Parser{MaxSize: 7}).Parse(strings.NewReader("a@b.test c"), "vt")
	assert.EqualError(t, err, "vt: file too large (limit is 7 bytes)")
	assert.Nil(t, f)
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

package alias_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/alias"
)

func TestEdit(t *testing.T) {
	t.Parallel()
	const before = "# head\n\nann :  bob ,\n\tcarol # x\ndan: 1\nDAN: 2\n\"a b\": c\r\nlast: x"
	for _, tt := range []struct {
		name, key, value string // no value: remove
		want             string
		err              string
	}{
		{name: "the value of a continued entry", key: "ann", value: "eve",
			want: strings.Replace(before, "bob ,\n\tcarol # x", "eve", 1)},
		{name: "the last one of a repeated key", key: "dan", value: "3", want: strings.Replace(before, "DAN: 2", "DAN: 3", 1)},
		{name: "a quoted key", key: `"a b"`, value: "d", want: strings.Replace(before, "c\r\n", "d\n", 1)},
		{name: "a new key", key: "new", value: "n, m", want: before + "\nnew: n, m\n"},
		{name: "remove", key: "last", want: strings.TrimSuffix(before, "last: x")},
		{name: "remove all that are repeated", key: "dan", want: strings.Replace(before, "dan: 1\nDAN: 2\n", "", 1)},
		{name: "remove a continued entry", key: "ann", want: strings.Replace(before, "ann :  bob ,\n\tcarol # x\n", "", 1)},
		{name: "remove what is not there", key: "nobody", want: before},

		{name: "line break", key: "ann", value: "a\nb: c", err: "line break"},
		{name: "backslash before another line", key: "ann", value: `a\`, err: "backslash"},
		{name: "empty", key: "ann", value: " ", err: "cannot be written"},
		{name: "a key that is none", key: "a: b", value: "c", err: "cannot be written"},
		{name: "a key that is not local", key: "a@example.org", value: "c", err: "cannot be written"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, err := alias.Parse(strings.NewReader(before), "aliases")
			require.NoError(t, err)
			var g *alias.File
			if tt.value == "" {
				g, err = f.Remove(tt.key)
			} else {
				g, err = f.Set(tt.key, tt.value)
			}
			if tt.err != "" {
				assert.ErrorContains(t, err, tt.err)
				return
			}
			require.NoError(t, err)
			var b strings.Builder
			_, err = g.WriteTo(&b)
			require.NoError(t, err)
			assert.Equal(t, tt.want, b.String())
			value, ok, _ := g.Lookup(context.Background(), tt.key)
			assert.Equal(t, tt.value != "", ok)
			assert.Equal(t, tt.value, value)
		})
	}
}

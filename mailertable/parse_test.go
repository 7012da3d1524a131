package mailertable

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

// The form of lines is that of package maptext, where it is tested; here, keys are domains, suffixes and the lone dot.
func TestParse(t *testing.T) {
	text := "# routes\nCorp.test\tesmtp:a\n\n x y\n.corp.test\n.\tsmtp:b c \n.CORP.TEST\trelay:c\ncorp.test local:\n" + long + "\n"
	f, err := Parse(strings.NewReader(text), "mt")
	assert.EqualError(t, err, `mt:4:1: leading space
mt:5:1: no value for key ".corp.test"
mt:8:1: duplicate key "corp.test", first given on line 2
mt:9:1: line too long: 1023 bytes, at most 1022 are allowed`)
	for _, want := range []error{ErrLeadingSpace, ErrNoValue, ErrDuplicate, ErrLineTooLong} {
		assert.ErrorIs(t, err, want)
	}
	at := func(line int) mtakit.Position { return mtakit.Position{File: "mt", Line: line, Col: 1} }
	assert.Equal(t, []Entry{
		{"Corp.test", "esmtp:a", at(2)},
		{".", "smtp:b c ", at(6)},
		{".CORP.TEST", "relay:c", at(7)},
		{"corp.test", "local:", at(8)},
	}, slices.Collect(f.All()))
	assert.Equal(t, 4, f.Len())
	v, pos, ok, err := f.LookupPosition(t.Context(), ".corp.test")
	assert.Equal(t, []any{"relay:c", at(7), true, nil}, []any{v, pos, ok, err})
	v, ok, err = f.Lookup(t.Context(), "a.corp.test")
	assert.Equal(t, []any{"", false, nil}, []any{v, ok, err}, "a File knows keys, not domains")
	var out bytes.Buffer
	_, err = f.WriteTo(&out)
	require.NoError(t, err)
	assert.Equal(t, text, out.String())
}

// long is a key and its value, 1023 bytes.
var long = strings.Repeat("x", 1016) + " smtp:h"

func TestParserLimits(t *testing.T) {
	f, err := (&Parser{MaxLine: 1023}).Parse(strings.NewReader(long), "mt")
	require.NoError(t, err)
	assert.Equal(t, 1, f.Len())
	f, err = (&Parser{MaxSize: 7}).Parse(strings.NewReader("a.b smtp:c"), "mt")
	assert.EqualError(t, err, "mt: file too large (limit is 7 bytes)")
	assert.Nil(t, f)
}

// The walk from the domain to its parents.
func TestRouteKeys(t *testing.T) {
	for _, tt := range []struct {
		name   string
		table  mtakit.MapTable
		domain string
		tried  string
		route  mtakit.Route
	}{
		{"all keys", mtakit.MapTable{}, "a.b.c", "a.b.c .b.c .c .", mtakit.Route{}},
		{"single label", mtakit.MapTable{}, "a", "a .", mtakit.Route{}},
		{"exact", mtakit.MapTable{"b.c": "esmtp:h"}, "b.c", "b.c", mtakit.Route{Mailer: "esmtp", Host: "h"}},
		{"a leading dot does not match the domain itself", mtakit.MapTable{".b.c": "esmtp:h"}, "b.c", "b.c .c .", mtakit.Route{}},
		{"what is left of the suffix", mtakit.MapTable{".c": "relay:%1.x:25"}, "a.b.c", "a.b.c .b.c .c", mtakit.Route{Mailer: "relay", Host: "a.b.x:25"}},
		{"one label", mtakit.MapTable{".c": "relay:%2.x"}, "a.b.c", "a.b.c .b.c .c", mtakit.Route{Mailer: "relay", Host: "b.x"}},
		{"last resort", mtakit.MapTable{".": "relay:%1.x"}, "a.b", "a.b .b .", mtakit.Route{Mailer: "relay", Host: "a.b.x"}},
		{"a value without mailer is searched instead", mtakit.MapTable{"a.b": "y.z", ".z": "smtp:%1"}, "a.b", "a.b .z", mtakit.Route{Mailer: "smtp", Host: "y"}},
		{"literals are never looked up", mtakit.MapTable{".": "smtp:x"}, "[192.0.2.1]", "", mtakit.Route{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, ok, err := New(tt.table).Route(mtakit.WithTracing(context.Background()), mtakit.Address{Local: "u", Domain: tt.domain})
			require.NoError(t, err)
			assert.Equal(t, tt.route != mtakit.Route{}, ok)
			assert.Equal(t, tt.route, d.Route)
			assert.Equal(t, tt.tried, strings.Join(d.Step.Tried, " "))
		})
	}
}

func TestRouteValues(t *testing.T) {
	for _, tt := range []struct {
		value string
		want  mtakit.Route
		err   string
	}{
		{value: "esmtp:[h]:2525", want: mtakit.Route{Mailer: "esmtp", Host: "[h]:2525"}},
		{value: "ESMTP:Host.Example", want: mtakit.Route{Mailer: "esmtp", Host: "Host.Example"}},
		{value: "smtp:[IPv6:2001:db8::25]", want: mtakit.Route{Mailer: "smtp", Host: "[IPv6:2001:db8::25]"}},
		{value: "esmtp:fred@h", want: mtakit.Route{Mailer: "esmtp", Host: "h", User: "fred@h"}},
		{value: "local:", want: mtakit.Route{Mailer: "local", Host: "u@d.test", User: "u"}},
		{value: "local:staff", want: mtakit.Route{Mailer: "local", Host: "u@d.test", User: "staff"}},
		{value: "error:5.1.2:550 gone", want: mtakit.Route{Mailer: "error", Host: "5.1.2", User: "550 gone"}, err: "550 5.1.2 gone"},
		{value: "error:nohost:gone", want: mtakit.Route{Mailer: "error", Host: "nohost", User: "gone"}, err: "553 5.3.0 gone"},
		{value: "error:550 gone", want: mtakit.Route{Mailer: "error", User: "550 gone"}, err: "550 5.0.0 gone"},
		{value: "error:4.4.1:451 wait", want: mtakit.Route{Mailer: "error", Host: "4.4.1", User: "451 wait"}, err: "451 4.4.1 wait"},
	} {
		d, ok, err := New(mtakit.MapTable{"d.test": tt.value}).Route(context.Background(), mtakit.Address{Local: "u", Domain: "d.test"})
		assert.True(t, ok, tt.value)
		assert.Equal(t, tt.want, d.Route, tt.value)
		if tt.err == "" {
			assert.NoError(t, err, tt.value)
		} else {
			assert.EqualError(t, err, tt.err, tt.value)
		}
	}
}

func TestRouteCannotTell(t *testing.T) {
	down := errors.New("database is down")
	m := New(mtakit.TableFunc(func(context.Context, string) (string, bool, error) { return "", false, down }))
	_, ok, err := m.Route(context.Background(), mtakit.Address{Local: "u", Domain: "d.test"})
	assert.False(t, ok)
	assert.ErrorIs(t, err, down)
}

// Values that lead in a circle come to an end.
func TestRouteCircle(t *testing.T) {
	_, ok, err := New(mtakit.MapTable{".x": ".y.x"}).Route(context.Background(), mtakit.Address{Local: "u", Domain: "a.x"})
	assert.True(t, ok)
	assert.EqualError(t, err, "554 5.0.0 rewrite: excessive recursion (max 50), ruleset Mailertable")
}

package table_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/mtakit/mtakit/table"
)

// FuzzParse reads any text in every form. What a Builder accepts comes back from the text it writes.
func FuzzParse(f *testing.F) {
	f.Add("# c\na b\n c\nd\n", uint8(0), byte(0))
	f.Add("a:::b\n:x\n", uint8(0), byte(':'))
	f.Add("\"a b\" c\n d\n", uint8(1), byte(0))
	f.Add("\"a\" (x): b, \"c d\"\n e\n", uint8(2), byte(0))
	f.Fuzz(func(t *testing.T, text string, form uint8, sep byte) {
		g := table.Grammar{Form: table.Form(form % 3), Separator: sep, Duplicates: table.KeepLast}
		tab, err := table.Parse(strings.NewReader(text), "f", &g)
		assert.NotNil(t, tab)
		for _, e := range syntaxErrors(err) {
			assert.Positive(t, e.Pos.Line)
		}
		b, _ := table.TextEngine(nil).NewBuilder(table.BuildOptions{Duplicates: table.KeepLast})
		want := map[string]string{}
		for rec := range tab.All() {
			if b.Put([]byte(rec.Key), []byte(rec.Value)) == nil {
				want[rec.Key] = rec.Value
			}
		}
		var out strings.Builder
		_, err = b.WriteTo(&out)
		assert.NoError(t, err)
		again, err := table.Parse(strings.NewReader(out.String()), "again", &table.Grammar{KeepCase: true, EmptyValues: true})
		assert.NoError(t, err)
		got := map[string]string{}
		for rec := range again.All() {
			got[rec.Key] = rec.Value
		}
		assert.Equal(t, want, got)
	})
}

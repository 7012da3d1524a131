package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/table"
	"github.com/mtakit/mtakit/table/bdb"
	"github.com/mtakit/mtakit/table/cdb"
)

// database installs an alias database with two entries and the mark.
func database(t *testing.T, e table.Engine, path string, nul table.NUL) {
	t.Helper()
	b, err := e.NewBuilder(table.BuildOptions{NUL: nul})
	require.NoError(t, err)
	for _, rec := range [][2]string{{"a", "mtk1"}, {"b", "mtk2, mtk3"}, {"@", "@"}} {
		require.NoError(t, b.Put([]byte(rec[0]), []byte(rec[1])))
	}
	require.NoError(t, e.Install(t.Context(), e.Path(path), b, nil))
}

func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	database(t, bdb.Hash(), filepath.Join(dir, "nul"), table.NULAlways)
	database(t, bdb.Btree(), filepath.Join(dir, "bt"), table.NULNever)
	database(t, cdb.Engine(), filepath.Join(dir, "c"), table.NULNever)
	conf := filepath.Join(dir, "test.cf")
	require.NoError(t, os.WriteFile(conf, []byte("O AliasFile=btree:"+dir+"/bt, text:"+dir+"/t, hash:"+dir+"/none\n"), 0o600))
	for _, tt := range []struct {
		name           string
		args           []string
		stdout, stderr string
		exit           int
	}{
		{name: "all", args: []string{"-f", dir + "/bt"}, stdout: "@:@\na:mtk1\nb:mtk2, mtk3\n"},
		{name: "cdb", args: []string{"-f", dir + "/c.cdb"}, stdout: "a:mtk1\nb:mtk2, mtk3\n@:@\n"},
		{name: "keys, with NUL", args: []string{"-f", dir + "/nul", "b", "A", "@"}, stdout: "b:mtk2, mtk3\nA: No such key\n@:@\n"},
		{name: "configuration", args: []string{"-C", conf, "a"}, stdout: "a:mtk1\n",
			stderr: "praliases: Skipping non-file based alias type text\npraliases: " + dir + "/none: open: No such file or directory\n"},
		{name: "no configuration", args: []string{"-C", dir + "/none.cf"}, stderr: "praliases: " + dir + "/none.cf: No such file or directory\n", exit: 66},
		{name: "no map that can be listed", args: []string{"-f", "foo:/x,dequote:/x,hash:," + dir + "/bt", "a"}, stdout: "a:mtk1\n",
			stderr: "praliases: Skipping non-file based alias type foo\npraliases: Skipping non-file based alias type dequote\n" +
				"praliases: illegal alias specification: hash:\n"},
		{name: "usage", args: []string{"-q"}, stderr: "praliases: invalid option -- 'q'\nusage: praliases [-C cffile] [-f aliasfile] [key ...]\n", exit: 64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			c := &command{stdout: &out, stderr: &errs}
			assert.Equal(t, tt.exit, c.run(t.Context(), tt.args))
			assert.Equal(t, tt.stdout, out.String())
			assert.Equal(t, tt.stderr, errs.String())
		})
	}
}

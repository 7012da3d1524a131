package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/mtakit/mtakit/internal/peer"
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
		{name: "no map that can be listed", args: []string{"-f", "foo:/x,hash:" + dir + "/bt", "a"}, stderr: "praliases: Skipping non-file based alias type foo\n"},
		{name: "no class, no file", args: []string{"-f", dir + "/no,ne"}, stderr: "praliases: " + dir + "/no,ne: open: Unknown database type\n"},
		{name: "options behind keys", args: []string{"a", "-f", "-N " + dir + "/bt", "--", "-f"}, stdout: "a:mtk1\n-f: No such key\n"},
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

// TestAgainstOriginal gives both programs the same arguments. $D is a directory.
func TestAgainstOriginal(t *testing.T) {
	t.Parallel()
	theirs := peer.Program(t, "praliases")
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(strings.ReplaceAll(text, "$D", dir)), 0o644))
	}
	database(t, bdb.Hash(), filepath.Join(dir, "h"), table.NULAlways)
	database(t, bdb.Btree(), filepath.Join(dir, "bt"), table.NULNever)
	for _, name := range []string{"h.db", "bt.db"} {
		require.NoError(t, os.Chmod(filepath.Join(dir, name), 0o644))
	}
	write("zero.db", strings.Repeat("\x00", 16384))
	write("nul.db", "")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dir.db"), 0o755))
	write("1.cf", "Oaliasfile=/x\n O AliasFile=/y\nO AliasFile\nO AliasFile $D/z\nO ALIASFILE=$D/h,\nO AliasFile=$D/h , $D/bt\nO AliasFileX=$D/h\nO AliasFile.x=$D/h\n"+
		"OA=$D/h\nO\taliasfile=t\nOA$D/h\r\nO AliasFile=$D/h # c\n")
	write("2.cf", "O AliasFile=\n  $D/h\nO AliasFile=,,$D/h\nOA\nO AliasFile=\nO AliasFiles=$D/h\nO AliasFil=$D/h\nO AliasFile = nis:x, hash:-o $D/none ,:x,hash:-\n")
	write("3.cf", "OA $D/h\nO AliasFile=hash :$D/h, HASH:$D/h,btree: -N -o  $D/bt\n")
	write("empty.cf", "")
	for _, args := range []string{
		"-C $D/1.cf", "-C$D/2.cf a", "-C $D/3.cf a zz @", "-C $D/empty.cf", "-C $D/none.cf", "-C $D", "-f $D/h", "-f$D/h A a", "-f $D/h -- a", "a -f $D/h b",
		"-f $D/h a -- -C x", "-f $D/none", "-f hash:$D/none", "-f btree:$D/none", "-f $D/h.db", "-f $D/bt", "-f btree:$D/bt", "-f $D/zero", "-f hash:$D/zero",
		"-f $D/nul", "-f hash:$D/nul", "-f $D/dir", "-f hash:$D/dir", "-f $D/h,$D/bt", "-f foo:$D/h", "-f foo:", "-f hash:", "-f :x", "-f implicit:$D/h", "-f dbm:$D/h",
		"-f null:", "-f", "-C", "-x", "-xf y", "-f $D/h -x", "-fx -f $D/h",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			list := strings.Fields(strings.ReplaceAll(args, "$D", dir))
			var want, wantErr, got, gotErr bytes.Buffer
			cmd := exec.CommandContext(t.Context(), theirs, list...)
			cmd.Stdout, cmd.Stderr = &want, &wantErr
			_ = cmd.Run() // the exit status is compared
			c := &command{stdout: &got, stderr: &gotErr}
			assert.Equal(t, cmd.ProcessState.ExitCode(), c.run(t.Context(), list))
			assert.Equal(t, want.String(), got.String())
			assert.Equal(t, strings.ReplaceAll(wantErr.String(), theirs+": ", "praliases: "), gotErr.String())
		})
	}
}

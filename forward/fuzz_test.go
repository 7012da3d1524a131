package forward_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/forward"
)

// No path and no detail leads out of the root, or to anything but an answer.
func FuzzPath(f *testing.F) {
	for _, path := range []string{forward.DefaultPath, "$z/.forward+$h", "$?h$h$|$z$.", "$?", "$", "${", "${x}:$", "$.$|", "$?h$?u$?z", "/etc/passwd:$z/../../etc/passwd"} {
		f.Add(path, "box")
		f.Add(path, "../../etc/passwd")
	}
	dir := f.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		f.Fatal(err)
	}
	if err := os.WriteFile(dir+"/.forward", []byte("inside@example.org\n"), 0o644); err != nil {
		f.Fatal(err)
	}
	acct := mtakit.Account{Name: "ann", UID: os.Getuid(), GID: os.Getgid(), Home: dir, Shell: "/bin/sh"}
	f.Fuzz(func(t *testing.T, path, detail string) {
		fw, err := forward.New(forward.Options{Path: path, Hostname: "mx.example.com", Root: dir, ValidShell: func(string) bool { return true }})
		if err != nil {
			t.Fatal(err)
		}
		defer fw.Close()
		x, ok, err := fw.Forward(context.Background(), acct, detail)
		if err != nil {
			t.Fatalf("%q %q: %v", path, detail, err)
		}
		if ok != (len(x.To) == 1) || ok && (x.To[0].Text != "inside@example.org" || !strings.HasPrefix(x.Step.Key, dir)) {
			t.Fatalf("%q %q: %+v", path, detail, x)
		}
	})
}

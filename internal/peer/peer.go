// Package peer finds, for tests, the real programs beside which ours are tested. Where one is not installed the test is
// skipped; on the build machine (CI=true) that is a failure. What a machine does not allow is skipped there, too.
package peer

import (
	"os"
	"os/exec"
	"testing"
)

// Program returns the path of a program.
func Program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		Missing(t, name+" is not installed")
	}
	return path
}

// Missing ends a test that needs what is not there.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// Unshare returns the path of unshare(1), with which a program gets a host name of its own (--uts): sendmail waits a minute
// for a name with a dot. That takes root and a machine that allows it.
func Unshare(t testing.TB) string {
	t.Helper()
	path := Program(t, "unshare")
	if os.Geteuid() != 0 || exec.Command(path, "--uts", "true").Run() != nil {
		t.Skip("a host name of one's own (unshare --uts) needs root and a machine that allows it")
	}
	return path
}

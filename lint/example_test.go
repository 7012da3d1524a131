package lint_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/mtakit/mtakit/lint"
)

// directory makes a directory of tables.
func directory(aliases string) string {
	dir, err := os.MkdirTemp("", "etc")
	if err != nil {
		panic(err)
	}
	for name, text := range map[string]string{"aliases": aliases, "passwd": "ann:x:1001:1001::/:/bin/sh\nbob:x:1002:1002::/:/bin/sh\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			panic(err)
		}
	}
	return dir
}

func ExampleCheck() {
	dir := directory("postmaster: ann\nteam: ann, dave\nday: night\nnight: day\n")
	defer os.RemoveAll(dir)
	tables, err := lint.Load(dir, &lint.Options{Hostname: "mx.example.org"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range lint.Check(context.Background(), tables, nil) {
		fmt.Println(filepath.Base(f.Pos.File), f.Pos.Line, f.Severity, f.Code, f.Text)
	}
	// Output:
	// aliases 2 error dangling-target team: there is no user or alias dave
	// aliases 3 error loop day leads back to itself: aliasing/forwarding loop broken
	// aliases 4 error loop night leads back to itself: aliasing/forwarding loop broken
}

func ExampleDiff() {
	one, two := directory("info: ann\nsales: bob\n"), directory("info: ann, bob\nsales: bob\n")
	defer os.RemoveAll(one)
	defer os.RemoveAll(two)
	opt := &lint.Options{Hostname: "mx.example.org"}
	before, _ := lint.Load(one, opt)
	after, _ := lint.Load(two, opt)
	addrs := lint.Addresses(before, after) // every key of either side, and its neighbours
	changes, _ := lint.Diff(context.Background(), before.Resolver(), after.Resolver(), addrs)
	for _, c := range changes {
		fmt.Println(c.Addr, lint.Outcome(c.Old), lint.Outcome(c.New))
	}
	// Output:
	// info [mailer local, user ann] [mailer local, user ann mailer local, user bob]
	// info+x [mailer local, user ann] [mailer local, user ann mailer local, user bob]
	// info@localhost [mailer local, user ann] [mailer local, user ann mailer local, user bob]
	// info@mx.example.org [mailer local, user ann] [mailer local, user ann mailer local, user bob]
}

package mailer_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/mtakit/mtakit"
	"github.com/mtakit/mtakit/mailer"
)

// attempt is a message for one recipient.
func attempt(route mtakit.Route) *mtakit.Attempt {
	return &mtakit.Attempt{
		From:   mtakit.Address{Local: "bob", Domain: "example.org"},
		Mailer: route.Mailer,
		Rcpts:  []mtakit.Recipient{{Addr: mtakit.Address{Local: "ann", Domain: "example.test"}, Route: route}},
		Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("Subject: hi\n\nlunch?\n")), nil
		},
	}
}

func Example() {
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	m := &mailer.Maildir{Path: dir + "/%u/Maildir"}
	res := m.Deliver(context.Background(), attempt(mtakit.Route{Mailer: "local", User: "ann"}))
	fmt.Println(res[0].Err)
	names, _ := filepath.Glob(dir + "/ann/Maildir/new/*")
	b, _ := os.ReadFile(names[0])
	fmt.Print(string(b))
	// Output:
	// <nil>
	// Return-Path: <bob@example.org>
	// Subject: hi
	//
	// lunch?
}

// An allow list, as smrsh has it: only programs of one directory, and no shell syntax.
func ExampleProgram() {
	m := &mailer.Program{Check: func(command string) (string, error) {
		if strings.ContainsAny(command, "`$;&|<>()\n") {
			return "", errors.New("shell syntax is not allowed")
		}
		name, args, _ := strings.Cut(command, " ")
		switch filepath.Base(name) {
		case "vacation", "true":
			return "/bin/" + filepath.Base(name) + " " + args, nil
		}
		return "", fmt.Errorf("%s is not on the list", name)
	}}
	for _, command := range []string{"|/usr/bin/true", "|rm -rf /", "|true; rm -rf /"} {
		res := m.Deliver(context.Background(), attempt(mtakit.Route{Mailer: "prog", User: command}))
		fmt.Println(res[0].Err)
	}
	// Output:
	// <nil>
	// 554 5.5.0 Service unavailable: rm is not on the list
	// 554 5.5.0 Service unavailable: shell syntax is not allowed
}

package mta

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/mtakit/mtakit"
)

// passwd is a parsed passwd(5) file: accounts by name.
type passwd map[string]mtakit.Account

// Account finds an account by its exact name.
func (p passwd) Account(_ context.Context, name string) (mtakit.Account, bool, error) {
	a, ok := p[name]
	return a, ok, nil
}

// readPasswd parses passwd(5) lines: name:password:uid:gid:gecos:home:shell. Comments and empty lines are allowed.
// All mistakes are reported together.
func readPasswd(file string) (passwd, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p := passwd{}
	var errs []error
	sc := bufio.NewScanner(f)
	for n := 1; sc.Scan(); n++ {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		a, err := parsePasswdLine(line)
		if err == nil && p[a.Name].Name != "" {
			err = fmt.Errorf("user %s is there twice", a.Name)
		}
		if err != nil {
			errs = append(errs, &mtakit.SyntaxError{Pos: mtakit.Position{File: file, Line: n}, Err: err})
			continue
		}
		p[a.Name] = a
	}
	if err := sc.Err(); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", file, err))
	}
	return p, errors.Join(errs...)
}

func parsePasswdLine(line string) (mtakit.Account, error) {
	f := strings.Split(line, ":")
	if len(f) != 7 {
		return mtakit.Account{}, fmt.Errorf("%d fields, want 7: name:password:uid:gid:gecos:home:shell", len(f))
	}
	uid, err := strconv.Atoi(f[2])
	if err != nil || uid < 0 {
		return mtakit.Account{}, fmt.Errorf("bad uid %q", f[2])
	}
	gid, err := strconv.Atoi(f[3])
	if err != nil || gid < 0 {
		return mtakit.Account{}, fmt.Errorf("bad gid %q", f[3])
	}
	if f[0] == "" || f[0] == "." || f[0] == ".." || strings.ContainsAny(f[0], "/@|\" \t") {
		return mtakit.Account{}, fmt.Errorf("bad user name %q", f[0])
	}
	full, _, _ := strings.Cut(f[4], ",")
	return mtakit.Account{Name: f[0], UID: uid, GID: gid, FullName: full, Home: f[5], Shell: f[6]}, nil
}

// systemAccounts asks the machine's own user directory.
func systemAccounts(_ context.Context, name string) (mtakit.Account, bool, error) {
	u, err := user.Lookup(name)
	var unknown user.UnknownUserError
	switch {
	case errors.As(err, &unknown):
		return mtakit.Account{}, false, nil
	case err != nil:
		return mtakit.Account{}, false, err
	}
	a := mtakit.Account{Name: u.Username, FullName: u.Name, Home: u.HomeDir}
	if a.UID, err = strconv.Atoi(u.Uid); err != nil {
		return a, false, err
	}
	if a.GID, err = strconv.Atoi(u.Gid); err != nil {
		return a, false, err
	}
	a.Shell = "/bin/sh" // os/user does not tell
	return a, true, nil
}

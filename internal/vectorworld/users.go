package vectorworld

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mtakit/mtakit"
)

const nologin = "/usr/sbin/nologin"

// users is the password file of every world.
var users = func() map[string]mtakit.Account {
	list := []mtakit.Account{
		{Name: "root", UID: 0, GID: 0, Home: "/root", Shell: "/bin/bash"},
		{Name: "daemon", UID: 1, GID: 1, Home: "/usr/sbin", Shell: nologin},
		{Name: "bin", UID: 2, GID: 2, Home: "/bin", Shell: nologin},
		{Name: "mail", UID: 8, GID: 8, Home: "/var/mail", Shell: nologin},
		{Name: "smmsp", UID: 120, GID: 120, Home: "/var/lib/sendmail", Shell: nologin},
		{Name: "smmta", UID: 121, GID: 121, Home: "/var/lib/sendmail", Shell: nologin},
		{Name: "nobody", UID: 65534, GID: 65534, Home: "/nonexistent", Shell: nologin},
		{Name: "mtk1", FullName: "Ann Example"},
		{Name: "mtk2", FullName: "Bob Q. Sample"},
		{Name: "mtk3"},
		{Name: "mtk4", Shell: nologin},
		{Name: "mtk5", Home: "/home/nonexistent"},
		{Name: "mtk6", Shell: "/opt/oddshell"},
		{Name: "mtk7", Home: "/"},
		{Name: "mtk8"},
		{Name: "mtk9"},
		{Name: "ann.lee"},
		{Name: "a-b_c"},
		{Name: "Mixed"},
		{Name: "mtk+x"},
	}
	m := make(map[string]mtakit.Account)
	uid := 2001
	for _, a := range list {
		if a.Shell == "" {
			a.Shell = "/bin/sh"
		}
		if a.Home == "" {
			a.Home = "/home/" + a.Name
		}
		if strings.HasPrefix(a.Home, "/home/") || a.Name == "mtk7" {
			a.UID, a.GID = uid, uid
			uid++
		}
		m[a.Name] = a
	}
	return m
}()

const teamGID = 2100

var teamMembers = []string{"mtk1", "mtk2"}

func account(_ context.Context, name string) (mtakit.Account, bool, error) {
	a, ok := users[name]
	return a, ok, nil
}

func owner(_ context.Context, uid int) (mtakit.Account, bool, error) {
	for _, a := range users {
		if a.UID == uid {
			return a, true, nil
		}
	}
	return mtakit.Account{}, false, nil
}

func member(user string, gid int) bool { return gid == teamGID && slices.Contains(teamMembers, user) }

// validShell is the world's /etc/shells.
func validShell(shell string) bool {
	dir, name, ok := strings.Cut(strings.TrimPrefix(shell, "/usr"), "/bin/")
	return ok && dir == "" && slices.Contains([]string{"sh", "bash", "rbash", "dash", "tmux"}, name)
}

// userID and groupID read the owner and group of a file: a name or a number.
func userID(v any) (int, error) {
	switch v := v.(type) {
	case nil:
		return 0, nil
	case float64:
		return int(v), nil
	case string:
		if a, ok := users[v]; ok {
			return a.UID, nil
		}
	}
	return 0, fmt.Errorf("unknown user %v", v)
}

func groupID(v any) (int, error) {
	switch v {
	case "team":
		return teamGID, nil
	case "nogroup":
		return 65534, nil
	}
	return userID(v)
}

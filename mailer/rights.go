package mailer

import (
	"errors"
	"os"
	"os/user"
	"strconv"
)

// rights are those of a user on files.
type rights struct {
	uid, gid int
	user     string // for the supplementary groups; "" means none
}

// noChange stands for the process's own rights.
var noChange = rights{uid: -1, gid: -1}

// changes reports whether do has something to change: only a process of root may.
func (r rights) changes() bool { return r.uid >= 0 && os.Geteuid() == 0 && r.uid != 0 }

// groups returns the supplementary groups of the user, as initgroups(3) sets them.
func (r rights) groups() ([]int, error) {
	gids := []int{r.gid}
	if r.user == "" {
		return gids, nil
	}
	u, err := user.Lookup(r.user)
	if err != nil {
		var unknown user.UnknownUserError
		if errors.As(err, &unknown) { // an account of a table of the caller's own
			return gids, nil
		}
		return nil, err
	}
	ids, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if n, err := strconv.Atoi(id); err == nil && n != r.gid {
			gids = append(gids, n)
		}
	}
	return gids, nil
}

//go:build !linux

package mailer

// rights are those of a user on files. Only Linux gives them to a single thread; elsewhere deliveries are made with
// the process's own.
type rights struct {
	uid, gid int
	user     string
}

var noChange = rights{uid: -1, gid: -1}

func (r rights) changes() bool           { return false }
func (r rights) do(f func() error) error { return f() }
func (r rights) groups() ([]int, error)  { return nil, nil }

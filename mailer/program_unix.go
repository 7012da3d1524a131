//go:build unix

package mailer

import (
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// setRights has the command run in a process group of its own, as the user when we are root.
func setRights(cmd *exec.Cmd, own rights) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if !own.changes() {
		return nil
	}
	groups, err := own.groups()
	if err != nil {
		return err
	}
	cred := &syscall.Credential{Uid: uint32(own.uid), Gid: uint32(own.gid)}
	for _, g := range groups {
		cred.Groups = append(cred.Groups, uint32(g))
	}
	cmd.SysProcAttr.Credential = cred
	return nil
}

// canEnter reports whether the thread may make dir its directory.
func canEnter(dir string) error {
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	// Searching "." in the directory needs the right that chdir needs.
	return unix.Fstatat(fd, ".", &st, 0)
}

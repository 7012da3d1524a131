//go:build unix

package mailer

import (
	"errors"
	"os"
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

// killGroup ends the command and everything it started.
func killGroup(p *os.Process) error {
	if p == nil {
		return os.ErrProcessDone
	}
	err := syscall.Kill(-p.Pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return os.ErrProcessDone
	}
	return err
}

// canEnter reports whether the thread may make dir its directory: finding "." in it needs the right that chdir needs.
func canEnter(dir string) error {
	var st unix.Stat_t
	return unix.Stat(dir+"/.", &st)
}
